// The one fit of weights: a fixed basis of functions of σ, combined linearly to σ^p with least relative error.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace schatten::spectral {

/// Weights of a basis and the largest relative error |Σ_k w_k b_k(σ) − σ^p|/(σ^p room(σ)) on [δ, 1].
struct WeightFit {
  std::vector<double> weights;
  double error = std::numeric_limits<double>::infinity();
};

/// The same room for every σ: the plain relative error.
struct EqualRoom {
  double operator()(double) const { return 1; }
};

namespace detail {

/// Least squares min ‖Ax − rhs‖₂ by Householder QR, A (points×terms) row-major. A and rhs are overwritten.
/// Returns false if a column is numerically dependent.
inline bool solve_least_squares(std::vector<double>& a, std::vector<double>& rhs, std::size_t terms,
                                std::vector<double>& x) {
  const std::size_t points = rhs.size();
  std::vector<double> diagonal(terms);
  for (std::size_t k = 0; k < terms; ++k) {
    double square = 0;
    for (std::size_t i = k; i < points; ++i) square += a[i * terms + k] * a[i * terms + k];
    const double norm = std::sqrt(square);
    if (!(norm > 0)) return false;
    const double pivot = a[k * terms + k];
    diagonal[k] = pivot > 0 ? -norm : norm;
    a[k * terms + k] -= diagonal[k];
    const double scale = diagonal[k] * a[k * terms + k];  // = −vᵀv/2
    const auto reflect = [&](double* column, std::size_t stride) {
      double sum = 0;
      for (std::size_t i = k; i < points; ++i) sum += a[i * terms + k] * column[i * stride];
      sum /= scale;
      for (std::size_t i = k; i < points; ++i) column[i * stride] += sum * a[i * terms + k];
    };
    for (std::size_t j = k + 1; j < terms; ++j) reflect(a.data() + j, terms);
    reflect(rhs.data(), 1);
  }
  x.assign(terms, 0.0);
  for (std::size_t k = terms; k-- > 0;) {
    double sum = rhs[k];
    for (std::size_t j = k + 1; j < terms; ++j) sum -= a[k * terms + j] * x[j];
    x[k] = sum / diagonal[k];
  }
  return true;
}

}  // namespace detail

/// Points of the grid, log-spaced in [delta, 1], ends included.
inline std::vector<double> log_grid(double delta, std::size_t points) {
  std::vector<double> grid(points);
  for (std::size_t i = 0; i < points; ++i) grid[i] = std::exp(std::log(delta) * (1 - double(i) / double(points - 1)));
  return grid;
}

/// Relative minimax fit of σ^p on [delta, 1] by Lawson's iteration: weighted least squares through QR, the weight of
/// each point multiplied by its error, the best iterate kept. Deterministic.
///
/// `basis(sigma, row)` writes the `terms` basis functions at sigma. The error at σ counts relative to `room(σ)` in
/// (0, 1]: where something else already takes a part of the tolerance, the fit leaves it that. The error reported is the
/// maximum over `check_points` points, more than were fitted. Cost: iterations · 2·points·terms² flops, a few milliseconds.
/// Source: Lawson (1961); numerics in docs/mathematics.md.
template <class Basis, class Room = EqualRoom>
WeightFit fit_weights(const Basis& basis, std::size_t terms, double power, double delta, const Room& room = {},
                      std::size_t points = 600, int iterations = 60, std::size_t check_points = 6000) {
  const std::vector<double> grid = log_grid(delta, points);
  std::vector<double> relative(points * terms), wanted(points), scale(terms, 0.0);
  for (std::size_t i = 0; i < points; ++i) {
    double* const row = relative.data() + i * terms;
    basis(grid[i], row);
    wanted[i] = 1 / room(grid[i]);
    const double value = std::pow(grid[i], power) * room(grid[i]);
    for (std::size_t k = 0; k < terms; ++k) scale[k] = std::max(scale[k], std::abs(row[k] /= value));
  }
  for (std::size_t i = 0; i < points * terms; ++i) relative[i] /= scale[i % terms];

  WeightFit best;
  std::vector<double> lawson(points, 1.0 / double(points)), a(points * terms), rhs(points), x, error(points);
  for (int iteration = 0; iteration < iterations; ++iteration) {
    for (std::size_t i = 0; i < points; ++i) {
      const double root = std::sqrt(lawson[i]);
      rhs[i] = root * wanted[i];
      for (std::size_t k = 0; k < terms; ++k) a[i * terms + k] = root * relative[i * terms + k];
    }
    if (!detail::solve_least_squares(a, rhs, terms, x)) break;
    double worst = 0, sum = 0;
    for (std::size_t i = 0; i < points; ++i) {
      double value = -wanted[i];
      for (std::size_t k = 0; k < terms; ++k) value += relative[i * terms + k] * x[k];
      error[i] = std::abs(value);
      worst = std::max(worst, error[i]);
      sum += lawson[i] * error[i];
    }
    if (worst < best.error) best = {x, worst};
    if (!(sum > 0)) break;
    for (std::size_t i = 0; i < points; ++i) lawson[i] *= error[i] / sum;
  }
  for (std::size_t k = 0; k < best.weights.size(); ++k) best.weights[k] /= scale[k];
  if (best.weights.empty()) return best;

  std::vector<double> row(terms);
  best.error = 0;
  for (const double sigma : log_grid(delta, check_points)) {
    basis(sigma, row.data());
    double value = 0;
    for (std::size_t k = 0; k < terms; ++k) value += best.weights[k] * row[k];
    best.error = std::max(best.error, std::abs(value / std::pow(sigma, power) - 1) / room(sigma));
  }
  return best;
}

}  // namespace schatten::spectral
