// Products with triangular and symmetric matrices, and the inverse of a shifted symmetric positive definite matrix, all
// by recursion on halves down to the register-tiled kernel. One thread; matrices column-major.
#pragma once

#include <schatten/linalg/backend/host_kernel.hpp>

#include <cmath>
#include <cstddef>

namespace schatten::linalg::backend {

namespace triangular {

inline constexpr std::ptrdiff_t leaf = 64;         ///< under it, products are done whole
inline constexpr std::ptrdiff_t factor_leaf = 32;  ///< under it, the factorisation runs by columns

/// Where n is cut: a multiple of `unit`, about the middle.
inline std::ptrdiff_t half(std::ptrdiff_t n, std::ptrdiff_t unit) { return (n / 2 + unit - 1) / unit * unit; }

}  // namespace triangular

template <class T>
HostMatrix<const T> read_only(const HostMatrix<T>& a) {
  return {a.data, a.rows, a.cols, a.row_stride, a.col_stride};
}

/// Lower triangle of C += alpha·A B, the product known to be symmetric. The leaves on the diagonal are done whole.
template <class T>
void lower_product(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, const HostMatrix<T>& c) {
  const std::ptrdiff_t n = c.rows, k = a.cols;
  if (n <= triangular::leaf) return kernel_gemm(alpha, a, b, c);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf);
  lower_product(alpha, block(a, 0, 0, h, k), block(b, 0, 0, k, h), block(c, 0, 0, h, h));
  kernel_gemm(alpha, block(a, h, 0, n - h, k), block(b, 0, 0, k, h), block(c, h, 0, n - h, h));
  lower_product(alpha, block(a, h, 0, n - h, k), block(b, 0, h, k, n - h), block(c, h, h, n - h, n - h));
}

/// Y += alpha·L X, L lower triangular with explicit zeros above the diagonal in its leaves.
template <class T>
void lower_times(T alpha, const HostMatrix<const T>& l, const HostMatrix<const T>& x, const HostMatrix<T>& y) {
  const std::ptrdiff_t n = l.rows, k = x.cols;
  if (n <= triangular::leaf) return kernel_gemm(alpha, l, x, y);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf);
  lower_times(alpha, block(l, 0, 0, h, h), block(x, 0, 0, h, k), block(y, 0, 0, h, k));
  kernel_gemm(alpha, block(l, h, 0, n - h, h), block(x, 0, 0, h, k), block(y, h, 0, n - h, k));
  lower_times(alpha, block(l, h, h, n - h, n - h), block(x, h, 0, n - h, k), block(y, h, 0, n - h, k));
}

/// Y += alpha·Lᵀ X.
template <class T>
void lower_transposed_times(T alpha, const HostMatrix<const T>& l, const HostMatrix<const T>& x,
                            const HostMatrix<T>& y) {
  const std::ptrdiff_t n = l.rows, k = x.cols;
  if (n <= triangular::leaf) return kernel_gemm(alpha, transpose(l), x, y);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf);
  lower_transposed_times(alpha, block(l, 0, 0, h, h), block(x, 0, 0, h, k), block(y, 0, 0, h, k));
  kernel_gemm(alpha, transpose(block(l, h, 0, n - h, h)), block(x, h, 0, n - h, k), block(y, 0, 0, h, k));
  lower_transposed_times(alpha, block(l, h, h, n - h, n - h), block(x, h, 0, n - h, k), block(y, h, 0, n - h, k));
}

/// The lower triangle of a (n <= leaf) ← L⁻¹ with A = LLᵀ; zeros above. False if a pivot is not above `floor`.
template <class T>
bool factor_and_invert_leaf(const HostMatrix<T>& a, T floor) {
  const std::ptrdiff_t n = a.rows;
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    T* const column = &a(0, k);
    if (!(column[k] > floor)) return false;
    const T pivot = std::sqrt(column[k]), inverse = 1 / pivot;
    column[k] = pivot;
    for (std::ptrdiff_t i = k + 1; i < n; ++i) column[i] *= inverse;
    for (std::ptrdiff_t j = k + 1; j < n; ++j) {
      T* const other = &a(0, j);
      const T factor = column[j];
      for (std::ptrdiff_t i = j; i < n; ++i) other[i] -= factor * column[i];
    }
  }
  // L⁻¹ from the last column to the first: x = −L₂₂⁻¹ l/λ below the diagonal, column by column of L₂₂⁻¹.
  for (std::ptrdiff_t k = n; k-- > 0;) {
    T* const column = &a(0, k);
    const T inverse = 1 / column[k];
    T x[triangular::leaf] = {};
    for (std::ptrdiff_t j = k + 1; j < n; ++j) {
      const T* const done = &a(0, j);
      const T factor = -inverse * column[j];
      for (std::ptrdiff_t i = j; i < n; ++i) x[i] += factor * done[i];
    }
    for (std::ptrdiff_t i = 0; i < k; ++i) column[i] = 0;
    column[k] = inverse;
    for (std::ptrdiff_t i = k + 1; i < n; ++i) column[i] = x[i];
  }
  return true;
}

/// The lower triangle of A ← L⁻¹ with A = LLᵀ, carrying L⁻¹ along (never an explicit A₁₁⁻¹, whose error is κ² ε).
///
///   L₂₁ = A₂₁ L₁₁⁻ᵀ,  A₂₂ ← A₂₂ − L₂₁L₂₁ᵀ,  (L⁻¹)₂₁ = −L₂₂⁻¹ (L₂₁ L₁₁⁻¹)
///
/// Reads the lower triangle alone. `scratch` holds n²/3 + O(n) scalars. False if a pivot is not above `floor`: A is
/// not positive definite to working precision. Cost: 2n³/3 flops.
template <class T>
bool factor_and_invert(const HostMatrix<T>& a, T floor, T* scratch) {
  const std::ptrdiff_t n = a.rows;
  if (n <= triangular::factor_leaf) return factor_and_invert_leaf(a, floor);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf), r = n - h;
  const auto a11 = block(a, 0, 0, h, h), a21 = block(a, h, 0, r, h), a22 = block(a, h, h, r, r);
  if (!factor_and_invert(a11, floor, scratch)) return false;
  const auto l21 = col_major_matrix(scratch, r, h);
  fill(transpose(l21), T(0));
  lower_times(T(1), read_only(a11), read_only(transpose(a21)), transpose(l21));
  lower_product(T(-1), read_only(l21), read_only(transpose(l21)), a22);
  if (!factor_and_invert(a22, floor, scratch + r * h)) return false;
  fill(transpose(a21), T(0));
  lower_transposed_times(T(1), read_only(a11), read_only(transpose(l21)), transpose(a21));
  fill(transpose(l21), T(0));
  lower_times(T(-1), read_only(a22), read_only(a21), l21);
  copy(l21, a21);
  if (n <= triangular::leaf) fill(transpose(block(a, 0, h, h, r)), T(0));  // products take such a leaf whole
  return true;
}

/// Lower triangle of W += weight·TᵀT, T = L⁻¹ lower triangular: the inverse of A = LLᵀ. Cost: n³/3 flops.
template <class T>
void accumulate_inverse(T weight, const HostMatrix<const T>& t, const HostMatrix<T>& w) {
  const std::ptrdiff_t n = t.rows;
  if (n <= triangular::leaf) return kernel_gemm(weight, transpose(t), t, w);
  const std::ptrdiff_t h = triangular::half(n, triangular::factor_leaf), r = n - h;
  const auto t11 = block(t, 0, 0, h, h), t21 = block(t, h, 0, r, h), t22 = block(t, h, h, r, r);
  accumulate_inverse(weight, t11, block(w, 0, 0, h, h));
  lower_product(weight, transpose(t21), t21, block(w, 0, 0, h, h));
  lower_transposed_times(weight, t22, t21, block(w, h, 0, r, h));
  accumulate_inverse(weight, t22, block(w, h, h, r, r));
}

}  // namespace schatten::linalg::backend
