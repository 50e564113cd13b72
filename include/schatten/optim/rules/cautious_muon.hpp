// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/cautious.hpp>
#include <schatten/optim/stages/cautious_matrix.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

/// The matrix whose elements CautiousMuon sets to zero.
enum class CautiousMask {
  momentum,  ///< u, before the map: elements with m·g <= 0; the authors' code
  direction  ///< D, after the map: elements with D·g <= 0; the paper, for any optimizer
};

/// Cautious Muon (Liang et al., arXiv 2411.16085; in the form of the authors' code): Muon without the elements of the
/// momentum whose sign differs from the gradient's. For matrices.
///
/// u is Muon's. φ = 1 where m·g > 0, otherwise 0. D = UΣ^pVᵀ of f·φ⊙u, with the factor f of the MaskScale.
/// CautiousMask::direction: D = UΣ^pVᵀ of u, φ = 1 where D·g > 0, D ← f·φ⊙D.
struct CautiousMuon {
  double lr = 0.02;
  double power = 0;  ///< p of UΣ^pVᵀ; 0: the polar factor
  Momentum momentum{};
  CautiousMask mask = CautiousMask::momentum;
  MaskScale mask_scale = MaskScale::mean;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::original;
  MapOptions map = muon_map;

  static constexpr std::string_view name = "cautious_muon";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &CautiousMuon::power, optim::any_number);
    f(&CautiousMuon::momentum);
    f("mask", &CautiousMuon::mask, optim::choice(2));
    f("mask_scale", &CautiousMuon::mask_scale, optim::choice(2));
    f("scale", &CautiousMuon::scale, optim::choice(scale_modes));
    f(&CautiousMuon::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum)}; }
  [[nodiscard]] bool commutes() const { return commutes_with_transposes(map.method); }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
  }
  void check(std::string_view function) const { optim::check_map_and_scale(function, power, map, scale); }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    const auto u = bucket.buffer();
    if (mask == CautiousMask::momentum) {
      // A factor on u does not change the polar factor, unless something is added to the norm.
      optim::cautious_average(bucket, momentum, 0, mask_scale, power != 0 || map.norm_epsilon > 0, u);
    } else {
      optim::average(bucket, momentum, 0, u);
    }
    bucket.map(power, map, u, out);
    bucket.scale(scale, power, u, out);
    if (mask == CautiousMask::direction) optim::keep_agreeing(bucket, bucket.gradient(), mask_scale, out);
  }
};

}  // namespace schatten
