// SPDX-License-Identifier: BSD-3-Clause
// The floor of scale-free rules (optim/floor.hpp): weights come to rest when their gradient has died, and not before.
// labels: accuracy portable

#include "support/rule_suite.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr Shape shape{1, 4, 3};
constexpr MapOptions svd{.method = SpectralMethod::svd};

/// Rules without weight decay, whose momentum forgets at `beta`.
std::vector<RuleLine> lines(double beta) {
  const Momentum m{.beta = beta}, plain{.beta = beta, .nesterov = false, .kind = MomentumKind::heavy_ball};
  const Momentum half{.beta = beta, .storage = StateStorage::float16},
      brain{.beta = beta, .storage = StateStorage::bfloat16};
  const auto htmuon = [&](double power, ScaleMode scale, const Momentum& momentum, const MapOptions& map = svd) {
    return HTMuon{.power = power, .momentum = momentum, .weight_decay = 0, .scale = scale, .map = map};
  };
  using enum ScaleMode;
  return {
      {"Muon", Muon{.momentum = m}},
      {"Muon, heavy ball", Muon{.momentum = plain}},
      {"Muon, momentum in float16", Muon{.momentum = half}},
      {"Muon, momentum in bfloat16", Muon{.momentum = brain}},
      {"power 0", htmuon(0, original, m)},
      {"power 1/8", htmuon(0.125, original, m)},
      {"power -1/4", htmuon(-0.25, original, m)},
      {"power -1/4, heavy ball", htmuon(-0.25, original, plain)},
      {"power 1/8, unit_rms", htmuon(0.125, unit_rms, m)},
      {"power 1/8, unit_norm", htmuon(0.125, unit_norm, m)},
      {"power 1/8, dual_norm", htmuon(0.125, dual_norm, m)},
      {"power -1/4, unit_rms", htmuon(-0.25, unit_rms, m)},
      {"streaming, unit_rms", htmuon(0.125, unit_rms, m, {.method = SpectralMethod::streaming})},
      {"rank power", htmuon(0.125, original, m, {.method = SpectralMethod::rank_power})},
      {"Newton-Schulz", htmuon(0.125, original, m, {.method = SpectralMethod::newton_schulz})},
      {"every third step", HTMuon{.interval = 3, .momentum = m, .weight_decay = 0, .scale = unit_rms, .map = svd}},
      {"NorMuon", NorMuon{.momentum = m}},
      {"NorMuon, power 1/8", NorMuon{.power = 0.125, .momentum = m, .map = svd}},
      {"Lion", Lion{.lr = 1e-2, .beta2 = beta}},
      {"AdamW", AdamW{.beta1 = beta, .weight_decay = 0}},
      {"SGD", SGD{.momentum = {.beta = beta}}},
  };
}

double power_of(const RuleLine& line) {
  const auto* const htmuon = std::get_if<HTMuon>(&line.rule);
  return htmuon == nullptr ? 0 : htmuon->power;
}

/// What floor.hpp says of all factors together, once the gradient is zero; for p < 0 times how much longer steps
/// become. slack: what rounding of the momentum may add to β, relative.
double most_full_steps(double beta, double power, double slack) {
  const double rho = 1 - (1 - beta) / 50;
  beta *= 1 + slack;
  return (std::log(1e7) / std::log(rho / beta) + 1 / (1 - beta / rho)) * std::pow(1e7, std::max(0.0, -power));
}

/// Steps `count` times with the present gradient: the sum of the largest changes of an entry.
template <class Training>
double movement(Training& training, unsigned count) {
  double sum = 0;
  for (unsigned k = 0; k < count; ++k) {
    const Matrix before = training.at("w").w.matrix(0);
    training.step();
    sum += max_abs(training.at("w").w.matrix(0) - before);
  }
  return sum;
}

/// A gradient with singular values of the same size, as wanted by all maps and formats.
Matrix live_gradient() { return conditioned_gaussian(shape.rows, shape.cols, 3); }

}  // namespace

TEST_CASE("a weight whose gradient has died comes to rest for good, after no more than the documented way") {
  for (const double beta : {0.9, 0.5}) {
    for (const RuleLine& line : lines(beta)) {
      const bool brain = line.name.find("bfloat16") != std::string::npos;
      const bool half = line.name.find("float16") != std::string::npos && !brain;
      for (const double size : {1.0, 1e-30}) {
        if (half && size != 1) continue;  // 1e-30 is zero there
        CAPTURE(beta);
        CAPTURE(line.name);
        CAPTURE(size);
        Training<float> training(line);
        const auto& p = training.add("w", shape, Storage::right, 1);
        p.w.assign(0, Matrix::Zero(shape.rows, shape.cols));
        p.g.assign(0, size * live_gradient());
        movement(training, 59);
        double last = 0;
        for (int k = 0; k < 3; ++k) last = std::max(last, movement(training, 1));  // of a period
        CHECK(last > 0);
        p.g.assign(0, Matrix::Zero(shape.rows, shape.cols));
        const double moved = movement(training, 2000);
        // 1.001: rounding of the weights.
        CHECK(moved <= 1.001 * last * most_full_steps(beta, power_of(line), half || brain ? 0x1p-8 : 0));
        // The average has stopped at a number that rounding keeps from becoming zero, r fades on: until it is as small.
        CHECK(movement(training, beta == 0.5 && size < 1 ? 4000 : 500) == 0);
        CHECK(std::isfinite(max_abs(p.w.matrix(0))));
      }
    }
  }
}

namespace {

/// Of lines(), those whose steps do not depend on the gradient's scale.
std::vector<RuleLine> scale_free_lines(double beta) {
  std::vector<RuleLine> all = lines(beta);
  std::erase_if(all, [](const RuleLine& line) {
    for (const char* const name :
         {"power 1/8", "power 1/8, dual_norm", "power -1/4", "power -1/4, heavy ball", "Newton-Schulz",
          "NorMuon, power 1/8", "AdamW", "SGD", "Muon, momentum in float16"}) {
      if (line.name == name) return true;
    }
    return false;
  });
  return all;
}

}  // namespace

TEST_CASE("gradients of 1e-30 move a weight by as much as gradients of 1") {
  for (const double beta : {0.95, 0.5}) {
    for (const RuleLine& line : scale_free_lines(beta)) {
      CAPTURE(beta);
      CAPTURE(line.name);
      Training<float> ordinary(line), tiny(line);
      const auto& a = ordinary.add("w", shape, Storage::right, 1);
      const auto& b = tiny.add("w", shape, Storage::right, 1);
      for (unsigned step = 0; step < 300; ++step) {
        const Matrix g = rounded<float>(conditioned_gaussian(shape.rows, shape.cols, step % 7));
        a.g.assign(0, g);
        b.g.assign(0, 0x1p-100 * g);  // 8e-31: a power of two, so that nothing rounds otherwise
        ordinary.step();
        tiny.step();
      }
      // Norms to a power differ by their rounding in double; all else is the same to the bit.
      CHECK(max_abs(a.w.matrix(0) - b.w.matrix(0)) <= 8 * epsilon<float> * max_abs(a.w.matrix(0)));
      if (line.name.find("unit") == std::string::npos && line.name != "every third step") {
        CHECK(same_bits(a.w.matrix(0), b.w.matrix(0)));
      }
    }
  }
}

TEST_CASE("the floor has no part in the steps while the gradient lives, however its size varies") {
  for (const RuleLine& line : lines(0.9)) {
    if (line.name.find("float16") != std::string::npos) continue;  // the reference keeps all digits of the momentum
    CAPTURE(line.name);
    Training<float> training(line);
    const auto& p = training.add("w", shape, Storage::right, 1);
    reference::Parameter expected(rounded<float>(p.start(0)));
    double worst = 0;
    for (unsigned number = 1; number <= 60; ++number) {
      const double size = number < 20 ? 1e-3 : number % 5 == 0 ? 1e3 : 1e-3;  // 1e6 between neighbours
      const Matrix g = rounded<float>(size * p.gradient(0, number));
      p.g.assign(0, g);
      training.step();
      expected.step(g, reference_of(line, number));
      worst = std::max(worst, distance<float>(p.w.matrix(0), expected));
    }
    CHECK(worst <= 8);  // units of the last place of the way. Measured: 2.4
    MESSAGE(line.name << ": " << worst);
  }
}

TEST_CASE("one gradient of 1e12 times the others' size has no part in the steps after the average has forgotten it") {
  constexpr double beta = 0.5;
  for (const RuleLine& line : scale_free_lines(beta)) {
    CAPTURE(line.name);
    Training<float> spared(line), struck(line);
    const auto& a = spared.add("w", shape, Storage::right, 1);
    const auto& b = struck.add("w", shape, Storage::right, 1);
    const auto run = [&](unsigned first, unsigned last) {
      for (unsigned step = first; step < last; ++step) {
        const Matrix g = rounded<float>(conditioned_gaussian(shape.rows, shape.cols, step % 7));
        a.g.assign(0, g);
        b.g.assign(0, step == 20 ? Matrix(1e12 * g) : g);
        spared.step();
        struck.step();
      }
    };
    run(0, 220);  // averages of rows and directions have settled again
    const Matrix before_a = a.w.matrix(0), before_b = b.w.matrix(0);
    run(220, 223);
    const Matrix step = a.w.matrix(0) - before_a;
    CHECK(max_abs(b.w.matrix(0) - before_b - step) <= 1e-3 * max_abs(step));
  }
}

TEST_CASE("a gradient that has fallen by 1e9 for good moves the weight fully again, and so does one that comes back") {
  constexpr double beta = 0.5;
  for (const RuleLine& line : scale_free_lines(beta)) {
    CAPTURE(line.name);
    Training<float> training(line);
    const auto& p = training.add("w", shape, Storage::right, 1);
    p.w.assign(0, Matrix::Zero(shape.rows, shape.cols));
    p.g.assign(0, live_gradient());
    movement(training, 200);  // for averages of rows and directions to settle
    const double full = movement(training, 3) / 3;
    p.g.assign(0, 1e-9 * live_gradient());
    movement(training, 200);
    CHECK(std::abs(movement(training, 3) / 3 - full) <= 1e-3 * full);
    p.g.assign(0, Matrix::Zero(shape.rows, shape.cols));
    movement(training, 2001);
    CHECK(movement(training, 3) == 0);
    p.g.assign(0, live_gradient());
    movement(training, 200);
    CHECK(std::abs(movement(training, 3) / 3 - full) <= 1e-3 * full);
  }
}

TEST_CASE("a gradient that is zero from the first step on moves nothing") {
  for (const RuleLine& line : lines(0.95)) {
    CAPTURE(line.name);
    Training<float> training(line);
    const auto& p = training.add("w", shape, Storage::right, 1);
    p.g.assign(0, Matrix::Zero(shape.rows, shape.cols));
    CHECK(movement(training, 20) == 0);
  }
}
