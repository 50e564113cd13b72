// SPDX-License-Identifier: BSD-3-Clause
// The momentum stage: the average of the gradients, and the direction that comes of it.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/optim/options.hpp>
#include <schatten/optim/state.hpp>

#include <array>
#include <cstddef>
#include <limits>

namespace schatten::optim {

/// x, or the largest number that the state holds, of its sign, where x is larger: one huge gradient must not spoil the
/// state for ever. @pre x is not NaN.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION T saturated(T x, T largest = std::numeric_limits<T>::max()) {
  const T below = x > largest ? largest : x;
  return below < -largest ? -largest : below;
}

/// βm + gain·g with 1 − β in β's place: β near 1, rounded to T, would lose digits of 1 − β, and with them the average's size.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION T averaged(T m, T g, T one_minus_beta, T gain) {
  return (m - one_minus_beta * m) + gain * g;
}

/// (g, m) ↦ u with m ← βm + gain·g, then u = m or, with Nesterov's look-ahead, βm + gain·g.
template <Scalar T>
struct MomentumElement {
  T one_minus_beta, gain;    ///< gain: 1 − β (ema) or 1 (heavy_ball)
  T look_ahead, look_gain;   ///< the same numbers with Nesterov, 0 without
  T largest;                 ///< that the state holds
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m) const {
    m = saturated(averaged(m, g, one_minus_beta, gain), largest);
    return saturated(averaged(m, g, look_ahead, look_gain));
  }
};

template <Scalar T>
KOKKOS_FUNCTION MomentumElement<T> momentum_element(const Momentum& momentum) {
  const T rest = T(1 - momentum.beta), gain = momentum.kind == MomentumKind::ema ? rest : T(1);
  T largest = std::numeric_limits<T>::max();
  if (momentum.storage == StateStorage::float16) largest = T(65504);
  if (momentum.storage == StateStorage::bfloat16) largest = T(0x1.fep127);
  return {rest, gain, momentum.nesterov ? rest : T(0), momentum.nesterov ? gain : T(0), largest};
}

/// The slot of the average; none where β is 0.
inline StateSlot momentum_slot(const Momentum& momentum) {
  const Extent extent = momentum.beta == 0 ? Extent::none : Extent::matrix;
  return {.name = "momentum", .extent = extent, .storage = momentum.storage};
}

/// out ← u of the gradients, the average kept in `slot`. One pass.
template <class Bucket>
void average(Bucket& bucket, const Momentum& momentum, std::size_t slot, const typename Bucket::Batch& out) {
  bucket.average(momentum_element<typename Bucket::Scalar>(momentum), std::array{slot}, momentum.beta, out);
}

}  // namespace schatten::optim
