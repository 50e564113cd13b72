// SPDX-License-Identifier: BSD-3-Clause
// The floor of scale-free rules: it stops weights whose gradients have become zero and stay zero.
//
// The momentum decays to a subnormal number, not to zero. So without the floor a rule whose step does not shrink with
// its momentum would take full steps for ever. Published Muon divides by ‖u‖ + 1e-7, which also stops weights with
// gradients of this size. Here the floor is relative. With x_t the largest entry of u in step t,
//   r_t = x_t if x_t > βx_{t−1}, else max(x_t, ρ r_{t−1}),   ρ = 1 − (1 − β)/50,   factor_t = min(1, x_t/(1e-7 r_t)).
// x_t > βx_{t−1}, by more than rounding, shows that the gradient is not zero. Then the factor is exactly 1, at every
// scale. If the gradient decreases by a factor of more than 1e7, u is the old momentum at first, and the last steps of
// its decay are shorter. If the gradient is zero from some step on, x_t = β^k x, and the sum of the factors of all
// following steps is at most ln(1e7)/ln(ρ/β) + 1/(1 − β/ρ): 341 for β = 0.95. For p < 0 each step is longer than the
// previous one by the factor β^p, in total by at most 1e7^{−p}. At the end rounding keeps the momentum at a subnormal
// number, while r_t decays further. So an x_t of at most half of the format's smallest number divided by 1 − β counts
// as zero, and the factor is 0.
#pragma once

#include <schatten/optim/apply.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>

namespace schatten::optim {

/// The value of x_t/r_t below which steps shrink.
inline constexpr double relative_floor = 1e-7;

/// The decay of a momentum of β in an array of a type, while the gradient is zero.
struct MomentumDecay {
  double recent = 0;    ///< ρ
  double kept = 0;      ///< β, with the relative rounding of a step
  double rounding = 0;  ///< the absolute rounding of a step
  double stuck = 0;     ///< the largest number at which rounding stops the decay; 0 if there is no array
};

/// Returns that of β. type: of the momentum; T: of the numbers computed from it.
template <Scalar T>
MomentumDecay momentum_decay(double beta, ElementType type, bool stored = true) {
  struct Digits {
    double epsilon, smallest;
  };
  constexpr auto digits = [](ElementType t) -> Digits {
    switch (t) {
      case ElementType::float64: return {0x1p-52, std::numeric_limits<double>::denorm_min()};
      case ElementType::float16: return {0x1p-10, 0x1p-24};
      case ElementType::bfloat16: return {0x1p-7, 0x1p-133};
      case ElementType::float32: break;
    }
    return {0x1p-23, 0x1p-149};
  };
  const Digits stores = digits(type), computes = digits(element_type_of<T>);
  const double relative = 4 * (std::max)(stores.epsilon, computes.epsilon);
  return {1 - (1 - beta) / 50, beta * (1 + relative), 2 * (std::max)(stores.smallest, computes.smallest),
          stored ? stores.smallest / (2 * (1 - beta)) : 0};
}

/// Returns factor_t from x_t and r_t; 1 if r_t is 0, before the first step.
KOKKOS_FUNCTION inline double floor_factor(double size, double recent, double stuck) {
  if (size <= stuck && recent > 0) return 0;
  const double floor = relative_floor * recent;
  return size < floor ? size / floor : 1.0;
}

/// The number of matrix k in a state array of Extent::number.
template <Scalar T>
KOKKOS_FUNCTION T& slot_number(const SlotMemory& slot, std::size_t k) {
  return *reinterpret_cast<T*>(slot.data + k * slot.matrix_bytes);
}

/// Sets r(k) = r_t and last(k) = x, from r_{t−1} and x_{t−1} there. Returns r_t.
template <Scalar T>
KOKKOS_FUNCTION double keep_sizes(const SlotMemory& recent, const SlotMemory& last, std::size_t k, double x,
                                  const MomentumDecay& decay) {
  const double faded = decay.recent * double(slot_number<T>(recent, k));
  const bool fed = x > decay.kept * double(slot_number<T>(last, k)) + decay.rounding;
  const double now = fed || x > faded ? x : faded;
  slot_number<T>(recent, k) = T(now);
  slot_number<T>(last, k) = T(x);
  return now;
}

/// x and r of each matrix, and factor(k) ← factor(k)·floor_factor, with `first` floor_factor alone. x is read from
/// `bits`, which are then set to 0. Skipped matrices keep x and r.
template <Scalar T, class Space>
struct ApplyFloor {
  NumberBatchView<MagnitudeBits<T>, Space> bits;
  SlotMemory recent, last;  ///< r and x, one number per matrix
  MomentumDecay decay;
  FiniteFlags<Space> finite;
  NumberBatchView<SplitFactor, Space> factor;
  bool first;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const double x = double(std::bit_cast<T>(bits(k)));
    bits(k) = 0;
    if (first) factor(k) = {};
    if (!finite(k)) return;
    factor(k).first *= floor_factor(x, keep_sizes<T>(recent, last, k, x, decay), decay.stuck);
  }
};

/// For element rules, before the step: factor(k) ← floor_factor of the step before. 1 in the first step, and for a
/// momentum of β = 0, which is zero where the gradient was zero a step ago and says nothing about this step.
template <Scalar T, class Space>
struct LastFloor {
  SlotMemory recent, last;
  MomentumDecay decay;
  NumberBatchView<SplitFactor, Space> factor;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const double x = double(slot_number<T>(last, k)), r = double(slot_number<T>(recent, k));
    factor(k) = {decay.kept > 0 ? floor_factor(x, r, decay.stuck) : 1.0, 1};
  }
};

/// For element rules, after the step: x and r from the largest entry of the momentum, read from `bits`, which are set
/// to 0.
template <Scalar T, class Space>
struct NoteSize {
  NumberBatchView<MagnitudeBits<T>, Space> bits;
  SlotMemory recent, last;
  MomentumDecay decay;
  FiniteFlags<Space> finite;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const T x = std::bit_cast<T>(bits(k));
    bits(k) = 0;
    if (!finite(k)) return;
    (void)keep_sizes<T>(recent, last, k, double(x), decay);
  }
};

}  // namespace schatten::optim
