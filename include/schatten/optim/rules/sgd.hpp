// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

/// Stochastic gradient descent with momentum: D = u. For any parameter.
struct SGD {
  double lr = 0.1;
  HeavyBall momentum{};
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;

  static constexpr std::string_view name = "sgd";
  static constexpr bool one_region = true;

  template <class Fields>
  static void fields(Fields& f) {
    f(&SGD::momentum);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum)}; }

  template <Scalar T>
  KOKKOS_FUNCTION auto element(double) const {
    return optim::momentum_element<T>(momentum);
  }
};

}  // namespace schatten
