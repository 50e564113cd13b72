// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/line_norms.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/sign.hpp>

#include <cmath>

namespace schatten {

/// The norm of Scion's ball, for a rows×cols matrix.
enum class ScionBall {
  spectral,     ///< hidden layers: D = UΣ^pVᵀ of u, times the ScaleMode
  sign,         ///< output layers: D = sign(u)/cols
  column_norm,  ///< input layers: every column of D has root mean square 1, up to ε
  row_norm,     ///< every row of D has the norm 1/√cols, up to ε
  bias          ///< vectors: D has root mean square 1, up to ε
};

/// Scion (Pethick et al., arXiv 2502.07529, Algorithms 1 and 2): the direction is the point of the unit ball of a norm
/// with the largest inner product with the averaged gradient. For any parameter; vectors are 1×n matrices.
///
/// W ← (1 − lr·weight_decay)W − lr·radius·D. weight_decay 1: constrained, W stays in the ball; 0: unconstrained.
struct Scion {
  double lr = 0x1p-12;
  double power = 0;  ///< spectral: p; with ScaleMode::unit_norm the ball of the Schatten norm of order 1 + 1/p
  Momentum momentum{.beta = 0.9, .nesterov = false};
  ScionBall ball = ScionBall::spectral;  ///< fixed when the group is added
  double radius = 50;
  double epsilon = 1e-8;
  double weight_decay = 1.0;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::spectral_unclamped;  ///< only for the ball `spectral`
  MapOptions map = muon_map;

  static constexpr std::string_view name = "scion";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;
  static constexpr bool takes_vectors = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &Scion::power, optim::any_number);
    f(&Scion::momentum);
    f("ball", &Scion::ball, optim::fixed_choice(5));
    f("radius", &Scion::radius, optim::not_negative);
    f("epsilon", &Scion::epsilon, optim::positive);
    f("scale", &Scion::scale, optim::choice(scale_modes));
    f(&Scion::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum)}; }
  [[nodiscard]] bool commutes() const {
    return ball == ScionBall::sign || (ball == ScionBall::spectral && commutes_with_transposes(map.method));
  }
  template <class F>
  void maps(const F& f) const {
    if (ball == ScionBall::spectral) f(power, map);
  }
  void check(std::string_view function) const { optim::check_map_and_scale(function, power, map, scale); }
  [[nodiscard]] double shape_factor(std::size_t rows, std::size_t cols) const {
    if (ball == ScionBall::spectral) return radius * optim::shape_scale(scale, rows, cols);
    return ball == ScionBall::sign && cols > 0 ? radius / double(cols) : radius;
  }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    if (ball == ScionBall::spectral) {
      const auto u = bucket.buffer();
      optim::average(bucket, momentum, 0, u);
      bucket.map(power, map, u, out);
      return bucket.scale(scale, power, u, out);
    }
    const auto [whole_rows, whole_cols] = bucket.whole_shape();
    optim::average(bucket, momentum, 0, out);
    if (ball == ScionBall::sign) return optim::take_signs(bucket, out);
    if (ball == ScionBall::column_norm) {
      const auto columns = optim::column_numbers(bucket);
      optim::column_factors(bucket, optim::InverseNorm{1 / std::sqrt(double(whole_rows)), epsilon}, out, columns);
      return optim::scale_lines(bucket, {}, columns, out, out);
    }
    const double root = std::sqrt(double(whole_cols)), weight = ball == ScionBall::bias ? 1 / root : root;
    const auto rows = optim::row_numbers(bucket);
    optim::row_factors(bucket, optim::InverseNorm{weight, epsilon}, out, rows);
    optim::scale_lines(bucket, rows, {}, out, out);
  }
};

}  // namespace schatten
