// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One optimizer step of one matrix in double, written from the definitions with plain Eigen: it includes no header of
// the library and shares no formula with it (norms come from singular values, not from inner products).

#include <Eigen/Core>
#include <Eigen/SVD>

#include <algorithm>
#include <cmath>

namespace schatten::test::reference {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

enum class Algorithm { spectral_power, quintic, adamw, sgd };
enum class Scale { none, original, match_rms_adamw, unit_rms, unit_norm, dual_norm };

struct Options {
  Algorithm algorithm = Algorithm::sgd;
  double lr = 0;
  double weight_decay = 0;
  double power = 0;
  double beta1 = 0;  // the momentum of all but AdamW
  double beta2 = 0;
  double epsilon = 0;
  bool nesterov = false;
  bool heavy_ball = false;
  Scale scale = Scale::none;
};

/// A direction and the factor that the scale mode puts on it.
struct Direction {
  Matrix d;
  double factor = 1;
};

inline double schatten_norm(const Vector& sigma, double q) {
  if (sigma.size() == 0) return 0;
  return std::isinf(q) ? sigma.maxCoeff() : std::pow(sigma.array().pow(q).sum(), 1 / q);
}

inline double scale_factor(Scale scale, double power, const Matrix& m, const Matrix& d, const Vector& sigma) {
  const double rows = double(m.rows()), cols = double(m.cols());
  const Vector image = sigma.array().pow(power);
  const double infinity = std::numeric_limits<double>::infinity();
  const double q = power == 0 ? infinity : 1 + 1 / power, dual = power == 0 ? 1 : q / (q - 1);
  switch (scale) {
    case Scale::none: return 1;
    case Scale::original: return std::sqrt(std::max(1.0, rows / cols));
    case Scale::match_rms_adamw: return 0.2 * std::sqrt(std::max(rows, cols));
    case Scale::unit_rms: return 1 / std::sqrt(d.squaredNorm() / (rows * cols));
    case Scale::unit_norm: return 1 / schatten_norm(image, q);
    case Scale::dual_norm: return schatten_norm(sigma, dual) / schatten_norm(image, q);
  }
  return std::nan("");
}

/// U Σ^p Vᵀ by Jacobi's method, for a matrix of full rank.
inline Direction spectral_power(const Matrix& m, double power, Scale scale) {
  const Eigen::JacobiSVD<Matrix> svd(m, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Vector& sigma = svd.singularValues();
  const Vector image = sigma.array().pow(power);
  const Matrix d = svd.matrixU() * image.asDiagonal() * svd.matrixV().transpose();
  return {d, scale_factor(scale, power, m, d, sigma)};
}

/// Muon's five quintics as published, on the wide side of the matrix. Its norm counts as 1 in unit_norm; dual_norm is
/// the inner product with the momentum that stands for the nuclear norm.
inline Direction quintic(const Matrix& m, Scale scale) {
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

/// A parameter matrix with the state of its optimizer.
class Parameter {
 public:
  explicit Parameter(Matrix w)
      : w_(std::move(w)),
        momentum_(Matrix::Zero(w_.rows(), w_.cols())),
        second_moment_(Matrix::Zero(w_.rows(), w_.cols())),
        travel_(w_.size() == 0 ? 0 : w_.cwiseAbs().maxCoeff()) {}

  void step(const Matrix& g, const Options& o) {
    ++steps_;
    const Direction direction = map(g, o);
    const Matrix before = w_;
    w_ -= o.lr * o.weight_decay * before + o.lr * direction.factor * direction.d;
    if (w_.size() != 0) travel_ += (w_ - before).cwiseAbs().maxCoeff();
  }

  [[nodiscard]] const Matrix& w() const { return w_; }
  [[nodiscard]] const Matrix& momentum() const { return momentum_; }
  /// Largest entry at the start plus the largest change of an entry in each step: what rounding errors are relative to.
  [[nodiscard]] double travel() const { return travel_; }

 private:
  Direction map(const Matrix& g, const Options& o) {
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

  Matrix w_, momentum_, second_moment_;
  double travel_;
  int steps_ = 0;
};

}  // namespace schatten::test::reference
