// SPDX-License-Identifier: BSD-3-Clause
// Products of matrices in device memory by cuBLAS.
#pragma once

#include <schatten/linalg/backend/vendor/handles.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace schatten::linalg::vendor {

/// How products of float are formed.
enum class FloatProducts {
  float32,  ///< IEEE single precision
  tf32      ///< tensor cores, factors rounded to 10 bits of mantissa
};

namespace detail {

template <class T>
std::int64_t op_rows(const Matrices<T>& a) {
  return a.op == CUBLAS_OP_N ? a.rows : a.cols;
}
template <class T>
std::int64_t op_cols(const Matrices<T>& a) {
  return a.op == CUBLAS_OP_N ? a.cols : a.rows;
}

/// Throws InvalidArgument unless op(A) op(B) has the shape of C, and C is not read as a transpose.
inline void require_product(std::int64_t a_rows, std::int64_t a_cols, std::int64_t b_rows, std::int64_t b_cols,
                            const std::int64_t c_rows, std::int64_t c_cols, cublasOperation_t c_op,
                            std::string_view function) {
  require(c_op == CUBLAS_OP_N, function, "op of c", int(c_op), "must be CUBLAS_OP_N");
  require(a_rows == c_rows, function, "rows of op(a)", a_rows, "must be the rows of c");
  require(b_cols == c_cols, function, "columns of op(b)", b_cols, "must be the columns of c");
  require(a_cols == b_rows, function, "rows of op(b)", b_rows, "must be the columns of op(a)");
}

}  // namespace detail

/// C_b ← α op(A_b) op(B_b) + β C_b, sums in Type<T>::Sum. C (m×n), not transposed, of A's type or of the sums'. Cost:
/// 2mnk flops a matrix.
template <class T, class U>
void gemm(const Handles& handles, typename Type<T>::Sum alpha, const Matrices<const T>& a, const Matrices<const T>& b,
          typename Type<T>::Sum beta, const Matrices<U>& c, std::int64_t batch,
          FloatProducts products = FloatProducts::float32) {
  static_assert(std::is_same_v<U, T> || std::is_same_v<U, typename Type<T>::Sum>,
                "schatten: C has A's type or its sums'");
  detail::require_product(detail::op_rows(a), detail::op_cols(a), detail::op_rows(b), detail::op_cols(b), c.rows,
                          c.cols, c.op, "vendor::gemm");
  if (c.rows == 0 || c.cols == 0 || batch == 0) return;
  const bool tf32 = std::is_same_v<T, float> && products == FloatProducts::tf32;
  check(cublasGemmStridedBatchedEx_64(handles.blas(), a.op, b.op, c.rows, c.cols, detail::op_cols(a), &alpha, a.data,
                                      Type<T>::data, a.leading, a.distance, b.data, Type<T>::data, b.leading,
                                      b.distance, &beta, c.data, Type<U>::data, c.leading, c.distance, batch,
                                      tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : Type<T>::compute, CUBLAS_GEMM_DEFAULT),
        "cublasGemmStridedBatchedEx_64");
}

/// Lower triangle of C ← α op(A) op(A)ᵀ + β C, one matrix; float and double. Cost: n²k flops.
template <class T>
void syrk(const Handles& handles, T alpha, const Matrices<const T>& a, T beta, const Matrices<T>& c) {
  const auto run = [] {
    if constexpr (std::is_same_v<T, float>)
      return cublasSsyrk_64;
    else
      return cublasDsyrk_64;
  }();
  const std::int64_t n = detail::op_rows(a), k = detail::op_cols(a);
  detail::require_product(n, k, k, n, c.rows, c.cols, c.op, "vendor::syrk");
  check(run(handles.blas(), CUBLAS_FILL_MODE_LOWER, a.op, n, k, &alpha, a.data, a.leading, &beta, c.data, c.leading),
        "cublas<T>syrk_64");
}

/// Lower triangle of C ← α op(A) op(B)ᵀ + β C where the product is known to be symmetric, one matrix; float and double.
/// A and B have one op. Cost: n²k flops.
template <class T>
void syrkx(const Handles& handles, T alpha, const Matrices<const T>& a, const Matrices<const T>& b, T beta,
           const Matrices<T>& c) {
  const auto run = [] {
    if constexpr (std::is_same_v<T, float>)
      return cublasSsyrkx_64;
    else
      return cublasDsyrkx_64;
  }();
  const std::int64_t n = detail::op_rows(a), k = detail::op_cols(a);
  require(a.op == b.op, "vendor::syrkx", "op of b", int(b.op), "must be that of a");
  detail::require_product(n, k, detail::op_cols(b), detail::op_rows(b), c.rows, c.cols, c.op, "vendor::syrkx");
  check(run(handles.blas(), CUBLAS_FILL_MODE_LOWER, a.op, n, k, &alpha, a.data, a.leading, b.data, b.leading, &beta,
            c.data, c.leading),
        "cublas<T>syrkx_64");
}

}  // namespace schatten::linalg::vendor
