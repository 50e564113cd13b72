// SPDX-License-Identifier: BSD-3-Clause
// Momentum: the average of the gradients, and the direction u.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/optim/options.hpp>
#include <schatten/optim/state.hpp>

#include <array>
#include <cstddef>
#include <limits>

namespace schatten::optim {

/// Returns x, limited to the largest finite number, so that one huge gradient does not make the state infinite for
/// ever. @pre x is not NaN.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION T saturated(T x, T largest = (std::numeric_limits<T>::max)()) {
  const T below = x > largest ? largest : x;
  return below < -largest ? -largest : below;
}

/// Returns x as T, limited to T's largest finite number. @pre x is not NaN.
template <Scalar T>
KOKKOS_FUNCTION T saturated_as(double x) {
  return T(saturated(x, double((std::numeric_limits<T>::max)())));
}

/// (m, g) ↦ βm + gain·g. For β >= 1/2 it is computed as m + (gain·g − (1 − β)m). β rounded to T would lose digits of 1
/// − β, and βm would be rounded with the same sign in every step, so that the average would drift. For β < 1/2 it is
/// computed as written, so that the rounding of a large m does not remain.
template <Scalar T>
struct Average {
  T keep, loss, gain;
  Average() = default;
  KOKKOS_FUNCTION Average(double beta, T its_gain)
      : keep(beta < 0.5 ? T(beta) : T(1)), loss(beta < 0.5 ? T(0) : T(1 - beta)), gain(its_gain) {}
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T m, T g) const { return keep * m + (gain * g - loss * m); }
};

/// The average whose weights sum to one: gain 1 − β.
template <Scalar T>
KOKKOS_FUNCTION Average<T> moving_average(double beta) {
  return {beta, T(1 - beta)};
}

/// (g, m) ↦ u, with m ← βm + gain·g, then u = m or, with Nesterov, u = βm + gain·g.
template <Scalar T>
struct MomentumElement {
  Average<T> average, look_ahead;  ///< look_ahead: (m, g) ↦ m without Nesterov
  T largest;                       ///< largest number that the state can store
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m) const {
    m = saturated(average(m, g), largest);
    return saturated(look_ahead(m, g));
  }
};

template <Scalar T>
KOKKOS_FUNCTION MomentumElement<T> momentum_element(const Momentum& momentum) {
  const T gain = momentum.kind == MomentumKind::ema ? T(1 - momentum.beta) : T(1);
  const Average<T> average(momentum.beta, gain), itself(1.0, T(0));
  T largest = (std::numeric_limits<T>::max)();
  if (momentum.storage == StateStorage::float16) largest = T(65504);
  if (momentum.storage == StateStorage::bfloat16) largest = T(0x1.fep127);
  return {average, momentum.nesterov ? average : itself, largest};
}

/// Returns the slot of the average; without an array if β is 0.
inline StateSlot momentum_slot(const Momentum& momentum) {
  const Extent extent = momentum.beta == 0 ? Extent::none : Extent::matrix;
  return {.name = "momentum", .extent = extent, .storage = momentum.storage};
}

/// out ← u of the gradients; updates the average in `slot`. Cost: one pass.
template <class Bucket>
void average(Bucket& bucket, const Momentum& momentum, std::size_t slot, const typename Bucket::Batch& out) {
  bucket.average(momentum_element<typename Bucket::Scalar>(momentum), std::array{slot}, momentum.beta, out);
}

}  // namespace schatten::optim
