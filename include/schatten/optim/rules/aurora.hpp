// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/line_norms.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <algorithm>
#include <cmath>

namespace schatten {

/// Aurora (arXiv 2606.27715 and its code): a polar factor whose rows have about equal norms. For matrices.
///
/// u is Muon's. For a square matrix D = UΣ^pVᵀ of u. Otherwise u_i are the lines of the long side: the rows of a tall
/// matrix, the columns of a wide one. Each map is O = UΣ^pVᵀ of diag(d)u, with d_i = 1/max(‖u_i‖, ε) in the first one.
/// Between two maps d_i ← d_i·(√(short/long)/max(‖O_i‖, ε))^(2·balance). D is the last O. The default map, twelve
/// quintics, maps σ >= 1e-3‖u‖ to 1 within 5e-6.
struct Aurora {
  double lr = 0.05;
  double power = 0;  ///< p of UΣ^pVᵀ; 0: the polar factor
  Momentum momentum{};
  std::size_t iterations = 2;  ///< number of maps
  double balance = 0.5;
  double epsilon = 1e-7;
  double weight_decay = 0.025;
  DecayMode decay = DecayMode::decoupled;
  ScaleMode scale = ScaleMode::original;
  MapOptions map{.method = SpectralMethod::quintic, .tolerance = 2.0, .schedule = QuinticSchedule::simple};

  static constexpr std::string_view name = "aurora";
  static constexpr bool one_region = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("power", &Aurora::power, optim::any_number);
    f(&Aurora::momentum);
    f("iterations", &Aurora::iterations, optim::at_least_one);
    f("balance", &Aurora::balance, optim::not_negative);
    f("epsilon", &Aurora::epsilon, optim::positive);
    f("scale", &Aurora::scale, optim::choice(scale_modes));
    f(&Aurora::map);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {optim::momentum_slot(momentum)}; }
  [[nodiscard]] bool commutes() const { return commutes_with_transposes(map.method); }
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
    if (bucket.rows() == bucket.cols()) {
      bucket.map(power, map, u, out);
    } else {
      balanced(bucket, u, out);
    }
    bucket.scale(scale, power, u, out);
  }

 private:
  template <class Bucket>
  void balanced(Bucket& bucket, const typename Bucket::Batch& u, const typename Bucket::Batch& out) const {
    const bool tall = bucket.rows() > bucket.cols();
    const auto lines = tall ? optim::row_numbers(bucket) : optim::column_numbers(bucket);
    const auto multiply = [&](const optim::PowerOfInverse& f, const typename Bucket::Batch& of, bool again) {
      tall ? optim::row_factors(bucket, f, of, lines, again) : optim::column_factors(bucket, f, of, lines, again);
    };
    const double shorter = double((std::min)(bucket.rows(), bucket.cols())),
                 longer = double((std::max)(bucket.rows(), bucket.cols()));
    const auto x = bucket.buffer();
    multiply({1, epsilon, 1}, u, false);
    for (std::size_t k = 0; k < iterations; ++k) {
      if (k > 0) multiply({std::sqrt(shorter / longer), epsilon, 2 * balance}, out, true);
      tall ? optim::scale_lines(bucket, lines, {}, u, x) : optim::scale_lines(bucket, {}, lines, u, x);
      bucket.map(power, map, x, out);
    }
  }
};

}  // namespace schatten
