// SPDX-License-Identifier: BSD-3-Clause
// The error bound of each method for σ_k >= δσ_max, relative to f = σ_k^p, rounding included: of |uᵀ·out·v − f|, ‖out·v
// − f u‖ and ‖outᵀu − f v‖, with u, v the singular vectors of σ_k.
#pragma once

#include <schatten/core/reduced_float.hpp>
#include <schatten/linalg/rational_function.hpp>
#include <schatten/spectral/composed_fit.hpp>
#include <schatten/spectral/exact.hpp>
#include <schatten/spectral/method.hpp>
#include <schatten/spectral/schedules.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <vector>

namespace schatten::spectral {

/// Sides of a matrix, or of its transpose: short_side <= long_side.
struct Shape {
  std::size_t long_side, short_side;
  /// The shape of matrices rows×cols. Those without elements have no error and no cost, as 0×0.
  static constexpr Shape of(std::size_t rows, std::size_t cols) {
    if (rows == 0 || cols == 0) return {0, 0};
    return {(std::max)(rows, cols), (std::min)(rows, cols)};
  }
};

/// Backward error of a decomposition, in multiples of ε(T)·‖M‖: two to three times the largest measured, n = 16 to
/// 1024, m up to 5000, all backends (docs/mathematics.md; tests/test_spectral_*.cpp test the bounds).
inline double svd_rounding(const Shape& shape) {
  return (std::max)(7 * std::sqrt(double(shape.short_side)), 3 * std::sqrt(double(shape.long_side)));
}
/// Backward error of a Gram matrix and its eigendecomposition, in multiples of ε(Work)·‖M‖². The rounding errors of a
/// long sum of nearly equal terms have one sign. Libraries sum some hundred terms at a time. In small matrices the
/// errors average over few sums.
inline double gram_rounding(const Shape& shape) {
  const auto m = double(shape.long_side), n = (std::max)(double(shape.short_side), 1.0);
  return 4 + n / 10 + 0.5 * ((std::min)(m, 384.0) + m / 256) / n;
}
/// Absolute rounding error of σ by a schedule of quintics, in multiples of ε: at least twice the largest measured, n =
/// 2 to 50 (tests/test_spectral_quintic.cpp). For singular values near ‖M‖_F the slope of CANS is 2·10⁴. Each step
/// beyond the schedule's own number multiplies the error by the largest slope of the quintic.
inline double quintic_rounding(QuinticSchedule schedule, std::size_t steps) {
  const double more = double(steps) - double(quintics_of(schedule).size());
  switch (schedule) {
    case QuinticSchedule::polar_express: return 700;
    case QuinticSchedule::cans: return 6e4;
    case QuinticSchedule::simple: return 1500 * std::pow(2.0, (std::max)(more, 0.0));
    case QuinticSchedule::muon: break;
  }
  return 200 * std::pow(4.3, (std::max)(more, 0.0));
}
/// The same times ε(Work). In 16 bits a quarter of it, relative to the map of the stored matrix (see iterate_rounding);
/// the largest measured for Muon is 24 ε, n = 4 to 128.
template <Element Work>
double quintic_rounding_error(QuinticSchedule schedule = QuinticSchedule::muon, std::size_t steps = muon_steps) {
  return (ReducedFloat<Work> ? 0.25 : 1) * quintic_rounding(schedule, steps) *
         double(std::numeric_limits<Work>::epsilon());
}

/// The effect of a backward error of 1 on the map at σ >= δ, relative to σ^p, for σ_max = 1: it changes σ^p by |p|/δ
/// and rotates the singular vectors by 1/δ, for p < 0 towards directions whose values are up to least^p.
inline double sensitivity(double power, double resolution, double least) {
  return (power < 0 ? (std::max)(1.0, std::pow(least / resolution, power)) : 1.0) / resolution;
}

/// Returns the bound of the relative error of σ^p at σ >= δσ_max by svd_power: a backward error, and the rounding of
/// the output. The rotation of the singular vectors is less than the backward error of σ: the largest measured is
/// 0.9ε/δ for p >= 0, n <= 12, and 29ε/δ for two rows of 1736 nearly equal terms.
template <Scalar T>
double svd_error(double power, double resolution, const Shape& shape) {
  const double epsilon = double(std::numeric_limits<T>::epsilon()), backward = svd_rounding(shape) * epsilon;
  const double storage = power < 0 ? std::pow(sigma_floor<T>, power) : std::pow(resolution, -power);
  const double moved = backward * std::abs(power) / resolution;
  const double across = (std::max)(0.875 * std::sqrt(double(shape.long_side)), 2.0) * epsilon;
  const double turned = across * sensitivity(power, resolution, sigma_floor<T>);
  return backward + (std::max)(moved, turned) + epsilon * storage;
}

/// Returns the bound for eigh_power. The elements of WᵀW outside the diagonal, x = cε/δ² relative to the smallest
/// eigenvalue, are included to first order. The second order is x². In directions below the resolution it is multiplied
/// by the function's values there, up to floor^{(p−1)/2} instead of δ^{p−1}.
template <Scalar T, Scalar Work>
double eigh_error(double power, double resolution, const Shape& shape) {
  const double least = std::sqrt(gram_floor<Work>), epsilon = double(std::numeric_limits<Work>::epsilon());
  const double backward = gram_rounding(shape) * epsilon, off_diagonal = backward / (resolution * resolution);
  if (resolution < 2 * least || off_diagonal > 0.25) return std::numeric_limits<double>::infinity();
  const double second = 0.25 * off_diagonal * off_diagonal * (1 + std::pow(resolution / least, 1 - power));
  const double storage = power < 0 ? 1.5 * std::pow(least, power) : std::pow(resolution, -power);
  return backward * sensitivity(power, resolution, least) + second +
         double(std::numeric_limits<T>::epsilon()) * (8 + storage);
}

/// Rounding of the shifted Cholesky factorizations of S + tI and of their inverses, for a Gram matrix S with more
/// digits, in multiples of ε(Work)·‖M‖². The largest measured is 0.44 for n < 250; above it is 0.24 on the diagonal and
/// 0.33 in the errors of vectors.
inline double factor_rounding(const Shape& shape) { return shape.short_side < 250 ? 0.57 : 0.364; }

/// The same with the Gram matrix computed in Work, in chunks. Rounding errors of nearly equal terms have one sign and
/// add up: for them the bound counts the successive additions at each level of the summation. Along a singular
/// direction they average over its entries, of which there may be only two in a matrix of any size.
template <Scalar T, Scalar Work>
double rational_rounding(const Shape& shape) {
  constexpr auto chunk = double(linalg::gram_chunk<T, Work>), pass = double(linalg::gram_pass<Work>);
  const auto m = double(shape.long_side), entries = shape.short_side < 2 ? 1.0 : 2.0;
  const double additions =
      0.3 * (std::min)(m, chunk) + (m > chunk ? 1.75 * ((std::min)(m, pass) / chunk + m / pass) : 0.0);
  return (std::max)(0.57, 0.44 + additions / entries);
}

/// Relative error of σ^p due to rounding: falling·(δ/σ)² + rest at σ >= δ.
struct RoundingError {
  double falling, rest;
  [[nodiscard]] double largest() const { return falling + rest; }
};

/// Returns the error due to rounding in rational_power. An error e of the Gram matrix or its factors changes σ^p by
/// (1−p)/2·e/σ². The function's largest values, up to δ^{p−1}, and the output are rounded too.
template <Scalar T, Scalar Work, Scalar Gram = Work>
RoundingError rational_rounding_error(double power, double resolution, const Shape& shape) {
  const double epsilon = double(std::numeric_limits<Work>::epsilon());
  const double rounding = std::is_same_v<Gram, Work> ? rational_rounding<T, Work>(shape) : factor_rounding(shape);
  const double moved = rounding * 0.5 * (1 - power) / resolution / resolution;
  return {epsilon * moved, epsilon * 2 * std::pow(resolution, power - 1) +
                               double(std::numeric_limits<T>::epsilon()) * (16 + std::pow(resolution, -power))};
}

/// Σ|w_j|/(x + t_j) over the poles t_j of r, w_j its weights.
inline double sum_of_sizes(const linalg::Rational& r, double x) {
  double sum = 0;
  for (std::size_t j = 0; j < r.poles.size(); ++j) sum += std::abs(r.weights[j]) / (x + r.poles[j]);
  return sum;
}

/// Returns the sum of the poles' |terms| divided by |their sum|, the larger of the values at x = `least` and 1. It is 1
/// for weights of one sign. Fits with a very small error have weights of both signs, and each term is rounded.
inline double cancellation(const linalg::Rational& r, double least) {
  double largest = 1;
  for (const double x : {least, 1.0}) {
    double sum = 0;
    for (std::size_t j = 0; j < r.poles.size(); ++j) sum += r.weights[j] / (x + r.poles[j]);
    if (sum != 0) largest = (std::max)(largest, sum_of_sizes(r, x) / std::abs(sum));
  }
  return largest;
}

/// Returns the largest error due to rounding in rational_power of a float matrix. The Gram matrix and the first `fine`
/// poles are in double; the other poles, the sum W of all, and the product MW are in T.
///
/// An error e of S + tI changes its inverse Z by ZeZ: relative to σ^p, a pole of weight w and shift t in T adds up to
/// e·w·max(σ, √t/2)/(t (σ² + t) σ^p) to out·v and outᵀu. W is as large as δ^{p−1}: its rounding and the product's are
/// ε/δ at σ = δ, and εδ^{p−1} at σ = 1. Measured worst: 0.30 for e/ε; 0.74 (n = 24 to
/// 300), 0.82 (1024) and 2.4 for the others, 4.4 without
/// fused multiply-adds where all terms are alike.
template <Scalar T>
double mixed_rounding_error(const linalg::Rational& r, std::size_t fine, double power, double resolution,
                            const Shape& shape) {
  constexpr int points_each_decade = 8;
  const double epsilon = double(std::numeric_limits<T>::epsilon()), coarse = epsilon * factor_rounding(shape);
  const double falling = std::pow(10.0, -1.0 / points_each_decade);
  double largest = 0;
  for (double sigma = 1; sigma > resolution * falling; sigma *= falling) {
    double sum = 0;
    for (std::size_t j = fine; j < r.poles.size(); ++j) {
      const double shift = r.poles[j];
      sum += std::abs(r.weights[j]) * (std::max)(sigma, 0.5 * std::sqrt(shift)) / (shift * (sigma * sigma + shift));
    }
    largest = (std::max)(largest, coarse * sum * std::pow(sigma, -power));
  }
  const double product = 0.9 + 0.005 * std::sqrt(double(shape.short_side)), sums = 5;
  // The constants were measured with r(0) up to twice δ^{p−1}. Fits of many poles have larger r(0), most of all for p <
  // 0.
  const double under = std::pow(resolution, power - 1), lowest = (std::max)(under, 0.5 * sum_of_sizes(r, 0));
  const double stored =
      epsilon * (std::max)(product / resolution, sums * lowest) * cancellation(r, resolution * resolution);
  return largest + stored + rational_rounding_error<T, double>(power, resolution, shape).largest();
}

/// Returns the error that the rounding of the Gram matrix mixes into a direction at σ >= δ from those far below the
/// resolution, relative to σ^p and divided by (δ/σ)^{1+p}. `excess` is r(0)/r(δ²) − 1 of the rational function r: fits
/// of many poles approximate σ^{p−1} far below δ. In other directions the rounding is that of rational_rounding_error.
/// The two never add up.
template <Scalar Work>
double rational_leak(double power, double resolution, double excess, const Shape& shape) {
  const bool averaged = std::is_same_v<Work, float> && shape.short_side >= 250;
  const double mixed = (averaged ? 0.25 : 0.6) * excess / (resolution * resolution);
  const double rounded = 1.5 * (1 + excess) * std::pow(resolution, power - 1);
  return double(std::numeric_limits<Work>::epsilon()) * (mixed + rounded);
}

/// Returns the error bound of rational_power with a composed fit, for matrices of T and the Gram matrix in double.
///
/// The error of the fit has the direction u_k. The rest of out·v_k − σ^p u_k and outᵀu_k − σ^p v_k is orthogonal to u_k
/// and v_k, and has two parts. A rounding error e of Y changes V = (Y + a)⁻¹ by VeV; between v_m and v_k this is
/// multiplied by T at v_m, and by σ_m for out·v_k or σ_k for outᵀu_k. The other part is the rounding of W and of the
/// product, as in mixed_rounding_error. The largest measured are 0.1 for e/(ε(1 + rise)), 0.6 ε/δ and 1.7 εδ^{p−1} for
/// the others, and 0.2 εδ^{p−1} in the direction u_k.
template <Scalar T>
double composed_error(const ComposedFit& fit, double power, double resolution, const Shape& shape) {
  constexpr int points_each_decade = 6;
  constexpr double below = 1e-3, inner_rounding = 0.1, sums = 3, along = 0.5;
  const linalg::ComposedRational& r = fit.function;
  const double epsilon = double(std::numeric_limits<T>::epsilon()), falling = std::pow(10.0, -1.0 / points_each_decade);
  const double inner = epsilon * inner_rounding * (1 + r.rise);
  const double product = 0.9 + 0.005 * std::sqrt(double(shape.short_side));
  const double largest = epsilon * std::pow(fit.resolution, power - 1);  // rounding of W
  const double in_double = rational_rounding_error<T, double>(power, resolution, shape).largest();
  std::vector<double> sigmas;
  for (double sigma = 1; sigma > below * resolution; sigma *= falling) sigmas.push_back(sigma);
  const auto moved = [&](double m, double k) {
    const double t = r.shift / (m * m + r.shift);
    double sum = 0;
    for (std::size_t j = 0; j < r.poles.size(); ++j) {
      sum +=
          std::abs(r.weights[j] + r.products[j] * t) / ((r.inner(m * m) + r.poles[j]) * (r.inner(k * k) + r.poles[j]));
    }
    return sum * (std::max)(m, k);
  };
  double worst = 0;
  for (const double k : sigmas) {
    if (k < resolution * falling) break;
    double across = 0;
    for (const double m : sigmas) across = (std::max)(across, moved(m, k));
    const double own = std::pow(k, -power);
    worst = (std::max)(worst, std::hypot(fit.error + in_double + along * largest * k * own,
                                         (inner * across + largest * (std::max)(product, sums * k)) * own));
  }
  return worst;
}

}  // namespace schatten::spectral
