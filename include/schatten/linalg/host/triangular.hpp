// SPDX-License-Identifier: BSD-3-Clause
// Products with triangular and symmetric matrices, and the inverse of a shifted symmetric positive definite matrix, all
// by recursion on halves down to the register-tiled kernel. One thread; matrices column-major. Nothing recursive is
// inlined: at -O3 a compiler would put several levels into one function.
#pragma once

#include <schatten/linalg/host/kernel.hpp>

#include <cmath>
#include <cstddef>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

namespace triangular {

inline constexpr std::ptrdiff_t leaf = 64;         ///< under it, products are done whole
inline constexpr std::ptrdiff_t factor_leaf = 32;  ///< under it, the factorisation runs by columns
/// Up to it, an inverse is multiplied by a transposed copy of itself.
inline constexpr std::ptrdiff_t transposed = 512;

/// Where n is cut: a multiple of `unit`, about the middle.
inline std::ptrdiff_t half(std::ptrdiff_t n, std::ptrdiff_t unit) { return (n / 2 + unit - 1) / unit * unit; }

}  // namespace triangular

template <class T>
HostMatrix<const T> read_only(const HostMatrix<T>& a) {
  return {a.data, a.rows, a.cols, a.row_stride, a.col_stride};
}

/// Lower triangle of C += alpha·A B, the product known to be symmetric. The leaves on the diagonal are done whole.
template <bool levels = false, class A, class T>
[[gnu::noinline]] void lower_product(T alpha, const HostMatrix<const A>& a, const HostMatrix<const A>& b,
                                     const HostMatrix<T>& c) {
  const std::ptrdiff_t n = c.rows, k = a.cols;
  if (n <= triangular::leaf) return kernel_gemm<levels>(alpha, a, b, c);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf);
  lower_product<levels>(alpha, block(a, 0, 0, h, k), block(b, 0, 0, k, h), block(c, 0, 0, h, h));
  kernel_gemm<levels>(alpha, block(a, h, 0, n - h, k), block(b, 0, 0, k, h), block(c, h, 0, n - h, h));
  lower_product<levels>(alpha, block(a, h, 0, n - h, k), block(b, 0, h, k, n - h), block(c, h, h, n - h, n - h));
}

/// Y += alpha·L X, L lower triangular with explicit zeros above the diagonal in its leaves.
template <class T>
[[gnu::noinline]] void lower_times(T alpha, const HostMatrix<const T>& l, const HostMatrix<const T>& x,
                                   const HostMatrix<T>& y) {
  const std::ptrdiff_t n = l.rows, k = x.cols;
  if (n <= triangular::leaf) return kernel_gemm(alpha, l, x, y);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf);
  lower_times(alpha, block(l, 0, 0, h, h), block(x, 0, 0, h, k), block(y, 0, 0, h, k));
  kernel_gemm(alpha, block(l, h, 0, n - h, h), block(x, 0, 0, h, k), block(y, h, 0, n - h, k));
  lower_times(alpha, block(l, h, h, n - h, n - h), block(x, h, 0, n - h, k), block(y, h, 0, n - h, k));
}

/// Y += alpha·Lᵀ X.
template <class T>
[[gnu::noinline]] void lower_transposed_times(T alpha, const HostMatrix<const T>& l, const HostMatrix<const T>& x,
                                              const HostMatrix<T>& y) {
  const std::ptrdiff_t n = l.rows, k = x.cols;
  if (n <= triangular::leaf) return kernel_gemm(alpha, transpose(l), x, y);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf);
  lower_transposed_times(alpha, block(l, 0, 0, h, h), block(x, 0, 0, h, k), block(y, 0, 0, h, k));
  kernel_gemm(alpha, transpose(block(l, h, 0, n - h, h)), block(x, h, 0, n - h, k), block(y, 0, 0, h, k));
  lower_transposed_times(alpha, block(l, h, h, n - h, n - h), block(x, h, 0, n - h, k), block(y, h, 0, n - h, k));
}

/// a (n <= factor_leaf) ← L and `inverse` ← L⁻¹, zeros above, with A = LLᵀ. False if a pivot is not above `floor`. In
/// double: each column takes up to n subtractions, which in float would round A's largest entries.
template <class T>
bool cholesky_leaf(const HostMatrix<T>& a, const double* diagonal, double floor, const HostMatrix<T>& inverse) {
  constexpr std::ptrdiff_t stride = triangular::factor_leaf;
  const std::ptrdiff_t n = a.rows;
  alignas(64) double l[stride * stride];
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    for (std::ptrdiff_t i = j + 1; i < n; ++i) l[i + j * stride] = double(a(i, j));
    l[j + j * stride] = diagonal[j];
  }
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    double* const column = l + k * stride;
    if (!(column[k] > floor)) return false;
    const double pivot = std::sqrt(column[k]), reciprocal = 1 / pivot;
    for (std::ptrdiff_t i = 0; i < k; ++i) a(i, k) = T(0);
    a(k, k) = T(pivot);
    column[k] = reciprocal;
    for (std::ptrdiff_t i = k + 1; i < n; ++i) a(i, k) = T(column[i] *= reciprocal);
    for (std::ptrdiff_t j = k + 1; j < n; ++j) {
      double* const other = l + j * stride;
      const double factor = column[j];
      for (std::ptrdiff_t i = j; i < n; ++i) other[i] -= factor * column[i];
    }
  }
  // From the last column to the first: x = −L₂₂⁻¹ l/λ below the diagonal, column by column of L₂₂⁻¹.
  for (std::ptrdiff_t k = n; k-- > 0;) {
    double* const column = l + k * stride;
    double x[stride] = {};
    for (std::ptrdiff_t j = k + 1; j < n; ++j) {
      const double* const done = l + j * stride;
      const double factor = -column[k] * column[j];
      for (std::ptrdiff_t i = j; i < n; ++i) x[i] += factor * done[i];
    }
    for (std::ptrdiff_t i = k + 1; i < n; ++i) column[i] = x[i];
    for (std::ptrdiff_t i = 0; i < n; ++i) inverse(i, k) = i < k ? T(0) : T(column[i]);
  }
  return true;
}

/// B ← B L⁻ᵀ by substitution of blocks; `inverses` holds the inverses of L's leaves side by side, `scratch` a leaf's
/// columns of B. Only leaves are inverted: through an inverse of all of L the residual B − XLᵀ would grow with κ(L).
/// `refine`: one step of refinement takes away what an ill-conditioned leaf leaves.
template <class T>
[[gnu::noinline]] void solve_transposed(const HostMatrix<const T>& l, const HostMatrix<const T>& inverses, bool refine,
                                        const HostMatrix<T>& b, T* scratch) {
  const std::ptrdiff_t n = l.rows, r = b.rows;
  if (n <= triangular::factor_leaf) {
    const HostMatrix<T> residual{scratch, r, n, 1, r + 16};
    const auto inverse = transpose(block(inverses, 0, 0, n, n));
    copy(b, residual);
    fill(transpose(b), T(0));
    kernel_gemm(T(1), read_only(residual), inverse, b);
    if (refine) {
      kernel_gemm(T(-1), read_only(b), transpose(l), residual);
      kernel_gemm(T(1), read_only(residual), inverse, b);
    }
    return;
  }
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf);
  const auto b1 = block(b, 0, 0, r, h), b2 = block(b, 0, h, r, n - h);
  solve_transposed(block(l, 0, 0, h, h), block(inverses, 0, 0, triangular::factor_leaf, h), refine, b1, scratch);
  kernel_gemm(T(-1), read_only(b1), transpose(block(l, h, 0, n - h, h)), b2);
  solve_transposed(block(l, h, h, n - h, n - h), block(inverses, 0, h, triangular::factor_leaf, n - h), refine, b2,
                   scratch);
}

/// d_i ← d_i − Σ_k a_ik².
template <class T>
void subtract_squares(const HostMatrix<const T>& a, double* diagonal) {
  for (std::ptrdiff_t k = 0; k < a.cols; ++k) {
    const T* const column = &a(0, k);
    for (std::ptrdiff_t i = 0; i < a.rows; ++i) diagonal[i] -= double(column[i]) * double(column[i]);
  }
}

/// What cholesky is told beside the matrix.
struct CholeskyOptions {
  double floor = 0;     ///< a pivot must lie above it
  bool refine = false;  ///< for matrices whose condition nears 1/ε: a leading block may be far worse than the whole
};

/// Strictly lower triangle of A ← L with A = LLᵀ, and the inverses of L's leaves; L⁻¹ by invert_lower, never by an
/// explicit A₁₁⁻¹, whose error is ε κ². Overwrites `diagonal`. `scratch` holds 32(n + 16) scalars. False if a pivot is
/// not above the floor: A is not positive definite to working precision. Cost: n³/3 flops, and as many for L⁻¹.
///
/// The diagonal holds the largest entries of what is left of A, whose rounding would count most: it stays in double.
template <class T>
[[gnu::noinline]] bool cholesky(const HostMatrix<T>& a, double* diagonal, const CholeskyOptions& options,
                                const HostMatrix<T>& inverses, T* scratch) {
  const std::ptrdiff_t n = a.rows;
  if (n <= triangular::factor_leaf) return cholesky_leaf(a, diagonal, options.floor, block(inverses, 0, 0, n, n));
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf), r = n - h;
  const auto a21 = block(a, h, 0, r, h), a22 = block(a, h, h, r, r);
  const auto inverses1 = block(inverses, 0, 0, triangular::factor_leaf, h);
  if (!cholesky(block(a, 0, 0, h, h), diagonal, options, inverses1, scratch)) return false;
  solve_transposed(read_only(block(a, 0, 0, h, h)), read_only(inverses1), options.refine, a21, scratch);
  subtract_squares(read_only(a21), diagonal + h);
  lower_product(T(-1), read_only(a21), read_only(transpose(a21)), a22);
  return cholesky(a22, diagonal + h, options, block(inverses, 0, h, triangular::factor_leaf, r), scratch);
}

/// Lower triangle of L ← L⁻¹, with zeros above in the leaves that products take whole: (L⁻¹)₂₁ = −L₂₂⁻¹ (L₂₁ L₁₁⁻¹).
template <class T>
[[gnu::noinline]] void invert_lower(const HostMatrix<T>& l, const HostMatrix<const T>& inverses, T* scratch) {
  const std::ptrdiff_t n = l.rows;
  if (n <= triangular::factor_leaf) {
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      for (std::ptrdiff_t i = 0; i < n; ++i) l(i, j) = inverses(i, j);
    }
    return;
  }
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf), r = n - h;
  const auto l11 = block(l, 0, 0, h, h), l21 = block(l, h, 0, r, h), l22 = block(l, h, h, r, r);
  const std::ptrdiff_t stride = r + 16;  // not a power of two, which would use a part of the cache only
  const HostMatrix<T> product{scratch, r, h, 1, stride};
  invert_lower(l11, block(inverses, 0, 0, triangular::factor_leaf, h), scratch);
  fill(transpose(product), T(0));
  lower_transposed_times(T(1), read_only(l11), read_only(transpose(l21)), transpose(product));
  invert_lower(l22, block(inverses, 0, h, triangular::factor_leaf, r), scratch + stride * h);
  fill(transpose(l21), T(0));
  lower_times(T(-1), read_only(l22), read_only(product), l21);
  if (n <= triangular::leaf) fill(transpose(block(l, 0, h, h, r)), T(0));
}

/// U ← Tᵀ for lower triangular T, in tiles, leaf zeros included.
template <class T>
void transpose_lower(const HostMatrix<const T>& t, const HostMatrix<T>& u) {
  constexpr std::ptrdiff_t tile = triangular::factor_leaf;
  for (std::ptrdiff_t row = 0; row < t.rows; row += tile) {
    const std::ptrdiff_t row_end = (std::min)(row + tile, t.rows), last = (std::min)(row + 2 * tile, t.cols);
    for (std::ptrdiff_t col = 0; col < last; col += tile) {
      const std::ptrdiff_t col_end = (std::min)(col + tile, last);
      for (std::ptrdiff_t i = row; i < row_end; ++i) {
        for (std::ptrdiff_t j = col; j < col_end; ++j) u(j, i) = t(i, j);
      }
    }
  }
}

/// Lower triangle of W += weight·U T, T lower triangular and U = Tᵀ.
template <class T>
[[gnu::noinline]] void accumulate_product(T weight, const HostMatrix<const T>& u, const HostMatrix<const T>& t,
                                          const HostMatrix<T>& w) {
  const std::ptrdiff_t n = t.rows;
  if (n <= triangular::leaf) return kernel_gemm(weight, u, t, w);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf), r = n - h;
  const auto u22 = block(u, h, h, r, r), t21 = block(t, h, 0, r, h), t22 = block(t, h, h, r, r);
  accumulate_product(weight, block(u, 0, 0, h, h), block(t, 0, 0, h, h), block(w, 0, 0, h, h));
  lower_product(weight, block(u, 0, h, h, r), t21, block(w, 0, 0, h, h));
  lower_transposed_times(weight, transpose(u22), t21, block(w, h, 0, r, h));
  accumulate_product(weight, u22, t22, block(w, h, h, r, r));
}

/// Lower triangle of W += weight·TᵀT, T = L⁻¹ lower triangular: the inverse of A = LLᵀ. Small blocks are transposed
/// into `scratch` first: reading them across memory costs more there. Cost: n³/3 flops.
template <class T>
[[gnu::noinline]] void accumulate_inverse(T weight, const HostMatrix<const T>& t, const HostMatrix<T>& w, T* scratch) {
  const std::ptrdiff_t n = t.rows;
  if (n <= triangular::transposed) {
    const HostMatrix<T> u{scratch, n, n, 1, n + 16};
    transpose_lower(t, u);
    return accumulate_product(weight, read_only(u), t, w);
  }
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf), r = n - h;
  const auto t21 = block(t, h, 0, r, h), t22 = block(t, h, h, r, r);
  accumulate_inverse(weight, block(t, 0, 0, h, h), block(w, 0, 0, h, h), scratch);
  lower_product(weight, transpose(t21), t21, block(w, 0, 0, h, h));
  lower_transposed_times(weight, t22, t21, block(w, h, 0, r, h));
  accumulate_inverse(weight, t22, block(w, h, h, r, r), scratch);
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
