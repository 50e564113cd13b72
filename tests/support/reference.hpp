// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Double-precision references, and the properties that decompositions must have.

#include "instantiations.hpp"
#include "reference_svd.hpp"
#include "views.hpp"

#include <cmath>

namespace schatten::test {

/// ‖A‖_{S_q} in double; no care for extreme scales.
inline double reference_schatten_norm(const Matrix& a, double q) {
  const Vector sigma = reference_svd(a).sigma;
  if (sigma.size() == 0) return 0;
  if (std::isinf(q)) return sigma(0);
  double sum = 0;
  for (Eigen::Index k = 0; k < sigma.size(); ++k) sum += std::pow(sigma(k), q);
  return std::pow(sum, 1 / q);
}

/// Largest entry of QᵀQ − I.
inline double orthogonality_error(const Matrix& q) {
  return max_abs(q.transpose() * q - Matrix::Identity(q.cols(), q.cols()));
}

}  // namespace schatten::test
