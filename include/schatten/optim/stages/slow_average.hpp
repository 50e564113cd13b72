// SPDX-License-Identifier: BSD-3-Clause
// Adam's direction with a second, slow average in its numerator.
#pragma once

#include <schatten/optim/stages/adam.hpp>

#include <cstddef>

namespace schatten::optim {

/// (g, m, r, n) ↦ (m + mix·n)/(r·c₁/√c₂ + ε·c₁) with Adam's m and r, n the average of g by `slow`.
template <Scalar T>
struct AdEMAMixElement {
  AdamElement<T> adam;
  Average<T> slow;
  T mix;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m, T& r, T& n) const {
    (void)adam(g, m, r);
    n = slow(n, g);
    return (m + mix * n) / (r * adam.correction + adam.epsilon);
  }
  /// The same for the elements of a chunk. No two of the arrays overlap.
  template <std::size_t count>
  void run(const T* KOKKOS_RESTRICT g, T* KOKKOS_RESTRICT direction, T* KOKKOS_RESTRICT m, T* KOKKOS_RESTRICT r,
           T* KOKKOS_RESTRICT n) const {
    adam.template run<count>(g, direction, m, r);
    for (std::size_t k = 0; k < count; ++k) {
      n[k] = slow(n[k], g[k]);
      direction[k] = (m[k] + mix * n[k]) / (r[k] * adam.correction + adam.epsilon);
    }
  }
};

}  // namespace schatten::optim
