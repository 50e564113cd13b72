// SPDX-License-Identifier: BSD-3-Clause
// A rational function with real negative poles, as data.
#pragma once

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

}  // namespace schatten::linalg
