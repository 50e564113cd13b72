// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/second_moment.hpp>

namespace schatten {

namespace optim {

/// (g, m, r) ↦ m̂/(√v̂ + ε) with r = √v.
template <Scalar T>
struct AdamElement {
  Average<T> first;                       ///< by β₁
  T gain2, epsilon;                       ///< gain2: 1 − β₂, rounded once
  T first_correction, second_correction;  ///< 1/(1 − β₁^t), 1/√(1 − β₂^t)
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m, T& r) const {
    m = first(m, g);
    r = second_moment_root(r, g, gain2);
    return m * first_correction / (r * second_correction + epsilon);
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
  double weight_decay = 0.01;  ///< decoupled: W ← W − lr·weight_decay·W

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
    return optim::AdamElement<T>{optim::moving_average<T>(beta1), T(1 - beta2), T(epsilon),
                                 T(1 / optim::bias_correction(beta1, step)),
                                 T(1 / math::sqrt(optim::bias_correction(beta2, step)))};
  }
};

}  // namespace schatten
