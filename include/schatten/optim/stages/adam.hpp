// SPDX-License-Identifier: BSD-3-Clause
// Adam's two moments and its direction.
#pragma once

#include <schatten/optim/fields.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/second_moment.hpp>

#include <limits>
#include <vector>

namespace schatten {

/// The position of Adam's ε in the denominator; c₂ = 1 − β₂^t is the bias correction of v.
enum class EpsilonPlacement {
  corrected,  ///< √(v/c₂) + ε
  raw         ///< (√v + ε)/√c₂: ε before the bias correction
};

namespace optim {

/// (g, m, r) ↦ m̂/(√v̂ + ε) = m/(r·c₁/√c₂ + ε·c₁) with r = √v and the corrections c = 1 − β^t. In this form no
/// intermediate number exceeds the gradients.
template <Scalar T>
struct AdamElement {
  Average<T> first;       ///< by β₁
  T gain2;                ///< 1 − β₂, rounded once
  T correction, epsilon;  ///< c₁/√c₂ and ε·c₁
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m, T& r) const {
    m = first(m, g);
    r = second_moment_root(r, g, gain2);
    return m / (r * correction + epsilon);
  }
  /// The same for the elements of a chunk, with the processor's square root. No two of the arrays overlap.
  template <std::size_t count>
  void run(const T* KOKKOS_RESTRICT g, T* KOKKOS_RESTRICT direction, T* KOKKOS_RESTRICT m, T* KOKKOS_RESTRICT r) const {
    T unit[count], root[count];
    for (std::size_t k = 0; k < count; ++k) {
      const ScaledMoment<T> moment(r[k], g[k], gain2);
      unit[k] = moment.unit;
      root[k] = moment.square;
      m[k] = first(m[k], g[k]);
    }
    math::roots(root, count);
    for (std::size_t k = 0; k < count; ++k) {
      r[k] = unit[k] * root[k];
      direction[k] = m[k] / (r[k] * correction + epsilon);
    }
  }
};

/// AdEMAMix: (g, m, r, n) ↦ (m + mix·n)/(r·c₁/√c₂ + ε·c₁) with Adam's m and r, n the average of g by `slow`.
template <Scalar T>
struct TwoAveragesElement {
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

/// Returns the functor for a rule's numbers in step `step`, counted from 1.
template <Scalar T>
KOKKOS_FUNCTION AdamElement<T> adam_element(double beta1, double beta2, double epsilon, double step,
                                            EpsilonPlacement placement = EpsilonPlacement::corrected) {
  const double first = bias_correction(beta1, step), ratio = first / math::sqrt(bias_correction(beta2, step));
  const double least = double(std::numeric_limits<T>::denorm_min());
  const double divisor = epsilon * (placement == EpsilonPlacement::raw ? ratio : first);
  return {moving_average<T>(beta1), T(1 - beta2), T(ratio), T(divisor > least ? divisor : least)};
}

/// Lists Adam's numbers by name.
template <class Rule, class Fields>
void adam_fields(Fields& f) {
  f("beta1", &Rule::beta1, below_one);
  f("beta2", &Rule::beta2, below_one);
  f("epsilon", &Rule::epsilon, positive);
}

/// Returns Adam's state arrays. second_moment_root: √v, which does not over- or underflow where v would.
inline std::vector<StateSlot> adam_slots() { return {{"momentum"}, {"second_moment_root"}}; }

}  // namespace optim

}  // namespace schatten
