// SPDX-License-Identifier: BSD-3-Clause
// Minimax fits by the exchange, and how many fits a change of power costs: counted, not timed.
// labels: accuracy portable

#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Shapes = std::vector<std::pair<std::size_t, std::size_t>>;
using Plan = SpectralPower<float, SerialExec>;

/// The matrices of ResNet-50, convolutions as (outputs, inputs × window).
const Shapes resnet_50{{64, 147},   {64, 64},    {64, 576},   {256, 64},   {64, 256},   {128, 256},   {128, 1152},
                       {512, 128},  {128, 512},  {512, 256},  {256, 512},  {256, 2304}, {1024, 256},  {256, 1024},
                       {1024, 512}, {512, 1024}, {512, 4608}, {2048, 512}, {512, 2048}, {2048, 1024}, {1000, 2048}};
/// Those of a LLaMA with a billion parameters.
const Shapes llama_1b{{2048, 2048}, {512, 2048}, {5632, 2048}, {2048, 5632}};

std::vector<std::unique_ptr<Plan>> plans_of(const Shapes& shapes, const std::shared_ptr<spectral::FitCaches>& fits,
                                            SpectralMethod method = SpectralMethod::automatic) {
  std::vector<std::unique_ptr<Plan>> plans;
  for (const auto& [rows, cols] : shapes) {
    plans.push_back(std::make_unique<Plan>(SpectralPowerOptions{.rows = rows, .cols = cols, .method = method}, fits));
  }
  return plans;
}

/// Fits made while the plans go through powers 1/4, ..., 1/2 once.
std::size_t fits_of_period(const std::vector<std::unique_ptr<Plan>>& plans, const spectral::FitCaches& fits,
                           int powers) {
  const std::size_t before = fits.made();
  for (int k = 0; k < powers; ++k) {
    for (const auto& plan : plans) plan->set_power(0.25 + 0.25 * k / powers);
  }
  return fits.made() - before;
}

struct Bytes {
  std::size_t size;
};
std::size_t bytes_of(const Bytes& bytes) { return bytes.size; }

/// Σ of |weights times functions| over σ^p less one, at its largest over a fine grid.
double largest_error(const spectral::detail::PoleBasis& basis, const spectral::WeightFit& fit, double power,
                     double delta) {
  std::vector<double> row(fit.weights.size());
  double worst = 0;
  for (const double sigma : spectral::log_grid(delta, 20000)) {
    basis(sigma, row.data());
    double value = 0;
    for (std::size_t k = 0; k < row.size(); ++k) value += fit.weights[k] * row[k];
    worst = std::max(worst, std::abs(value / std::pow(sigma, power) - 1));
  }
  return worst;
}

}  // namespace

TEST_CASE("the exchange finds the fit of Lawson's iteration or a better one, and its error is the largest") {
  for (const double delta : {0.5, 1e-1, 1e-3, 1e-5, 1e-7}) {
    for (const double power : {-0.49, 0.0, 0.125, 0.5, 0.99}) {
      for (const std::size_t poles : {0U, 1U, 2U, 4U, 7U, 12U, 20U, 32U}) {
        CAPTURE(delta);
        CAPTURE(power);
        CAPTURE(poles);
        const spectral::detail::PoleBasis basis{spectral::rational_poles(poles, power, delta)};
        spectral::MinimaxFit<spectral::detail::PoleBasis> minimax(basis, poles + 2, power, delta);
        const spectral::WeightFit fit = minimax(spectral::EqualAllowance());
        spectral::LawsonFit<spectral::detail::PoleBasis> lawson(basis, poles + 2, power,
                                                                spectral::log_grid(delta, 600));
        lawson.iterate(60);
        const double rounding = 3e-13;
        CHECK(fit.error <= 1.004 * largest_error(basis, lawson.best(), power, delta) + rounding);
        CHECK(largest_error(basis, fit, power, delta) <= 1.002 * fit.error + rounding);
      }
    }
  }
}

TEST_CASE("a second fit in the same basis does not depend on the first, but for the last digits") {
  const spectral::detail::PoleBasis basis{spectral::rational_poles(4, 0.125, 1e-3)};
  const auto room = [](double sigma) { return std::min(1.0, 0.4 + 200 * sigma); };
  spectral::MinimaxFit<spectral::detail::PoleBasis> once(basis, 6, 0.125, 1e-3), twice(basis, 6, 0.125, 1e-3);
  (void)twice(spectral::EqualAllowance());
  CHECK(once(room, {3e-3}).error == doctest::Approx(twice(room, {3e-3}).error).epsilon(1e-3));
}

TEST_CASE("shapes share their fits, and a schedule of powers costs none after its first period") {
  constexpr int powers = 40;
  for (const Shapes& shapes : {resnet_50, llama_1b}) {
    const auto fits = std::make_shared<spectral::FitCaches>();
    const auto plans = plans_of(shapes, fits);
    const std::size_t first = fits_of_period(plans, *fits, powers);
    MESSAGE(shapes.size() << " shapes: " << double(first) / powers << " fits a power");
    CHECK(first <= powers * (3 + shapes.size()));  // measured: 19 fits for 21 shapes, 4 for 4
    CHECK(fits_of_period(plans, *fits, powers) == 0);
  }
}

TEST_CASE("in double all shapes have one fit for each number of poles") {
  const auto fits = std::make_shared<spectral::FitCaches>();
  std::vector<std::size_t> made;
  for (const std::size_t rows : {20U, 100U, 400U, 3000U}) {
    const SpectralPower<double, SerialExec> plan({.rows = rows, .cols = 90, .tolerance = 1e-6}, fits);
    CHECK(plan.error_bound() <= 1e-6);
    made.push_back(fits->made());
  }
  CHECK(made.front() <= 4);
  CHECK(made.back() == made.front());
}

TEST_CASE("fits of iterates are made where iterates could be the fastest, and are shared as well") {
  const auto fits = std::make_shared<spectral::FitCaches>();
  const auto plans = plans_of(resnet_50, fits);
  CHECK(fits->iterates.made() == 0);
  const auto iterates = plans_of({{300, 300}, {64, 512}, {512, 64}}, fits, SpectralMethod::iterates);
  CHECK(fits->iterates.made() >= 1);
  CHECK(fits->iterates.made() <= 3);
}

TEST_CASE("a cache forgets the fit that was used least recently, by memory") {
  constexpr std::size_t size = 1000;
  spectral::FitCache<int, Bytes> cache(4 * size + 800);
  const auto get = [&](int key) {
    const std::size_t before = cache.made();
    (void)cache.get(key, [&] { return Bytes{size}; });
    return cache.made() - before;
  };
  for (const int key : {1, 2, 3, 4}) CHECK(get(key) == 1);
  CHECK(cache.size() == 4);
  CHECK(get(1) == 0);  // 2 is now the oldest
  CHECK(get(5) == 1);
  CHECK(cache.size() == 4);
  CHECK(get(1) == 0);
  CHECK(get(3) == 0);
  CHECK(get(2) == 1);
  CHECK(get(4) == 1);
  // One that is larger than all of the memory is kept until the next.
  CHECK(cache.get(6, [] { return Bytes{100 * size}; }).size == 100 * size);
  CHECK(cache.size() == 1);
  CHECK(get(6) == 0);
}
