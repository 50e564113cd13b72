// SPDX-License-Identifier: BSD-3-Clause

#include "optimizer_reference.hpp"

#include <Eigen/SVD>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace schatten::test::reference {

namespace {

double schatten_norm(const Vector& sigma, double q) {
  if (sigma.size() == 0) return 0;
  return std::isinf(q) ? sigma.maxCoeff() : std::pow(sigma.array().pow(q).sum(), 1 / q);
}

double scale_factor(Scale scale, double power, const Matrix& m, const Matrix& d, const Vector& sigma) {
  const double rows = double(m.rows()), cols = double(m.cols());
  const Vector image = sigma.array().pow(power);
  const double infinity = std::numeric_limits<double>::infinity();
  const double q = power == 0 ? infinity : 1 + 1 / power, dual = power == 0 ? 1 : q / (q - 1);
  switch (scale) {
    case Scale::none: return 1;
    case Scale::original: return std::sqrt(std::max(1.0, rows / cols));
    case Scale::spectral_unclamped: return std::sqrt(rows / cols);
    case Scale::match_rms_adamw: return 0.2 * std::sqrt(std::max(rows, cols));
    case Scale::unit_rms: return 1 / std::sqrt(d.squaredNorm() / (rows * cols));
    case Scale::unit_norm: return 1 / schatten_norm(image, q);
    case Scale::dual_norm: return schatten_norm(sigma, dual) / schatten_norm(image, q);
  }
  return std::nan("");
}

}  // namespace

Svd jacobi_svd(const Matrix& m) {
  const Eigen::JacobiSVD<Matrix> svd(m, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return {svd.matrixU(), svd.singularValues(), svd.matrixV()};
}

Direction spectral_power(const Matrix& m, double power, Scale scale) {
  const Svd svd = jacobi_svd(m);
  const Vector image = svd.sigma.array().pow(power);
  const Matrix d = svd.u * image.asDiagonal() * svd.v.transpose();
  return {d, scale_factor(scale, power, m, d, svd.sigma)};
}

Direction quintic(const Matrix& m, Scale scale) {
  Matrix x = m / m.norm();
  for (int step = 0; step < 5; ++step) {
    const Matrix a = x * x.transpose();
    const Matrix polynomial = -4.7750 * a + 2.0315 * a * a;
    x = (3.4445 * x + polynomial * x).eval();
  }
  if (scale == Scale::unit_norm) return {x, 1};
  if (scale == Scale::dual_norm) return {x, m.cwiseProduct(x).sum()};
  return {x, scale_factor(scale, 0, m, x, Vector())};
}

Parameter::Parameter(Matrix w)
    : w_(std::move(w)),
      momentum_(Matrix::Zero(w_.rows(), w_.cols())),
      second_moment_(Matrix::Zero(w_.rows(), w_.cols())),
      travel_(w_.size() == 0 ? 0 : w_.cwiseAbs().maxCoeff()) {}

void Parameter::step(const Matrix& g, const Options& o) {
  ++steps_;
  const Direction direction = map(g, o);
  const Matrix before = w_;
  w_ -= o.lr * o.weight_decay * before + o.lr * direction.factor * direction.d;
  if (w_.size() != 0) travel_ += (w_ - before).cwiseAbs().maxCoeff();
}

Direction Parameter::map(const Matrix& g, const Options& o) {
  const double gain = o.heavy_ball ? 1 : 1 - o.beta1;
  momentum_ = o.beta1 * momentum_ + gain * g;
  const Matrix average = o.nesterov ? Matrix(o.beta1 * momentum_ + gain * g) : momentum_;
  switch (o.algorithm) {
    case Algorithm::sgd: return {average, 1};
    case Algorithm::spectral_power: return spectral_power(average, o.power, o.scale);
    case Algorithm::quintic: return quintic(average, o.scale);
    case Algorithm::adamw: break;
  }
  second_moment_ = o.beta2 * second_moment_ + (1 - o.beta2) * g.cwiseProduct(g);
  const Matrix first = momentum_ / (1 - std::pow(o.beta1, steps_));
  const Matrix second = second_moment_ / (1 - std::pow(o.beta2, steps_));
  return {first.array() / (second.array().sqrt() + o.epsilon), 1};
}

}  // namespace schatten::test::reference
