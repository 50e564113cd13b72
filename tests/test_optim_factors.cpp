// SPDX-License-Identifier: BSD-3-Clause
// Steps at the ends of the range of float and double, where norms, factors and squares would leave it; and numbers that
// would vanish beside 1: decay and the gains of slow averages.
// labels: accuracy portable

#include "support/rule_suite.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr std::size_t rows = 5, cols = 4;
constexpr MapOptions svd{.method = SpectralMethod::svd};

/// A rule whose steps go with the gradients' size to the power `exponent`.
struct Scaled {
  RuleLine line;
  double exponent;
};

std::vector<Scaled> scaled_rules(double smallest) {
  std::vector<Scaled> all;
  constexpr ScaleMode modes[] = {
      ScaleMode::none,      ScaleMode::original,  ScaleMode::match_rms_adamw,   ScaleMode::unit_rms,
      ScaleMode::unit_norm, ScaleMode::dual_norm, ScaleMode::spectral_unclamped};
  for (const ScaleMode mode : modes) {
    const bool unit = mode == ScaleMode::unit_rms || mode == ScaleMode::unit_norm, dual = mode == ScaleMode::dual_norm;
    const std::string name = " with scale " + std::to_string(int(mode));
    for (const double power : {0.0, 0.125, 0.5, 1.0, -0.25}) {
      if (power < 0 && optim::needs_norm(mode)) continue;
      all.push_back({{"HTMuon " + std::to_string(power) + name,
                      HTMuon{.power = power, .weight_decay = 0, .scale = mode, .map = svd}},
                     unit   ? 0
                     : dual ? 1
                            : power});
    }
    all.push_back({{"Muon" + name, Muon{.scale = mode}}, dual ? 1.0 : 0.0});
  }
  all.push_back({{"streaming", HTMuon{.weight_decay = 0, .map = {.method = SpectralMethod::streaming}}}, 0.125});
  all.push_back({{"rank power", HTMuon{.weight_decay = 0, .map = {.method = SpectralMethod::rank_power}}}, 0});
  all.push_back({{"interval", HTMuon{.interval = 2, .weight_decay = 0, .scale = ScaleMode::dual_norm, .map = svd}}, 1});
  all.push_back({{"NorMuon", NorMuon{}}, 0});
  all.push_back({{"Lion", Lion{}}, 0});
  all.push_back({{"AdamW", AdamW{.epsilon = smallest, .weight_decay = 0}}, 0});
  all.push_back({{"SGD", SGD{}}, 1});
  all.push_back({{"SGD, Nesterov", SGD{.momentum = {.nesterov = true}}}, 1});
  return all;
}

/// Entries below 1 in 64ths, so that they are exact also as subnormal numbers.
Matrix gradient_of(unsigned step) {
  return (4 * conditioned_gaussian(rows, cols, step)).unaryExpr([](double x) { return std::round(x) / 64; });
}

template <class T>
Matrix weight_after_steps(const RuleLine& line, double size) {
  Training<T> training(line);
  const auto& p = training.add("w", {1, rows, cols}, Storage::right, 1);
  p.w.assign(0, Matrix::Zero(rows, cols));
  for (unsigned step = 1; step <= 4; ++step) {
    p.g.assign(0, size * gradient_of(step));
    training.step();
  }
  CHECK(training.optimizer.skipped_steps(training.exec) == 0);
  return p.w.matrix(0);
}

template <class T>
void check_sizes(const std::vector<int>& binary_exponents) {
  using Limits = std::numeric_limits<T>;
  for (const auto& [line, exponent] : scaled_rules(double(Limits::min()))) {
    CAPTURE(line.name);
    reference::Parameter expected(Matrix::Zero(rows, cols));
    for (unsigned step = 1; step <= 4; ++step) {
      reference::Options options = reference_of(line, step);
      if (options.algorithm == reference::Algorithm::adamw) options.epsilon = 1e-300;
      expected.step(gradient_of(step), options);
    }
    double worst = 0;
    for (const int binary : binary_exponents) {
      CAPTURE(binary);
      const double size = std::ldexp(1.0, binary), step = binary * exponent;
      if (step > Limits::max_exponent - 4 || step < Limits::min_exponent + Limits::digits + 8) continue;
      if (std::get_if<AdamW>(&line.rule) != nullptr && size < 1e8 * double(Limits::min())) continue;  // beside epsilon
      const Matrix w = weight_after_steps<T>(line, size);
      // Exponents such as (1 − p)/(1 + p) are rounded, half a unit, and multiply ln(size): below 710 in double, 90 in
      // float. Subnormal numbers have fewer digits, in momenta as everywhere.
      const double subnormal = double(Limits::denorm_min()) / size;
      const double bound = (sizeof(T) == 8 ? 1000 : 64) * epsilon<T> + 1024 * subnormal;
      const double error =
          max_abs(std::exp2(-step / 2) * (std::exp2(-step / 2) * w) - expected.w()) / expected.travel();
      CHECK(error <= bound);
      worst = std::max(worst, error / bound);
    }
    if (worst > 0.2) MESSAGE(line.name << ": " << worst << " of the bound");
  }
}

}  // namespace

TEST_CASE("steps of double are right at 1e±220, 1e±300 and for subnormal gradients, in every scale and rule") {
  check_sizes<double>({0, 731, -731, 997, -997, -1022, -1045});
}

TEST_CASE("steps of float are right at 1e±30, 1e±38 and for subnormal gradients, in every scale and rule") {
  check_sizes<float>({0, 100, -100, 126, -126, -135});
}

namespace {

/// O(p) of NorMuon in double, in units of c^p, with its epsilons where they have a part.
template <class T>
void check_normuon(double power, int binary) {
  const NorMuon rule{.power = power, .momentum = {.beta = 0, .nesterov = false}, .scale = ScaleMode::none, .map = svd};
  Training<T> training(RuleLine{"NorMuon", rule});
  const auto& p = training.add("w", {1, rows, cols}, Storage::right, 1);
  p.w.assign(0, Matrix::Zero(rows, cols));
  p.g.assign(0, std::ldexp(1.0, binary) * gradient_of(1));
  training.step();
  // D_i = O_i/√((1 − β₂)mean O_i² + ε), times ‖O‖/(‖D‖ + ε), all of it in units of c^p.
  const double unit = std::exp2(-power * binary);
  const Matrix o = reference::spectral_power(gradient_of(1), power, reference::Scale::none).d;
  Matrix d = o;
  for (Eigen::Index i = 0; i < o.rows(); ++i) {
    d.row(i) /= std::hypot(std::sqrt((1 - rule.beta2) / cols) * o.row(i).norm(), std::sqrt(rule.epsilon) * unit);
  }
  // d is D itself: the units cancel.
  const Matrix expected = -rule.lr * d * (o.norm() / unit / (d.norm() + rule.epsilon));
  CAPTURE(power);
  CAPTURE(binary);
  CHECK(max_abs(p.w.matrix(0) - expected) <= 1000 * epsilon<T> * max_abs(expected));
}

}  // namespace

TEST_CASE("NorMuon with a power is right wherever its direction can be written down") {
  for (const double power : {0.125, 0.5, 1.0}) {
    for (const int binary : {100, -100, 731, -400, 997}) check_normuon<double>(power, binary);
    for (const int binary : {30, -30, 60, 100, 120}) check_normuon<float>(power, binary);
  }
}

TEST_CASE_TEMPLATE("a learning rate of zero moves nothing at any size", T, float, double) {
  using Limits = std::numeric_limits<T>;
  std::vector<Scaled> all = scaled_rules(double(Limits::min()));
  all.push_back({{"NorMuon 1", NorMuon{.power = 1, .map = svd}}, 1});
  for (auto& [line, exponent] : all) {
    CAPTURE(line.name);
    std::visit([](auto& rule) { rule.lr = 0; }, line.rule);
    for (const int binary : {0, Limits::max_exponent - 2, Limits::min_exponent - 8}) {
      CAPTURE(binary);
      Training<T> training(line);
      const auto& p = training.add("w", {1, rows, cols}, Storage::right, 1);
      const Matrix start = p.w.matrix(0);
      for (unsigned step = 1; step <= 3; ++step) {
        p.g.assign(0, std::ldexp(1.0, binary) * gradient_of(step));
        training.step();
      }
      CHECK(same_bits(p.w.matrix(0), start));
    }
  }
}

TEST_CASE_TEMPLATE("AdamW and Lion take full steps for the largest number there is, whatever its sign", T, float,
                   double) {
  const double largest = double(std::numeric_limits<T>::max());
  for (const RuleLine& line :
       {RuleLine{"AdamW", AdamW{.lr = 0.25, .weight_decay = 0}}, RuleLine{"Lion", Lion{.lr = 0.25}}}) {
    CAPTURE(line.name);
    Training<T> training(line);
    const auto& p = training.add("w", {1, rows, cols}, Storage::right, 1);
    const Matrix signs = gaussian(rows, cols, 2).unaryExpr([](double x) { return x < 0 ? -1.0 : 1.0; });
    p.w.assign(0, Matrix::Zero(rows, cols));
    p.g.assign(0, largest * signs);
    for (int step = 0; step < 20; ++step) training.step();
    CHECK(max_abs(p.w.matrix(0) + 5 * signs) <= 5 * 20 * epsilon<T>);
    for (int step = 0; step < 20; ++step) {
      p.g.assign(0, (step % 2 == 0 ? -largest : largest) * signs);
      training.step();
    }
    for (const StateArray& array : training.state("w")) CHECK(std::isfinite(max_abs(array.matrices[0])));
  }
}

TEST_CASE("decay keeps its digits however small lr·weight_decay is") {
  constexpr unsigned steps = 20;
  const Shape shape{1, 16, 256};
  const double size = double(shape.rows * shape.cols), ulp = epsilon<float>;  // of numbers in [1, 2)
  for (const double decay : {1e-8, 3e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3}) {
    const double lr = 1e-3;
    const std::vector<RuleLine> lines{{"SGD", SGD{.lr = lr, .weight_decay = decay / lr}},
                                      {"AdamW", AdamW{.lr = lr, .weight_decay = decay / lr}},
                                      {"Lion", Lion{.lr = lr, .weight_decay = decay / lr}},
                                      {"Muon", Muon{.lr = lr, .weight_decay = decay / lr}}};
    for (const RuleLine& line : lines) {
      CAPTURE(decay);
      CAPTURE(line.name);
      Training<float> training(line);
      const auto& p = training.add("w", shape, Storage::right, 1);
      const Matrix start =
          rounded<float>(p.start(0).unaryExpr([](double x) { return 1.25 + 0.5 * std::abs(std::sin(x)); }));
      p.w.assign(0, start);
      reference::Parameter expected(start);
      for (unsigned number = 1; number <= steps; ++number) {
        const Matrix g = rounded<float>(gaussian(shape.rows, shape.cols, number));
        p.g.assign(0, g);
        training.step();
        expected.step(g, reference_of(line, number));
      }
      const Matrix error = p.w.matrix(0) - expected.w();
      // Each step rounds each weight once, half a unit; 3 more for the rounding of the direction in all steps.
      CHECK(max_abs(error) <= (steps / 2 + 3) * ulp);
      // Where steps are spread over many units, these roundings have no direction: five standard deviations of their
      // mean. 1 − decay, rounded, would be off by up to half a unit in each step for all weights together.
      if (line.name == "AdamW" || line.name == "Lion") continue;  // their first steps are all of one size
      CHECK(std::abs(error.mean()) <= 5 * ulp * std::sqrt(steps / 12.0 / size) + 1e-7 * decay * steps);
    }
  }
}

TEST_CASE("averages of a beta near 1 keep their size") {
  constexpr std::size_t n = 64;
  for (const auto& [beta, steps] : {std::pair{0.9999, 10000U}, std::pair{0.999999, 50000U}}) {
    CAPTURE(beta);
    Optimizer<float, SerialExec, linalg::PortableBackend> optimizer;
    const SerialExec exec;
    const GroupId adamw = optimizer.add_group(AdamW{.beta1 = beta, .beta2 = beta});
    const GroupId sgd = optimizer.add_group(SGD{.momentum = {.beta = beta, .kind = MomentumKind::ema}});
    const GroupId lion = optimizer.add_group(Lion{.beta2 = beta});
    using View = Kokkos::View<float*, Kokkos::HostSpace>;
    const View w("w", n), x("x", n), y("y", n), g("g", n);
    optimizer.add(adamw, "adamw", w, g);
    optimizer.add(sgd, "sgd", x, g);
    optimizer.add(lion, "lion", y, g);
    // From their mean on. Gradients of few values would be rounded in one direction throughout.
    HostState<float> ones("ones", 1, 1, n), roots("roots", 1, 1, n);
    for (std::size_t k = 0; k < n; ++k) {
      ones(0, 0, k) = 1;
      roots(0, 0, k) = std::sqrt(4.0F / 3);
    }
    for (const char* const name : {"adamw", "sgd", "lion"}) optimizer.write_state(exec, name, "momentum", ones);
    optimizer.write_state(exec, "adamw", "second_moment_root", roots);
    std::vector<double> m(n, 1), v(n, double(std::sqrt(4.0F / 3)) * double(std::sqrt(4.0F / 3)));
    std::minstd_rand random(1);
    for (unsigned step = 0; step < steps; ++step) {
      for (std::size_t k = 0; k < n; ++k) {
        g(k) = float(random() - random.min()) / float(random.max() - random.min()) * 2;
        const double next = double(g(k));
        m[k] += (1 - beta) * (next - m[k]);
        v[k] += (1 - beta) * (next * next - v[k]);
      }
      optimizer.step(exec);
    }
    double momentum = 0, root = 0;
    for (std::size_t k = 0; k < n; ++k) {
      for (const char* const name : {"adamw", "sgd", "lion"}) {
        momentum =
            std::max(momentum, std::abs(double(optimizer.read_state(exec, name, "momentum")(0, 0, k)) / m[k] - 1));
      }
      const double r = double(optimizer.read_state(exec, "adamw", "second_moment_root")(0, 0, k));
      root = std::max(root, std::abs(r / std::sqrt(v[k]) - 1));
    }
    // A walk of `steps` roundings of at most half a unit each, four standard deviations. beta itself, rounded to float,
    // would make the momentum too small by 1.6e-4·(1 − 1/e), and by 1.3e-2·(1 − e^-0.05).
    const double bound = 4 * epsilon<float> * std::sqrt(double(steps) / 12);
    MESSAGE(beta << ": momentum off by " << momentum << ", root of the second moment by " << root << ", bound "
                 << bound);
    CHECK(momentum <= bound);
    // The root has no such form: one unit in each step at worst.
    CHECK(root <= epsilon<float> * std::min(double(steps), 1 / (1 - beta)));
  }
}
