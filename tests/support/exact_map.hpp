// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// U Σ^p Vᵀ with more digits than the library computes with, and what an output does to each singular direction.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::test {

/// What outputs in T are judged in.
template <class T>
using Digits = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/// rows×cols numbers, columns contiguous.
template <class R>
struct Plain {
  std::size_t rows = 0, cols = 0;
  std::vector<R> entries = std::vector<R>(rows * cols);
  R& operator()(std::size_t i, std::size_t j) { return entries[j * rows + i]; }
  const R& operator()(std::size_t i, std::size_t j) const { return entries[j * rows + i]; }
  R* column(std::size_t j) { return entries.data() + j * rows; }
  [[nodiscard]] const R* column(std::size_t j) const { return entries.data() + j * rows; }
};

template <class R>
Plain<R> transposed(const Plain<R>& a) {
  Plain<R> result{a.cols, a.rows};
  for (std::size_t j = 0; j < a.cols; ++j) {
    for (std::size_t i = 0; i < a.rows; ++i) result(j, i) = a(i, j);
  }
  return result;
}

template <class R>
R dot(const R* x, const R* y, std::size_t n) {
  R sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

/// y ← y + factor·x.
template <class R>
void add(R factor, const R* x, R* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

/// M = 2^exponent · U diag(σ) Vᵀ; σ₁ is about one, σ in no order. U (rows×k), V (cols×k), k = min(rows, cols). Columns
/// of U for σ = 0 are zero.
template <class R>
struct ExactSvd {
  int exponent = 0;
  Plain<R> u, v;
  std::vector<R> sigma;
  [[nodiscard]] R largest() const { return sigma.empty() ? R(0) : *std::max_element(sigma.begin(), sigma.end()); }
};

namespace detail {

/// A ← R of A = QR by Householder reflections, which stay in `reflections`: column k from row k on. @pre rows >= cols.
template <class R>
Plain<R> triangular_factor(const Plain<R>& a, Plain<R>& reflections) {
  Plain<R> result{a.cols, a.cols};
  reflections = a;
  for (std::size_t k = 0; k < a.cols; ++k) {
    R* const x = reflections.column(k) + k;
    const std::size_t n = a.rows - k;
    const R length = std::sqrt(dot(x, x, n)), first = x[0] < 0 ? -length : length;
    std::copy_n(reflections.column(k), k, result.column(k));
    result(k, k) = -first;
    x[0] += first;
    const R square = dot(x, x, n);
    for (std::size_t j = k + 1; j < a.cols && square > 0; ++j) {
      R* const y = reflections.column(j) + k;
      add(-2 * dot(x, y, n) / square, x, y, n);
    }
  }
  return result;
}

/// Q times the matrix whose first rows are x.
template <class R>
Plain<R> times_orthogonal(const Plain<R>& reflections, const Plain<R>& x) {
  Plain<R> result{reflections.rows, x.cols};
  for (std::size_t j = 0; j < x.cols; ++j) {
    std::copy_n(x.column(j), x.rows, result.column(j));
    for (std::size_t k = reflections.cols; k-- > 0;) {
      const R* const r = reflections.column(k) + k;
      const std::size_t n = reflections.rows - k;
      const R square = dot(r, r, n);
      R* const y = result.column(j) + k;
      if (square > 0) add(-2 * dot(r, y, n) / square, r, y, n);
    }
  }
  return result;
}

/// A ← AV with orthogonal columns, by one-sided Jacobi (Hestenes, 1958); returns V.
template <class R>
Plain<R> orthogonalize(Plain<R>& a) {
  constexpr int most_sweeps = 60;
  constexpr R tolerance = 2 * std::numeric_limits<R>::epsilon();
  const std::size_t n = a.cols;
  Plain<R> v{n, n};
  for (std::size_t k = 0; k < n; ++k) v(k, k) = 1;
  std::vector<R> square(n);
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < most_sweeps; ++sweep) {
    rotated = false;
    for (std::size_t k = 0; k < n; ++k) square[k] = dot(a.column(k), a.column(k), a.rows);
    for (std::size_t p = 0; p + 1 < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const R pp = square[p], qq = square[q], pq = dot(a.column(p), a.column(q), a.rows);
        if (std::abs(pq) <= tolerance * std::sqrt(pp) * std::sqrt(qq)) continue;
        const R zeta = (pp - qq) / (2 * pq);
        const R t = (zeta >= 0 ? 1 : -1) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
        const R c = 1 / std::sqrt(1 + t * t), s = c * t;
        for (auto* const matrix : {&a, &v}) {
          R *const x = matrix->column(p), *const y = matrix->column(q);
          for (std::size_t i = 0; i < matrix->rows; ++i) {
            const R old = x[i];
            x[i] = c * old + s * y[i];
            y[i] = c * y[i] - s * old;
          }
        }
        square[p] = dot(a.column(p), a.column(p), a.rows);
        square[q] = dot(a.column(q), a.column(q), a.rows);
        rotated = true;
      }
    }
  }
  return v;
}

}  // namespace detail

/// The singular value decomposition in R. Errors: a small multiple of ε(R)·σ₁. The vectors of a pair are orthogonal to
/// the others to ε(R), however small the singular value. @pre entries are finite.
template <class R>
ExactSvd<R> exact_svd(Plain<R> a) {
  if (a.rows < a.cols) {
    ExactSvd<R> svd = exact_svd(transposed(a));
    std::swap(svd.u, svd.v);
    return svd;
  }
  ExactSvd<R> svd{0, {}, {}, std::vector<R>(a.cols)};
  R largest = 0;
  for (const R x : a.entries) largest = std::max(largest, std::abs(x));
  if (largest > 0) std::frexp(largest, &svd.exponent);
  for (R& x : a.entries) x = std::ldexp(x, -svd.exponent);
  const bool tall = a.rows > 2 * a.cols;
  Plain<R> reflections;
  svd.u = tall ? detail::triangular_factor(a, reflections) : std::move(a);
  svd.v = detail::orthogonalize(svd.u);
  for (std::size_t k = 0; k < svd.sigma.size(); ++k) {
    R *const u = svd.u.column(k), *const v = svd.v.column(k);
    const R drift = std::sqrt(dot(v, v, svd.v.rows)), length = std::sqrt(dot(u, u, svd.u.rows));
    svd.sigma[k] = length / drift;
    for (std::size_t i = 0; i < svd.v.rows; ++i) v[i] /= drift;
    for (std::size_t i = 0; i < svd.u.rows && length > 0; ++i) u[i] /= length;
  }
  if (tall) svd.u = detail::times_orthogonal(reflections, svd.u);
  return svd;
}

/// The three readings of "the error of σ^p in a singular direction", relative to σ^p.
struct Readings {
  double diagonal = 0;  ///< |uᵀ·out·v − σ^p| / σ^p
  double right = 0;     ///< ‖out·v − σ^p u‖ / σ^p
  double left = 0;      ///< ‖outᵀu − σ^p v‖ / σ^p
  [[nodiscard]] double worst() const { return std::max({diagonal, right, left}); }
};

/// The largest readings over all k with σ_k >= resolution·σ₁. @pre out is finite.
template <class R>
Readings worst_readings(const ExactSvd<R>& svd, double power, double resolution, const Plain<R>& out) {
  Readings worst;
  const R unit = std::pow(R(2), -R(power) * R(svd.exponent)), least = R(resolution) * svd.largest();
  std::vector<R> image(out.rows), other(out.cols);
  for (std::size_t k = 0; k < svd.sigma.size(); ++k) {
    if (svd.sigma[k] == 0 || svd.sigma[k] < least) continue;
    const R wanted = std::pow(svd.sigma[k], R(power)), factor = unit / wanted;
    const R *const u = svd.u.column(k), *const v = svd.v.column(k);
    std::fill(image.begin(), image.end(), R(0));
    for (std::size_t j = 0; j < out.cols; ++j) {
      add(factor * v[j], out.column(j), image.data(), out.rows);
      other[j] = factor * dot(out.column(j), u, out.rows) - v[j];
    }
    for (std::size_t i = 0; i < out.rows; ++i) image[i] -= u[i];
    const auto length = [](const std::vector<R>& x) { return double(std::sqrt(dot(x.data(), x.data(), x.size()))); };
    worst.diagonal = std::max(worst.diagonal, double(std::abs(dot(u, image.data(), out.rows))));
    worst.right = std::max(worst.right, length(image));
    worst.left = std::max(worst.left, length(other));
  }
  return worst;
}

}  // namespace schatten::test
