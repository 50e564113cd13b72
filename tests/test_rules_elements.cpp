// SPDX-License-Identifier: BSD-3-Clause
// Adam, SGD with coupled decay, the cautious rules: beside plain loops.
// labels: portable compilers

#include "support/rule_checks.hpp"
#include <schatten/optim/rules/adam.hpp>
#include <schatten/optim/rules/cautious_adamw.hpp>
#include <schatten/optim/rules/cautious_lion.hpp>
#include <schatten/optim/rules/sgd.hpp>

namespace {

using namespace schatten;
using namespace schatten::test;

/// Where a rule has a mask, its factor.
double mask_factor(MaskScale scale, int kept, Eigen::Index size) {
  if (scale == MaskScale::count) return double(size) / (kept + 1);
  return 1 / std::max(double(kept) / double(size), 1e-3);
}

/// Adam with coupled decay; CautiousAdamW.
template <class R>
class AdamReference {
 public:
  AdamReference(const R& rule, const Matrix& start) : o_(rule), m_(0 * start), v_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& gradient) {
    constexpr bool is_cautious = requires { o_.mask_scale; };
    ++t_;
    const double c1 = 1 - std::pow(o_.beta1, t_), c2 = 1 - std::pow(o_.beta2, t_);
    Matrix g = gradient, d = 0 * w;
    if (!is_cautious) g += o_.weight_decay * w;
    int kept = 0;
    for (Eigen::Index k = 0; k < g.size(); ++k) {
      m_(k) = o_.beta1 * m_(k) + (1 - o_.beta1) * g(k);
      v_(k) = o_.beta2 * v_(k) + (1 - o_.beta2) * g(k) * g(k);
      double epsilon = o_.epsilon;
      if constexpr (is_cautious) {
        if (o_.epsilon_placement == EpsilonPlacement::raw) epsilon /= std::sqrt(c2);
        if (!(m_(k) * g(k) > 0)) continue;
        ++kept;
      }
      d(k) = m_(k) / c1 / (std::sqrt(v_(k) / c2) + epsilon);
    }
    if constexpr (is_cautious) {
      d *= mask_factor(o_.mask_scale, kept, d.size());
      return (1 - o_.lr * o_.weight_decay) * w - o_.lr * d;
    }
    return w - o_.lr * d;
  }

 private:
  R o_;
  Matrix m_, v_;
  int t_ = 0;
};

class CautiousLionReference {
 public:
  CautiousLionReference(const CautiousLion& rule, const Matrix& start) : o_(rule), m_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    Matrix d = 0 * w;
    int kept = 0;
    for (Eigen::Index k = 0; k < g.size(); ++k) {
      const double c = o_.beta1 * m_(k) + (1 - o_.beta1) * g(k);
      if (c * g(k) > 0) d(k) = c > 0 ? 1 : -1, ++kept;
      m_(k) = o_.beta2 * m_(k) + (1 - o_.beta2) * g(k);
    }
    d *= mask_factor(o_.mask_scale, kept, d.size());
    return w - o_.lr * (d + o_.weight_decay * w);
  }

 private:
  CautiousLion o_;
  Matrix m_;
};

/// Heavy ball of g + weight_decay·W.
class CoupledSgdReference {
 public:
  CoupledSgdReference(const SGD& rule, const Matrix& start) : o_(rule), m_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    m_ = o_.momentum.beta * m_ + g + o_.weight_decay * w;
    return w - o_.lr * m_;
  }

 private:
  SGD o_;
  Matrix m_;
};

template <class Reference>
constexpr auto make = [](const auto& rule, const Matrix& start) { return Reference(rule, start); };

const RuleChecks any_shape{.shapes = shapes_and_vector()};

}  // namespace

TEST_CASE("Adam") { check_rule(Adam{.weight_decay = 0.1}, make<AdamReference<Adam>>, any_shape); }

TEST_CASE("SGD with coupled decay") {
  check_agreement(SGD{.weight_decay = 0.1, .decay = DecayMode::coupled}, make<CoupledSgdReference>, any_shape);
}

TEST_CASE("CautiousAdamW") {
  using Reference = AdamReference<CautiousAdamW>;
  check_rule(CautiousAdamW{.weight_decay = 0.1}, make<Reference>, any_shape);
  check_agreement(CautiousAdamW{.epsilon = 0.1,
                                .weight_decay = 0.1,
                                .mask_scale = MaskScale::mean,
                                .epsilon_placement = EpsilonPlacement::raw},
                  make<Reference>, any_shape);
}

TEST_CASE("CautiousLion") {
  check_rule(CautiousLion{.lr = 1e-2, .weight_decay = 0.1}, make<CautiousLionReference>, any_shape);
  check_agreement(CautiousLion{.lr = 1e-2, .mask_scale = MaskScale::mean}, make<CautiousLionReference>, any_shape);
}

TEST_CASE(
    "cautious rules: what disagrees or has no gradient stays; few elements that move, move by the factor of the "
    "scale") {
  const auto last_change = []<class R>(R rule, double elsewhere) {
    rule.lr = 1;
    Training<double> training(rule);
    auto& p = training.add("w", {1, 1, 3000, true}, Storage::right, 1);
    p.g.assign(0, Matrix::Constant(1, 3000, 1.0));
    training.step();
    const Matrix before = training.weights("w")[0];
    Matrix g = Matrix::Constant(1, 3000, elsewhere);
    g(5) = 1;
    p.g.assign(0, g);
    training.step();
    return Matrix(before - training.weights("w")[0]);
  };
  for (const double elsewhere : {-0.01, 0.0}) {
    CAPTURE(elsewhere);
    for (const MaskScale scale : {MaskScale::count, MaskScale::mean}) {
      const double factor = scale == MaskScale::count ? 1500 : 1000;
      for (Matrix change : {last_change(CautiousLion{.mask_scale = scale}, elsewhere),
                            last_change(CautiousAdamW{.epsilon = 1e-12, .mask_scale = scale}, elsewhere)}) {
        CHECK(std::abs(change(5) - factor) <= 1e-7);
        change(5) = 0;
        CHECK(max_abs(change) == 0);
      }
    }
  }
}

TEST_CASE("cautious rules: an empty mask moves nothing but by decay") {
  const auto step = [](const auto& rule) {
    Training<double> training(rule);
    auto& p = training.add("w", {1, 2, 2}, Storage::right, 1);
    p.g.assign(0, Matrix::Zero(2, 2));
    training.step();
    return max_abs(training.weights("w")[0] - (1 - 0.5 * 0.25) * p.start(0));
  };
  CHECK(step(CautiousLion{.lr = 0.5, .weight_decay = 0.25}) <= 1e-15);
  CHECK(step(CautiousAdamW{.lr = 0.5, .weight_decay = 0.25, .mask_scale = MaskScale::mean}) <= 1e-15);
}
