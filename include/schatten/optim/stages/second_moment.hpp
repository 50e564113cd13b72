// SPDX-License-Identifier: BSD-3-Clause
// Second moments.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/core/root.hpp>

#include <cstddef>

namespace schatten::optim {

/// √(β₂r² + (1 − β₂)g²), within the range of T whenever r and g are: squares of 1e+30 and of 1e-30 are no floats.
/// gain2: 1 − β₂.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION T second_moment_root(T root, T g, T gain2) {
  const T size = g < T(0) ? -g : g;
  const math::Unit<T> unit(root > size ? root : size);
  const T r = root * unit.inverse, x = size * unit.inverse, square = r * r;
  return unit.unit * math::root((square - gain2 * square) + gain2 * x * x);
}

/// 1 − β^t, without cancellation for β near 1.
KOKKOS_FUNCTION inline double bias_correction(double beta, double t) {
  return beta == 0 ? 1.0 : -math::expm1(t * math::log1p(-(1 - beta)));
}

}  // namespace schatten::optim
