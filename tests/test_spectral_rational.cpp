// SPDX-License-Identifier: BSD-3-Clause
// labels: compilers portable
// What the rational method is made of: its poles, its fit, and rational functions of a matrix.

#include "support/known_spectrum.hpp"
#include "support/typed.hpp"
#include <schatten/linalg/rational_function.hpp>
#include <schatten/spectral/rational_power.hpp>

#include <algorithm>
#include <cmath>

namespace {

using namespace schatten;
using namespace schatten::test;

/// Largest |r(σ²)σ/σ^p − 1| on [lowest, 1].
double fit_error(const linalg::Rational& r, double p, double lowest) {
  double worst = 0;
  for (const double sigma : spectral::log_grid(lowest, 20000)) {
    worst = std::max(worst, std::abs(r(sigma * sigma) * sigma / std::pow(sigma, p) - 1));
  }
  return worst;
}

}  // namespace

TEST_CASE("the fit reaches the errors that theory and an independent program give") {
  struct Row {
    std::size_t poles;
    double power, error;
  };
  // Minimax fits by another program (weighted least squares in NumPy) with the same poles, resolution 1e-3.
  for (const Row& row : {Row{4, -0.25, 1.33e-2}, Row{4, 0, 1.36e-2}, Row{4, 0.125, 1.31e-2}, Row{4, 0.5, 8.81e-3},
                         Row{5, 0.125, 3.74e-3}, Row{5, 0.75, 1.36e-3}}) {
    const auto fit = spectral::fit_rational(row.poles, row.power, 1e-3 * spectral::scale_margin);
    CAPTURE(row.poles);
    CAPTURE(row.power);
    CHECK(fit.error == doctest::Approx(row.error).epsilon(0.02));
  }
}

TEST_CASE("the fit's error is that of its function, and its inverses carry no cancellation") {
  for (const double p : {-0.49, -0.25, 0.0, 0.125, 0.5, 0.9}) {
    for (const double resolution : {1e-1, 1e-3, 1e-5}) {
      for (const std::size_t poles : {2U, 5U, 12U}) {
        const auto fit = spectral::fit_rational(poles, p, resolution);
        CAPTURE(p);
        CAPTURE(resolution);
        CAPTURE(poles);
        CHECK(fit_error(fit.function, p, resolution / spectral::scale_margin) <= 1.001 * fit.error);
        CHECK(fit.function.constant > 0);
        for (const double weight : fit.function.weights) CHECK(weight > 0);
        for (std::size_t j = 1; j < poles; ++j) CHECK(fit.function.poles[j] > fit.function.poles[j - 1]);
      }
    }
  }
}

TEST_CASE("the fit leaves rounding its room, and is as good as the plain one above it") {
  for (const double p : {-0.4, 0.0, 0.125, 0.5}) {
    for (const double resolution : {1e-1, 1e-3}) {
      for (const std::size_t poles : {3U, 4U, 6U}) {
        const auto plain = spectral::fit_rational(poles, p, resolution);
        for (const double share : {0.2, 0.5, 0.7, 0.95}) {
          const double tolerance = 2.5 * plain.error, rounding = share * tolerance;
          const auto fit = spectral::fit_rational(poles, p, resolution, tolerance, rounding);
          CAPTURE(p);
          CAPTURE(resolution);
          CAPTURE(poles);
          CAPTURE(share);
          double largest = 0;
          for (const double sigma : spectral::log_grid(resolution / spectral::scale_margin, 20000)) {
            const double error = std::abs(fit.function(sigma * sigma) * sigma / std::pow(sigma, p) - 1);
            const double ratio = std::min(resolution / sigma, 1.0);
            largest = std::max(largest, error + rounding * ratio * ratio);
          }
          CHECK(largest <= 1.001 * fit.bound);
          if (share < 0.55) CHECK(fit.bound == plain.error + rounding);
          // No fit keeps the tolerance where rounding takes nearly all of it: that is the plain fit.
          CHECK((fit.bound <= tolerance || fit.error == plain.error));
          if (share < 0.9) CHECK(fit.bound <= tolerance);
          if (share < 0.9) CHECK(fit.error <= 1.4 * plain.error);  // measured: 1.36
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("a rational function of a matrix is that of its eigenvalues", T, float, double) {
  using Space = Kokkos::HostSpace;
  const SerialExec exec;
  const linalg::Rational r{0.5, -0.25, {1e-3, 0.1, 0.7}, {2e-3, 0.3, 0.2}};
  for (const std::size_t n : {1U, 2U, 31U, 32U, 33U, 64U, 65U, 96U, 100U, 129U}) {
    const Matrix q = random_orthogonal(n, n, unsigned(n));
    Vector lambda(static_cast<Eigen::Index>(n)), value = lambda;
    for (Eigen::Index k = 0; k < lambda.size(); ++k) {
      lambda(k) = std::pow(1e-4, double(k) / double(n));
      value(k) = 3 * r(lambda(k) / 2);
    }
    const auto s = to_view<T>(q * lambda.asDiagonal() * q.transpose());
    const auto w = output_view<T>(n, n);
    Workspace<Space> workspace;
    const Workspace<Space>::Frame frame(workspace);
    const auto scale = workspace.numbers<double>(1), factor = workspace.numbers<double>(1);
    const auto diagonal = workspace.vectors<double>(1, n);
    scale(0) = 2;
    factor(0) = 3;
    for (std::size_t i = 0; i < n; ++i) diagonal(0, i) = double(s(i, i));
    linalg::rational_function<linalg::EigenBackend>(exec, r, 0, as_const(as_batch<SerialExec>(s)), diagonal, scale,
                                                    factor, as_batch<SerialExec>(w), workspace);
    const Matrix expected = q * value.asDiagonal() * q.transpose();
    CAPTURE(n);
    // Condition of the worst shifted matrix 500; rounding in it and in the sum.
    CHECK(max_abs(to_matrix(w) - expected) <= 2e3 * epsilon<T> * max_abs(expected));
  }
}

TEST_CASE_TEMPLATE("the rational method comes near U Σ^p Vᵀ, tall and wide", T, float, double) {
  const SerialExec exec;
  const auto fit = spectral::fit_rational(5, 0.125, 1e-2);
  for (const auto& [rows, cols] : {std::pair{72U, 40U}, std::pair{40U, 72U}, std::pair{64U, 64U}}) {
    const KnownMatrix known =
        known_matrix(rows, cols, singular_values_of(Spectrum::geometric, std::min(rows, cols), 1e-2), 4);
    const auto m = to_view<T>(known.matrix()), out = output_view<T>(rows, cols);
    Workspace<Kokkos::HostSpace> workspace;
    spectral::rational_power<T, linalg::EigenBackend>(exec, fit.function, 0.125, as_const(as_batch<SerialExec>(m)),
                                                      as_batch<SerialExec>(out), workspace);
    for (const DirectionError& error : direction_errors(known, 0.125, to_matrix(out))) {
      CHECK(error.worst() <= fit.error + 50 * epsilon<T> / 1e-4);
    }
  }
}
