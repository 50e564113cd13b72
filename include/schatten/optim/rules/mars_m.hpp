// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/gradient_difference.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

namespace optim {

/// The momentum of c/max(1, ‖c‖_F) in matrix k's step; an empty x clips nothing.
template <Scalar T, class Space, class Applied>
struct MomentumOfDifference {
  DifferenceOfStep<T, Applied> difference;
  NumberBatchView<const double, Space> x;
  MomentumElement<T> momentum;
  KOKKOS_FUNCTION DifferenceElement<T, MomentumElement<T>> operator()(std::size_t k) const {
    return {difference(k), x.extent(0) > 0 ? T(x(k)) : T(1), difference.options.exact, momentum};
  }
};

}  // namespace optim

/// MARS-M (Liu et al., arXiv 2510.21800, Algorithm 1): Muon of MARS' variance-reduced gradients. For matrices.
///
/// c = g + γβ/(1−β)·(g − g⁻), g⁻ the gradient of the step before; c ← c/max(1, ‖c‖_F); u as Muon's of c instead of g;
/// D = UΣ^pVᵀ of u. Exact: g⁻ is the gradient of the weights before the last step on the present batch, which
/// Optimizer::observe takes. mars_shampoo is MARS-Shampoo.
struct MARSM {
  double lr = 1e-3;
  double power = 0;  ///< p; any other makes it HTMuon in Muon's place
  Momentum momentum{.nesterov = false};
  GradientDifference difference{};
  bool clip = true;
  double weight_decay = 0.1;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::match_rms_adamw;
  MapOptions map = muon_map;

  static constexpr std::string_view name = "mars_m";

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &MARSM::power, optim::any_number);
    f(&MARSM::momentum);
    f(&MARSM::difference);
    f("clip", &MARSM::clip, optim::flag);
    f("scale", &MARSM::scale, optim::choice(scale_modes));
    f(&MARSM::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum), {"gradient_before"}}; }
  [[nodiscard]] bool commutes() const { return map.method != SpectralMethod::newton_schulz; }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
  }
  void check(std::string_view function) const { optim::check_map_and_scale(function, power, map, scale); }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    using T = typename Bucket::Scalar;
    using Maker = optim::MomentumOfDifference<T, typename Bucket::Space, decltype(bucket.applied())>;
    const auto u = bucket.buffer();
    typename Bucket::Numbers x;
    if (clip) {
      x = bucket.workspace().template numbers<double>(bucket.matrices());
      optim::clip_factors(bucket, difference, momentum.beta, 1, x);
    }
    bucket.average_each(Maker{{difference, momentum.beta, bucket.applied()}, x, optim::momentum_element<T>(momentum)},
                        std::array<std::size_t, 2>{0, 1}, momentum.beta, u);
    bucket.map(power, map, u, out);
    bucket.scale(scale, power, u, out);
  }
  /// The gradient of the weights before on the present batch, for `exact`.
  template <class Bucket>
  void observe(Bucket& bucket, const typename Bucket::ConstBatch&) const {
    optim::observe_gradient_before(bucket, 1);
  }
};

/// MARS-Shampoo (Yuan et al., arXiv 2411.10438): the same with sums for averages and Muon's scale.
inline constexpr MARSM mars_shampoo{.lr = 3e-3,
                                    .momentum = {.nesterov = false, .kind = MomentumKind::heavy_ball},
                                    .weight_decay = 0,
                                    .scale = ScaleMode::original};

}  // namespace schatten
