// SPDX-License-Identifier: BSD-3-Clause

#include "optimizer_reference.hpp"

#include <Eigen/QR>
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
    case Scale::adamw_rms: return 0.2 * std::sqrt(rows * cols) / d.norm();
    case Scale::unit_rms: return 1 / std::sqrt(d.squaredNorm() / (rows * cols));
    case Scale::unit_norm: return 1 / schatten_norm(image, q);
    case Scale::dual_norm: return schatten_norm(sigma, dual) / schatten_norm(image, q);
  }
  return std::nan("");
}

/// Muon's five quintics of x.
Matrix quintics(Matrix x) {
  for (int step = 0; step < 5; ++step) {
    const Matrix a = x * x.transpose();
    const Matrix polynomial = -4.7750 * a + 2.0315 * a * a;
    x = (3.4445 * x + polynomial * x).eval();
  }
  return x;
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
  const Matrix x = quintics(m / m.norm());
  if (scale == Scale::unit_norm) return {x, 1};
  if (scale == Scale::dual_norm) return {x, m.cwiseProduct(x).sum()};
  return {x, scale_factor(scale, 0, m, x, Vector())};
}

Matrix rank_power(const Matrix& m, double power) {
  Svd svd = jacobi_svd(m);
  for (Eigen::Index k = 0; k < svd.u.cols(); ++k) svd.u.col(k) /= std::pow(double(k + 1), power);
  return svd.u * svd.v.transpose();
}

Matrix newton_schulz(const Matrix& m, double power) {
  const Matrix identity = Matrix::Identity(m.cols(), m.cols());
  const double ridge = 1e-6;
  Matrix root = m.transpose() * m + ridge * identity;
  for (double order = 1; order < 2 / power; order *= 2) {
    const double norm = root.norm();
    Matrix y = root / norm, z = identity;
    for (int step = 0; step < 5; ++step) {
      const Matrix t = 1.5 * identity - 0.5 * z * y;
      y = (y * t).eval();
      z = (t * z).eval();
    }
    root = std::sqrt(norm) * 0.5 * (y + y.transpose()) + ridge * identity;
  }
  return quintics(m / (m.norm() + 1e-7)) * root;
}

Matrix streaming(const Matrix& m, double power, Matrix& v) {
  const Matrix product = m.transpose() * (m * v);
  v = Eigen::HouseholderQR<Matrix>(product).householderQ() * Matrix::Identity(v.rows(), v.cols());
  Matrix x = m * v;
  for (Eigen::Index k = 0; k < x.cols(); ++k) x.col(k) *= std::pow(x.col(k).norm(), power - 1);
  return x * v.transpose();
}

Parameter::Parameter(Matrix w)
    : w_(std::move(w)),
      momentum_(Matrix::Zero(w_.rows(), w_.cols())),
      second_moment_(Matrix::Zero(w_.rows(), w_.cols())),
      right_vectors_(Matrix::Identity(w_.cols(), std::min(w_.rows(), w_.cols()))),
      row_moment_(Vector::Zero(w_.rows())),
      travel_(w_.size() == 0 ? 0 : w_.cwiseAbs().maxCoeff()) {}

void Parameter::step(const Matrix& g, const Options& o) {
  ++steps_;
  const Direction direction = map(g, o);
  const Matrix before = w_;
  w_ -= o.lr * o.weight_decay * before + o.lr * direction.factor * direction.d;
  if (w_.size() != 0) travel_ += (w_ - before).cwiseAbs().maxCoeff();
}

Direction Parameter::map(const Matrix& g, const Options& o) {
  if (o.algorithm == Algorithm::adamw || o.algorithm == Algorithm::lion) return elementwise(g, o);
  const double gain = o.heavy_ball ? 1 : 1 - o.beta1;
  momentum_ = o.beta1 * momentum_ + gain * g;
  const Matrix average = o.nesterov ? Matrix(o.beta1 * momentum_ + gain * g) : momentum_;
  Direction direction{average, 1};
  switch (o.algorithm) {
    case Algorithm::spectral_power: direction = spectral_power(average, o.power, o.scale); break;
    case Algorithm::quintic: direction = quintic(average, o.scale); break;
    case Algorithm::rank_power: direction.d = rank_power(average, o.power); break;
    case Algorithm::newton_schulz: direction.d = newton_schulz(average, o.power); break;
    case Algorithm::streaming: direction.d = streaming(average, o.power, right_vectors_); break;
    case Algorithm::adamw:
    case Algorithm::sgd:
    case Algorithm::lion: return direction;
  }
  if (o.algorithm != Algorithm::spectral_power && o.algorithm != Algorithm::quintic) {
    direction.factor = scale_factor(o.scale, o.power, average, direction.d, Vector());
  }
  if (o.normalize_rows) normalize_rows(direction.d, o);
  return direction;
}

Direction Parameter::elementwise(const Matrix& g, const Options& o) {
  if (o.algorithm == Algorithm::lion) {
    const Matrix sum = o.beta1 * momentum_ + (1 - o.beta1) * g;
    momentum_ = o.beta2 * momentum_ + (1 - o.beta2) * g;
    return {sum.unaryExpr([](double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }), 1};
  }
  momentum_ = o.beta1 * momentum_ + (1 - o.beta1) * g;
  second_moment_ = o.beta2 * second_moment_ + (1 - o.beta2) * g.cwiseProduct(g);
  const Matrix first = momentum_ / (1 - std::pow(o.beta1, steps_));
  const Matrix second = second_moment_ / (1 - std::pow(o.beta2, steps_));
  return {first.array() / (second.array().sqrt() + o.epsilon), 1};
}

void Parameter::normalize_rows(Matrix& d, const Options& o) {
  const double norm = d.norm();
  for (Eigen::Index i = 0; i < d.rows(); ++i) {
    row_moment_(i) = o.beta2 * row_moment_(i) + (1 - o.beta2) * d.row(i).squaredNorm() / double(d.cols());
    d.row(i) /= std::sqrt(row_moment_(i) + o.epsilon);
  }
  d *= norm / (d.norm() + o.epsilon);
}

}  // namespace schatten::test::reference
