// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Double-precision references, and the properties that decompositions must have.

#include "instantiations.hpp"
#include "views.hpp"

#include <cmath>

namespace schatten::test {

struct ReferenceSvd {
  Matrix u;
  Vector sigma;
  Matrix v;
};

/// Thin singular value decomposition in double, straight from Eigen.
inline ReferenceSvd reference_svd(const Matrix& a) {
  if (a.rows() < a.cols()) {
    ReferenceSvd swapped = reference_svd(a.transpose());
    std::swap(swapped.u, swapped.v);
    return swapped;
  }
  Matrix copy = a, vt(a.cols(), a.cols());
  ReferenceSvd svd{Matrix(a.rows(), a.cols()), Vector(a.cols()), {}};
  if (a.size() > 0) {
    linalg::backend::eigen_svd<double>(a.rows(), a.cols(), copy.data(), svd.u.data(), svd.sigma.data(), vt.data(),
                                       true);
  }
  svd.v = vt.transpose();
  return svd;
}

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
