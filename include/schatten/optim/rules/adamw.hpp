// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/second_moment.hpp>

#include <limits>

namespace schatten {

namespace optim {

/// (g, m, r) ↦ m̂/(√v̂ + ε) = m/(r·c₁/√c₂ + ε·c₁) with r = √v and the corrections c = 1 − β^t: so no part exceeds the
/// gradients.
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

}  // namespace optim

/// AdamW: D = m̂/(√v̂ + ε), elementwise (Loshchilov and Hutter, arXiv 1711.05101, Algorithm 2). For any parameter.
///
/// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², m̂ = m/(1 − β₁^t), v̂ = v/(1 − β₂^t).
struct AdamW {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  DecayMode decay = DecayMode::decoupled;

  static constexpr std::string_view name = "adamw";

  template <class Fields>
  static void fields(Fields& f) {
    f("beta1", &AdamW::beta1, optim::below_one);
    f("beta2", &AdamW::beta2, optim::below_one);
    f("epsilon", &AdamW::epsilon, optim::positive);
  }
  /// second_moment_root: √v, which has the range of g where v has not.
  [[nodiscard]] std::vector<StateSlot> state() const { return {{"momentum"}, {"second_moment_root"}}; }

  template <Scalar T>
  KOKKOS_FUNCTION auto element(double step) const {
    const double first = optim::bias_correction(beta1, step), second = optim::bias_correction(beta2, step);
    const double least = double(std::numeric_limits<T>::denorm_min()), divisor = epsilon * first;
    return optim::AdamElement<T>{optim::moving_average<T>(beta1), T(1 - beta2), T(first / math::sqrt(second)),
                                 T(divisor > least ? divisor : least)};
  }
};

}  // namespace schatten
