// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/line_norms.hpp>
#include <schatten/optim/stages/momentum.hpp>

namespace schatten {

/// RMNP (arXiv 2603.20527; in the form of the authors' code): Muon with normalized rows instead of the polar factor,
/// D_i = u_i/(‖u_i‖ + ε) for every row i. For matrices; tall matrices are not transposed.
///
/// u is Muon's. The paper has no Nesterov and no factor for the shape: momentum.nesterov = false, ScaleMode::none.
struct RMNP {
  double lr = 0.02;
  Momentum momentum{};
  double epsilon = 1e-12;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::original;

  static constexpr std::string_view name = "rmnp";
  static constexpr bool one_region = true;
  static constexpr bool over_ranks = true;

  template <class Fields>
  static void fields(Fields& f) {
    f(&RMNP::momentum);
    f("epsilon", &RMNP::epsilon, optim::positive);
    f("scale", &RMNP::scale, optim::choice(scale_modes));
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum)}; }
  void check(std::string_view function) const { optim::check_no_norm(function, scale); }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    optim::average(bucket, momentum, 0, out);
    const auto rows = optim::row_numbers(bucket);
    optim::row_factors(bucket, optim::InverseNorm{1, epsilon}, out, rows);
    optim::scale_lines(bucket, rows, {}, out, out);
    bucket.scale(scale, 0.0, out, out);
  }
};

}  // namespace schatten
