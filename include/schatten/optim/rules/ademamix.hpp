// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/adam.hpp>

namespace schatten {

/// AdEMAMix: D = (m̂ + αn)/(√v̂ + ε), elementwise, with a second, slow average n of the gradients (Pagliardini et al.,
/// arXiv 2409.03137, Algorithm 1). For any parameter.
///
/// m̂ and v̂ are AdamW's. n ← β₃n + (1−β₃)g, without bias correction. During the warm-ups α grows linearly from 0, and
/// β₃ grows from β₁ such that 1/ln β₃ is linear in the step.
struct AdEMAMix {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double beta3 = 0.9999;
  double alpha = 5;
  std::size_t alpha_warmup = 0;  ///< steps; 0: α from the first step on
  std::size_t beta3_warmup = 0;  ///< steps; 0: β₃ from the first step on
  double warmup_shift = 0;       ///< 1e-8: the logarithms of the warm-up are of β + 1e-8, as in Apple's code
  bool corrects_slow = false;    ///< whether n is divided by 1 − β₁^t as m is, as in HTMuon's code
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;

  static constexpr std::string_view name = "ademamix";
  static constexpr bool one_region = true;

  template <class Fields>
  static void fields(Fields& f) {
    optim::adam_fields<AdEMAMix>(f);
    f("beta3", &AdEMAMix::beta3, optim::below_one);
    f("alpha", &AdEMAMix::alpha, optim::not_negative);
    f("alpha_warmup", &AdEMAMix::alpha_warmup, optim::natural);
    f("beta3_warmup", &AdEMAMix::beta3_warmup, optim::natural);
    f("warmup_shift", &AdEMAMix::warmup_shift, optim::not_negative);
    f("corrects_slow", &AdEMAMix::corrects_slow, optim::flag);
  }
  [[nodiscard]] std::vector<StateSlot> state() const {
    return {{"momentum"}, {"second_moment_root"}, {"slow_momentum"}};
  }
  void check(std::string_view function) const {
    require(beta3_warmup == 0 || beta1 + warmup_shift < 1, function, "warmup_shift", warmup_shift,
            "must leave beta1 + warmup_shift below 1");
    require(beta3_warmup == 0 || beta3 + warmup_shift < 1, function, "warmup_shift", warmup_shift,
            "must leave beta3 + warmup_shift below 1");
  }

  /// β₃ of step `step`, counted from 1.
  [[nodiscard]] KOKKOS_FUNCTION double beta3_at(double step) const {
    if (step >= double(beta3_warmup)) return beta3;
    const double share = step / double(beta3_warmup);
    const double sum = (1 - share) * inverse_logarithm(beta1) + share * inverse_logarithm(beta3);
    return sum == 0 ? 0 : 1 + math::expm1(1 / sum);
  }
  template <Scalar T>
  KOKKOS_FUNCTION auto element(double step) const {
    const double now = step >= double(alpha_warmup) ? alpha : alpha * step / double(alpha_warmup);
    const double correction = corrects_slow ? 1 : optim::bias_correction(beta1, step);
    return optim::TwoAveragesElement<T>{optim::adam_element<T>(beta1, beta2, epsilon, step),
                                        optim::moving_average<T>(beta3_at(step)), T(now * correction)};
  }

 private:
  [[nodiscard]] KOKKOS_FUNCTION double inverse_logarithm(double beta) const {
    return beta + warmup_shift == 0 ? 0 : 1 / math::log1p(-(1 - beta - warmup_shift));
  }
};

}  // namespace schatten
