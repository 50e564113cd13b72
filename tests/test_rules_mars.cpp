// SPDX-License-Identifier: BSD-3-Clause
// MARS in its forms, beside plain loops.
// labels: portable

#include "support/rule_checks.hpp"
#include <schatten/optim/rules/mars.hpp>
#include <schatten/optim/rules/mars_lion.hpp>

namespace {

using namespace schatten;
using namespace schatten::test;

template <class R>
class MarsReference {
 public:
  MarsReference(const R& rule, const Matrix& start) : o_(rule), m_(0 * start), v_(0 * start), before_(0 * start) {}
  void observe(const Matrix& input) { before_ = input; }
  Matrix step(const Matrix& w, const Matrix& g) {
    ++t_;
    const double beta = o_.beta1, kappa = o_.gamma * beta / (1 - beta);
    Matrix c = g + kappa * (g - before_);
    if (t_ == 1 && !o_.corrects_first) c = g;
    if (c.norm() > 1) c /= c.norm();
    if (!o_.exact) before_ = g;
    Matrix next = w - o_.lr * o_.weight_decay * w;
    for (Eigen::Index k = 0; k < g.size(); ++k) {
      m_(k) = beta * m_(k) + (1 - beta) * c(k);
      if constexpr (requires { o_.beta2; }) {
        v_(k) = o_.beta2 * v_(k) + (1 - o_.beta2) * c(k) * c(k);
        const double root = std::sqrt(v_(k) / (1 - std::pow(o_.beta2, t_)));
        next(k) -= o_.lr * (m_(k) / (1 - std::pow(beta, t_)) / (root + o_.epsilon));
      } else if (m_(k) != 0) {
        next(k) -= o_.lr * (m_(k) > 0 ? 1 : -1);
      }
    }
    return next;
  }

 private:
  R o_;
  Matrix m_, v_, before_;
  int t_ = 0;
};

constexpr auto make = []<class R>(const R& rule, const Matrix& start) { return MarsReference<R>(rule, start); };

const RuleChecks any_shape{.shapes = shapes_and_vector()};
/// The caller's g⁻ comes before each step, but not before all.
const RuleChecks with_input{.shapes = shapes_and_vector(), .observed = [](unsigned number) { return number % 4 != 3; }};

/// A 1×2 matrix of zeros and its gradient.
template <class R>
class OneStep {
 public:
  explicit OneStep(const R& rule) : training_(rule) { training_.add("w", {1, 1, 2}, Storage::right, 1); }
  /// The weight after a step from where it is, of this gradient.
  Matrix step(double a, double b) {
    training_.at("w").g.assign(0, Matrix{{a, b}});
    training_.step();
    return training_.weights("w")[0];
  }
  Matrix zero() {
    training_.at("w").w.assign(0, Matrix{{0.0, 0.0}});
    return training_.weights("w")[0];
  }
  [[nodiscard]] Matrix state(const std::string& name) {
    for (const StateArray& array : training_.state("w")) {
      if (array.name == name) return array.matrices[0];
    }
    return {};
  }

 private:
  Training<double> training_;
};

}  // namespace

TEST_CASE("MARS") {
  check_rule(MARS{.weight_decay = 0.1}, make, any_shape);
  check_agreement(MARS{.gamma = 0.2, .corrects_first = true}, make, any_shape);
}

TEST_CASE("MARS with the caller's gradients") {
  check_rule(MARS{.exact = true, .weight_decay = 0.1}, make, with_input);
}

TEST_CASE("MARSLion") { check_rule(MARSLion{.weight_decay = 0.1}, make, any_shape); }

TEST_CASE("the first gradient counts once, or by the code 1 + κ times; what exceeds norm 1 is clipped") {
  const double kappa = 0.025 * 0.95 / (1 - 0.95);
  const auto first_momentum = [](bool corrects, double a, double b) {
    OneStep<MARS> one(MARS{.corrects_first = corrects});
    (void)one.step(a, b);
    return Matrix(one.state("momentum") / (1 - 0.95));
  };
  const Matrix g{{0.125, -0.0625}};
  CHECK(max_abs(first_momentum(false, g(0), g(1)) - g) <= 1e-15);
  CHECK(max_abs(first_momentum(true, g(0), g(1)) - (1 + kappa) * g) <= 1e-15);
  CHECK(max_abs(first_momentum(false, 3, -4) - Matrix{{0.6, -0.8}}) <= 1e-15);
  CHECK(max_abs(first_momentum(true, 0, 0)) == 0);
}

TEST_CASE("MARSLion: the sign of zero is zero, and weights rest when their gradients have died") {
  OneStep<MARSLion> one(MARSLion{.lr = 0.5});
  (void)one.zero();
  const Matrix first = one.step(0, -2);
  CHECK(first(0) == 0);
  CHECK(first(1) == 0.5);
  for (int k = 0; k < 600; ++k) (void)one.step(0, 0);
  const Matrix rested = one.step(0, 0);
  for (int k = 0; k < 100; ++k) CHECK(same_bits(one.step(0, 0), rested));
}

TEST_CASE("a correction that is no number of its own is the largest that is") {
  OneStep<MARS> one(MARS{.lr = 0.5, .gamma = 1e308});
  (void)one.step(1, -1);
  CHECK(std::isfinite(max_abs(one.step(1, -2))));  // the first difference is zero, the second is not
}

TEST_CASE("matrices without elements are counted, and no rule meets them") {
  using Host = Kokkos::HostSpace;
  Training<double> training(MARS{});
  const Kokkos::View<double**, Host> no_rows("w", 0, 4), no_cols("v", 4, 0), g("g", 0, 4), h("h", 4, 0);
  training.optimizer.add(training.group, "no rows", no_rows, g);
  training.optimizer.add(training.group, "no columns", no_cols, h);
  training.optimizer.step(training.exec);
  training.optimizer.direction(training.exec);
  training.optimizer.apply(training.exec);
  for (const ParameterCounts& counts : training.optimizer.read_counts(training.exec)) {
    CHECK(counts.applied == std::vector<long long>{2});
  }
}
