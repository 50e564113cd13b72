// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Matrices U diag(σ) Vᵀ whose singular values and vectors are known, made in double.

#include "exact_map.hpp"
#include "reference_svd.hpp"
#include "spectra.hpp"
#include "views.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

namespace schatten::test {

/// Columns are orthonormal and uniformly (Haar) distributed: Gram–Schmidt, twice, of a Gaussian matrix. rows >= cols.
inline Matrix random_orthogonal(std::size_t rows, std::size_t cols, unsigned seed) {
  Matrix q = gaussian(rows, cols, seed);
  for (Eigen::Index k = 0; k < q.cols(); ++k) {
    for (int pass = 0; pass < 2; ++pass) {
      for (Eigen::Index j = 0; j < k; ++j) q.col(k) -= q.col(j).dot(q.col(k)) * q.col(j);
    }
    q.col(k) /= q.col(k).norm();
  }
  return q;
}

/// A = U diag(sigma) Vᵀ; U (rows×k), V (cols×k), k = min(rows, cols).
struct KnownMatrix {
  Matrix u;
  Vector sigma;
  Matrix v;
  [[nodiscard]] Matrix matrix() const { return power(1.0); }
  /// U Σ^p Vᵀ; zero singular values stay zero.
  [[nodiscard]] Matrix power(double p) const {
    Matrix scaled = u;
    for (Eigen::Index k = 0; k < sigma.size(); ++k) {
      scaled.col(k) *= sigma(k) > 0 ? std::pow(sigma(k), p) : 0.0;
    }
    return scaled * v.transpose();
  }
};

/// The matrix with singular values `sigma` (length min(rows, cols)) between random singular vectors.
inline KnownMatrix known_matrix(std::size_t rows, std::size_t cols, const Vector& sigma, unsigned seed) {
  const auto k = std::size_t(sigma.size());
  return {random_orthogonal(rows, k, 2 * seed + 1), sigma, random_orthogonal(cols, k, 2 * seed + 2)};
}

/// Those that the tests go through.
inline constexpr Spectrum all_spectra[] = {Spectrum::geometric, Spectrum::harmonic,  Spectrum::halves,
                                           Spectrum::one_small, Spectrum::one_large, Spectrum::clustered};

/// `n` singular values, descending.
inline Vector singular_values_of(Spectrum spectrum, std::size_t n, double lowest) {
  Vector sigma(static_cast<Eigen::Index>(n));
  for (std::size_t k = 0; k < n; ++k) sigma(static_cast<Eigen::Index>(k)) = singular_value(spectrum, k, n, lowest);
  return sigma;
}

/// The exact singular directions of `known` as T stores it.
template <class T>
KnownMatrix stored(const KnownMatrix& known) {
  const Matrix m = known.matrix().cast<T>().template cast<double>();
  if constexpr (std::is_same_v<T, float>) {
    ReferenceSvd svd = reference_svd(m);
    return {svd.u, svd.sigma, svd.v};
  } else {
    using Wide = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;
    const ExactSvd<long double> svd =
        exact_svd(Plain<long double>{std::size_t(m.rows()), std::size_t(m.cols()), {m.data(), m.data() + m.size()}});
    std::vector<std::size_t> place(svd.sigma.size());
    std::iota(place.begin(), place.end(), std::size_t{0});
    std::sort(place.begin(), place.end(), [&](std::size_t k, std::size_t l) { return svd.sigma[k] > svd.sigma[l]; });
    const auto rank = Eigen::Index(place.size());
    KnownMatrix exact{Matrix(m.rows(), rank), Vector(rank), Matrix(m.cols(), rank)};
    for (Eigen::Index k = 0; k < rank; ++k) {
      const std::size_t from = place[std::size_t(k)];
      exact.sigma(k) = double(std::ldexp(svd.sigma[from], svd.exponent));
      exact.u.col(k) = Eigen::Map<const Wide>(svd.u.column(from), m.rows(), 1).cast<double>();
      exact.v.col(k) = Eigen::Map<const Wide>(svd.v.column(from), m.cols(), 1).cast<double>();
    }
    return exact;
  }
}

/// What an output does to the known singular directions.
struct DirectionError {
  double diagonal = 0;  ///< |u_kᵀ out v_k − σ_k^p|
  double right = 0;     ///< ‖out v_k − σ_k^p u_k‖
  double left = 0;      ///< ‖outᵀu_k − σ_k^p v_k‖
  double length = 0;    ///< |‖out v_k‖ − σ_k^p|
  /// The three readings of the promise.
  [[nodiscard]] double worst() const { return std::max({diagonal, right, left}); }
  /// What 16 bits promise.
  [[nodiscard]] double along() const { return std::max(diagonal, length); }
};

/// The errors of `out` as U Σ^p Vᵀ, one for each direction, absolute.
inline std::vector<DirectionError> direction_errors(const KnownMatrix& known, double p, const Matrix& out) {
  const Matrix image = out * known.v, other = out.transpose() * known.u;
  std::vector<DirectionError> errors;
  for (Eigen::Index k = 0; k < known.sigma.size(); ++k) {
    const double wanted = known.sigma(k) > 0 ? std::pow(known.sigma(k), p) : 0.0;
    errors.push_back({std::abs(known.u.col(k).dot(image.col(k)) - wanted),
                      (image.col(k) - wanted * known.u.col(k)).norm(), (other.col(k) - wanted * known.v.col(k)).norm(),
                      std::abs(image.col(k).norm() - wanted)});
  }
  return errors;
}

}  // namespace schatten::test
