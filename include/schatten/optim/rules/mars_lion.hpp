// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/mars.hpp>

namespace schatten {

namespace optim {

/// (g, m) ↦ sign of the new m. sign(0) = 0.
template <Scalar T>
struct SignElement {
  Average<T> average;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m) const {
    m = average(m, g);
    return T(m > T(0)) - T(m < T(0));
  }
};

}  // namespace optim

/// MARS-Lion: D = sign(m) of the average m of the variance-reduced gradient c (Yuan et al., arXiv 2411.10438,
/// Algorithm 3). For any parameter. c as in MARS.
struct MARSLion {
  double lr = 3e-3;
  double beta1 = 0.95;
  double gamma = 0.025;
  bool corrects_first = false;  ///< c = (1 + κ)g in the first step, as in the authors' code; false: c = g
  bool exact = false;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;

  static constexpr std::string_view name = "mars_lion";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("beta1", &MARSLion::beta1, optim::below_one);
    optim::mars_fields<MARSLion>(f);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {{"momentum"}, {"previous_gradient"}}; }
  /// Returns β₁, the momentum's β: signs do not shrink with the momentum, so the rule needs the floor.
  [[nodiscard]] double floor_beta() const { return beta1; }

  template <class Bucket>
  void prepare(Bucket& bucket, const typename Bucket::Numbers& x) const {
    optim::clip_factors(bucket, *this, beta1, 1, x);
  }
  template <class Bucket>
  void observe(Bucket& bucket) const {
    optim::keep_observed(bucket, 1);
  }
  template <Scalar T>
  KOKKOS_FUNCTION auto element(double step, double clip = 1) const {
    return optim::mars_element<T>(*this, step, clip, optim::SignElement<T>{optim::moving_average<T>(beta1)});
  }
};

}  // namespace schatten
