// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/sign.hpp>

namespace schatten {

namespace optim {

/// (g, m) ↦ β₁m + (1−β₁)g, then m ← β₂m + (1−β₂)g.
template <Scalar T>
struct LionAverage {
  Average<T> sum, next;  ///< by β₁, by β₂
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m) const {
    const T c = sum(m, g);
    m = saturated(next(m, g));
    return saturated(c);
  }
};

}  // namespace optim

/// LionMuon (arXiv 2605.19811): Muon's map in every interval-th step, Lion's signs in the others. For matrices.
///
/// u = β₁m + (1−β₁)g with the momentum m before the step; m ← β₂m + (1−β₂)g. In the group's steps 1, K+1, 2K+1, … D =
/// UΣ^pVᵀ of u, by six quintics, with the scale and lr. In the others D = sign(u) with lion_lr, also for decay. β₁ = β₂
/// is SignMuon.
struct LionMuon {
  double lr = 2e-3;
  double power = 0;  ///< p of UΣ^pVᵀ; 0: the polar factor
  double beta1 = 0.95;
  double beta2 = 0.99;
  std::size_t interval = 5;  ///< K
  double lion_lr = 2e-5;     ///< the learning rate of the steps with signs
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::match_rms_adamw;
  MapOptions map{.method = SpectralMethod::quintic, .tolerance = 2.0, .quintic_steps = 6};

  static constexpr std::string_view name = "lion_muon";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &LionMuon::power, optim::any_number);
    f("beta1", &LionMuon::beta1, optim::below_one);
    f("beta2", &LionMuon::beta2, optim::below_one);
    f("interval", &LionMuon::interval, optim::at_least_one);
    f("lion_lr", &LionMuon::lion_lr, optim::not_negative);
    f("scale", &LionMuon::scale, optim::choice(scale_modes));
    f(&LionMuon::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {{"momentum"}}; }
  [[nodiscard]] bool commutes() const { return commutes_with_transposes(map.method); }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
  }
  void check(std::string_view function) const { optim::check_map_and_scale(function, power, map, scale); }
  [[nodiscard]] bool maps_in(std::size_t step) const { return (step - 1) % interval == 0; }
  [[nodiscard]] double lr_at(std::size_t step, std::size_t, std::size_t) const { return maps_in(step) ? lr : lion_lr; }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    using T = typename Bucket::Scalar;
    const optim::LionAverage<T> average{optim::moving_average<T>(beta1), optim::moving_average<T>(beta2)};
    const bool mapped = maps_in(bucket.step());
    const auto u = mapped ? bucket.buffer() : out;
    bucket.average(average, std::array<std::size_t, 1>{0}, beta2, u);
    if (!mapped) {  // the shape's factor belongs to mapped steps only, but is applied in every step
      const auto [rows, cols] = bucket.whole_shape();
      return optim::take_signs(bucket, out, 1 / optim::shape_scale(scale, rows, cols));
    }
    bucket.map(power, map, u, out);
    bucket.scale(scale, power, u, out);
  }
};

}  // namespace schatten
