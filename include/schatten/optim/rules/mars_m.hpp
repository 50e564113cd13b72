// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/mars.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

/// MARS-M (Liu et al., arXiv 2510.21800, Algorithm 1): Muon of MARS' variance-reduced gradients. For matrices.
///
/// c = g + γβ/(1−β)·(g − g⁻), with g⁻ the gradient of the previous step; c ← c/max(1, ‖c‖_F). u is Muon's, of c instead
/// of g. D = UΣ^pVᵀ of u. Exact form: g⁻ is the gradient of the previous weights on the present batch, which
/// Optimizer::observe takes. mars_shampoo has the numbers of MARS-Shampoo.
struct MARSM {
  double lr = 1e-3;
  double power = 0;  ///< p of UΣ^pVᵀ; 0: the polar factor
  Momentum momentum{.nesterov = false};
  double gamma = 0.025;
  bool clip = true;
  bool corrects_first = false;  ///< c = (1 + γβ/(1−β))g in the first step, as in published codes; false: c = g
  bool exact = false;
  double weight_decay = 0.1;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::match_rms_adamw;
  MapOptions map = muon_map;

  static constexpr std::string_view name = "mars_m";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &MARSM::power, optim::any_number);
    f(&MARSM::momentum);
    f("gamma", &MARSM::gamma, optim::not_negative);
    f("clip", &MARSM::clip, optim::flag);
    f("corrects_first", &MARSM::corrects_first, optim::flag);
    f("exact", &MARSM::exact, optim::flag);
    f("scale", &MARSM::scale, optim::choice(scale_modes));
    f(&MARSM::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum), {"previous_gradient"}}; }
  [[nodiscard]] bool commutes() const { return commutes_with_transposes(map.method); }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
  }
  void check(std::string_view function) const { optim::check_map_and_scale(function, power, map, scale); }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    const auto u = bucket.buffer();
    const auto element = optim::momentum_element<typename Bucket::Scalar>(momentum);
    optim::mars_average(bucket, *this, momentum.beta, clip, {0, 1}, element, u);
    bucket.map(power, map, u, out);
    bucket.scale(scale, power, u, out);
  }
  /// The previous weights' gradient on the present batch, for `exact`.
  template <class Bucket>
  void observe(Bucket& bucket) const {
    optim::keep_observed(bucket, 1);
  }
};

/// MARS-Shampoo (Yuan et al., arXiv 2411.10438): the same with sums for averages and Muon's scale.
inline constexpr MARSM mars_shampoo{.lr = 3e-3,
                                    .momentum = {.nesterov = false, .kind = MomentumKind::heavy_ball},
                                    .weight_decay = 0,
                                    .scale = ScaleMode::original};

}  // namespace schatten
