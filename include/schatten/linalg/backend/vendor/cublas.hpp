// Products of matrices in device memory by cuBLAS.
#pragma once

#include <schatten/linalg/backend/vendor/handles.hpp>

namespace schatten::linalg::vendor {

/// How products of float are formed.
enum class FloatProducts {
  float32,  ///< IEEE single precision
  tf32      ///< tensor cores, factors rounded to 10 bits of mantissa
};

/// C_b ← α op(A_b) op(B_b) + β C_b, sums in Type<T>::Sum. C (m×n), not transposed. Cost: 2mnk flops a matrix.
template <class T>
void gemm(const Handles& handles, typename Type<T>::Sum alpha, const Matrices<const T>& a, const Matrices<const T>& b,
          typename Type<T>::Sum beta, const Matrices<T>& c, std::int64_t batch,
          FloatProducts products = FloatProducts::float32) {
  if (c.rows == 0 || c.cols == 0 || batch == 0) return;
  const auto inner = a.op == CUBLAS_OP_N ? a.cols : a.rows;
  const bool tf32 = sizeof(T) == sizeof(float) && products == FloatProducts::tf32;
  check(cublasGemmStridedBatchedEx(handles.blas(), a.op, b.op, int(c.rows), int(c.cols), int(inner), &alpha, a.data,
                                   Type<T>::data, int(a.leading), a.distance, b.data, Type<T>::data, int(b.leading),
                                   b.distance, &beta, c.data, Type<T>::data, int(c.leading), c.distance, int(batch),
                                   tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : Type<T>::compute, CUBLAS_GEMM_DEFAULT),
        "cublasGemmStridedBatchedEx");
}

/// Lower triangle of C ← α op(A) op(A)ᵀ + β C, one matrix. Cost: n²k flops.
inline void syrk(const Handles& handles, float alpha, const Matrices<const float>& a, float beta,
                 const Matrices<float>& c) {
  const auto inner = a.op == CUBLAS_OP_N ? a.cols : a.rows;
  check(cublasSsyrk(handles.blas(), CUBLAS_FILL_MODE_LOWER, a.op, int(c.rows), int(inner), &alpha, a.data,
                    int(a.leading), &beta, c.data, int(c.leading)),
        "cublasSsyrk");
}
inline void syrk(const Handles& handles, double alpha, const Matrices<const double>& a, double beta,
                 const Matrices<double>& c) {
  const auto inner = a.op == CUBLAS_OP_N ? a.cols : a.rows;
  check(cublasDsyrk(handles.blas(), CUBLAS_FILL_MODE_LOWER, a.op, int(c.rows), int(inner), &alpha, a.data,
                    int(a.leading), &beta, c.data, int(c.leading)),
        "cublasDsyrk");
}

/// Lower triangle of C ← α op(A) op(B)ᵀ + β C where the product is known to be symmetric, one matrix. Cost: n²k flops.
inline void syrkx(const Handles& handles, float alpha, const Matrices<const float>& a, const Matrices<const float>& b,
                  float beta, const Matrices<float>& c) {
  const auto inner = a.op == CUBLAS_OP_N ? a.cols : a.rows;
  check(cublasSsyrkx(handles.blas(), CUBLAS_FILL_MODE_LOWER, a.op, int(c.rows), int(inner), &alpha, a.data,
                     int(a.leading), b.data, int(b.leading), &beta, c.data, int(c.leading)),
        "cublasSsyrkx");
}
inline void syrkx(const Handles& handles, double alpha, const Matrices<const double>& a,
                  const Matrices<const double>& b, double beta, const Matrices<double>& c) {
  const auto inner = a.op == CUBLAS_OP_N ? a.cols : a.rows;
  check(cublasDsyrkx(handles.blas(), CUBLAS_FILL_MODE_LOWER, a.op, int(c.rows), int(inner), &alpha, a.data,
                     int(a.leading), b.data, int(b.leading), &beta, c.data, int(c.leading)),
        "cublasDsyrkx");
}

}  // namespace schatten::linalg::vendor
