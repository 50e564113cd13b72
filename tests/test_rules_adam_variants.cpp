// SPDX-License-Identifier: BSD-3-Clause
// AdEMAMix, Sophia-G and Adam-mini, beside plain loops.
// labels: portable

#include "support/rule_checks.hpp"
#include <schatten/optim/rules/adam_mini.hpp>
#include <schatten/optim/rules/ademamix.hpp>
#include <schatten/optim/rules/sophia_g.hpp>

namespace {

using namespace schatten;
using namespace schatten::test;

class AdEMAMixReference {
 public:
  AdEMAMixReference(const AdEMAMix& rule, const Matrix& start)
      : o_(rule), m_(0 * start), v_(0 * start), n_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    ++t_;
    const double c1 = 1 - std::pow(o_.beta1, t_), c2 = 1 - std::pow(o_.beta2, t_);
    const double beta3 = beta3_now(),
                 alpha = t_ < double(o_.alpha_warmup) ? o_.alpha * t_ / double(o_.alpha_warmup) : o_.alpha;
    Matrix next = w;
    for (Eigen::Index k = 0; k < g.size(); ++k) {
      m_(k) = o_.beta1 * m_(k) + (1 - o_.beta1) * g(k);
      v_(k) = o_.beta2 * v_(k) + (1 - o_.beta2) * g(k) * g(k);
      n_(k) = beta3 * n_(k) + (1 - beta3) * g(k);
      const double slow = o_.corrects_slow ? n_(k) / c1 : n_(k);
      const double d = (m_(k) / c1 + alpha * slow) / (std::sqrt(v_(k) / c2) + o_.epsilon);
      next(k) -= o_.lr * (d + o_.weight_decay * w(k));
    }
    return next;
  }

 private:
  /// By half-lives, in steps: h of β is ln ½/ln β.
  [[nodiscard]] double beta3_now() const {
    if (t_ >= double(o_.beta3_warmup)) return o_.beta3;
    const auto half_life = [&](double beta) { return std::log(0.5) / std::log(beta + o_.warmup_shift); };
    const double share = t_ / double(o_.beta3_warmup);
    return std::pow(0.5, 1 / ((1 - share) * half_life(o_.beta1) + share * half_life(o_.beta3)));
  }
  AdEMAMix o_;
  Matrix m_, v_, n_;
  int t_ = 0;
};

class SophiaReference {
 public:
  SophiaReference(const SophiaG& rule, const Matrix& start) : o_(rule), m_(0 * start), h_(0 * start) {}
  void observe(const Matrix& input) { h_ = o_.beta2 * h_ + (1 - o_.beta2) * input.cwiseProduct(input); }
  Matrix step(const Matrix& w, const Matrix& g) {
    Matrix next = (1 - o_.lr * o_.weight_decay) * w;
    m_ = o_.beta1 * m_ + (1 - o_.beta1) * g;
    for (Eigen::Index k = 0; k < g.size(); ++k) {
      const double most = std::numeric_limits<double>::max();  // an infinite weight counts as the largest number
      const double curvature = std::min(o_.rho * o_.examples, most) * h_(k);
      const bool sum = o_.denominator == SophiaDenominator::sum;
      const double below = sum ? curvature + o_.epsilon : std::max(curvature, o_.epsilon);
      next(k) -= o_.lr * std::clamp(m_(k) / below, -1.0, 1.0);
    }
    return next;
  }

 private:
  SophiaG o_;
  Matrix m_, h_;
};

class AdamMiniReference {
 public:
  AdamMiniReference(const AdamMini& rule, const Matrix& start) : o_(rule), m_(0 * start), v_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    ++t_;
    const double c1 = 1 - std::pow(o_.beta1, t_), c2 = 1 - std::pow(o_.beta2, t_);
    Matrix next = w;
    const Matrix square = mean_squares(g);
    for (Eigen::Index i = 0; i < g.rows(); ++i) {
      for (Eigen::Index j = 0; j < g.cols(); ++j) {
        m_(i, j) = o_.beta1 * m_(i, j) + (1 - o_.beta1) * g(i, j);
        v_(i, j) = o_.beta2 * v_(i, j) + (1 - o_.beta2) * square(i, j);
        const double d = m_(i, j) / c1 / (std::sqrt(v_(i, j) / c2) + o_.epsilon);
        next(i, j) -= o_.lr * (d + o_.weight_decay * w(i, j));
      }
    }
    return next;
  }

 private:
  /// For each element its block's.
  [[nodiscard]] Matrix mean_squares(const Matrix& g) const {
    Matrix square = g.cwiseProduct(g);
    if (o_.blocks == MomentBlocks::elements) return square;
    Eigen::Index rows = 1;
    if (o_.blocks == MomentBlocks::array) rows = g.rows();
    if (o_.blocks == MomentBlocks::heads) rows = g.rows() / Eigen::Index(o_.heads);
    for (Eigen::Index i = 0; i < g.rows(); i += rows) {
      square.middleRows(i, rows).setConstant(Matrix(square.middleRows(i, rows)).mean());
    }
    return square;
  }
  AdamMini o_;
  Matrix m_, v_;
  int t_ = 0;
};

template <class Reference>
constexpr auto make = [](const auto& rule, const Matrix& start) { return Reference(rule, start); };

const RuleChecks any_shape{.shapes = shapes_and_vector()};

}  // namespace

TEST_CASE("AdEMAMix") {
  const auto reference = make<AdEMAMixReference>;
  check_rule(AdEMAMix{.weight_decay = 0.1}, reference, any_shape);
  check_agreement(AdEMAMix{.alpha = 8, .alpha_warmup = 12, .beta3_warmup = 15}, reference, any_shape);
  check_agreement(AdEMAMix{.beta3_warmup = 30, .warmup_shift = 1e-8, .corrects_slow = true}, reference, any_shape);
  check_agreement(AdEMAMix{.beta1 = 0, .beta3 = 0.5, .alpha_warmup = 1}, reference, any_shape);
}

TEST_CASE("AdEMAMix: the slow average begins at β₁ and comes to β₃") {
  const AdEMAMix rule{.alpha_warmup = 100, .beta3_warmup = 100};
  CHECK(rule.beta3_at(100) == 0.9999);
  CHECK(rule.beta3_at(1e6) == 0.9999);
  CHECK(std::abs(rule.beta3_at(1e-9) - 0.9) <= 2e-9);
  CHECK(AdEMAMix{}.beta3_at(1) == 0.9999);
  CHECK(AdEMAMix{.beta1 = 0, .beta3 = 0, .beta3_warmup = 10}.beta3_at(5) == 0);
  // Half of the way of the half-lives: 6.58 steps of 0.9, 6931 of 0.9999.
  CHECK(std::abs(std::log(0.5) / std::log(rule.beta3_at(50)) - (6.5788 + 6931.1) / 2) <= 0.1);
  CHECK_THROWS_AS(Training<double>(AdEMAMix{.beta3 = 1 - 1e-9, .beta3_warmup = 5, .warmup_shift = 1e-8}),
                  InvalidArgument);
}

TEST_CASE("Sophia-G") {
  const auto reference = make<SophiaReference>;
  RuleChecks checks{.shapes = shapes_and_vector(), .observed = [](unsigned number) { return number % 3 == 1; }};
  check_rule(SophiaG{.lr = 1e-2, .examples = 40}, reference, checks);
  check_agreement(SophiaG{.lr = 1e-2, .examples = 40, .epsilon = 0.1, .denominator = SophiaDenominator::sum}, reference,
                  checks);
  check_agreement(SophiaG{.lr = 1e-2, .rho = 1e200, .examples = 1e200, .denominator = SophiaDenominator::sum},
                  reference, {.shapes = checks.shapes});  // ρB is infinite
  checks.observed = [](unsigned) { return false; };       // the sign of the momentum
  check_agreement(SophiaG{.lr = 1e-2}, reference, checks);
}

TEST_CASE("Adam-mini") {
  const auto reference = make<AdamMiniReference>;
  check_rule(AdamMini{.weight_decay = 0.1}, reference, any_shape);
  check_rule(AdamMini{.blocks = MomentBlocks::heads, .heads = 3, .weight_decay = 0.1}, reference,
             {.shapes = {{1, 9, 5}, {1, 6, 9}, {1, 6, 6}, {2, 3, 7}}});
  check_agreement(AdamMini{.blocks = MomentBlocks::array}, reference, any_shape);
  check_agreement(AdamMini{.blocks = MomentBlocks::elements}, reference, any_shape);
  // More than a thread takes at a time, and rows that share a chunk.
  check_agreement(AdamMini{.blocks = MomentBlocks::array}, reference, {.shapes = {{1, 1, 40000, true}, {2, 300, 130}}});
  check_agreement(AdamMini{.blocks = MomentBlocks::heads, .heads = 2}, reference, {.shapes = {{1, 400, 3}}});
}

TEST_CASE("Adam-mini: state by blocks, and heads that do not divide the rows are refused") {
  Training<double> rows(AdamMini{}), heads(AdamMini{.blocks = MomentBlocks::heads, .heads = 4});
  rows.add("w", {2, 8, 3}, Storage::left, 1);
  heads.add("w", {2, 8, 3}, Storage::right, 1);
  rows.step(1);
  heads.step(1);
  CHECK(rows.state("w").at(1).matrices.at(1).size() == 8);
  CHECK(heads.state("w").at(1).matrices.at(1).size() == 4);
  CHECK(contains(message_of<InvalidArgument>([&] { heads.add("v", {1, 6, 3}, Storage::right, 9); }), "heads"));
}
