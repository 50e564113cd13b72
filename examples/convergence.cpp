// SPDX-License-Identifier: BSD-3-Clause
// The rate of stochastic steepest descent in Schatten norms, measured against its bound.
//
// X ← X − ηD with D = UΣ^pVᵀ/‖Σ^p‖_q of the averaged gradient. The bound on the mean over T steps of the gradient's
// dual norm ‖∇f‖_{S_q*}, q* = 1 + p, is derived in docs/steepest_descent.md. Both functions here are smooth and not
// convex, and what the bound needs of them is known. Every step is checked against the inequality that the bound adds
// up. convergence --quick takes a second.
#include <schatten/schatten.hpp>

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

using Exec = Kokkos::DefaultHostExecutionSpace;
using Matrix = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;
constexpr std::size_t rows = 16, cols = 12, entries = rows * cols;

// x²/(1 + x²): its slope has the Lipschitz constant 2 and is at most 3√3/8; the second derivative goes down to −1/2.
double loss_of(double x) { return x * x / (1 + x * x); }
double slope_of(double x) { return 2 * x / ((1 + x * x) * (1 + x * x)); }
const double steepest_slope = 3 * std::sqrt(3.0) / 8;

// ‖M‖_{S_q*} <= ρ‖M‖_F and ‖M‖_F <= ρ‖M‖_{S_q} for matrices of this size: ρ = cols^{1/q* − 1/2}.
double equivalence(double p) { return std::pow(double(cols), (1 - p) / (2 * (1 + p))); }

class Problem {
 public:
  virtual ~Problem() = default;
  virtual const char* name() const = 0;
  // f(X); G ← its gradient.
  virtual double evaluate(const Matrix& x, const Matrix& g) const = 0;
  // G ← mean of `batch` independent gradients whose expectation is the gradient `exact` at X.
  virtual void sample(const Matrix& x, const Matrix& exact, std::size_t batch, std::mt19937_64& random,
                      const Matrix& g) const = 0;
  // L: ‖∇f(X) − ∇f(Y)‖_{S_q*} <= L‖X − Y‖_{S_q}.
  virtual double lipschitz(double p) const = 0;
  // σ: E‖G − ∇f‖_F² <= σ²/batch.
  virtual double deviation() const = 0;
};

// f(X) = Σ_ij loss(X_ij − T_ij), gradients with independent normal noise: L = 2 for the Frobenius norm.
class Elements : public Problem {
 public:
  explicit Elements(std::mt19937_64& random) {
    std::normal_distribution<double> normal;
    for (std::size_t k = 0; k < entries; ++k) target_.data()[k] = normal(random);
  }
  const char* name() const override { return "elements"; }
  double evaluate(const Matrix& x, const Matrix& g) const override {
    double sum = 0;
    for (std::size_t k = 0; k < entries; ++k) {
      const double residual = x.data()[k] - target_.data()[k];
      sum += loss_of(residual);
      g.data()[k] = slope_of(residual);
    }
    return sum;
  }
  void sample(const Matrix&, const Matrix& exact, std::size_t batch, std::mt19937_64& random,
              const Matrix& g) const override {
    std::normal_distribution<double> normal(0, noise / std::sqrt(double(batch)));
    for (std::size_t k = 0; k < entries; ++k) g.data()[k] = exact.data()[k] + normal(random);
  }
  double lipschitz(double p) const override { return 2 * equivalence(p) * equivalence(p); }
  double deviation() const override { return noise * std::sqrt(double(entries)); }

 private:
  static constexpr double noise = 0.2;
  Matrix target_{"target", rows, cols};
};

// f(X) = mean of loss(a_iᵀ(X − T)b_i) with unit vectors a_i, b_i; gradients of i drawn at random. All Schatten norms of
// a_i b_iᵀ are 1, so that L = 2 for every q.
class Measurements : public Problem {
 public:
  explicit Measurements(std::mt19937_64& random) {
    std::normal_distribution<double> normal;
    const auto fill = [&](const Matrix& m, double length) {
      for (std::size_t i = 0; i < m.extent(0); ++i) {
        double squares = 0;
        for (std::size_t j = 0; j < m.extent(1); ++j) {
          m(i, j) = normal(random);
          squares += m(i, j) * m(i, j);
        }
        for (std::size_t j = 0; j < m.extent(1); ++j) m(i, j) *= length / std::sqrt(squares);
      }
    };
    fill(left_, 1);
    fill(right_, 1);
    fill(target_, 2 * std::sqrt(double(cols)));
  }
  const char* name() const override { return "measurements"; }
  double evaluate(const Matrix& x, const Matrix& g) const override {
    Kokkos::deep_copy(g, 0.0);
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += add(x, i, 1.0 / count, g);
    return sum / count;
  }
  void sample(const Matrix& x, const Matrix&, std::size_t batch, std::mt19937_64& random,
              const Matrix& g) const override {
    Kokkos::deep_copy(g, 0.0);
    for (std::size_t k = 0; k < batch; ++k) add(x, random() % count, 1 / double(batch), g);
  }
  double lipschitz(double) const override { return 2; }
  double deviation() const override { return steepest_slope; }

 private:
  // Adds weight times the gradient of loss i to G; returns the loss.
  double add(const Matrix& x, std::size_t i, double weight, const Matrix& g) const {
    double residual = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) residual += left_(i, r) * (x(r, c) - target_(r, c)) * right_(i, c);
    }
    const double slope = weight * slope_of(residual);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) g(r, c) += slope * left_(i, r) * right_(i, c);
    }
    return loss_of(residual);
  }

  static constexpr std::size_t count = 32;
  Matrix left_{"left", count, rows}, right_{"right", count, cols}, target_{"target", rows, cols};
};

struct Settings {
  double p = 0;
  std::size_t steps = 0;
  std::size_t batch = 0;  // 0: exact gradients
  double beta = 0, lr = 0;
  double bound = 0;
};

// β and lr for which the bound is least: β in {0, 1/2, 3/4, …}.
Settings best_settings(const Problem& problem, double p, std::size_t steps, std::size_t batch) {
  const Exec exec;
  const Matrix start("start", rows, cols), gradient("gradient", rows, cols);
  const double gap = problem.evaluate(start, gradient);  // f >= 0
  const double first = schatten::schatten_norm(exec, gradient, 1 + p);
  const double noise = batch == 0 ? 0 : problem.deviation() / std::sqrt(double(batch));
  Settings best{p, steps, batch, 0, 0, std::numeric_limits<double>::infinity()};
  for (double rest = 1; rest > 1e-3; rest /= 2) {  // 1 − β
    const double beta = 1 - rest;
    const double curvature = problem.lipschitz(p) * (0.5 + 2 * beta / rest);
    const double lr = std::sqrt(gap / (double(steps) * curvature));
    const double bound = gap / (lr * double(steps)) + lr * curvature +
                         2 * equivalence(p) * noise * std::sqrt(rest / (1 + beta)) +
                         2 * beta * first / (rest * double(steps));
    if (bound < best.bound) best = {p, steps, batch, beta, lr, bound};
  }
  return best;
}

struct Measured {
  double mean = 0, least = 0;  // of ‖∇f‖_{S_q*} over the steps
  int broken = 0;              // steps that break the inequality
};

Measured descend(const Problem& problem, const Settings& s, unsigned seed) {
  const Exec exec;
  std::mt19937_64 random(seed);
  const Matrix x("X", rows, cols), exact("gradient", rows, cols), g("G", rows, cols), m("M", rows, cols),
      error("M - gradient", rows, cols);
  schatten::Optimizer<double, Exec> optimizer;
  const auto group = optimizer.add_group(schatten::HTMuon{.lr = s.lr,
                                                          .power = s.p,
                                                          .momentum = {.beta = s.beta, .nesterov = false},
                                                          .weight_decay = 0,
                                                          .scale = schatten::ScaleMode::unit_norm,
                                                          .map = {.method = schatten::SpectralMethod::svd}});
  optimizer.add(group, "X", x, g);
  Measured result;
  result.least = std::numeric_limits<double>::infinity();
  double f = problem.evaluate(x, exact);
  for (std::size_t t = 0; t < s.steps; ++t) {
    if (s.batch == 0) {
      Kokkos::deep_copy(g, exact);
    } else {
      problem.sample(x, exact, s.batch, random, g);
    }
    for (std::size_t k = 0; k < entries; ++k) {
      m.data()[k] = s.beta * m.data()[k] + (1 - s.beta) * g.data()[k];
      error.data()[k] = m.data()[k] - exact.data()[k];
    }
    const double norm = schatten::schatten_norm(exec, exact, 1 + s.p);
    const double missed = schatten::schatten_norm(exec, error, 1 + s.p);
    result.mean += norm / double(s.steps);
    result.least = std::min(result.least, norm);
    optimizer.step(exec);
    exec.fence();
    const double allowed = f - s.lr * norm + 2 * s.lr * missed + problem.lipschitz(s.p) * s.lr * s.lr / 2;
    f = problem.evaluate(x, exact);
    if (f > allowed + 1e-10) ++result.broken;
  }
  return result;
}

// The slope of ln y over ln x from the first to the last.
double exponent(const std::vector<double>& x, const std::vector<double>& y) {
  return std::log(y.back() / y.front()) / std::log(x.back() / x.front());
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  const bool quick = argc > 1 && std::string(argv[1]) == "--quick";
  const std::vector<std::size_t> lengths =
      quick ? std::vector<std::size_t>{16, 64} : std::vector<std::size_t>{64, 256, 1024, 4096};
  const unsigned seeds = quick ? 1 : 3;
  std::mt19937_64 random(1);
  const Elements elements(random);
  const Measurements measurements(random);
  int failures = 0;
  std::printf("%-13s %-6s %6s %6s %6s %7s %10s %10s %10s %10s %7s\n", "f", "p", "q*", "batch", "steps", "beta", "lr",
              "mean", "least", "bound", "ratio");
  for (const Problem* const problem :
       {static_cast<const Problem*>(&elements), static_cast<const Problem*>(&measurements)}) {
    for (const std::size_t batch : {std::size_t{0}, std::size_t{16}}) {
      for (const double p : {0.0, 0.125, 0.5, 1.0}) {
        std::vector<double> lengths_run, means, bounds;
        for (const std::size_t steps : lengths) {
          const Settings settings = best_settings(*problem, p, steps, batch);
          const unsigned runs = batch == 0 ? 1 : seeds;
          Measured all;
          for (unsigned seed = 0; seed < runs; ++seed) {
            const Measured one = descend(*problem, settings, seed + 1);
            all.mean += one.mean / runs;
            all.least += one.least / runs;
            all.broken += one.broken;
          }
          std::printf("%-13s %-6.4g %6.4g %6s %6zu %7.4g %10.3e %10.4f %10.4f %10.4f %7.2f\n", problem->name(), p,
                      1 + p, batch == 0 ? "exact" : std::to_string(batch).c_str(), steps, settings.beta, settings.lr,
                      all.mean, all.least, settings.bound, settings.bound / all.mean);
          if (!(all.mean <= settings.bound)) {
            ++failures;
            std::printf("FAILED: the mean is above the bound\n");
          }
          if (all.broken > 0) {
            ++failures;
            std::printf("FAILED: %d steps break the inequality of a step\n", all.broken);
          }
          lengths_run.push_back(double(steps));
          means.push_back(all.mean);
          bounds.push_back(settings.bound);
        }
        std::printf("%-13s %-6.4g %6.4g %6s  ~ steps^%.2f; the bound ~ steps^%.2f\n", problem->name(), p, 1 + p,
                    batch == 0 ? "exact" : std::to_string(batch).c_str(), exponent(lengths_run, means),
                    exponent(lengths_run, bounds));
      }
    }
  }
  std::printf(failures == 0 ? "every mean is below its bound, and every step keeps its inequality\n" : "FAILED\n");
  return failures == 0 ? 0 : 1;
}
