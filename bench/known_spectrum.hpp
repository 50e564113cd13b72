// SPDX-License-Identifier: BSD-3-Clause
// Matrices of known singular values and vectors, and the error of a map of them, in double.
#pragma once

#include "../tests/support/spectra.hpp"
#include "support.hpp"
#include <schatten/linalg/qr.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

namespace bench {

struct Spectrum {
  const char* name;
  std::function<double(std::size_t, std::size_t)> value;  ///< σ_k of n, k = 0..n−1, descending, σ_0 = 1
};

/// One of those that the tests have.
inline Spectrum named(const char* name, schatten::test::Spectrum spectrum, double lowest = 0) {
  return {name, [=](std::size_t k, std::size_t n) { return schatten::test::singular_value(spectrum, k, n, lowest); }};
}

inline Spectrum log_uniform(const char* name, double least) {
  return named(name, schatten::test::Spectrum::geometric, least);
}

inline const std::vector<Spectrum> spectra{
    {"Gaussian", {}},
    named("k^-1/2", schatten::test::Spectrum::root),
    named("1/k", schatten::test::Spectrum::harmonic),
    log_uniform("log-uniform to 1e-3", 1e-3),
    log_uniform("log-uniform to 1e-6", 1e-6),
    named("1 with one 1e-3", schatten::test::Spectrum::one_small, 1e-3),
    named("half 1, half 1e-3", schatten::test::Spectrum::halves, 1e-3),
    named("rank n/2", schatten::test::Spectrum::half_rank),
    named("one dominant", schatten::test::Spectrum::one_large, 2e-3),
};

/// Q of a Gaussian matrix.
inline Matrix<double> orthonormal(const Exec& exec, std::size_t rows, std::size_t cols, unsigned seed) {
  Matrix<double> q("bench::q", rows, cols);
  schatten::Workspace<Kokkos::HostSpace> workspace;
  schatten::linalg::orthonormal_basis<schatten::linalg::DefaultBackend<Exec>>(
      exec, bench::gaussian<double>({rows, cols}, seed), q, workspace);
  return q;
}

/// U diag(f(σ)) Vᵀ with U (rows×k), V (cols×k).
struct Known {
  Matrix<double> u, v;
  std::vector<double> sigma;
  [[nodiscard]] Matrix<double> matrix(const Exec& exec, double power) const {
    Matrix<double> scaled("bench::scaled", u.extent(0), u.extent(1)), out("bench::out", u.extent(0), v.extent(0));
    for (std::size_t k = 0; k < sigma.size(); ++k) {
      const double factor = sigma[k] > 0 ? std::pow(sigma[k], power) : 0.0;
      for (std::size_t i = 0; i < u.extent(0); ++i) scaled(i, k) = factor * u(i, k);
    }
    schatten::Workspace<Exec::memory_space> workspace;
    schatten::linalg::gemm(exec, 1.0, schatten::as_batch<Exec>(scaled),
                           schatten::transpose(schatten::as_batch<Exec>(v)), 0.0, schatten::as_batch<Exec>(out),
                           workspace);
    return out;
  }
};

inline Known known(const Exec& exec, const Shape& shape, const Spectrum& spectrum) {
  const std::size_t n = shape.short_side();
  Known result{orthonormal(exec, shape.rows, n, 11), orthonormal(exec, shape.cols, n, 12), std::vector<double>(n)};
  if (spectrum.value) {
    for (std::size_t k = 0; k < n; ++k) result.sigma[k] = spectrum.value(k, n);
    return result;
  }
  Matrix<double> m = bench::gaussian<double>(shape), vt("bench::vt", n, shape.cols);
  const Kokkos::View<double*, Kokkos::HostSpace> sigma("bench::sigma", n);
  schatten::Workspace<Kokkos::HostSpace> workspace;
  schatten::linalg::svd(exec, m, result.u, sigma, vt, workspace);
  for (std::size_t k = 0; k < n; ++k) {
    result.sigma[k] = sigma(k) / sigma(0);
    for (std::size_t j = 0; j < shape.cols; ++j) result.v(j, k) = vt(k, j);
  }
  return result;
}

struct Errors {
  double direction, frobenius;
};

/// Of `out` against U Σ^p Vᵀ: worst singular direction with σ >= resolution·σ₁, and relative Frobenius error.
inline Errors errors(const Exec& exec, const Known& known, double power, double resolution, const Matrix<double>& out) {
  const std::size_t n = known.sigma.size(), rows = out.extent(0);
  const Matrix<double> exact = known.matrix(exec, power);
  Matrix<double> image("bench::image", rows, n);
  schatten::Workspace<Exec::memory_space> workspace;
  schatten::linalg::gemm(exec, 1.0, out, known.v, 0.0, image, workspace);
  Errors result{0, 0};
  for (std::size_t k = 0; k < n; ++k) {
    if (known.sigma[k] < 0.999999 * resolution) continue;
    double along = 0, square = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      along += known.u(i, k) * image(i, k);
      square += image(i, k) * image(i, k);
    }
    const double wanted = std::pow(known.sigma[k], power);
    result.direction =
        std::max({result.direction, std::abs(along / wanted - 1), std::abs(std::sqrt(square) / wanted - 1)});
  }
  double difference = 0, size = 0;
  for (std::size_t k = 0; k < out.size(); ++k) {
    difference += (out.data()[k] - exact.data()[k]) * (out.data()[k] - exact.data()[k]);
    size += exact.data()[k] * exact.data()[k];
  }
  result.frobenius = std::sqrt(difference / size);
  return result;
}

}  // namespace bench
