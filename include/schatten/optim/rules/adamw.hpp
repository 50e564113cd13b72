// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/adam.hpp>

namespace schatten {

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
  static constexpr bool one_region = true;

  template <class Fields>
  static void fields(Fields& f) {
    optim::adam_fields<AdamW>(f);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return optim::adam_slots(); }

  template <Scalar T>
  KOKKOS_FUNCTION auto element(double step) const {
    return optim::adam_element<T>(beta1, beta2, epsilon, step);
  }
};

}  // namespace schatten
