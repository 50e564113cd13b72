// SPDX-License-Identifier: BSD-3-Clause
// The matmul-rich methods keep error_bound() in every direction down to the resolution, and stay bounded under it.
// labels: accuracy

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

struct Goal {
  double resolution, tolerance;
};

template <class T, class Exec, class Backend>
std::optional<SpectralPower<T, Exec, Backend>> plan(const SpectralPowerOptions& options) {
  static const auto fits = std::make_shared<spectral::FitCaches>();
  try {
    return std::optional<SpectralPower<T, Exec, Backend>>(std::in_place, options, fits);
  } catch (const InvalidArgument&) {  // out of reach for this method
    return std::nullopt;
  }
}

struct Outcome {
  double worst = 0;              ///< error over promise
  int plans = 0, in_double = 0;  ///< in double: or a part of it
};

/// What a direction under the resolution may become: σ^p or δ^p, the larger one, up to the bound (p > 0) or 1.3 times.
double allowed_under(double power, double sigma, double resolution, double bound) {
  return power > 0 ? (1 + bound) * std::pow(resolution, power) : 1.3 * std::pow(std::max(sigma, 1e-12), power);
}

/// Every direction of one output against the promise.
void check_directions(const KnownMatrix& known, double p, double resolution, double bound, const Matrix& out,
                      Outcome& outcome) {
  const auto errors = direction_errors(known, p, out);
  const Vector lengths = (out * known.v).colwise().norm();
  for (std::size_t k = 0; k < errors.size(); ++k) {
    const double value = known.sigma(Eigen::Index(k)), relative = errors[k].worst() / std::pow(value, p);
    if (value >= resolution * known.sigma(0)) {
      CHECK(relative <= bound);
      outcome.worst = std::max(outcome.worst, relative / bound);
    } else {
      CHECK(lengths(Eigen::Index(k)) <= allowed_under(p, value, resolution * known.sigma(0), bound));
    }
  }
}

template <class C>
void check(SpectralMethod method, std::size_t rows, std::size_t cols, const std::vector<Goal>& goals,
           const std::vector<double>& powers, const std::vector<Spectrum>& spectra, Outcome& outcome) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  const std::size_t rank = std::min(rows, cols);
  KnownMatrix made = known_matrix(rows, cols, Vector::Ones(Eigen::Index(rank)), unsigned(rows + 3 * cols));
  std::vector<Matrix> matrices;
  std::vector<KnownMatrix> known;
  for (const Spectrum spectrum : spectra) {
    for (const double lowest : {1e-1, 1e-3, 1e-6}) {
      made.sigma = singular_values_of(spectrum, rank, lowest);
      matrices.push_back(made.matrix());
      known.push_back(stored<T>(made));
    }
  }
  const auto out = output_view<T>(rows, cols);
  for (const double p : powers) {
    for (const auto& [resolution, tolerance] : goals) {
      auto power = plan<T, Exec, typename C::Backend>(
          {.rows = rows,
           .cols = cols,
           .power = p,
           .resolution = resolution,
           .tolerance = tolerance,
           .method = method,
           .format = method == SpectralMethod::iterates ? whole_format<C> : Format::automatic});
      if (!power) continue;
      ++outcome.plans;
      outcome.in_double += power->format() != Format::scalar ? 1 : 0;
      CHECK(power->error_bound() <= tolerance);
      for (std::size_t k = 0; k < known.size(); ++k) {
        CAPTURE(k);  // three smallest values a spectrum
        CAPTURE(p);
        CAPTURE(resolution);
        CAPTURE(tolerance);
        const auto m = to_view<T>(matrices[k]);
        power->apply(exec, m, out);
        exec.fence();
        check_directions(known[k], p, resolution, power->error_bound(), to_matrix(out), outcome);
      }
    }
  }
}

const std::vector<Spectrum> every(std::begin(all_spectra), std::end(all_spectra));

}  // namespace

TEST_CASE_TEMPLATE("the rational method keeps its promise", C, SCHATTEN_TEST_CASES) {
  if (!has_rational<C>) return;
  const bool threaded = !std::is_same_v<typename C::Exec, SerialExec>;
  const bool portable = std::is_same_v<typename C::Backend, PortableBackend>;
  const std::vector<double> powers{-0.49, -0.25, 0, 0.125, 0.5, 0.9, 1};
  std::vector<Goal> goals{{1, 0.1}, {1e-1, 1e-3}, {1e-2, 3e-2}, {1e-3, 3e-2}, {1e-3, 3e-3}, {1e-4, 1e-2}};
  if (std::is_same_v<typename C::Scalar, double>) goals.push_back({1e-3, 1e-8});
  Outcome outcome;
  check<C>(SpectralMethod::rational, 24, 40, goals, powers, every, outcome);
  if (!threaded && !portable) check<C>(SpectralMethod::rational, 96, 65, goals, powers, every, outcome);
  CHECK(outcome.plans > 35);
  if (std::is_same_v<typename C::Scalar, float>) CHECK(outcome.in_double > 10);
  MESSAGE("worst error over promise " << outcome.worst << ", " << outcome.plans << " plans, " << outcome.in_double
                                      << " in double");
}

TEST_CASE("the rational method keeps its promise in float, where sums are long") {
  using C = Case<float, ThreadedExec, EigenBackend>;
  Outcome outcome;
  const std::vector<Goal> goals{{1e-3, 3e-2}, {1e-2, 1e-2}};
  const std::vector<double> powers{0, 0.125, 0.5};
  const std::vector<Spectrum> hard{Spectrum::halves, Spectrum::one_small, Spectrum::clustered};
  check<C>(SpectralMethod::rational, 250, 250, goals, powers, hard, outcome);
  check<C>(SpectralMethod::rational, 300, 500, goals, powers, hard, outcome);
  CHECK(outcome.in_double == outcome.plans / 2);  // at 1e-3 the Gram matrix alone
  MESSAGE("worst error over promise " << outcome.worst << ", " << outcome.plans << " plans");
}

TEST_CASE_TEMPLATE("the iterate method keeps its promise", C, SCHATTEN_TEST_CASES) {
  const bool threaded = !std::is_same_v<typename C::Exec, SerialExec>;
  const bool portable = std::is_same_v<typename C::Backend, PortableBackend>;
  const std::vector<Goal> goals{{1e-1, 1e-2}, {1e-2, 3e-2}, {1e-3, 1e-2}, {1e-4, 3e-2}};
  Outcome outcome;
  check<C>(SpectralMethod::iterates, 24, 40, goals, {0, 0.125, 0.5}, every, outcome);
  if (!threaded && !portable) check<C>(SpectralMethod::iterates, 128, 40, goals, {-0.25, 0.125}, every, outcome);
  CHECK(outcome.plans >= 8);
  MESSAGE("worst error over promise " << outcome.worst << ", " << outcome.plans << " plans, " << outcome.in_double
                                      << " in double");
}

TEST_CASE("a singular value above a dense bulk: hard for the estimate of σ₁, which the promise rests on") {
  const SerialExec exec;
  constexpr std::size_t n = 96;
  Outcome outcome;
  const auto out = output_view<double>(n, n);
  for (const auto& [method, tolerance] :
       {std::pair{SpectralMethod::rational, 1e-8}, {SpectralMethod::iterates, 1e-2}}) {
    auto power = plan<double, SerialExec, EigenBackend>(
        {.rows = n, .cols = n, .power = 0.125, .resolution = 1e-3, .tolerance = tolerance, .method = method});
    REQUIRE(power);
    for (unsigned seed = 1; seed <= 40; ++seed) {
      for (const double edge : {0.75, 0.8, 0.85, 0.9}) {
        Vector sigma(static_cast<Eigen::Index>(n));
        for (std::size_t k = 0; k < n; ++k) {
          const double place = (double(k) + 0.5) / double(n), pi = std::numbers::pi;
          const double bulk = seed % 2 == 0 ? 1 - place * place : 0.5 * (1 + std::cos(pi * place));
          sigma(Eigen::Index(k)) = k == 0 ? 1 : std::sqrt(edge * std::max(bulk, 1e-3));
        }
        const KnownMatrix known = known_matrix(n, n, sigma, seed);
        CAPTURE(seed);
        CAPTURE(edge);
        const auto m = to_view<double>(known.matrix());
        power->apply(exec, m, out);
        exec.fence();
        check_directions(known, 0.125, 1e-3, power->error_bound(), to_matrix(out), outcome);
      }
    }
  }
  MESSAGE("worst error over promise " << outcome.worst);
}

TEST_CASE_TEMPLATE("long columns led by a constant: the roundings of their sums go to one side", T, float, double) {
  const SerialExec exec;
  Outcome outcome;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{2000, 2}, {5000, 2}, {20000, 2}, {8000, 8}}) {
    const double ratio = 1.05e-2;
    KnownMatrix made = known_matrix(rows, cols, Vector::Constant(Eigen::Index(cols), ratio), 5);
    made.sigma(0) = 1;
    made.u.col(0).setConstant(1 / std::sqrt(double(rows)));
    for (Eigen::Index k = 1; k < made.u.cols(); ++k) {  // Gram and Schmidt, twice
      for (int pass = 0; pass < 2; ++pass) {
        for (Eigen::Index l = 0; l < k; ++l) made.u.col(k) -= made.u.col(l).dot(made.u.col(k)) * made.u.col(l);
      }
      made.u.col(k).normalize();
    }
    for (const double scale : {0.1, 0.3, 0.95}) {
      KnownMatrix scaled = made;
      scaled.sigma *= scale * std::sqrt(double(rows * cols));
      const KnownMatrix known = stored<T>(scaled);
      const auto m = to_view<T>(scaled.matrix()), out = output_view<T>(rows, cols);
      for (const SpectralMethod method :
           {SpectralMethod::rational, SpectralMethod::eigh, SpectralMethod::iterates, SpectralMethod::svd}) {
        for (const double tolerance : {1e-1, 3e-3, std::is_same_v<T, float> ? 1e-3 : 1e-10}) {
          auto power = plan<T, SerialExec, EigenBackend>({.rows = rows,
                                                          .cols = cols,
                                                          .power = 0.125,
                                                          .resolution = 1e-2,
                                                          .tolerance = tolerance,
                                                          .method = method});
          if (!power) continue;
          CAPTURE(to_string(method));
          CAPTURE(rows);
          CAPTURE(tolerance);
          power->apply(exec, m, out);
          exec.fence();
          check_directions(known, 0.125, 1e-2, power->error_bound(), to_matrix(out), outcome);
          ++outcome.plans;
        }
      }
    }
  }
  CHECK(outcome.plans >= 90);
  MESSAGE("worst error over promise " << outcome.worst << ", " << outcome.plans << " plans");
}
