// SPDX-License-Identifier: BSD-3-Clause
// Fits of weights: the linear combination of a fixed basis of functions of σ that approximates σ^p, or another
// function, with the least relative error.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace schatten::spectral {

/// The estimate of σ₁ is up to 5 % too small. So matrices are divided by s = 1.05·estimate, which makes σ/s <= 1: above
/// 1 iterates and rational functions grow quickly. Fits start at δ/1.05, so that they still cover [δσ₁, σ₁].
inline constexpr double scale_margin = 1.05;

/// Weights of a basis and the largest relative error |Σ_k w_k b_k(σ) − σ^p|/(σ^p allowance(σ)) on [δ, 1].
struct WeightFit {
  std::vector<double> weights;
  double error = std::numeric_limits<double>::infinity();
};

/// The function that is fitted: σ^p.
struct PowerTarget {
  double power;
  PowerTarget(double p) : power(p) {}
  double operator()(double sigma) const { return std::pow(sigma, power); }
};

/// The same allowance for every σ: the plain relative error.
struct EqualAllowance {
  double operator()(double) const { return 1; }
};

namespace detail {

/// Returns Σ_i a_i b_i, in eight partial sums so that the compiler can vectorize without reordering.
inline double dot(const double* a, const double* b, std::size_t n) {
  constexpr std::size_t lanes = 8;
  double partial[lanes] = {}, sum = 0;
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (std::size_t l = 0; l < lanes; ++l) partial[l] += a[i + l] * b[i + l];
  }
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const double part : partial) sum += part;
  return sum;
}

/// Least squares min ‖Ax − b‖₂ by Householder QR, A (points×terms) stored by columns. A and b are overwritten.
/// Returns false if a column is numerically dependent.
inline bool solve_least_squares(std::vector<double>& a, std::vector<double>& rhs, std::size_t terms,
                                std::vector<double>& x) {
  const std::size_t points = rhs.size();
  std::vector<double> diagonal(terms);
  for (std::size_t k = 0; k < terms; ++k) {
    double* const v = a.data() + k * points + k;
    const std::size_t length = points - k;
    const double norm = std::sqrt(dot(v, v, length));
    if (!(norm > 0)) return false;
    diagonal[k] = v[0] > 0 ? -norm : norm;
    v[0] -= diagonal[k];
    const double scale = diagonal[k] * v[0];  // = −vᵀv/2
    const auto reflect = [&](double* column) {
      const double factor = dot(v, column, length) / scale;
      for (std::size_t i = 0; i < length; ++i) column[i] += factor * v[i];
    };
    for (std::size_t j = k + 1; j < terms; ++j) reflect(a.data() + j * points + k);
    reflect(rhs.data() + k);
  }
  x.assign(terms, 0.0);
  for (std::size_t k = terms; k-- > 0;) {
    double sum = rhs[k];
    for (std::size_t j = k + 1; j < terms; ++j) sum -= a[j * points + k] * x[j];
    x[k] = sum / diagonal[k];
  }
  return true;
}

}  // namespace detail

/// Returns a logarithmically spaced grid on [delta, 1], ends included.
inline std::vector<double> log_grid(double delta, std::size_t points) {
  std::vector<double> grid(points);
  for (std::size_t i = 0; i < points; ++i) grid[i] = std::exp(std::log(delta) * (1 - double(i) / double(points - 1)));
  return grid;
}

/// Lawson's iteration for the relative minimax fit of `target`: least squares in which the importance of each point is
/// multiplied by its error. Points may be added between iterations; the best weights are kept.
///
/// `basis(sigma, row)` writes the `terms` basis functions at sigma. The error at σ counts relative to `allowance(σ)` in
/// (0, 1]: where something else takes a part of the tolerance, the fit leaves it that. `ridge` is the weight of Σw_k²
/// (w_k in units of 1/max|b_k/target|) against the mean of squared relative errors: it keeps a dependent basis from
/// large weights. Cost an iteration: 2·points·terms² flops. Source: Lawson (1961).
template <class Basis, class Allowance = EqualAllowance, class Target = PowerTarget>
class LawsonFit {
 public:
  LawsonFit(const Basis& basis, std::size_t terms, const Target& target, const std::vector<double>& grid,
            double ridge = 0, const Allowance& allowance = {})
      : basis_(basis), allowance_(allowance), target_(target), terms_(terms), ridge_(ridge) {
    for (const double sigma : grid) append(sigma);
    importance_.assign(grid.size(), 1.0 / double(grid.size()));
    scale_.assign(terms, 0.0);
    for (std::size_t i = 0; i < relative_.size(); ++i) {
      scale_[i % terms] = (std::max)(scale_[i % terms], std::abs(relative_[i]));
    }
    for (double& scale : scale_) scale = scale > 0 ? scale : 1.0;
    for (std::size_t i = 0; i < relative_.size(); ++i) relative_[i] /= scale_[i % terms];
  }

  /// Adds points, each with a third of the importance of an average extremum.
  void add(const std::vector<double>& points) {
    for (const double sigma : points) {
      append(sigma);
      for (std::size_t k = 0; k < terms_; ++k) relative_[relative_.size() - terms_ + k] /= scale_[k];
      importance_.push_back(1.0 / (3.0 * double(terms_)));
    }
    best_.error = std::numeric_limits<double>::infinity();  // of fewer points
  }

  /// Makes at most `iterations` more iterations.
  void iterate(int iterations) {
    std::vector<double> x, error(importance_.size());
    for (int iteration = 0; iteration < iterations; ++iteration) {
      if (!solve(x)) return;
      double worst = 0, sum = 0;
      for (std::size_t i = 0; i < error.size(); ++i) {
        double value = -wanted_[i];
        for (std::size_t k = 0; k < terms_; ++k) value += relative_[i * terms_ + k] * x[k];
        error[i] = std::abs(value);
        worst = (std::max)(worst, error[i]);
        sum += importance_[i] * error[i];
      }
      if (worst < best_.error) best_ = {x, worst};
      if (!(sum > 0)) return;
      for (std::size_t i = 0; i < error.size(); ++i) importance_[i] *= error[i] / sum;
    }
  }

  /// Returns the best weights so far and their error on the points.
  [[nodiscard]] WeightFit best() const {
    WeightFit fit = best_;
    for (std::size_t k = 0; k < fit.weights.size(); ++k) fit.weights[k] /= scale_[k];
    return fit;
  }

 private:
  void append(double sigma) {
    relative_.resize(relative_.size() + terms_);
    double* const row = relative_.data() + relative_.size() - terms_;
    basis_(sigma, row);
    const double allowance = allowance_(sigma), value = target_(sigma) * allowance;
    wanted_.push_back(1 / allowance);
    for (std::size_t k = 0; k < terms_; ++k) row[k] /= value;
  }

  bool solve(std::vector<double>& x) {
    const std::size_t points = importance_.size(), rows = points + (ridge_ > 0 ? terms_ : 0);
    matrix_.assign(rows * terms_, 0.0);
    rhs_.assign(rows, 0.0);
    for (std::size_t i = 0; i < points; ++i) {
      const double root = std::sqrt(importance_[i]);
      rhs_[i] = root * wanted_[i];
      for (std::size_t k = 0; k < terms_; ++k) matrix_[k * rows + i] = root * relative_[i * terms_ + k];
    }
    for (std::size_t k = 0; k < rows - points; ++k) matrix_[k * rows + points + k] = std::sqrt(ridge_);
    return detail::solve_least_squares(matrix_, rhs_, terms_, x);
  }

  const Basis& basis_;
  Allowance allowance_;
  Target target_;
  std::size_t terms_;
  double ridge_;
  std::vector<double> relative_;  ///< (points×terms) b_k(σ)/(target(σ) allowance(σ)) over its largest value
  std::vector<double> wanted_;    ///< (points) 1/allowance(σ)
  std::vector<double> scale_, importance_;
  std::vector<double> matrix_, rhs_;  ///< of one least-squares problem
  WeightFit best_;
};

}  // namespace schatten::spectral
