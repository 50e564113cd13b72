// SPDX-License-Identifier: BSD-3-Clause
// The shipped schedules: what their errors are, that the search finds them again, what the sources say of the rest.
// labels: accuracy portable

#include "../bench/schedule_search.hpp"
#include <schatten/spectral/iterate_fit.hpp>
#include <schatten/spectral/schedules.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using namespace schatten;
using spectral::Quintic;

/// Relative error of a fit at sigma, written out without the library's evaluation.
double error_at(const spectral::IterateFit& fit, double power, double sigma) {
  std::vector<double> x{sigma};
  for (const Quintic& q : fit.steps) {
    const double s = x.back();
    x.push_back(q.a * s + q.b * s * s * s + q.c * s * s * s * s * s);
  }
  double sum = 0;
  for (std::size_t k = 0; k < x.size(); ++k) sum += fit.outer[k] * x[k];
  for (std::size_t k = 0; k + 1 < x.size(); ++k) {
    sum += x.back() * (fit.linear[k] * std::pow(x[k], 2) + fit.square[k] * std::pow(x[k], 4));
  }
  return std::abs(sum * std::pow(sigma, -power) - 1);
}

/// Largest error on points that no grid of the library has, a third evenly spaced in ln σ.
double largest_error(const spectral::IterateFit& fit, double power, double lowest) {
  constexpr int points = 400000;
  constexpr double golden = 0.6180339887498949;
  double worst = 0;
  for (int k = 0; k < points; ++k) {
    const double place = std::fmod(golden * k, 1.0);
    const double sigma = k % 3 == 0 ? std::pow(lowest, place) : lowest + (1 - lowest) * place;
    worst = std::max(worst, error_at(fit, power, sigma));
  }
  return worst;
}

double value(std::span<const Quintic> steps, double x) {
  for (const Quintic& q : steps) x = q(x);
  return x;
}

/// Largest |q(x) − 1| on [low, high].
double deviation(const Quintic& q, double low, double high) {
  double worst = 0;
  for (int k = 0; k <= 20000; ++k) worst = std::max(worst, std::abs(q(low + (high - low) * k / 20000.0) - 1));
  return worst;
}

}  // namespace

TEST_CASE("every schedule has the errors that its table states, and the fit's bound is close above them") {
  for (const spectral::Schedule& schedule : spectral::iterate_schedules) {
    CAPTURE(schedule.steps.size());
    CAPTURE(schedule.resolution);
    for (std::size_t k = 0; k < spectral::schedule_powers.size(); ++k) {
      const double power = spectral::schedule_powers[k];
      const auto fit = spectral::fit_iterates(schedule.steps, power, schedule.resolution);
      const double error = largest_error(fit, power, schedule.resolution / spectral::scale_margin);
      CAPTURE(power);
      CHECK(error == doctest::Approx(schedule.errors[k]).epsilon(0.02));
      CHECK(fit.error >= error);
      CHECK(fit.error <= 1.01 * error);
    }
  }
}

TEST_CASE("the iterates of every schedule stay in [-1.01, 1.01], and do not run away beyond 1") {
  for (const spectral::Schedule& schedule : spectral::iterate_schedules) {
    double inside = 0, beyond = 0;
    for (int k = 0; k <= 100000; ++k) {
      for (const double sigma : {k / 1e5, 1 + 0.02 * k / 1e5}) {
        double x = sigma;
        for (const Quintic& q : schedule.steps) {
          x = q(x);
          double& worst = sigma <= 1 ? inside : beyond;
          worst = std::max(worst, std::abs(x));
        }
      }
    }
    CAPTURE(schedule.resolution);
    CHECK(inside <= 1.01);
    CHECK(beyond <= 1.2);
    const auto fit = spectral::fit_iterates(schedule.steps, 0.125, schedule.resolution);
    for (int k = 0; k <= 1000; ++k) CHECK(error_at(fit, 0.125, 1 + 0.02 * k / 1e3) <= 0.2);
  }
}

TEST_CASE("a fit for p = 1 is the identity, and one for a coarser resolution is better") {
  for (const spectral::Schedule& schedule : spectral::iterate_schedules) {
    const auto identity = spectral::fit_iterates(schedule.steps, 1.0, schedule.resolution);
    CHECK(identity.error <= 1e-9);
    const auto fine = spectral::fit_iterates(schedule.steps, 0.125, schedule.resolution);
    const auto coarse = spectral::fit_iterates(schedule.steps, 0.125, std::min(1.0, 10 * schedule.resolution));
    CHECK(coarse.error < fine.error);
  }
}

TEST_CASE("quintics that leave the unit interval have no fit") {
  const std::vector<Quintic> wild(6, Quintic{5, -10, 12});
  const auto fit = spectral::fit_iterates(wild, 0.125, 1e-3);
  CHECK(std::isinf(fit.error));
  CHECK(fit.outer.empty());
}

TEST_CASE("the search finds a shipped schedule again") {
  const spectral::Schedule& shipped = spectral::iterate_schedules[0];
  schedule_search::Settings settings;
  settings.lowest = shipped.resolution / spectral::scale_margin;
  settings.steps = shipped.steps.size();
  settings.starts = 60;
  settings.hops = 60;
  const auto found = schedule_search::find_schedule(settings);
  const auto worst = [&](std::span<const Quintic> steps) {
    double largest = 0;
    for (const schedule_search::Target& target : schedule_search::shipped_targets) {
      largest =
          std::max(largest, spectral::fit_iterates(steps, target.power, shipped.resolution).error / target.allowance);
    }
    return largest;
  };
  MESSAGE("found " << worst(found.steps) << ", shipped " << worst(shipped.steps));
  CHECK(worst(found.steps) <= 1.05 * worst(shipped.steps));
}

TEST_CASE("Polar Express: each quintic is minimax on its interval, the eight of them orthogonalise down to 1e-3") {
  // Published for l = 1e-3 with intervals cut at 0.024 of their upper end; the first three are centred anew for that.
  const std::span<const spectral::Quintic> steps = spectral::polar_express.steps;
  double worst = 0;
  for (int k = 0; k <= 20000; ++k) {
    worst = std::max(worst, std::abs(value(steps, std::pow(1e-3, k / 20000.0)) - 1));
  }
  CHECK(worst <= 1e-5);
  double low = std::min(value(steps.first(2), 1e-3), 1.0);
  for (std::size_t k = 2; k < 5; ++k) {
    const double end_error = std::abs(steps[k](low) - 1);
    CHECK(deviation(steps[k], low, 2 - low) == doctest::Approx(end_error).epsilon(1e-3));
    low = steps[k](low);
  }
  // With the authors' factor of safety, singular values up to 1.01 stay where the next quintic expects them.
  const std::vector<Quintic> safe = spectral::with_safety(spectral::polar_express);
  REQUIRE(safe.size() == steps.size());
  CHECK(safe[0](1.01) == doctest::Approx(steps[0](1.0)));
  CHECK(safe.back()(1.0) == steps.back()(1.0));
}

TEST_CASE("CANS: minimax quintics whose composition ends in [0.7, 1.3]") {
  double low = spectral::cans.resolution, high = 1;
  for (const Quintic& q : spectral::cans.steps) {
    const double error = deviation(q, low, high);
    CHECK(std::abs(q(low) - 1) == doctest::Approx(error).epsilon(1e-5));
    CHECK(std::abs(q(high) - 1) == doctest::Approx(error).epsilon(1e-5));
    low = 1 - error;
    high = 1 + error;
  }
  CHECK(high == doctest::Approx(1.3).epsilon(1e-5));
}
