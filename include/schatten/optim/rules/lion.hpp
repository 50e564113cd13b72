// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

namespace optim {

/// (g, m) ↦ sign(β₁m + (1−β₁)g), then m ← β₂m + (1−β₂)g. sign(0) = 0.
template <Scalar T>
struct LionElement {
  Average<T> sum, next;  ///< by β₁, by β₂
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m) const {
    const T c = sum(m, g);
    m = next(m, g);
    return T(c > T(0)) - T(c < T(0));
  }
};

template <Scalar T>
KOKKOS_FUNCTION LionElement<T> lion_element(double beta1, double beta2) {
  return {moving_average<T>(beta1), moving_average<T>(beta2)};
}

/// Lion's numbers by name.
template <class Rule, class Fields>
void lion_fields(Fields& f) {
  f("beta1", &Rule::beta1, below_one);
  f("beta2", &Rule::beta2, below_one);
}

}  // namespace optim

/// Lion: D = sign(β₁m + (1−β₁)g) with the momentum m before the step, elementwise (Chen et al., arXiv 2302.06675,
/// Algorithm 2). For any parameter. m ← β₂m + (1−β₂)g after it.
struct Lion {
  double lr = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;

  static constexpr std::string_view name = "lion";
  static constexpr bool one_region = true;

  template <class Fields>
  static void fields(Fields& f) {
    optim::lion_fields<Lion>(f);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {{"momentum"}}; }
  /// Returns β₂, the momentum's β: signs do not shrink with the momentum, so the rule needs the floor.
  [[nodiscard]] double floor_beta() const { return beta2; }

  template <Scalar T>
  KOKKOS_FUNCTION auto element(double) const {
    return optim::lion_element<T>(beta1, beta2);
  }
};

}  // namespace schatten
