// SPDX-License-Identifier: BSD-3-Clause
// The iterates of odd quintics as a basis for σ^p: the weights by a fit, and a bound of its error.
#pragma once

#include <schatten/spectral/quintic.hpp>
#include <schatten/spectral/weight_fit.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace schatten::spectral {

/// σ^p ≈ Σ_k outer_k x_k + x_K Σ_k (linear_k x_k² + square_k x_k⁴) for the iterates x_{k+1} = q_k(x_k), x_0 = σ.
struct IterateFit {
  std::vector<Quintic> steps;                              ///< q_0..q_{K−1}
  std::vector<double> outer;                               ///< K + 1 weights
  std::vector<double> linear, square;                      ///< K weights each
  double error = std::numeric_limits<double>::infinity();  ///< bound of the relative error on [δ/scale_margin, 1]
  double cancellation = 0;  ///< largest Σ|terms|/σ^p, by which the rounding of terms is multiplied
  double under = 0;         ///< below that interval: largest |result| over σ^p or (δ/scale_margin)^p, the larger one

  /// Value and derivative by σ.
  struct Value {
    double value, slope;
  };
  [[nodiscard]] Value operator()(double sigma) const {
    double x = sigma, slope = 1, sum = 0, sum_slope = 0, bracket = 0, bracket_slope = 0;
    for (std::size_t k = 0; k < steps.size(); ++k) {
      const Quintic& q = steps[k];
      const double a = x * x;
      sum += outer[k] * x;
      sum_slope += outer[k] * slope;
      bracket += a * (linear[k] + square[k] * a);
      bracket_slope += 2 * x * slope * (linear[k] + 2 * square[k] * a);
      slope *= q.a + a * (3 * q.b + 5 * q.c * a);
      x = q(x);
    }
    return {sum + x * (outer.back() + bracket), sum_slope + slope * (outer.back() + bracket) + x * bracket_slope};
  }
};

namespace detail {

/// x_0..x_K, x_K x_k², x_K x_k⁴ at sigma.
struct IterateBasis {
  std::span<const Quintic> steps;
  void operator()(double sigma, double* row) const {
    const std::size_t count = steps.size();
    row[0] = sigma;
    for (std::size_t k = 0; k < count; ++k) row[k + 1] = steps[k](row[k]);
    for (std::size_t k = 0; k < count; ++k) {
      const double square = row[k] * row[k];
      row[count + 1 + k] = row[count] * square;
      row[2 * count + 1 + k] = row[count] * square * square;
    }
  }
};

/// Points of [delta, 1], ascending, at which the relative error of a fit is evaluated. They are dense in ln σ near
/// delta and dense in σ near 1, where a composition of K quintics has up to 3^K extrema.
class IterateGrid {
 public:
  IterateGrid(double delta, double power, std::size_t count) : sigma_(count), inverse_(count), power_(power) {
    const std::size_t lower = count / 4;
    const double middle = (std::max)(delta, (std::min)(0.05, 0.5 * (1 + delta)));
    for (std::size_t i = 0; i < count; ++i) {
      sigma_[i] = i < lower ? delta * std::exp(std::log(middle / delta) * double(i) / double(lower))
                            : middle + (1 - middle) * double(i - lower) / double(count - 1 - lower);
      inverse_[i] = std::exp(-power * std::log(sigma_[i]));
    }
  }

  struct Extrema {
    double largest = 0;          ///< |y/σ^p − 1|
    double bound = 0;            ///< bound of the same between the points, by the slopes
    double cancellation = 0;     ///< Σ|terms|/σ^p
    std::vector<double> points;  ///< σ of the local maxima above `threshold`
  };

  /// Returns the relative error of `fit` over all points, computed in blocks that can be vectorized.
  [[nodiscard]] Extrema extrema(const IterateFit& fit, double threshold) const {
    Extrema result;
    double before = 0, last = 0, last_slope = 0;  // errors at two earlier points, slope in ln σ
    for (std::size_t first = 0; first < sigma_.size(); first += block) {
      const std::size_t count = (std::min)(block, sigma_.size() - first);
      const Block values = evaluate(fit, first, count);
      for (std::size_t l = 0; l < count; ++l) {
        const std::size_t i = first + l;
        const double error = std::abs(values.error[l]), slope = std::abs(values.slope[l]);
        if (last >= threshold && last >= before && last >= error && i > 0) result.points.push_back(sigma_[i - 1]);
        result.largest = (std::max)(result.largest, error);
        if (i > 0) {
          const double width = sigma_[i] / sigma_[i - 1] - 1;  // >= ln of the quotient
          result.bound =
              (std::max)(result.bound, (std::max)(error, last) + 0.5 * width * (std::max)(slope, last_slope));
        }
        result.cancellation = (std::max)(result.cancellation, values.terms[l]);
        before = last;
        last = error;
        last_slope = slope;
      }
    }
    if (last >= threshold && last >= before) result.points.push_back(sigma_.back());
    return result;
  }

 private:
  static constexpr std::size_t block = 64;
  using Lanes = std::array<double, block>;
  struct Block {
    Lanes error, slope, terms;
  };

  [[nodiscard]] Block evaluate(const IterateFit& fit, std::size_t first, std::size_t count) const {
    Lanes x{}, slope{}, sum{}, sum_slope{}, bracket{}, bracket_slope{}, size{}, bracket_size{};
    for (std::size_t l = 0; l < block; ++l) {
      x[l] = sigma_[first + (std::min)(l, count - 1)];
      slope[l] = 1;
    }
    for (std::size_t k = 0; k < fit.steps.size(); ++k) {
      const Quintic q = fit.steps[k];
      const double w = fit.outer[k], v = fit.linear[k], u = fit.square[k];
      for (std::size_t l = 0; l < block; ++l) {
        const double a = x[l] * x[l];
        sum[l] += w * x[l];
        sum_slope[l] += w * slope[l];
        size[l] += std::abs(w * x[l]);
        bracket[l] += a * (v + u * a);
        bracket_slope[l] += 2 * x[l] * slope[l] * (v + 2 * u * a);
        bracket_size[l] += a * (std::abs(v) + std::abs(u) * a);
        slope[l] *= q.a + a * (3 * q.b + 5 * q.c * a);
        x[l] *= q.a + a * (q.b + q.c * a);
      }
    }
    Block result{};
    const double w = fit.outer.back();
    for (std::size_t l = 0; l < count; ++l) {
      const double inverse = inverse_[first + l], sigma = sigma_[first + l];
      const double value = (sum[l] + x[l] * (w + bracket[l])) * inverse;
      const double derivative = (sum_slope[l] + slope[l] * (w + bracket[l]) + x[l] * bracket_slope[l]) * inverse;
      result.error[l] = value - 1;
      result.slope[l] = derivative * sigma - power_ * value;
      result.terms[l] = (size[l] + std::abs(x[l]) * (std::abs(w) + bracket_size[l])) * inverse;
    }
    return result;
  }

  std::vector<double> sigma_, inverse_;  ///< points and σ^{−p}
  double power_;
};

/// Returns logarithmically spaced points for small σ and evenly spaced points for the many extrema near 1.
inline std::vector<double> iterate_start_grid(double delta) {
  std::vector<double> points = log_grid(delta, 500);
  for (int i = 1; i < 600; ++i) points.push_back(delta + (1 - delta) * double(i) / 600);
  return points;
}

/// Largest |fit(σ)| over max(σ^p, delta^p) for σ in [delta/1000, delta].
inline double largest_under(const IterateFit& fit, double power, double delta) {
  double largest = 0;
  for (const double ratio : log_grid(1e-3, 400)) {
    const double sigma = ratio * delta, reference = std::pow(power < 0 ? sigma : delta, power);
    largest = (std::max)(largest, std::abs(fit(sigma).value) / reference);
  }
  return largest;
}

/// Whether every iterate is in [−2, 2] on [delta, 1]. Outside, a quintic grows without bound.
inline bool iterates_bounded(std::span<const Quintic> steps, double delta) {
  for (double x : iterate_start_grid(delta)) {
    for (const Quintic& q : steps) {
      x = q(x);
      if (!(std::abs(x) <= 2)) return false;
    }
  }
  return true;
}

inline IterateFit iterate_fit_of(std::span<const Quintic> steps, const std::vector<double>& weights) {
  const auto count = std::ptrdiff_t(steps.size());
  const auto w = weights.begin();
  return {{steps.begin(), steps.end()},
          {w, w + count + 1},
          {w + count + 1, w + 2 * count + 1},
          {w + 2 * count + 1, weights.end()}};
}

}  // namespace detail

/// Returns the weights of the iterates of `steps` for σ^p on [resolution/scale_margin, 1], and a bound of their error
/// there.
///
/// Method: Lawson's iteration on about a thousand points, then rounds that add the maxima found on 10⁵ points; the best
/// round is used. The bound in a cell of that grid is the larger error at its ends plus half its width times the larger
/// slope at its ends. If the iterates leave [−2, 2], the error is infinite and there are no weights.
/// @pre steps not empty, power in (−0.5, 1], resolution in (0, 1]. Cost: tens of milliseconds.
inline IterateFit fit_iterates(std::span<const Quintic> steps, double power, double resolution) {
  constexpr double ridge = 1e-13;  // the basis may be dependent to rounding
  constexpr int first_iterations = 40, iterations = 15, rounds = 5;
  const double delta = (std::min)(resolution / scale_margin, 0.5);
  if (!detail::iterates_bounded(steps, delta)) return {};
  const detail::IterateBasis basis{steps};
  const detail::IterateGrid grid(delta, power, 100000);
  LawsonFit<detail::IterateBasis> lawson(basis, 3 * steps.size() + 1, power, detail::iterate_start_grid(delta), ridge);
  lawson.iterate(first_iterations);
  IterateFit best;
  for (int round = 0;; ++round) {
    const WeightFit weights = lawson.best();
    if (weights.weights.empty()) return best;
    IterateFit fit = detail::iterate_fit_of(steps, weights.weights);
    const auto extrema = grid.extrema(fit, 0.8 * weights.error);
    fit.error = extrema.bound;
    fit.cancellation = extrema.cancellation;
    if (fit.error < best.error) best = std::move(fit);
    if (round == rounds || extrema.largest <= 1.01 * weights.error) {
      best.under = detail::largest_under(best, power, delta);
      return best;
    }
    lawson.add(extrema.points);
    lawson.iterate(iterations);
  }
}

}  // namespace schatten::spectral
