// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/adam.hpp>

namespace schatten {

/// Adam: D = m̂/(√v̂ + ε), elementwise, with the moments of g + weight_decay·W (Kingma and Ba, arXiv 1412.6980,
/// Algorithm 1; the decay as in torch.optim.Adam). For any parameter. m̂ and v̂ are AdamW's.
struct Adam {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::coupled;

  static constexpr std::string_view name = "adam";
  static constexpr bool one_region = true;

  template <class Fields>
  static void fields(Fields& f) {
    optim::adam_fields<Adam>(f);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return optim::adam_slots(); }

  template <Scalar T>
  KOKKOS_FUNCTION auto element(double step) const {
    return optim::adam_element<T>(beta1, beta2, epsilon, step);
  }
};

}  // namespace schatten
