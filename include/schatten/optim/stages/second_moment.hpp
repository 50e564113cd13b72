// SPDX-License-Identifier: BSD-3-Clause
// Second moments.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/core/root.hpp>

#include <cstddef>

namespace schatten::optim {

/// Returns β₂r² + (1 − β₂)g² as square·unit². gain2: 1 − β₂.
template <Scalar T>
struct ScaledMoment {
  T unit, square;
  KOKKOS_FORCEINLINE_FUNCTION ScaledMoment(T root, T g, T gain2) {
    const T size = g < T(0) ? -g : g;
    const math::Unit<T> both(root > size ? root : size);
    const T r = root * both.inverse, x = size * both.inverse, old = r * r;
    unit = both.unit;
    square = (old - gain2 * old) + gain2 * x * x;
  }
};

/// Returns √(β₂r² + (1 − β₂)g²) without over- or underflow. gain2: 1 − β₂.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION T second_moment_root(T root, T g, T gain2) {
  const ScaledMoment<T> moment(root, g, gain2);
  return moment.unit * math::root(moment.square);
}

/// Returns 1 − β^t without cancellation for β near 1.
KOKKOS_FUNCTION inline double bias_correction(double beta, double t) {
  return beta == 0 ? 1.0 : -math::expm1(t * math::log1p(-(1 - beta)));
}

}  // namespace schatten::optim
