// SPDX-License-Identifier: BSD-3-Clause
// Minimax fits by Remez' exchange algorithm, for bases in which a nonzero combination has fewer zeros than weights.
#pragma once

#include <schatten/spectral/weight_fit.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <numbers>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// Relative minimax fits of a function on [delta, 1] in one basis, for several allowances.
///
/// @pre the basis is a Haar system: no nonzero combination of its K functions vanishes at K points of [delta, 1]. The
/// error of the best fit then attains its largest absolute value with alternating signs at K + 1 points. The exchange
/// algorithm solves for the weights that have the same error ±h at K + 1 points, moves the points to the extrema of
/// that error, and repeats. It converges quadratically and is deterministic. Cost: `points_each`·(K + 1) evaluations of
/// the basis once; then 2K flops per point and (K + 1)³ per exchange. Source: Remez (1934); Cheney, Introduction to
/// Approximation Theory (1966), chapter 3.
template <class Basis, class Target = PowerTarget>
class MinimaxFit {
 public:
  /// `basis(sigma, row)` writes the `terms` functions at sigma. @pre terms >= 1, 0 < delta < 1, target > 0
  MinimaxFit(const Basis& basis, std::size_t terms, const Target& target, double delta)
      : basis_(basis),
        terms_(terms),
        count_((std::max)(fewest_points, points_each * (terms + 1))),
        target_(target),
        lowest_(std::log(delta)) {
    relative_.resize(count_ * terms);
    sigma_.resize(count_);
    scale_.assign(terms, 0.0);
    for (std::size_t i = 0; i < count_; ++i) {
      sigma_[i] = point(double(i));
      double* const row = &relative_[i * terms];
      relative_basis(sigma_[i], row);
      for (std::size_t k = 0; k < terms; ++k) scale_[k] = (std::max)(scale_[k], std::abs(row[k]));
    }
    for (double& scale : scale_) scale = scale > 0 ? scale : 1.0;
    for (std::size_t i = 0; i < count_ * terms; ++i) relative_[i] /= scale_[i % terms];
    places_.resize(terms + 1);
    for (std::size_t k = 0; k <= terms; ++k) places_[k] = k * (count_ - 1) / terms;
  }

  /// The weights of least error |Σ_k w_k b_k(σ) − target(σ)|/(target(σ) allowance(σ)), allowance in (0, 1], and that
  /// error. The error is the largest one over the points, points between them around each extremum, and those in
  /// `kinks`, where allowance is not smooth. The exchange begins where that of the call before ended. Where it does not
  /// converge (for twenty poles and more it may not), Lawson's iteration takes its place, at a hundred times the cost.
  /// No weights where that fails too.
  template <class Allowance>
  WeightFit operator()(const Allowance& allowance, std::initializer_list<double> kinks = {}) {
    allowance_.resize(count_);
    for (std::size_t i = 0; i < count_; ++i) allowance_[i] = allowance(sigma_[i]);
    WeightFit best;
    std::vector<double> x;
    bool converged = false;
    for (int exchange = 0; exchange < most_exchanges; ++exchange) {
      if (!solve(x)) break;
      const double worst = find_extrema(x);
      if (worst < best.error) best = {{x.begin(), x.end() - 1}, worst};
      converged = worst <= settled * std::abs(x.back()) || worst <= negligible;
      if (converged || !move_points()) break;
    }
    if (!converged) {
      LawsonFit<Basis, Allowance, Target> lawson(basis_, terms_, target_, sigma_, 0, allowance);
      lawson.iterate(lawson_iterations);
      WeightFit fit = lawson.best();
      for (std::size_t k = 0; k < fit.weights.size(); ++k) fit.weights[k] *= scale_[k];
      if (fit.error < best.error) best = std::move(fit);
      for (std::size_t k = 0; k <= terms_; ++k) places_[k] = k * (count_ - 1) / terms_;
    }
    if (best.weights.empty()) return best;
    (void)find_extrema(best.weights);
    for (std::size_t k = 0; k < terms_; ++k) best.weights[k] /= scale_[k];
    const auto look_at = [&](double sigma) {
      best.error = (std::max)(best.error, error_at(best.weights, sigma, allowance));
    };
    for (const std::size_t extremum : extrema_) {
      for (int part = 1; part < parts; ++part) {
        const double step = double(part) / parts;
        if (extremum > 0) look_at(point(double(extremum) - step));
        if (extremum + 1 < count_) look_at(point(double(extremum) + step));
      }
    }
    for (const double sigma : kinks) {
      if (sigma > sigma_.front() && sigma < 1) look_at(sigma);
    }
    if (!std::isfinite(best.error)) return {};
    return best;
  }

 private:
  static constexpr std::size_t points_each = 48;  ///< points for each extremum
  static constexpr std::size_t fewest_points = 288;
  static constexpr int parts = 4;  ///< of a cell beside an extremum that the final check looks at
  static constexpr int most_exchanges = 30, lawson_iterations = 60;
  static constexpr double settled = 1.0005;    ///< largest error over the least possible one at which an exchange ends
  static constexpr double negligible = 4e-15;  ///< rounding
  static constexpr double crowding = 0.9;      ///< points towards the ends, where extrema lie closer: 0 evenly, below 1

  /// Point t of 0..count − 1: ascending, log-spaced in the middle, ten times closer at the ends.
  [[nodiscard]] double point(double t) const {
    const double u = t / double(count_ - 1), turn = 2 * std::numbers::pi;
    return t >= double(count_ - 1) ? 1.0 : std::exp(lowest_ * (1 - (u - crowding * std::sin(turn * u) / turn)));
  }
  void relative_basis(double sigma, double* row) const {
    basis_(sigma, row);
    const double inverse = 1 / target_(sigma);
    for (std::size_t k = 0; k < terms_; ++k) row[k] *= inverse;
  }
  template <class Allowance>
  [[nodiscard]] double error_at(const std::vector<double>& weights, double sigma, const Allowance& allowance) const {
    std::vector<double>& row = row_;
    row.resize(terms_);
    relative_basis(sigma, row.data());
    double value = -1;
    for (std::size_t k = 0; k < terms_; ++k) value += weights[k] * row[k];
    return std::abs(value) / allowance(sigma);
  }

  /// x ← weights and h with error (−1)^i h at places_[i].
  bool solve(std::vector<double>& x) {
    const std::size_t size = terms_ + 1;
    matrix_.resize(size * size);
    rhs_.assign(size, 0.0);
    for (std::size_t i = 0; i < size; ++i) {
      const double weight = 1 / allowance_[places_[i]];
      for (std::size_t k = 0; k < terms_; ++k) matrix_[k * size + i] = weight * relative_[places_[i] * terms_ + k];
      matrix_[terms_ * size + i] = i % 2 == 0 ? -1 : 1;
      rhs_[i] = weight;
    }
    return detail::solve_least_squares(matrix_, rhs_, size, x);
  }

  /// Sets extrema_ to the points between the zeros of the error at which it is largest, for the weights x. Returns the
  /// largest error.
  double find_extrema(const std::vector<double>& x) {
    extrema_.clear();
    error_.resize(count_);
    double worst = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      double value = -1;
      for (std::size_t k = 0; k < terms_; ++k) value += relative_[i * terms_ + k] * x[k];
      error_[i] = value / allowance_[i];
      const double size = std::abs(error_[i]);
      worst = (std::max)(worst, size);
      if (extrema_.empty() || (error_[i] < 0) != (error_[extrema_.back()] < 0)) {
        extrema_.push_back(i);
      } else if (size > std::abs(error_[extrema_.back()])) {
        extrema_.back() = i;
      }
    }
    return worst;
  }

  /// Sets places_ to terms + 1 extrema with alternating signs, leaving out the smallest. Returns false if there are too
  /// few.
  ///
  /// With nearly optimal poles the error may have more extrema than needed. An extremum is left out together with its
  /// smaller neighbour, so that the signs still alternate.
  bool move_points() {
    if (extrema_.size() < terms_ + 1) return false;
    places_ = extrema_;
    const auto size = [&](std::size_t k) { return std::abs(error_[places_[k]]); };
    while (places_.size() > terms_ + 1) {
      const std::size_t last = places_.size() - 1;
      std::size_t smallest = size(0) < size(last) ? 0 : last;
      if (places_.size() > terms_ + 2) {
        for (std::size_t k = 1; k < last; ++k) smallest = size(k) < size(smallest) ? k : smallest;
      }
      const auto place = places_.begin() + std::ptrdiff_t(smallest);
      if (smallest == 0 || smallest == last) {
        places_.erase(place);
      } else if (size(smallest - 1) < size(smallest + 1)) {
        places_.erase(place - 1, place + 1);
      } else {
        places_.erase(place, place + 2);
      }
    }
    return true;
  }

  const Basis& basis_;
  std::size_t terms_, count_;
  Target target_;
  double lowest_;
  std::vector<double> sigma_;
  std::vector<double> relative_;  ///< (points×terms) b_k(σ)/target(σ) over its largest value
  std::vector<double> scale_;     ///< those largest values
  std::vector<std::size_t> places_, extrema_;
  std::vector<double> allowance_, error_;
  std::vector<double> matrix_, rhs_;  ///< of one linear system
  mutable std::vector<double> row_;
};

}  // namespace schatten::spectral
