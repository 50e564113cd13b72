// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/inverse.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

/// Newton-Muon (arXiv 2604.01472 and its code): Muon of gradients that the second moment of the layer's inputs
/// preconditions on the right. For matrices.
///
/// u is Muon's, of g(K + γI)⁻¹ instead of g. D = UΣ^pVᵀ of u. Optimizer::observe takes the inputs Z, one sample per
/// row, about every 32 steps: K ← ρK + (1−ρ)ZᵀZ/N, initially K = initial·I, γ = ridge·tr K/cols + ε. Before the first
/// inputs the inverse is I.
struct NewtonMuon {
  double lr = 1.5e-3;
  double power = 0;  ///< p of UΣ^pVᵀ; 0: the polar factor
  Momentum momentum{.kind = MomentumKind::heavy_ball};
  double rho = 0.95;
  double initial = 1e-3;
  double ridge = 0.2;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::match_rms_adamw;
  MapOptions map = muon_map;

  static constexpr std::string_view name = "newton_muon";
  static constexpr bool one_region = true;
  static constexpr bool observes_inputs = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &NewtonMuon::power, optim::any_number);
    f(&NewtonMuon::momentum);
    f("rho", &NewtonMuon::rho, optim::below_one);
    f("initial", &NewtonMuon::initial, optim::not_negative);
    f("ridge", &NewtonMuon::ridge, optim::not_negative);
    f("epsilon", &NewtonMuon::epsilon, optim::positive);
    f("scale", &NewtonMuon::scale, optim::choice(scale_modes));
    f(&NewtonMuon::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const {
    return {optim::momentum_slot(momentum),
            {"input_moment", Extent::right_square},
            {"inverse", Extent::right_square, Start::identity},
            {"observations", Extent::number}};
  }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
  }
  void check(std::string_view function) const { optim::check_map_and_scale(function, power, map, scale); }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    using T = typename Bucket::Scalar;
    const auto g = bucket.gradient();
    const auto u = bucket.buffer();
    linalg::gemm<typename Bucket::Backend>(bucket.exec(), T(1), g, bucket.state(2), T(0), u, bucket.workspace());
    using Element = optim::MomentumElement<T>;
    bucket.average_of(u, optim::OneFunctor<Element>{optim::momentum_element<T>(momentum)},
                      std::array<std::size_t, 1>{0}, momentum.beta, u);
    bucket.map(power, map, u, out);
    bucket.scale(scale, power, u, out);
  }
  /// Updates K and the inverse. input: (matrices, samples, cols).
  template <class Bucket>
  void observe(Bucket& bucket, const typename Bucket::ConstBatch& input) const {
    optim::observe_inputs(bucket, input, rho, initial, ridge, epsilon, 1, 2, 3);
  }
};

}  // namespace schatten
