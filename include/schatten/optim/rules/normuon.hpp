// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/row_moment.hpp>

namespace schatten {

/// NorMuon (Li et al., arXiv 2510.05491, Algorithm 1; in the form of the authors' code): Muon with the rows of its
/// direction divided by the roots of their second moments. For matrices.
///
/// u is Muon's. O = UΣ^pVᵀ of u, v_i ← β₂v_i + (1−β₂)·mean_j O_ij², D_ij = O_ij/√(v_i + ε), then D·‖O‖_F/(‖D‖_F + ε).
/// The paper has no Nesterov, and instead of the last factor that of ScaleMode::adamw_rms, 0.2√(rows·cols)/(‖D‖_F + ε).
struct NorMuon {
  double lr = 0.02;
  double power = 0;  ///< p of UΣ^pVᵀ; 0: the polar factor
  Momentum momentum{};
  double beta2 = 0.95;
  double epsilon = 1e-10;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::original;
  MapOptions map = muon_map;

  static constexpr std::string_view name = "normuon";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &NorMuon::power, optim::any_number);
    f(&NorMuon::momentum);
    f("beta2", &NorMuon::beta2, optim::below_one);
    f("epsilon", &NorMuon::epsilon, optim::positive);
    f("scale", &NorMuon::scale, optim::choice(scale_modes));
    f(&NorMuon::map);
  }
  /// row_second_moment_root: √v, which does not over- or underflow where v would.
  [[nodiscard]] std::vector<StateSlot> state() const {
    return {optim::momentum_slot(momentum), {"row_second_moment_root", Extent::column}};
  }
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
    bucket.map(power, map, u, out);
    optim::normalize_rows(bucket, out, 1, beta2, epsilon, scale);
  }
};

}  // namespace schatten
