// SPDX-License-Identifier: BSD-3-Clause
// Householder reflections on host matrices: made one by one, applied in blocks by the register-tiled product.
//
// Column-major matrices on one thread. A reflection is H = I − τvvᵀ with v = (1; tail); a matrix keeps reflection k in
// its column k, the tail below (k, k).
#pragma once

#include <schatten/linalg/host/kernel.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

namespace householder {

/// Reflections that are applied together.
inline constexpr std::ptrdiff_t block = 32;

/// Scalars of scratch for reflections of length `rows` applied to `cols` columns.
inline std::size_t scratch(std::ptrdiff_t rows, std::ptrdiff_t cols) {
  return std::size_t(block * (rows + 16) + 2 * block * block + 2 * block * cols);
}

/// Leading dimension of n rows: whole register tiles, and neighbouring columns out of the same cache sets.
inline std::ptrdiff_t leading(std::ptrdiff_t n) {
  constexpr std::ptrdiff_t unit = kernel::tile_rows<float>;  // double's divide it
  return (n + unit - 1) / unit * unit + unit;
}

}  // namespace householder

/// Σ_i a_i b_i over n contiguous elements, in vectors.
template <class T>
[[gnu::noinline]] T dot(std::ptrdiff_t n, const T* a, const T* b) {
  using kernel::load;
  constexpr std::ptrdiff_t lanes = kernel::lanes<T>;
  kernel::Vector<T> even{}, odd{};
  std::ptrdiff_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even += load(a + i) * load(b + i);
    odd += load(a + i + lanes) * load(b + i + lanes);
  }
  even += odd;
  T sum = 0;
  for (std::ptrdiff_t l = 0; l < lanes; ++l) sum += even[l];
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// a ← a − αx − βy, then returns Σ_i a_i z_i: n contiguous elements each.
template <class T>
[[gnu::noinline]] T subtract_and_dot(std::ptrdiff_t n, T* a, T alpha, const T* x, T beta, const T* y, const T* z) {
  using kernel::load;
  constexpr std::ptrdiff_t lanes = kernel::lanes<T>;
  kernel::Vector<T> even{}, odd{};
  std::ptrdiff_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const kernel::Vector<T> first = load(a + i) - alpha * load(x + i) - beta * load(y + i);
    const kernel::Vector<T> second = load(a + i + lanes) - alpha * load(x + i + lanes) - beta * load(y + i + lanes);
    kernel::store<T>(first, a + i);
    kernel::store<T>(second, a + i + lanes);
    even += first * load(z + i);
    odd += second * load(z + i + lanes);
  }
  even += odd;
  T sum = 0;
  for (std::ptrdiff_t l = 0; l < lanes; ++l) sum += even[l];
  for (; i < n; ++i) {
    a[i] -= alpha * x[i] + beta * y[i];
    sum += a[i] * z[i];
  }
  return sum;
}

/// y ← y + Ax, the columns of A contiguous.
template <class T>
[[gnu::noinline]] void add_columns(const HostMatrix<const T>& a, const T* x, T* y) {
  using kernel::load;
  constexpr std::ptrdiff_t lanes = kernel::lanes<T>;
  std::ptrdiff_t j = 0;
  for (; j + 4 <= a.cols; j += 4) {
    const T *const c0 = &a(0, j), *const c1 = &a(0, j + 1), *const c2 = &a(0, j + 2), *const c3 = &a(0, j + 3);
    std::ptrdiff_t i = 0;
    for (; i + lanes <= a.rows; i += lanes) {
      const kernel::Vector<T> left = x[j] * load(c0 + i) + x[j + 1] * load(c1 + i);
      const kernel::Vector<T> right = x[j + 2] * load(c2 + i) + x[j + 3] * load(c3 + i);
      kernel::store<T>(load(y + i) + (left + right), y + i);
    }
    for (; i < a.rows; ++i) y[i] += (x[j] * c0[i] + x[j + 1] * c1[i]) + (x[j + 2] * c2[i] + x[j + 3] * c3[i]);
  }
  for (; j < a.cols; ++j) {
    for (std::ptrdiff_t i = 0; i < a.rows; ++i) y[i] += x[j] * a(i, j);
  }
}

/// a ← a/s with s = max |a| over the rows×cols matrix, so that no square of it overflows. Returns s; 1 where all is
/// zero.
template <class T>
[[gnu::noinline]] double divide_by_largest(const HostMatrix<T>& a) {
  T largest = 0;
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) {
    for (std::ptrdiff_t i = 0; i < a.rows; ++i) largest = (std::max)(largest, std::abs(a(i, j)));
  }
  if (largest == T(0)) return 1;
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) {
    for (std::ptrdiff_t i = 0; i < a.rows; ++i) a(i, j) /= largest;
  }
  return double(largest);
}

/// (first; tail) ← (β; v) with H(first; tail) = (β; 0). Returns τ. A tail under 1e-146 counts as zero: H = I, v = 0, τ
/// = 0. Lengths are summed in double, so that H is orthogonal to the rounding of τ and v. @pre no square of them
/// overflows.
template <class T>
[[gnu::noinline]] T make_reflection(T& first, T* tail, std::ptrdiff_t n) {
  constexpr std::ptrdiff_t lanes = 8;
  constexpr double smallest = (std::numeric_limits<double>::min)() / std::numeric_limits<double>::epsilon();
  double partial[lanes] = {}, square = 0;
  std::ptrdiff_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (std::ptrdiff_t l = 0; l < lanes; ++l) partial[l] += double(tail[i + l]) * double(tail[i + l]);
  }
  for (; i < n; ++i) square += double(tail[i]) * double(tail[i]);
  for (const double part : partial) square += part;
  if (square < smallest) {  // squares that are subnormal have few digits
    std::fill_n(tail, n, T(0));
    return T(0);
  }
  const double length = std::sqrt(double(first) * double(first) + square), beta = first > T(0) ? -length : length;
  const double tau = (beta - double(first)) / beta, scale = 1 / (double(first) - beta);
  for (i = 0; i < n; ++i) tail[i] = T(double(tail[i]) * scale);
  first = T(beta);
  return T(tau);
}

/// C ← H₀H₁⋯H_{k−1} C, or with `transposed` H_{k−1}⋯H₁H₀ C, for k = A's columns <= householder::block.
///
/// A (r×k), C (r×n). The product is I − VTVᵀ, T upper triangular: T_jj = τ_j, T_{<j,j} = −τ_j T_{<j,<j} Vᵀv_j.
/// `scratch` as householder::scratch tells. Cost: 4rnk flops. Source: Schreiber and Van Loan (1989).
template <class T>
[[gnu::noinline]] void apply_reflection_block(const HostMatrix<const T>& a, const T* tau, bool transposed,
                                              const HostMatrix<T>& c, T* scratch) {
  constexpr std::ptrdiff_t width = householder::block;
  const std::ptrdiff_t rows = a.rows, count = a.cols;
  const HostMatrix<T> v{scratch, rows, count, 1, rows + 16}, gram{v.data + width * (rows + 16), count, count, 1, width};
  const HostMatrix<T> t{gram.data + width * width, count, count, 1, width};
  const HostMatrix<T> product{t.data + width * width, count, c.cols, 1, width};
  const HostMatrix<T> factor{product.data + width * c.cols, count, c.cols, 1, width};
  for (std::ptrdiff_t k = 0; k < count; ++k) {
    for (std::ptrdiff_t i = 0; i < k; ++i) v(i, k) = T(0);
    v(k, k) = T(1);
    for (std::ptrdiff_t i = k + 1; i < rows; ++i) v(i, k) = a(i, k);
  }
  const HostMatrix<const T> read_v{v.data, rows, count, 1, v.col_stride}, read_t{t.data, count, count, 1, width};
  fill(transpose(gram), T(0));
  kernel_gemm(T(1), transpose(read_v), read_v, gram);
  fill(transpose(t), T(0));
  for (std::ptrdiff_t j = 0; j < count; ++j) {
    for (std::ptrdiff_t k = 0; k < j; ++k) {
      for (std::ptrdiff_t i = 0; i <= k; ++i) t(i, j) -= tau[j] * t(i, k) * gram(k, j);
    }
    t(j, j) = tau[j];
  }
  fill(transpose(product), T(0));
  kernel_gemm(T(1), transpose(read_v), HostMatrix<const T>{c.data, c.rows, c.cols, c.row_stride, c.col_stride},
              product);
  fill(transpose(factor), T(0));
  const HostMatrix<const T> read_product{product.data, count, c.cols, 1, width};
  kernel_gemm(T(1), transposed ? transpose(read_t) : read_t, read_product, factor);
  kernel_gemm(T(-1), read_v, HostMatrix<const T>{factor.data, count, c.cols, 1, width}, c);
}

/// C ← H₀H₁⋯H_{k−1} C for all columns of A (r×k), C (r×n). With `from_identity` C is known to be the identity's first n
/// columns, n >= k. Cost: 4rnk − 2nk² flops; from the identity with n = r = k a third of that.
template <class T>
void apply_reflections(const HostMatrix<const T>& a, const T* tau, bool from_identity, const HostMatrix<T>& c,
                       T* scratch) {
  constexpr std::ptrdiff_t width = householder::block;
  for (std::ptrdiff_t first = (a.cols + width - 1) / width * width - width; first >= 0; first -= width) {
    const std::ptrdiff_t count = (std::min)(width, a.cols - first), col = from_identity ? first : 0;
    apply_reflection_block(block(a, first, first, a.rows - first, count), tau + first, false,
                           block(c, first, col, c.rows - first, c.cols - col), scratch);
  }
}

/// A (m×n, m >= n) ← its reflections and, on and above the diagonal, R with A = H₀⋯H_{n−1}R. tau (n). Cost: 2n²(m −
/// n/3) flops.
template <class T>
[[gnu::noinline]] void householder_qr(const HostMatrix<T>& a, T* tau, T* scratch) {
  for (std::ptrdiff_t first = 0; first < a.cols; first += householder::block) {
    const std::ptrdiff_t count = (std::min)(householder::block, a.cols - first), last = first + count;
    for (std::ptrdiff_t k = first; k < last; ++k) {
      T* const column = &a(0, k);
      tau[k] = make_reflection(column[k], column + k + 1, a.rows - k - 1);
      const T diagonal = column[k];
      column[k] = T(1);
      for (std::ptrdiff_t j = k + 1; j < last; ++j) {
        const T factor = tau[k] * dot(a.rows - k, column + k, &a(k, j));
        for (std::ptrdiff_t i = k; i < a.rows; ++i) a(i, j) -= factor * column[i];
      }
      column[k] = diagonal;
    }
    if (last == a.cols) break;
    const HostMatrix<T> panel = block(a, first, first, a.rows - first, count);
    apply_reflection_block(HostMatrix<const T>{panel.data, panel.rows, panel.cols, 1, panel.col_stride}, tau + first,
                           true, block(a, first, last, a.rows - first, a.cols - last), scratch);
  }
}

/// Columns back to length one, from which the rounding of many plane rotations makes them drift.
template <class T>
void normalize_column(std::ptrdiff_t n, T* column) {
  double square = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) square += double(column[i]) * double(column[i]);
  const double inverse = 1 / std::sqrt(square);
  for (std::ptrdiff_t i = 0; i < n; ++i) column[i] = T(double(column[i]) * inverse);
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
