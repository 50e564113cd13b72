// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/adam.hpp>
#include <schatten/optim/stages/cautious.hpp>

namespace schatten {

/// AdamW that updates only the elements whose new momentum has the gradient's sign (Liang et al., arXiv 2411.16085,
/// Algorithm 2). For any parameter.
///
/// φ = 1[m⊙g > 0]; D = s·φ⊙m̂/(√v̂ + ε), with m̂, v̂ of AdamW and s by MaskScale.
struct CautiousAdamW {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-6;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;
  MaskScale mask_scale = MaskScale::count;
  EpsilonPlacement epsilon_placement = EpsilonPlacement::corrected;

  static constexpr std::string_view name = "cautious_adamw";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    optim::adam_fields<CautiousAdamW>(f);
    f("mask_scale", &CautiousAdamW::mask_scale, optim::choice(2));
    f("epsilon_placement", &CautiousAdamW::epsilon_placement, optim::choice(2));
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return optim::adam_slots(); }

  template <class Bucket>
  void prepare(Bucket& bucket, const typename Bucket::Numbers& x) const {
    optim::mask_factors(bucket, optim::moving_average<typename Bucket::Scalar>(beta1), mask_scale, x);
  }
  template <Scalar T>
  KOKKOS_FUNCTION auto element(double step, double factor = 1) const {
    const auto adam = optim::adam_element<T>(beta1, beta2, epsilon, step, epsilon_placement);
    return optim::MaskedElement<T, optim::AdamElement<T>>{adam.first, adam, T(factor)};
  }
};

}  // namespace schatten
