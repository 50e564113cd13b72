// SPDX-License-Identifier: BSD-3-Clause
// Singular value decomposition of one host matrix: Householder bidiagonalisation, then implicitly shifted QR.
//
// Eigen::BDCSVD does not serve: its deflation (3.4.0) gives wrong vectors or reads out of bounds where singular values
// repeat: half of them 1, half 1e-4, residual 0.9. All of Eigen's decompositions take long to compile.
#pragma once

#include <schatten/linalg/host/rotations.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// Scalars of scratch that bidiagonalize needs.
inline std::size_t bidiagonalize_scratch(std::ptrdiff_t m, std::ptrdiff_t n) { return std::size_t(2 * m + n); }

/// A = H₀⋯H_{n−1} B G_{n−2}⋯G₀, B upper bidiagonal with `diagonal` (n) and `above` (n, the last one zero).
///
/// A (m×n, m >= n, column-major) keeps H as householder.hpp says, τ in left (n). Reflection k of G lies in column k of
/// `right` (n×n) below (k+1, k), τ in right_tau (n). The update of one step and the product Aᵀu of the next are one
/// pass over A, the product Av another. Cost: 4n²(m − n/3) flops. Source: Howell et al., ACM TOMS 34 (2008), for the
/// order.
template <class T>
void bidiagonalize(const HostMatrix<T>& a, const HostMatrix<T>& right, double* diagonal, double* above, T* left,
                   T* right_tau, T* scratch) {
  const std::ptrdiff_t m = a.rows, n = a.cols;
  T *const x = scratch, *const none = scratch + m, *const y = none + m;
  std::fill_n(scratch, 2 * m + n, T(0));
  const T *u = none, *v = none;  // of the step before, which takes uyᵀ + xvᵀ from A: zero before the first
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    T* const column = a.data + k * a.col_stride;
    for (std::ptrdiff_t i = k; i < m; ++i) column[i] -= u[i] * y[k] + x[i] * v[k];
    left[k] = make_reflection(column[k], column + k + 1, m - k - 1);
    diagonal[k] = double(column[k]);
    column[k] = T(1);
    above[k] = 0;
    right_tau[k] = T(0);
    if (k + 1 == n) return;
    T* const row = right.data + k * right.col_stride;  // of A, then v
    for (std::ptrdiff_t j = k + 1; j < n; ++j) {
      T* const other = a.data + j * a.col_stride;
      y[j] = left[k] * subtract_and_dot(m - k, other + k, y[j], u + k, v[j], x + k, column + k);
      row[j] = other[k] - y[j];
    }
    right_tau[k] = make_reflection(row[k + 1], row + k + 2, n - k - 2);
    above[k] = double(row[k + 1]);
    row[k + 1] = T(1);
    std::fill(x + k + 1, x + m, T(0));
    const HostMatrix<const T> rest{&a(0, k + 1) + k + 1, m - k - 1, n - k - 1, 1, a.col_stride};
    add_columns(rest, row + k + 1, x + k + 1);
    const T along = dot(n - k - 1, y + k + 1, row + k + 1);
    for (std::ptrdiff_t i = k + 1; i < m; ++i) x[i] = right_tau[k] * (x[i] - along * column[i]);
    u = column;
    v = row;
  }
}

/// B ← diag(σ), P ← P·Q₁, Q ← Q·Q₂ with B = Q₁ diag(σ) Q₂ᵀ; σ of any sign and order, in `diagonal`.
///
/// B (n×n): `diagonal` (n) and `above` (n, the last one zero), in double; P, Q (n columns, or none) as ColumnRotations
/// wants them. The rotations are found in double and applied in T. False without convergence. Golub and Reinsch (1970);
/// the shift as in LINPACK's dsvdc. Cost: about 6n²·(rows of P + rows of Q) flops.
template <class T>
class BidiagonalQr {
 public:
  BidiagonalQr(std::ptrdiff_t n, double* diagonal, double* above, const HostMatrix<T>& p, const HostMatrix<T>& q)
      : size_(n), d_(diagonal), e_(above), p_(p), q_(q), norm_(0) {
    for (std::ptrdiff_t k = 0; k < n; ++k) norm_ = (std::max)({norm_, std::abs(d_[k]), std::abs(e_[k])});
  }

  bool run() {
    constexpr int steps_each = 60;  // two or three are usual
    for (std::ptrdiff_t left = steps_each * size_; left > 0; --left) {
      for (std::ptrdiff_t k = 0; k + 1 < size_; ++k) {
        if (std::abs(e_[k]) <= epsilon * (std::abs(d_[k]) + std::abs(d_[k + 1]) + epsilon * norm_)) e_[k] = 0;
      }
      std::ptrdiff_t high = size_ - 1;
      while (high > 0 && e_[high - 1] == 0) --high;
      if (high <= 0) {
        p_.flush();
        q_.flush();
        return true;
      }
      std::ptrdiff_t low = high - 1;
      while (low > 0 && e_[low - 1] != 0) --low;
      if (!split(low, high)) step(low, high);
    }
    return false;
  }

 private:
  /// Where a diagonal entry of block [low, high] is zero, the block falls apart: true.
  bool split(std::ptrdiff_t low, std::ptrdiff_t high) {
    const double negligible = epsilon * epsilon * norm_;
    for (std::ptrdiff_t i = high; i >= low; --i) {
      if (std::abs(d_[i]) > negligible) continue;
      d_[i] = 0;
      if (i == high) {  // the last column goes, by rotations with those before it
        double f = e_[high - 1];
        e_[high - 1] = 0;
        for (std::ptrdiff_t k = high - 1; k >= low && f != 0; --k) {
          const PlaneRotation g(d_[k], f);
          d_[k] = g.length;
          if (k > low) f = -g.s * e_[k - 1];
          if (k > low) e_[k - 1] *= g.c;
          q_.rotate(k, high, g);
        }
      } else {  // row i goes, by rotations with those after it
        double f = e_[i];
        e_[i] = 0;
        for (std::ptrdiff_t k = i + 1; k <= high && f != 0; ++k) {
          const PlaneRotation g(d_[k], f);
          d_[k] = g.length;
          f = -g.s * e_[k];
          e_[k] *= g.c;
          p_.rotate(k, i, g);
        }
      }
      return true;
    }
    return false;
  }

  /// One QR step on BᵀB of block [low, high], shifted by the eigenvalue of its last 2×2 block.
  void step(std::ptrdiff_t low, std::ptrdiff_t high) {
    const double scale = (std::max)(
        {std::abs(d_[high]), std::abs(d_[high - 1]), std::abs(e_[high - 1]), std::abs(d_[low]), std::abs(e_[low])});
    const double last = d_[high] / scale, previous = d_[high - 1] / scale, beside = e_[high - 1] / scale;
    const double first = d_[low] / scale;
    const double b = ((previous + last) * (previous - last) + beside * beside) / 2;
    const double c = (last * beside) * (last * beside);
    const double root = b < 0 ? -std::sqrt(b * b + c) : std::sqrt(b * b + c);
    double f = (first + last) * (first - last) + (b + root != 0 ? c / (b + root) : 0.0);
    double g = first * (e_[low] / scale);
    p_.begin(low);
    q_.begin(low);
    for (std::ptrdiff_t k = low; k < high; ++k) {
      const PlaneRotation right(f, g);
      if (k > low) e_[k - 1] = right.length;
      f = right.c * d_[k] + right.s * e_[k];
      e_[k] = right.c * e_[k] - right.s * d_[k];
      g = right.s * d_[k + 1];
      d_[k + 1] *= right.c;
      q_.add(right);
      const PlaneRotation left(f, g);
      d_[k] = left.length;
      f = left.c * e_[k] + left.s * d_[k + 1];
      d_[k + 1] = left.c * d_[k + 1] - left.s * e_[k];
      g = left.s * e_[k + 1];
      if (k + 1 < high) e_[k + 1] *= left.c;
      p_.add(left);
    }
    e_[high - 1] = f;
  }

  static constexpr double epsilon = 0.5 * double(std::numeric_limits<T>::epsilon());
  std::ptrdiff_t size_;
  double *d_, *e_;
  ColumnRotations<T> p_, q_;
  double norm_;
};

/// Scalars of work that host_svd needs.
inline std::size_t host_svd_work(std::ptrdiff_t m, std::ptrdiff_t n, bool vectors) {
  const std::size_t bidiagonal = std::size_t((n + 2) * n) + bidiagonalize_scratch(m, n);
  if (!vectors) return bidiagonal;
  return bidiagonal + 2 * std::size_t(householder::leading(n) * n) + householder::scratch(m, n);
}

/// a (m×n, m >= n) = u diag(sigma) vt, all contiguous column-major; sigma descending. `vectors` false: sigma only.
/// Overwrites a. False without convergence. `work`: host_svd_work scalars. Backward stable.
/// Cost: about 4n²m + 12n³ flops with vectors.
template <class T>
bool host_svd(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* u, T* sigma, T* vt, bool vectors, T* work) {
  const HostMatrix<T> matrix = col_major_matrix(a, m, n);
  const HostMatrix<T> right = col_major_matrix(work, n, n);
  T *const left_tau = work + n * n, *const right_tau = left_tau + n, *const rest = right_tau + n;
  std::vector<double> diagonal(std::size_t(n), 0.0), above(std::size_t(n), 0.0);
  const double scale = divide_by_largest(matrix);
  bidiagonalize(matrix, right, diagonal.data(), above.data(), left_tau, right_tau, rest);
  const std::ptrdiff_t order = vectors ? n : 0, stride = householder::leading(n);
  T* const memory = rest + bidiagonalize_scratch(m, n);
  const HostMatrix<T> p{memory, order, order, 1, stride}, q{memory + stride * order, order, order, 1, stride};
  std::fill_n(memory, 2 * stride * order, T(0));
  for (std::ptrdiff_t k = 0; k < order; ++k) p(k, k) = q(k, k) = T(1);
  if (!BidiagonalQr<T>(n, diagonal.data(), above.data(), p, q).run()) return false;
  std::vector<std::ptrdiff_t> place(std::size_t(n), 0);
  std::iota(place.begin(), place.end(), std::ptrdiff_t{0});
  std::stable_sort(place.begin(), place.end(), [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    return std::abs(diagonal[std::size_t(i)]) > std::abs(diagonal[std::size_t(j)]);
  });
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    sigma[k] = T(std::abs(diagonal[std::size_t(place[std::size_t(k)])]) * scale);
  }
  if (!vectors) return true;
  T* const scratch = memory + 2 * stride * n;
  const HostMatrix<T> v = col_major_matrix(vt, n, n);
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    const std::ptrdiff_t from = place[std::size_t(k)];
    T* const column = u + k * m;
    std::copy_n(p.data + from * stride, n, column);
    std::fill(column + n, column + m, T(0));
    normalize_column(n, column);
    if (diagonal[std::size_t(from)] < 0) {
      for (std::ptrdiff_t i = 0; i < n; ++i) column[i] = -column[i];
    }
    std::copy_n(q.data + from * stride, n, &v(0, k));
    normalize_column(n, &v(0, k));
  }
  apply_reflections(HostMatrix<const T>{a, m, n, 1, m}, left_tau, false, col_major_matrix(u, m, n), scratch);
  if (n > 1) {
    apply_reflections(HostMatrix<const T>{right.data + 1, n - 1, n - 1, 1, n}, right_tau, false,
                      block(v, 1, 0, n - 1, n), scratch);
  }
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    for (std::ptrdiff_t i = 0; i < j; ++i) std::swap(v(i, j), v(j, i));
  }
  return true;
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
