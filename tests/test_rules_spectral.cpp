// SPDX-License-Identifier: BSD-3-Clause
// Rules with a spectral map, or something in its place, beside plain loops.
// labels: portable

#include "support/spectral_references.hpp"
#include <schatten/optim/rules/adamuon.hpp>
#include <schatten/optim/rules/aurora.hpp>
#include <schatten/optim/rules/cautious_muon.hpp>
#include <schatten/optim/rules/muon_eq.hpp>
#include <schatten/optim/rules/normuon.hpp>
#include <schatten/optim/rules/rmnp.hpp>

namespace {

using namespace schatten;
using namespace schatten::test;

class NorMuonReference : public MomentumReference {
 public:
  NorMuonReference(const NorMuon& rule, const Matrix& start) : MomentumReference(rule.momentum, start), o_(rule) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    Matrix d = map_of(o_.map, o_.power, average(g));
    const double before = d.norm();
    if (v_.size() == 0) v_.assign(std::size_t(w.rows()), 0.0);
    for (Eigen::Index i = 0; i < w.rows(); ++i) {
      double mean = 0;
      for (Eigen::Index j = 0; j < w.cols(); ++j) mean += d(i, j) * d(i, j) / double(w.cols());
      double& v = v_[std::size_t(i)];
      v = o_.beta2 * v + (1 - o_.beta2) * mean;
      for (Eigen::Index j = 0; j < w.cols(); ++j) d(i, j) /= std::sqrt(v + o_.epsilon);
    }
    const bool rms = o_.scale == ScaleMode::adamw_rms;
    d *= (rms ? 0.2 * std::sqrt(double(d.size())) : before) / (d.norm() + o_.epsilon);
    return apply(w, o_, d);
  }

 private:
  NorMuon o_;
  std::vector<double> v_;
};

class AdaMuonReference : public MomentumReference {
 public:
  AdaMuonReference(const AdaMuon& rule, const Matrix& start)
      : MomentumReference(rule.momentum, start), o_(rule), v_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    Matrix s = average(g);
    for (Eigen::Index k = 0; k < s.size(); ++k) s(k) = s(k) > 0 ? 1 : (s(k) < 0 ? -1 : 0);
    Matrix d = map_of(o_.map, o_.power, s);
    double squares = 0;
    for (Eigen::Index k = 0; k < s.size(); ++k) {
      v_(k) = o_.beta2 * v_(k) + (1 - o_.beta2) * d(k) * d(k);
      d(k) /= std::sqrt(v_(k)) + o_.epsilon;
      squares += d(k) * d(k);
    }
    if (o_.scale == ScaleMode::adamw_rms) d *= 0.2 * std::sqrt(double(d.size())) / (std::sqrt(squares) + o_.epsilon);
    return apply(w, o_, d);
  }

 private:
  AdaMuon o_;
  Matrix v_;
};

class CautiousMuonReference : public MomentumReference {
 public:
  CautiousMuonReference(const CautiousMuon& rule, const Matrix& start)
      : MomentumReference(rule.momentum, start), o_(rule) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    Matrix u = average(g);
    if (o_.mask == CautiousMask::direction) {
      Matrix d = map_of(o_.map, o_.power, u);
      return apply(w, o_, masked(d, d, g));
    }
    return apply(w, o_, map_of(o_.map, o_.power, masked(u, momentum(), g)));
  }

 private:
  [[nodiscard]] Matrix masked(Matrix u, const Matrix& m, const Matrix& g) const {
    double kept = 0;
    for (Eigen::Index k = 0; k < u.size(); ++k) {
      if (m(k) * g(k) > 0) {
        ++kept;
      } else {
        u(k) = 0;
      }
    }
    const double size = double(u.size());
    return (o_.mask_scale == MaskScale::count ? size / (kept + 1) : 1 / std::max(kept / size, 1e-3)) * u;
  }
  CautiousMuon o_;
};

class RMNPReference : public MomentumReference {
 public:
  RMNPReference(const RMNP& rule, const Matrix& start) : MomentumReference(rule.momentum, start), o_(rule) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    Matrix d = average(g);
    for (Eigen::Index i = 0; i < d.rows(); ++i) d.row(i) /= d.row(i).norm() + o_.epsilon;
    return apply(w, o_, d);
  }

 private:
  RMNP o_;
};

class MuonEqReference : public MomentumReference {
 public:
  MuonEqReference(const MuonEq& rule, const Matrix& start) : MomentumReference(rule.momentum, start), o_(rule) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    const Matrix u = average(g);
    Matrix x = u;
    const auto factor = [&](double squares) { return std::pow(squares + o_.epsilon, -o_.exponent); };
    for (Eigen::Index i = 0; i < u.rows(); ++i) {
      for (Eigen::Index j = 0; j < u.cols(); ++j) {
        if (o_.sides != Equilibration::column) x(i, j) *= factor(u.row(i).squaredNorm());
        if (o_.sides != Equilibration::row) x(i, j) *= factor(u.col(j).squaredNorm());
      }
    }
    return apply(w, o_, map_of(o_.map, o_.power, x));
  }

 private:
  MuonEq o_;
};

class AuroraReference : public MomentumReference {
 public:
  AuroraReference(const Aurora& rule, const Matrix& start) : MomentumReference(rule.momentum, start), o_(rule) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    const Matrix u = average(g);
    if (u.rows() == u.cols()) return apply(w, o_, map_of(o_.map, o_.power, u));
    if (u.rows() > u.cols()) return apply(w, o_, balanced(u));
    return apply(w, o_, balanced(u.transpose()).transpose());
  }

 private:
  [[nodiscard]] Matrix balanced(const Matrix& u) const {
    std::vector<double> d(std::size_t(u.rows()));
    for (std::size_t i = 0; i < d.size(); ++i) d[i] = 1 / std::max(u.row(Eigen::Index(i)).norm(), o_.epsilon);
    const double target = double(u.cols()) / double(u.rows());
    Matrix image;
    for (std::size_t k = 0; k < o_.iterations; ++k) {
      Matrix x = u;
      for (std::size_t i = 0; i < d.size(); ++i) {
        const auto row = Eigen::Index(i);
        if (k > 0) {
          const double square = std::max(image.row(row).squaredNorm(), o_.epsilon * o_.epsilon);
          d[i] *= std::pow(target / square, o_.balance);
        }
        x.row(row) *= d[i];
      }
      image = map_of(o_.map, o_.power, x);
    }
    return image;
  }
  Aurora o_;
};

constexpr MapOptions svd{.method = SpectralMethod::svd};

}  // namespace

TEST_CASE("NorMuon in both forms") {
  const auto make = [](const NorMuon& rule, const Matrix& w) { return NorMuonReference(rule, w); };
  check_rule(NorMuon{.weight_decay = 0.1, .scale = ScaleMode::adamw_rms}, make);
  check_agreement(NorMuon{.weight_decay = 0.1}, make);
  check_agreement(NorMuon{.power = 0.125, .momentum = {.nesterov = false}, .scale = ScaleMode::adamw_rms, .map = svd},
                  make);
}

TEST_CASE("AdaMuon") {
  const auto make = [](const AdaMuon& rule, const Matrix& w) { return AdaMuonReference(rule, w); };
  check_rule(AdaMuon{}, make);
  // p = 1: matrices of signs may be singular, and small powers of a zero are noise.
  check_agreement(AdaMuon{.power = 1, .scale = ScaleMode::match_rms_adamw, .map = svd}, make);
}

TEST_CASE("Cautious Muon, masked before and after the map") {
  const auto make = [](const CautiousMuon& rule, const Matrix& w) { return CautiousMuonReference(rule, w); };
  check_rule(CautiousMuon{.weight_decay = 0.1}, make);
  check_agreement(CautiousMuon{.power = 0.125, .map = svd}, make);
  check_agreement(CautiousMuon{.mask = CautiousMask::direction, .mask_scale = MaskScale::count}, make);
  MapOptions published = muon_map;
  published.norm_epsilon = 1e-7;
  check_agreement(CautiousMuon{.map = published}, make);
}

TEST_CASE("RMNP") {
  check_rule(RMNP{.weight_decay = 0.1}, [](const RMNP& rule, const Matrix& w) { return RMNPReference(rule, w); });
}

TEST_CASE("MuonEq by rows, by columns and by both") {
  const auto make = [](const MuonEq& rule, const Matrix& w) { return MuonEqReference(rule, w); };
  check_rule(MuonEq{}, make);
  check_agreement(MuonEq{.sides = Equilibration::column}, make);
  check_rule(MuonEq{.power = 0.125, .sides = Equilibration::both, .map = svd}, make);
  check_agreement(MuonEq{.sides = Equilibration::both, .exponent = 0.25}, make);
}

TEST_CASE("Aurora") {
  const auto make = [](const Aurora& rule, const Matrix& w) { return AuroraReference(rule, w); };
  check_rule(Aurora{}, make);
  check_agreement(Aurora{.power = 0.125, .iterations = 3, .map = svd}, make);
}

TEST_CASE("gradients times a thousand: rules that normalise do not see it, powers see the power of it") {
  CHECK(change_by_scale(AdaMuon{}, 7, 5, 1e3) == 0);
  CHECK(change_by_scale(NorMuon{}, 7, 5, 1e3) <= 1e-8);
  CHECK(change_by_scale(CautiousMuon{}, 7, 5, 1e3) <= 1e-13);
  CHECK(change_by_scale(RMNP{}, 7, 5, 1e3) <= 1e-11);
  CHECK(change_by_scale(MuonEq{.power = 0.125, .map = svd}, 7, 5, 1e3) <= 1e-8);
  CHECK(change_by_scale(MuonEq{.sides = Equilibration::column}, 5, 7, 1e3) <= 1e-8);
  CHECK(change_by_scale(Aurora{}, 7, 5, 1e3) <= 1e-13);
  const double seen = change_by_scale(CautiousMuon{.power = 0.125, .weight_decay = 0, .map = svd}, 7, 5, 1e3);
  CHECK(seen == doctest::Approx(std::pow(1e3, 0.125) - 1).epsilon(1e-9));
}

TEST_CASE("AdaMuon's first step is 0.2 lr in every element") {
  const Matrix g = conditioned_gaussian(6, 4, 3), w = weights_after(AdaMuon{.lr = 0.5}, 0 * g, {g}).back();
  for (Eigen::Index k = 0; k < w.size(); ++k) CHECK(std::abs(w(k)) == doctest::Approx(0.1).epsilon(1e-6));
}

TEST_CASE("a row of zeros stays where it is, and the others move") {
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{7, 4}, {4, 7}}) {
    Matrix g = conditioned_gaussian(rows, cols, 3);
    g.row(2).setZero();
    const auto check = [&](const auto& rule) {
      const Matrix w = weights_after(rule, 0 * g, {g, g}).back();
      CHECK(max_abs(w.row(2)) == 0);
      CHECK(std::isfinite(max_abs(w)));
      CHECK(max_abs(w.row(1)) > 0);
    };
    check(RMNP{});
    check(NorMuon{});
    check(NorMuon{.scale = ScaleMode::adamw_rms});
    check(MuonEq{});
    check(MuonEq{.sides = Equilibration::both});
    check(Aurora{});
    check(AdaMuon{});
    // Factors of the row that would be infinite.
    check(Aurora{.balance = 25});
    check(Aurora{.iterations = 60});
    check(MuonEq{.exponent = 50});
  }
}

TEST_CASE("MuonEq by columns is MuonEq by rows of the transposed matrix, and both commute") {
  const Matrix g = conditioned_gaussian(7, 4, 3), t = g.transpose();
  const auto step = [](Equilibration sides, const Matrix& of) {
    return weights_after(MuonEq{.sides = sides}, 0 * of, {of}).back();
  };
  CHECK(max_abs(step(Equilibration::row, g) - step(Equilibration::column, t).transpose()) <= 1e-15);
  CHECK(max_abs(step(Equilibration::both, g) - step(Equilibration::both, t).transpose()) <= 1e-15);
  CHECK(max_abs(step(Equilibration::row, g) - step(Equilibration::row, t).transpose()) >= 1e-5);
}

TEST_CASE("Cautious Muon: an empty mask moves nothing, signs are strict") {
  const Matrix g = conditioned_gaussian(5, 4, 3);
  const CautiousMuon rule{.power = 0.125, .map = svd};
  const std::vector<Matrix> w = weights_after(rule, 0 * g, {g, -0.1 * g, -0.1 * g});
  CHECK(max_abs(w[0]) > 0);
  CHECK(max_abs(w[1] - w[0]) == 0);  // the average still points along g
  Matrix zero = g;
  zero(0, 1) = 0;
  CHECK(weights_after(CautiousMuon{.mask = CautiousMask::direction}, 0 * g, {zero})[0](0, 1) == 0);
  // The share of the mask before the map: 1/max(mean φ, 0.001) to the power p.
  const Matrix alone = Matrix::Constant(2, 2, 1.0);
  const Matrix once = weights_after(CautiousMuon{.power = 1, .momentum = {.nesterov = false}, .map = svd}, 0 * alone,
                                    {alone, -100 * alone * Matrix{{1, 0}, {0, 0}}})
                          .back();
  CHECK(std::isfinite(max_abs(once)));
}

TEST_CASE("Aurora brings the rows of a tall matrix, and the columns of a wide one, to like lengths") {
  Matrix g = gaussian(12, 4, 3);
  g.row(3) *= 10;
  const auto spread = [](const Matrix& w) { return w.rowwise().norm().maxCoeff() / w.rowwise().norm().minCoeff(); };
  const auto after = [](const Matrix& of, std::size_t iterations) {
    return weights_after(Aurora{.iterations = iterations, .weight_decay = 0}, 0 * of, {of}).back();
  };
  CHECK(spread(after(g, 8)) < 1.05);
  CHECK(spread(after(g, 8)) < spread(after(g, 2)));
  CHECK(spread(after(g.transpose(), 8).transpose()) < 1.05);
}

TEST_CASE("weights come to rest when gradients become zero for good") {
  const Matrix g = conditioned_gaussian(6, 4, 3), zero = 0 * g;
  std::vector<Matrix> gradients(5, g);
  gradients.resize(1200, zero);
  const auto check = [&](auto rule) {
    if constexpr (requires { rule.momentum; }) rule.momentum.beta = 0.9;
    const std::vector<Matrix> w = weights_after(rule, zero, gradients);
    CHECK(max_abs(w[5] - w[4]) > 0);
    CHECK(max_abs(w[1199] - w[1099]) == 0);
  };
  check(AdaMuon{.weight_decay = 0});
  check(RMNP{});
  check(MuonEq{.weight_decay = 0});
  check(Aurora{.weight_decay = 0});
  // Its mask is empty at once.
  CHECK(max_abs(weights_after(CautiousMuon{}, zero, {g, zero})[1] - weights_after(CautiousMuon{}, zero, {g})[0]) == 0);
}
