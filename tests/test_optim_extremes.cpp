// SPDX-License-Identifier: BSD-3-Clause
// Huge, tiny and rank-deficient gradients. Floating-point traps stay on.

#include "support/instantiations.hpp"
#include "support/known_spectrum.hpp"
#include "support/optimizer_cases.hpp"
#include "support/optimizer_state.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
constexpr std::size_t rows = 9, cols = 5;

/// In units of ε·travel. Measured: 7.6 in float, 24.4 in double. The latter is ScaleMode::dual_norm, a power of ⟨M, D⟩
/// whose exponent 7/9 is rounded: half a unit times ln 1e+34. The others stay below 16.
constexpr double bound = 40;

template <class T>
using Views = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;

/// Ten steps whose gradients have the size scale(step), from w = 0: distance from the reference.
template <class T, class O>
double distance_at(const O& options, const std::function<double(unsigned)>& scale) {
  const Exec exec;
  const Views<T> w("w", rows, cols), g("g", rows, cols);
  Optimizer<T, Exec> optimizer;
  optimizer.add(optimizer.add_group(options), "w", w, g);
  reference::Parameter expected(Matrix::Zero(rows, cols));
  double worst = 0;
  for (unsigned step = 0; step < 10; ++step) {
    const Matrix gradient = rounded<T>(scale(step) * conditioned_gaussian(rows, cols, step + 1));
    assign(g, gradient);
    optimizer.step(exec);
    exec.fence();
    expected.step(gradient, reference_of(options));
    worst = std::max(worst, distance<T>(to_matrix(w), expected));
  }
  CHECK(optimizer.skipped_steps(exec) == 0);
  return worst;
}

template <class T>
void check_all(const std::string& what, const std::function<double(unsigned)>& scale) {
  CAPTURE(what);
  double worst = 0;
  const auto check = [&](const auto& options) {
    const double distance = distance_at<T>(options, scale);
    CHECK(distance < bound);
    worst = std::max(worst, distance);
  };
  for (const ScaleMode mode : {ScaleMode::none, ScaleMode::original, ScaleMode::match_rms_adamw, ScaleMode::unit_rms,
                               ScaleMode::unit_norm, ScaleMode::dual_norm}) {
    CAPTURE(int(mode));
    for (const double power : {0.0, 0.125, 1.0}) {
      CAPTURE(power);
      check(HTMuonOptions{.power = power, .scale = mode, .map = {.method = SpectralMethod::svd}});
    }
    check(MuonOptions{.scale = mode});
  }
  check(HTMuonOptions{.power = -0.25, .map = {.method = SpectralMethod::svd}});
  check(AdamWOptions{});
  check(AdamWOptions{.epsilon = 1e-37});  // smaller than the gradients
  check(SGDOptions{});
  MESSAGE(what << ": largest distance from the reference: " << worst);
}

}  // namespace

TEST_CASE_TEMPLATE("gradients of 1e+30 and of 1e-30 agree with the reference", T, float, double) {
  check_all<T>("1e+30", [](unsigned) { return 1e30; });
  check_all<T>("1e-30", [](unsigned) { return 1e-30; });
}

TEST_CASE_TEMPLATE("one huge or tiny gradient among ordinary ones agrees with the reference", T, float, double) {
  const auto among = [](double size) { return [size](unsigned step) { return step == 2 ? size : 1.0; }; };
  CHECK(distance_at<T>(AdamWOptions{}, among(1e30)) < bound);
  CHECK(distance_at<T>(AdamWOptions{}, among(1e-30)) < bound);
  CHECK(distance_at<T>(AdamWOptions{.beta2 = 0.5, .epsilon = 1e-37}, among(1e-30)) < bound);
  CHECK(distance_at<T>(HTMuonOptions{.map = {.method = SpectralMethod::svd}}, among(1e30)) < bound);
  CHECK(distance_at<T>(HTMuonOptions{.map = {.method = SpectralMethod::svd}}, among(1e-30)) < bound);
  CHECK(distance_at<T>(MuonOptions{}, among(1e30)) < bound);
  CHECK(distance_at<T>(SGDOptions{}, among(1e30)) < bound);
}

TEST_CASE("a scale factor outside the range of float is applied within it") {
  const Exec exec;
  for (const double power : {0.125, 1.0}) {
    for (const double size : {1e-42, 1e-39, 1e37}) {
      const Views<float> w("w", rows, cols), g("g", rows, cols);
      assign(g, size * gaussian(rows, cols, 1));
      Optimizer<float, Exec> optimizer;
      optimizer.add(
          optimizer.add_group(HTMuonOptions{
              .lr = 0.5, .power = power, .scale = ScaleMode::unit_rms, .map = {.method = SpectralMethod::svd}}),
          "w", w, g);
      optimizer.step(exec);
      exec.fence();
      CAPTURE(power);
      CAPTURE(size);
      const double root_mean_square = to_matrix(w).norm() / std::sqrt(double(rows * cols));
      CHECK(std::abs(root_mean_square - 0.5) < 1e-6);
    }
  }
}

TEST_CASE("gradients near the largest float leave parameter and state finite") {
  const Exec exec;
  const auto check = [&](const auto& options) {
    const Views<float> w("w", rows, cols), g("g", rows, cols);
    assign(g, Matrix::Constant(rows, cols, double(std::numeric_limits<float>::max())));
    for (std::size_t i = 0; i < rows; ++i) g(i, i % cols) = -g(i, i % cols);
    Optimizer<float, Exec> optimizer;
    optimizer.add(optimizer.add_group(options), "w", w, g);
    for (int step = 0; step < 20; ++step) optimizer.step(exec);
    assign(g, gaussian(rows, cols, 1));
    optimizer.step(exec);
    exec.fence();
    CHECK(std::isfinite(max_abs(to_matrix(w))));
    for (const StateArray& array : state_of(exec, optimizer)) CHECK(std::isfinite(max_abs(array.matrices[0])));
  };
  for (const bool nesterov : {false, true}) {
    for (const MomentumKind kind : {MomentumKind::ema, MomentumKind::heavy_ball}) {
      check(HTMuonOptions{.momentum = {.nesterov = nesterov, .kind = kind}});
      check(HTMuonOptions{.momentum = {.nesterov = nesterov, .kind = kind}, .scale = ScaleMode::unit_rms});
      check(MuonOptions{.momentum = {.nesterov = nesterov, .kind = kind}});
      check(SGDOptions{.lr = 1e-3, .momentum = {.nesterov = nesterov, .kind = kind}});
    }
  }
  check(AdamWOptions{});
}

TEST_CASE_TEMPLATE("a rank-deficient gradient moves its singular directions as the definition says", T, float, double) {
  const Exec exec;
  const auto check = [&](SpectralMethod method, double power) {
    const KnownMatrix known = known_matrix(12, 8, Vector{{2.0, 1.0, 0.25}}, 3);
    const Views<T> w("w", 12, 8), g("g", 12, 8);
    assign(g, known.matrix());
    const HTMuonOptions options{.lr = 0.5,
                                .power = power,
                                .momentum = {.beta = 0, .nesterov = false},
                                .scale = ScaleMode::none,
                                .map = {.method = method}};
    Optimizer<T, Exec> optimizer;
    const GroupId group = optimizer.add_group(options);
    optimizer.add(group, "w", w, g);
    optimizer.step(exec);
    exec.fence();
    const Matrix inside = known.u.transpose() * to_matrix(w) * known.v;
    Matrix wanted = Matrix::Zero(3, 3);
    for (Eigen::Index k = 0; k < 3; ++k) wanted(k, k) = -0.5 * std::pow(known.sigma(k), power);
    CAPTURE(power);
    CHECK(max_abs(inside - wanted) < 64 * epsilon<T> + optimizer.map_error_bound("w"));
  };
  for (const SpectralMethod method : {SpectralMethod::svd, SpectralMethod::automatic}) {
    for (const double power : {-0.25, 0.0, 0.125, 1.0}) check(method, power);
  }
}
