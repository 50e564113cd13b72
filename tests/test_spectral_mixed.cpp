// SPDX-License-Identifier: BSD-3-Clause
// The rational method in two precisions: float matrices at resolutions that float's Gram matrix does not reach.
// labels: portable

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

using Plan = SpectralPower<float, SerialExec, EigenBackend>;

/// The exact singular directions of the matrix that float stores.
KnownMatrix stored(const KnownMatrix& known) {
  ReferenceSvd svd = reference_svd(rounded<float>(known.matrix()));
  return {svd.u, svd.sigma, svd.v};
}

/// Largest error relative to σ^p over the directions with σ >= resolution·σ₁: u_kᵀ out v_k, out v_k and outᵀ u_k.
double worst_reading(const KnownMatrix& known, double p, double resolution, const Matrix& out) {
  const Matrix right = out * known.v, left = out.transpose() * known.u;
  double worst = 0;
  for (Eigen::Index k = 0; k < known.sigma.size(); ++k) {
    if (known.sigma(k) < resolution * known.sigma(0)) break;
    const double wanted = std::pow(known.sigma(k), p);
    const Vector along = right.col(k) - wanted * known.u.col(k), back = left.col(k) - wanted * known.v.col(k);
    const double diagonal = std::abs(known.u.col(k).dot(along));
    worst = std::max(worst, std::max({diagonal, along.norm(), back.norm()}) / wanted);
  }
  return worst;
}

struct Goal {
  double resolution, tolerance;
};

struct Outcome {
  double worst = 0;  ///< error over promise
  int plans = 0;
};

void check(std::size_t rows, std::size_t cols, unsigned seed, const std::vector<Goal>& goals,
           const std::vector<double>& powers, const std::vector<Spectrum>& spectra, Outcome& outcome) {
  const SerialExec exec;
  const std::size_t rank = std::min(rows, cols);
  KnownMatrix made = known_matrix(rows, cols, Vector::Ones(Eigen::Index(rank)), seed);
  const auto out = output_view<float>(rows, cols);
  for (const Spectrum spectrum : spectra) {
    for (const double lowest : {1e-3, 1e-5, 1e-6}) {
      made.sigma = singular_values_of(spectrum, rank, lowest);
      const KnownMatrix known = stored(made);
      const auto m = to_view<float>(made.matrix());
      for (const double p : powers) {
        for (const auto& [resolution, tolerance] : goals) {
          Plan plan({.rows = rows, .cols = cols, .power = p, .resolution = resolution, .tolerance = tolerance});
          if (plan.format() != Format::mixed) continue;
          ++outcome.plans;
          plan.apply(exec, m, out);
          exec.fence();
          CAPTURE(to_string(spectrum));
          CAPTURE(lowest);
          CAPTURE(rows);
          CAPTURE(p);
          CAPTURE(resolution);
          CAPTURE(tolerance);
          const double worst = worst_reading(known, p, resolution, to_matrix(out));
          CHECK(plan.error_bound() <= tolerance);
          CHECK(worst <= plan.error_bound());
          outcome.worst = std::max(outcome.worst, worst / plan.error_bound());
        }
      }
    }
  }
}

const std::vector<Spectrum> every(std::begin(all_spectra), std::end(all_spectra));

}  // namespace

TEST_CASE("two precisions keep their promise: the diagonal, out v and out' u") {
  const std::vector<Goal> goals{{1e-3, 3e-2}, {1e-3, 1e-2}, {1e-4, 3e-2}, {1e-5, 5e-2}, {1e-5, 2e-2}};
  Outcome outcome;
  check(24, 24, 1, goals, {-0.25, 0, 0.125, 0.5}, every, outcome);
  check(24, 40, 2, goals, {0, 0.125}, every, outcome);
  check(96, 65, 3, goals, {0.125}, every, outcome);
  CHECK(outcome.plans > 300);
  MESSAGE("worst error over promise " << outcome.worst << ", " << outcome.plans << " plans");
}

TEST_CASE("nor does a leading block that is far worse conditioned than the matrix break it") {
  Outcome outcome;
  check(256, 256, 9, {{1e-5, 5e-2}}, {0.125}, {Spectrum::halves}, outcome);
  check(130, 260, 4, {{1e-5, 5e-2}, {1e-4, 3e-2}}, {0.125}, {Spectrum::halves, Spectrum::clustered}, outcome);
  CHECK(outcome.plans > 10);
  MESSAGE("worst error over promise " << outcome.worst << ", " << outcome.plans << " plans");
}

TEST_CASE("a composed function keeps its promise where large, middle and tiny values are as many") {
  const SerialExec exec;
  constexpr std::size_t n = 48;
  KnownMatrix made = known_matrix(n, n, Vector::Ones(n), 6);
  const auto out = output_view<float>(n, n);
  double worst = 0;
  for (const double middle : {1e-2, 3e-3, 3e-5}) {
    for (const double low : {1e-5, 1e-7}) {
      for (Eigen::Index k = 0; k < Eigen::Index(n); ++k) made.sigma(k) = k < 16 ? 1 : k < 32 ? middle : low;
      const KnownMatrix known = stored(made);
      const auto m = to_view<float>(made.matrix());
      for (const double p : {0.0, 0.125, 0.25}) {
        for (const double tolerance : {5e-2, 2e-2}) {
          Plan plan({.rows = n, .cols = n, .power = p, .resolution = 1e-5, .tolerance = tolerance});
          if (!plan.composed()) continue;
          plan.apply(exec, m, out);
          CAPTURE(middle);
          CAPTURE(low);
          CAPTURE(p);
          CAPTURE(tolerance);
          const double error = worst_reading(known, p, 1e-5, to_matrix(out));
          CHECK(error <= plan.error_bound());
          worst = std::max(worst, error / plan.error_bound());
        }
      }
    }
  }
  MESSAGE("worst error over promise " << worst);
}

TEST_CASE("automatic takes two precisions where float does not reach, and one where it does") {
  const auto plan = [](std::size_t n, double resolution, double tolerance) {
    return Plan({.rows = n, .cols = n, .resolution = resolution, .tolerance = tolerance});
  };
  CHECK(plan(256, 1e-2, 3e-2).format() == Format::scalar);
  CHECK(plan(256, 1e-3, 3e-2).format() == Format::mixed);
  CHECK(plan(256, 1e-3, 3e-2).poles() == 4);
  CHECK(plan(256, 1e-3, 3e-2).fine_poles() == 0);
  CHECK(plan(64, 1e-3, 3e-2).format() == Format::mixed);
  const Plan fine = plan(256, 1e-5, 5e-2);
  CHECK(fine.format() == Format::mixed);
  CHECK(fine.method() == SpectralMethod::rational);
  CHECK(fine.composed());
  CHECK(fine.poles() == 3);
  CHECK(fine.fine_poles() == 1);
  CHECK(plan(256, 1e-5, 2e-2).poles() == 4);
  CHECK(plan(256, 1e-3, 1e-5).format() == Format::float64);
  const SpectralPower<double, SerialExec> whole({.rows = 256, .cols = 256, .resolution = 1e-5, .tolerance = 5e-2});
  CHECK(whole.format() == Format::scalar);
  CHECK(whole.fine_poles() == 0);
}

TEST_CASE("two precisions: equal bits on any number of threads") {
  constexpr std::size_t n = 100;
  const SpectralPowerOptions options{.rows = n, .cols = n, .resolution = 1e-5, .tolerance = 5e-2};
  const KnownMatrix known = known_matrix(n, n, singular_values_of(Spectrum::geometric, n, 1e-6), 3);
  const auto m = to_view<float>(known.matrix());
  const auto one = output_view<float>(n, n), many = output_view<float>(n, n);
  const SerialExec serial;
  const ThreadedExec threaded;
  Plan(options).apply(serial, m, one);
  SpectralPower<float, ThreadedExec, EigenBackend>(options).apply(threaded, m, many);
  serial.fence();
  threaded.fence();
  CHECK(max_abs(to_matrix(one) - to_matrix(many)) == 0);
}
