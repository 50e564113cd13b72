// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

/// Muon: D ≈ UVᵀ of the averaged gradient u = UΣVᵀ, by five quintic steps (K. Jordan et al., 2024). For matrices.
///
/// The exact polar factor: map.method svd or eigh, or rational, which has a tolerance and is the fastest on a CPU.
struct Muon {
  double lr = 0.02;
  Momentum momentum{};
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::original;
  MapOptions map = muon_map;

  static constexpr std::string_view name = "muon";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f(&Muon::momentum);
    f("scale", &Muon::scale, optim::choice(scale_modes));
    f(&Muon::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum)}; }
  [[nodiscard]] bool commutes() const { return commutes_with_transposes(map.method); }
  template <class F>
  void maps(const F& f) const {
    f(0.0, map);
  }
  void check(std::string_view function) const {
    require(map.method != SpectralMethod::streaming && map.method != SpectralMethod::rank_power, function, "method",
            to_string(map.method), "must not be streaming or rank_power: HTMuon has those");
    require(map.rank == 0, function, "rank", map.rank, "must be 0: it is HTMuon's, for streaming");
  }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    const auto u = bucket.buffer();
    optim::average(bucket, momentum, 0, u);
    bucket.map(0.0, map, u, out);
    bucket.scale(scale, 0.0, u, out);
  }
};

}  // namespace schatten
