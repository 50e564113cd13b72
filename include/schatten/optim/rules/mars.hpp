// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/adam.hpp>
#include <schatten/optim/stages/mars.hpp>

namespace schatten {

/// MARS-AdamW: AdamW of the variance-reduced gradient c (Yuan et al., arXiv 2411.10438, Algorithm 2). For any
/// parameter; the authors use AdamW for vectors.
///
/// c = g + κ(g − g⁻), κ = γβ₁/(1 − β₁), divided by max(1, ‖c‖_F); D = m̂/(√v̂ + ε) with AdamW's m̂ and v̂ of c. Exact
/// form: before each step observe(exec, name, G) supplies g⁻, the gradient of the previous weights on the present
/// batch.
struct MARS {
  double lr = 3e-3;
  double beta1 = 0.95;
  double beta2 = 0.99;
  double gamma = 0.025;
  bool corrects_first = false;  ///< c = (1 + κ)g in the first step, as in the authors' code; false: c = g
  bool exact = false;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;

  static constexpr std::string_view name = "mars";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    optim::adam_fields<MARS>(f);
    optim::mars_fields<MARS>(f);
  }
  [[nodiscard]] std::vector<StateSlot> state() const {
    return {{"momentum"}, {"previous_gradient"}, {"second_moment_root"}};
  }

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
    return optim::mars_element<T>(*this, step, clip, optim::adam_element<T>(beta1, beta2, epsilon, step));
  }
};

}  // namespace schatten
