// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

/// HTMuon: D = UΣ^pVᵀ of the averaged gradient u = UΣVᵀ (Pang et al., arXiv 2603.10067, Algorithm 1). For matrices.
///
/// The published forms are the methods newton_schulz, streaming and rank_power, and interval > 1. With p = 0 it is Muon
/// with the exact polar factor.
struct HTMuon {
  double lr = 0.03;
  double power = 0.125;      ///< p in (−0.5, 1]
  std::size_t interval = 1;  ///< the power is used in every interval-th step, Muon's quintics in the others
  Momentum momentum{};
  double weight_decay = 0.1;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::original;
  MapOptions map{};

  static constexpr std::string_view name = "htmuon";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &HTMuon::power, optim::any_number);
    f("interval", &HTMuon::interval, optim::at_least_one);
    f(&HTMuon::momentum);
    f("scale", &HTMuon::scale, optim::choice(scale_modes));
    f(&HTMuon::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const {
    const bool streams = map.method == SpectralMethod::streaming;
    return {optim::momentum_slot(momentum),
            {.name = "right_vectors",
             .extent = streams ? Extent::right_factor : Extent::none,
             .start = Start::identity,
             .rank = map.rank}};
  }
  /// Two of the published methods do not commute with transposes.
  [[nodiscard]] bool commutes() const { return commutes_with_transposes(map.method); }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
    if (interval > 1) f(0.0, quintics());
  }
  void check(std::string_view function) const {
    require(!optim::needs_norm(scale) || power >= 0, function, "power", power,
            "must not be negative with a ScaleMode that divides by a norm: no ball belongs to it");
    require(!optim::needs_norm(scale) || has_polar_form(), function, "method", to_string(map.method),
            "must not stand with a ScaleMode that divides by a norm: its result is not UΣ^pVᵀ");
    require(map.rank == 0 || map.method == SpectralMethod::streaming, function, "rank", map.rank,
            "must be 0 except for the method streaming");
  }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    const auto u = bucket.buffer();
    optim::average(bucket, momentum, 0, u);
    if (bucket.step() % interval != 0) {
      bucket.map(0.0, quintics(), u, out);
      return bucket.scale(scale, 0.0, u, out);
    }
    if (map.method == SpectralMethod::streaming) {
      bucket.map(power, map, u, bucket.state(1), out);
    } else {
      bucket.map(power, map, u, out);
    }
    bucket.scale(scale, power, u, out);
  }

 private:
  /// Muon's map, for the steps without the power.
  [[nodiscard]] MapOptions quintics() const {
    MapOptions options = map;
    options.method = muon_map.method;
    options.tolerance = muon_map.tolerance;
    options.rank = 0;
    return options;
  }
  [[nodiscard]] bool has_polar_form() const {
    return map.method != SpectralMethod::streaming && map.method != SpectralMethod::rank_power;
  }
};

}  // namespace schatten
