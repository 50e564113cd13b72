// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rules/lion.hpp>
#include <schatten/optim/stages/cautious.hpp>

namespace schatten {

/// Lion that updates only the elements whose direction has the gradient's sign (Liang et al., arXiv 2411.16085). For
/// any parameter.
///
/// c = β₁m + (1−β₁)g; D = s·φ⊙sign(c), φ = 1[c⊙g > 0], s by MaskScale; m ← β₂m + (1−β₂)g. D is zero where g is zero, so
/// the rule needs no floor.
struct CautiousLion {
  double lr = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;
  MaskScale mask_scale = MaskScale::count;

  static constexpr std::string_view name = "cautious_lion";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    optim::lion_fields<CautiousLion>(f);
    f("mask_scale", &CautiousLion::mask_scale, optim::choice(2));
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {{"momentum"}}; }

  template <class Bucket>
  void prepare(Bucket& bucket, const typename Bucket::Numbers& x) const {
    optim::mask_factors(bucket, optim::moving_average<typename Bucket::Scalar>(beta1), mask_scale, x);
  }
  template <Scalar T>
  KOKKOS_FUNCTION auto element(double, double factor = 1) const {
    const auto lion = optim::lion_element<T>(beta1, beta2);
    return optim::MaskedElement<T, optim::LionElement<T>>{lion.sum, lion, T(factor)};
  }
};

}  // namespace schatten
