// SPDX-License-Identifier: BSD-3-Clause
// Rules with a spectral map on some steps, in some balls, of other gradients or of preconditioned ones, beside plain
// loops.
// labels: portable

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
    if (o_.exact) before_ = input;
  }
  Matrix step(const Matrix& w, const Matrix& g) {
    const double beta = o_.momentum.beta;
    const bool plain = first_ && !o_.corrects_first;
    Matrix c = plain ? g : Matrix(g + o_.gamma * beta / (1 - beta) * (g - before_));
    if (o_.clip && c.norm() > 1) c /= c.norm();
    if (!o_.exact) before_ = g;
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
  published.corrects_first = true;
  published.clip = false;
  check_agreement(published, make);
  MARSM exact;
  exact.exact = true;
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

TEST_CASE("LionMuon maps in steps 1, K + 1, 2K + 1, …; the others are signs that decay by their own rate") {
  const Matrix g = conditioned_gaussian(6, 4, 3), start = Matrix::Constant(6, 4, 1.0);
  const LionMuon rule{.interval = 3, .lion_lr = 0.25, .weight_decay = 0.5};
  const std::vector<Matrix> w = weights_after(rule, start, std::vector<Matrix>(7, g));
  for (std::size_t k = 1; k < 7; ++k) {
    const double error = max_abs(w[k] - (w[k - 1] - 0.25 * (0.5 * w[k - 1] + signs(g))));
    CAPTURE(k);
    if (k % 3 == 0) {
      CHECK(error > 0.1);
    } else {
      CHECK(error <= 1e-14);
    }
  }
}

TEST_CASE("Scion's constrained steps stay in the ball, and its factors follow the shape") {
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{7, 4}, {4, 7}}) {
    const Matrix g = conditioned_gaussian(rows, cols, 3), zero = 0 * g;
    const std::vector<Matrix> gradients(40, g);
    const Matrix sign = weights_after(Scion{.lr = 0.3, .ball = ScionBall::sign, .radius = 2}, zero, gradients).back();
    CHECK(max_abs(sign) <= 2.0 / double(cols) * (1 + 1e-12));
    CHECK(max_abs(sign) >= 2.0 / double(cols) * (1 - 1e-5));
    const Scion spectral{.lr = 0.3, .radius = 2, .map = svd};
    const double radius = 2 * std::sqrt(double(rows) / double(cols));
    CHECK(max_abs(weights_after(spectral, zero, gradients).back() + radius * map_of(svd, 0, g)) <= 1e-5 * radius);
  }
}

TEST_CASE("the first step of MARS-M: c = g, or (1 + γβ/(1−β))g as published, of norm one at most") {
  const Matrix g = 1e-3 * conditioned_gaussian(6, 4, 3);
  const auto step = [&](bool corrects_first, double times) {
    MARSM rule{.lr = 1, .power = 1, .momentum = {.beta = 0.5, .nesterov = false}, .weight_decay = 0, .map = svd};
    rule.scale = ScaleMode::none;
    rule.gamma = 0.25;
    rule.corrects_first = corrects_first;
    return weights_after(rule, 0 * g, {times * g}).back();
  };
  CHECK(max_abs(step(false, 1) + 0.5 * g) <= 1e-15);
  CHECK(max_abs(step(true, 1) + 0.5 * 1.25 * g) <= 1e-15);
  CHECK(max_abs(step(true, 1e6) + 0.5 * g / g.norm()) <= 1e-14);
}

TEST_CASE("Newton-Muon: inputs that are not finite leave the inverse as it is, and a step before any is Muon's") {
  Training<double> training(NewtonMuon{});
  const auto& p = training.add("w", {2, 5, 4}, Storage::right, 1);
  const Strided<double> z({2, 6, 4}, Storage::right);
  const auto observe = [&](unsigned seed, double at) {
    for (std::size_t b = 0; b < 2; ++b) z.assign(b, gaussian(6, 4, seed + unsigned(b)));
    if (at != 0) z.at(1, 2, 2) = at;
    training.optimizer.observe(training.exec, p.name, z.view());
    training.exec.fence();
  };
  training.step(1);
  observe(3, 0);
  const std::vector<StateArray> before = training.state("w");
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), 1e300}) {  // its square is infinite
    observe(5, bad);
    const std::vector<StateArray> after = training.state("w");
    for (std::size_t k = 0; k < before.size(); ++k) {
      CAPTURE(before[k].name);
      CHECK(same_bits(after[k].matrices[1], before[k].matrices[1]));
    }
  }
  // Row blocks share the inputs of their matrix.
  const Kokkos::View<double**, Kokkos::HostSpace> w("w", 6, 4), g("g", 6, 4), x("x", 5, 4);
  for (std::size_t k = 0; k < x.size(); ++k) x.data()[k] = gaussian(5, 4, 9)(Eigen::Index(k));
  training.optimizer.add(training.group, "blocks", w, g, {.row_blocks = 3});
  training.optimizer.add(training.group, "one", Kokkos::View<double**, Kokkos::HostSpace>("one", 2, 4));
  for (const char* const name : {"blocks", "one"}) training.optimizer.observe(training.exec, name, x);
  for (const StateArray& array : training.state("blocks")) {
    CAPTURE(array.name);
    CHECK(array.matrices.size() == 3);
    for (const Matrix& matrix : array.matrices) {
      for (const StateArray& own : training.state("one")) {
        if (own.name == array.name) CHECK(same_bits(matrix, own.matrices[0]));
      }
    }
  }
  const Strided<double> narrow({2, 6, 3}, Storage::right);
  CHECK_THROWS_AS(training.optimizer.observe(training.exec, p.name, narrow.view()), InvalidArgument);
}

TEST_CASE("weights come to rest when gradients become zero for good, also by signs") {
  const Matrix g = conditioned_gaussian(6, 4, 3), zero = 0 * g;
  std::vector<Matrix> gradients(5, g);
  gradients.resize(1200, zero);
  const auto check = [&](auto rule) {
    if constexpr (requires { rule.momentum; }) rule.momentum.beta = 0.9;
    const std::vector<Matrix> w = weights_after(rule, zero, gradients);
    CHECK(max_abs(w[5] - w[4]) > 0);
    CHECK(max_abs(w[1199] - w[1099]) == 0);
  };
  check(LionMuon{.beta1 = 0.9, .beta2 = 0.9, .interval = 3});
  check(Scion{.weight_decay = 0});
  check(Scion{.ball = ScionBall::sign, .weight_decay = 0});
  check(Scion{.ball = ScionBall::column_norm, .weight_decay = 0});
  check(MARSM{.weight_decay = 0});
  check(NewtonMuon{});
}
