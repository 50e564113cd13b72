// SPDX-License-Identifier: BSD-3-Clause
// Rules with a spectral map on some steps, in some balls, of other gradients or of preconditioned ones, beside plain loops.

#include "support/spectral_references.hpp"
#include <schatten/optim/rules/lion_muon.hpp>
#include <schatten/optim/rules/mars_m.hpp>
#include <schatten/optim/rules/newton_muon.hpp>
#include <schatten/optim/rules/scion.hpp>

#include <Eigen/LU>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr MapOptions svd{.method = SpectralMethod::svd};

Matrix signs(Matrix x) {
  for (Eigen::Index k = 0; k < x.size(); ++k) x(k) = x(k) > 0 ? 1 : (x(k) < 0 ? -1 : 0);
  return x;
}

class LionMuonReference {
 public:
  LionMuonReference(const LionMuon& rule, const Matrix& start) : o_(rule), m_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    const Matrix u = o_.beta1 * m_ + (1 - o_.beta1) * g;
    m_ = o_.beta2 * m_ + (1 - o_.beta2) * g;
    const double scale = shape_factor(o_.scale, double(w.rows()), double(w.cols()));
    if (number_++ % o_.interval == 0) return w - o_.lr * (o_.weight_decay * w + scale * map_of(o_.map, o_.power, u));
    return w - o_.lion_lr * (o_.weight_decay * w + signs(u));
  }

 private:
  LionMuon o_;
  Matrix m_;
  std::size_t number_ = 0;
};

class ScionReference : public MomentumReference {
 public:
  ScionReference(const Scion& rule, const Matrix& start) : MomentumReference(rule.momentum, start), o_(rule) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    const Matrix u = average(g);
    return w - o_.lr * (o_.weight_decay * w + o_.radius * farthest(u));
  }

 private:
  [[nodiscard]] Matrix farthest(const Matrix& u) const {
    const auto rows = double(u.rows()), cols = double(u.cols());
    Matrix d = u;
    switch (o_.ball) {
      case ScionBall::spectral: return shape_factor(o_.scale, rows, cols) * map_of(o_.map, o_.power, u);
      case ScionBall::sign: return signs(u) / cols;
      case ScionBall::column_norm:
        for (Eigen::Index j = 0; j < u.cols(); ++j) d.col(j) /= std::sqrt(u.col(j).squaredNorm() / rows) + o_.epsilon;
        return d;
      case ScionBall::row_norm:
        for (Eigen::Index i = 0; i < u.rows(); ++i) d.row(i) /= u.row(i).norm() * std::sqrt(cols) + o_.epsilon;
        return d;
      case ScionBall::bias:
        for (Eigen::Index i = 0; i < u.rows(); ++i) d.row(i) /= std::sqrt(u.row(i).squaredNorm() / cols) + o_.epsilon;
        return d;
    }
    return d;
  }
  Scion o_;
};

class MARSMReference : public MomentumReference {
 public:
  MARSMReference(const MARSM& rule, const Matrix& start)
      : MomentumReference(rule.momentum, start), o_(rule), before_(0 * start) {}
  void observe(const Matrix& input) {
    if (o_.difference.exact) before_ = input;
  }
  Matrix step(const Matrix& w, const Matrix& g) {
    const double beta = o_.momentum.beta;
    const bool plain = first_ && o_.difference.first == FirstGradient::itself;
    Matrix c = plain ? g : Matrix(g + o_.difference.gamma * beta / (1 - beta) * (g - before_));
    if (o_.clip && c.norm() > 1) c /= c.norm();
    if (!o_.difference.exact) before_ = g;
    first_ = false;
    return apply(w, o_, map_of(o_.map, o_.power, average(c)));
  }

 private:
  MARSM o_;
  Matrix before_;
  bool first_ = true;
};

class NewtonMuonReference : public MomentumReference {
 public:
  NewtonMuonReference(const NewtonMuon& rule, const Matrix& start)
      : MomentumReference(rule.momentum, start),
        o_(rule),
        moment_(o_.initial * Matrix::Identity(start.cols(), start.cols())),
        inverse_(Matrix::Identity(start.cols(), start.cols())) {}
  void observe(const Matrix& z) {
    moment_ = o_.rho * moment_ + (1 - o_.rho) / double(z.rows()) * z.transpose() * z;
    const double shift = o_.ridge * moment_.trace() / double(moment_.rows()) + o_.epsilon;
    inverse_ = (moment_ + shift * Matrix::Identity(moment_.rows(), moment_.rows())).inverse();
  }
  Matrix step(const Matrix& w, const Matrix& g) {
    return apply(w, o_, map_of(o_.map, o_.power, average(g * inverse_)));
  }

 private:
  NewtonMuon o_;
  Matrix moment_, inverse_;
};

}  // namespace

TEST_CASE("LionMuon") {
  const auto make = [](const LionMuon& rule, const Matrix& w) { return LionMuonReference(rule, w); };
  check_rule(LionMuon{.interval = 3, .lion_lr = 1e-3, .weight_decay = 0.1}, make, {.period = 3});
  check_agreement(LionMuon{.power = 0.125, .interval = 2, .scale = ScaleMode::original, .map = svd}, make);
  check_agreement(LionMuon{.beta1 = 0.9, .beta2 = 0.9, .interval = 1}, make);
}

TEST_CASE("Scion in every ball") {
  const auto make = [](const Scion& rule, const Matrix& w) { return ScionReference(rule, w); };
  check_rule(Scion{.lr = 1e-3}, make);
  check_agreement(
      Scion{.lr = 1e-3, .power = 0.25, .radius = 2, .weight_decay = 0, .scale = ScaleMode::original, .map = svd}, make);
  check_agreement(Scion{.ball = ScionBall::sign}, make, {.shapes = shapes_and_vector()});
  check_rule(Scion{.ball = ScionBall::column_norm}, make);
  check_agreement(Scion{.ball = ScionBall::row_norm}, make);
  check_agreement(Scion{.ball = ScionBall::bias}, make, {.shapes = shapes_and_vector()});
}

TEST_CASE("MARS-M and MARS-Shampoo") {
  const auto make = [](const MARSM& rule, const Matrix& w) { return MARSMReference(rule, w); };
  check_rule(MARSM{}, make);
  check_agreement(MARSM{.power = 0.125, .clip = false, .map = svd}, make);
  check_agreement(mars_shampoo, make);
  MARSM published = mars_shampoo;
  published.difference.first = FirstGradient::zero;
  published.clip = false;
  check_agreement(published, make);
  MARSM exact;
  exact.difference.exact = true;
  check_agreement(exact, make, {.observed = [](unsigned) { return true; }});
}

TEST_CASE("Newton-Muon") {
  const auto make = [](const NewtonMuon& rule, const Matrix& w) { return NewtonMuonReference(rule, w); };
  const RuleChecks checks{.observed = [](unsigned number) { return number % 3 == 0; },
                          .observed_shape =
                              [](const Shape& shape) {
                                return Shape{shape.batch, 12, shape.cols};
                              }};
  check_rule(NewtonMuon{.weight_decay = 0.1}, make, checks);
  check_agreement(NewtonMuon{.power = 0.125, .map = svd}, make, checks);
}
