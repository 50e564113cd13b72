// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/row_moment.hpp>
#include <schatten/optim/stages/sign.hpp>

namespace schatten {

/// AdaMuon (Si et al., arXiv 2507.11005, Algorithm 1): the polar factor of the momentum's signs, divided element by
/// element by the roots of its second moments, at a fixed root mean square. For matrices.
///
/// u is Muon's. O = UΣ^pVᵀ of sign(u), v ← β₂v + (1−β₂)O⊙O, D = O/(√v + ε), times 0.2√(rows·cols)/(‖D‖_F + ε). The
/// paper has β₂ = β. There is no bias correction, because the last factor would cancel it.
struct AdaMuon {
  double lr = 0.02;
  double power = 0;  ///< p of UΣ^pVᵀ; 0: the polar factor
  Momentum momentum{.kind = MomentumKind::heavy_ball};
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::adamw_rms;
  MapOptions map = muon_map;

  static constexpr std::string_view name = "adamuon";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &AdaMuon::power, optim::any_number);
    f(&AdaMuon::momentum);
    f("beta2", &AdaMuon::beta2, optim::below_one);
    f("epsilon", &AdaMuon::epsilon, optim::positive);
    f("scale", &AdaMuon::scale, optim::choice(scale_modes));
    f(&AdaMuon::map);
  }
  /// second_moment_root: √v, because v may over- or underflow.
  [[nodiscard]] std::vector<StateSlot> state() const {
    return {optim::momentum_slot(momentum), {"second_moment_root"}};
  }
  [[nodiscard]] bool commutes() const { return commutes_with_transposes(map.method); }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
  }
  void check(std::string_view function) const {
    optim::check_map_and_scale(function, power, map, ScaleMode::none);
    optim::check_no_norm(function, scale);
  }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    const auto u = bucket.buffer();
    optim::average(bucket, momentum, 0, u);
    optim::take_signs(bucket, u);
    bucket.map(power, map, u, out);
    optim::normalize_elements(bucket, out, 1, beta2, epsilon, scale);
  }
};

}  // namespace schatten
