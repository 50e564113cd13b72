// SPDX-License-Identifier: BSD-3-Clause
// What calls of cuBLAS and cuSOLVER share. No Kokkos, no kernels: the plain host compiler suffices.
//
// Matrices are column-major: pointer, rows, columns, leading dimension; batches by the distance of neighbouring
// matrices. Every call is asynchronous on the handle's stream unless it says otherwise. A status other than success
// becomes a NumericalError with the text of the call.
#pragma once

#include <schatten/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>
#include <string>
#include <utility>

namespace schatten::linalg::vendor {

inline const char* status_text(cudaError_t status) { return cudaGetErrorString(status); }
inline const char* status_text(cublasStatus_t status) { return cublasGetStatusString(status); }
inline const char* status_text(cusolverStatus_t status) {
  switch (status) {
    case CUSOLVER_STATUS_SUCCESS: return "success";
    case CUSOLVER_STATUS_NOT_INITIALIZED: return "the library was not initialized";
    case CUSOLVER_STATUS_ALLOC_FAILED: return "resource allocation failed";
    case CUSOLVER_STATUS_INVALID_VALUE: return "an unsupported value or parameter was passed";
    case CUSOLVER_STATUS_ARCH_MISMATCH: return "the device does not have a required feature";
    case CUSOLVER_STATUS_EXECUTION_FAILED: return "the program failed to execute on the device";
    case CUSOLVER_STATUS_NOT_SUPPORTED: return "the functionality is not supported";
    default: return "an internal error";
  }
}

/// Throws NumericalError unless `status` is the library's success. `call`: its text.
template <class Status>
void check(Status status, const char* call) {
  if (int(status) == 0) return;
  throw NumericalError("schatten: " + std::string(call) + " failed: " + status_text(status) + " (status " +
                       std::to_string(int(status)) + ")");
}

/// The vendor's name of a scalar type, and the type that products of it are summed in.
template <class T>
struct Type;
template <>
struct Type<float> {
  using Sum = float;
  static constexpr cudaDataType data = CUDA_R_32F;
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
};
template <>
struct Type<double> {
  using Sum = double;
  static constexpr cudaDataType data = CUDA_R_64F;
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_64F;
};
template <>
struct Type<__half> {
  using Sum = float;
  static constexpr cudaDataType data = CUDA_R_16F;
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
};
template <>
struct Type<__nv_bfloat16> {
  using Sum = float;
  static constexpr cudaDataType data = CUDA_R_16BF;
  static constexpr cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
};

/// One batch of column-major matrices in device memory.
template <class T>
struct Matrices {
  T* data;
  std::int64_t rows, cols, leading;
  std::int64_t distance = 0;           ///< scalars from one matrix to the next
  cublasOperation_t op = CUBLAS_OP_N;  ///< read as its transpose?
};

/// cuBLAS' and cuSOLVER's handles with what they need, for one stream. Not copyable; destroy before the device is
/// reset.
class Handles {
 public:
  explicit Handles(cudaStream_t stream = nullptr) {
    check(cublasCreate(&blas_), "cublasCreate");
    try {
      check(cusolverDnCreate(&solver_), "cusolverDnCreate");
      check(cusolverDnCreateParams(&params_), "cusolverDnCreateParams");
      // Parts of a product that blocks of threads share are added in the type of the sums, not in C's 16 bits.
      check(cublasSetMathMode(blas_,
                              cublasMath_t(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
            "cublasSetMathMode");
      set_stream(stream);
    } catch (...) {
      destroy();
      throw;
    }
  }
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() { destroy(); }

  void set_stream(cudaStream_t stream) {
    check(cublasSetStream(blas_, stream), "cublasSetStream");
    check(cusolverDnSetStream(solver_, stream), "cusolverDnSetStream");
  }
  /// Memory for cuBLAS, so that it takes none of its own while a CUDA graph is captured. Set it again after set_stream,
  /// which goes back to cuBLAS' own.
  void set_workspace(void* memory, std::size_t bytes) {
    check(cublasSetWorkspace(blas_, memory, bytes), "cublasSetWorkspace");
  }
  [[nodiscard]] cublasHandle_t blas() const { return blas_; }
  [[nodiscard]] cusolverDnHandle_t solver() const { return solver_; }
  [[nodiscard]] cusolverDnParams_t params() const { return params_; }

 private:
  void destroy() {
    if (params_ != nullptr) cusolverDnDestroyParams(params_);
    if (solver_ != nullptr) cusolverDnDestroy(solver_);
    if (blas_ != nullptr) cublasDestroy(blas_);
  }
  cublasHandle_t blas_ = nullptr;
  cusolverDnHandle_t solver_ = nullptr;
  cusolverDnParams_t params_ = nullptr;
};

}  // namespace schatten::linalg::vendor
