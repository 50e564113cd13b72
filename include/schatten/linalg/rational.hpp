// SPDX-License-Identifier: BSD-3-Clause
// A rational function with real negative poles, as data.
#pragma once

#include <cstddef>
#include <vector>

namespace schatten::linalg {

/// r(x) = constant + linear·x + Σ_j weights_j/(x + poles_j), poles_j > 0.
struct Rational {
  double constant = 0;
  double linear = 0;
  std::vector<double> poles;
  std::vector<double> weights;

  [[nodiscard]] double operator()(double x) const {
    double sum = constant + linear * x;
    for (std::size_t j = 0; j < poles.size(); ++j) sum += weights[j] / (x + poles[j]);
    return sum;
  }
};

/// A rational function composed with another: with T = shift/(x + shift) and y = x + rise·T,
/// r(x) = constant + linear·x + once·T + Σ_j (weights_j + products_j·T)/(y + poles_j).
///
/// y grows towards both ends of [0, 1] and so has a far smaller condition than x.
struct ComposedRational {
  double shift = 1, rise = 0;
  double constant = 0, linear = 0, once = 0;
  std::vector<double> poles, weights, products;

  [[nodiscard]] double inner(double x) const { return x + rise * shift / (x + shift); }
  [[nodiscard]] double operator()(double x) const {
    const double t = shift / (x + shift), y = inner(x);
    double sum = constant + linear * x + once * t;
    for (std::size_t j = 0; j < poles.size(); ++j) sum += (weights[j] + products[j] * t) / (y + poles[j]);
    return sum;
  }
};

}  // namespace schatten::linalg
