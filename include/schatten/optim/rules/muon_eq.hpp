// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/line_norms.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

/// The lines that MuonEq normalizes before the map.
enum class Equilibration {
  row,     ///< the rows
  column,  ///< the columns
  both     ///< both, by the norms of u
};

/// MuonEq (arXiv 2603.28254): Muon of the momentum with normalized rows, columns or both. For matrices.
///
/// u is Muon's. r_i = (‖row i‖² + ε)^(−e), c_j the same of column j. D = UΣ^pVᵀ of diag(r)u, u·diag(c) or
/// diag(r)u·diag(c). With e = 1/2 and one side the map does not depend on the scale of u, for any p.
struct MuonEq {
  double lr = 1e-3;
  double power = 0;  ///< p of UΣ^pVᵀ; 0: the polar factor
  Momentum momentum{.kind = MomentumKind::heavy_ball};
  Equilibration sides = Equilibration::row;  ///< fixed when the group is added
  double exponent = 0.5;                     ///< e
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::match_rms_adamw;
  MapOptions map = muon_map;

  static constexpr std::string_view name = "muon_eq";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &MuonEq::power, optim::any_number);
    f(&MuonEq::momentum);
    f("sides", &MuonEq::sides, optim::fixed_choice(3));
    f("exponent", &MuonEq::exponent, optim::not_negative);
    f("epsilon", &MuonEq::epsilon, optim::positive);
    f("scale", &MuonEq::scale, optim::choice(scale_modes));
    f(&MuonEq::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum)}; }
  [[nodiscard]] bool commutes() const { return sides == Equilibration::both && commutes_with_transposes(map.method); }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
  }
  void check(std::string_view function) const { optim::check_map_and_scale(function, power, map, scale); }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    const optim::PowerOfSquare factor{epsilon, exponent};
    const auto u = bucket.buffer();
    optim::average(bucket, momentum, 0, u);
    optim::LineFactors<Bucket> rows, columns;
    if (sides != Equilibration::column) optim::row_factors(bucket, factor, u, rows = optim::row_numbers(bucket));
    if (sides != Equilibration::row) optim::column_factors(bucket, factor, u, columns = optim::column_numbers(bucket));
    optim::scale_lines(bucket, rows, columns, u, u);
    bucket.map(power, map, u, out);
    bucket.scale(scale, power, u, out);
  }
};

}  // namespace schatten
