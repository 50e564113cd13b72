// SPDX-License-Identifier: BSD-3-Clause
// A stand-in for the vendor's libraries, for machines without a device: what the vendor layer calls of the CUDA
// runtime, cuBLAS and cuSOLVER, on host memory, with the results and the checks of arguments that NVIDIA documents.
// The toolkit's headers are included, so the compiler compares signatures. New memory and scratch memory hold NaN, so
// that reading them too early shows. What it cannot show: the order of asynchronous work, speed, a device's rounding.

#include <Eigen/Dense>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>
#include <initializer_list>
#include <type_traits>
#include <utility>

struct cublasContext {
  int math_mode = 0;
};
struct cusolverDnContext {};
struct cusolverDnParams {};

namespace {

using Int = std::int64_t;
using Type = cudaDataType;
using Blas = cublasHandle_t;
using BlasStatus = cublasStatus_t;
using Op = cublasOperation_t;
using Fill = cublasFillMode_t;
using Solver = cusolverDnHandle_t;
using Status = cusolverStatus_t;
using Params = cusolverDnParams_t;
using Job = cusolverEigMode_t;
template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T>
using Map = Eigen::Map<Matrix<T>, 0, Eigen::OuterStride<>>;
thread_local cudaError_t last_error = cudaSuccess;

/// Can a matrix have these extents and this leading dimension?
bool shaped(Int rows, Int cols, Int leading) { return rows >= 0 && cols >= 0 && leading >= std::max<Int>(1, rows); }
/// Is there memory, if it has entries?
template <class... Data>
bool stored(Int rows, Int cols, const Data*... data) {
  return rows == 0 || cols == 0 || (... && (data != nullptr));
}
bool is_triangle(Fill uplo) { return uplo == CUBLAS_FILL_MODE_LOWER || uplo == CUBLAS_FILL_MODE_UPPER; }

BlasStatus status_of(Blas handle, bool valid) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  return valid ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
Status status_of(Solver handle, bool valid) {
  if (handle == nullptr) return CUSOLVER_STATUS_NOT_INITIALIZED;
  return valid ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_INVALID_VALUE;
}

/// Are the parts of a product added in the type of its sums? Else cuBLAS may add them in C's: the library's promises of
/// digits are not for that.
bool keeps_sums(Blas handle) { return (handle->math_mode & CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION) != 0; }

struct Operand {
  const void* data;
  Op op;
  Int leading, distance;

  /// Is it the memory of a matrix whose op has these extents?
  [[nodiscard]] bool holds(Int rows, Int cols) const {
    if (op != CUBLAS_OP_N) std::swap(rows, cols);
    return op <= CUBLAS_OP_C && shaped(rows, cols, leading) && stored(rows, cols, data);
  }
};

/// A float whose mantissa is read rounded to 10 bits, halves away from zero.
struct Tf32 {
  float value;
  explicit operator float() const {
    if (!std::isfinite(value)) return value;
    return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) + 0x1000U) & ~0x1fffU);
  }
};

/// op(A_b), in the type that products are summed in.
template <class T, class Sum>
Matrix<Sum> factor(const Operand& a, Int b, Int rows, Int cols) {
  const T* data = static_cast<const T*>(a.data) + b * a.distance;
  return Matrix<Sum>::NullaryExpr(rows, cols, [&](Int i, Int j) {
    return static_cast<Sum>(data[a.op == CUBLAS_OP_N ? i + j * a.leading : j + i * a.leading]);
  });
}

/// Part of C_b ← α op(A_b) op(B_b) + β C_b, C_b (m×n), rounded once. Where β is 0, C is not read.
template <class T, class Result = T>
void multiply(Fill part, Int m, Int n, Int k, const void* alpha, const Operand& a, const Operand& b, const void* beta,
              void* c, Int leading, Int distance, Int batch) {
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const Sum scale = *static_cast<const Sum*>(alpha), keep = *static_cast<const Sum*>(beta);
  for (Int matrix = 0; matrix < batch; ++matrix) {
    const Matrix<Sum> product = factor<T, Sum>(a, matrix, m, k) * factor<T, Sum>(b, matrix, k, n);
    for (Int j = 0; j < n; ++j) {
      Result* column = static_cast<Result*>(c) + matrix * distance + j * leading;
      for (Int i = part == CUBLAS_FILL_MODE_LOWER ? j : 0; i < (part == CUBLAS_FILL_MODE_UPPER ? j + 1 : m); ++i) {
        const Sum value = scale * product(i, j);
        column[i] = static_cast<Result>(keep == 0 ? value : value + keep * static_cast<Sum>(column[i]));
      }
    }
  }
}

/// One triangle of C ← α op(A) op(B)ᵀ + β C.
template <class T>
BlasStatus multiply_triangle(Blas handle, Fill uplo, Op op, Int n, Int k, const T* alpha, const T* a, Int lda,
                             const T* b, Int ldb, const T* beta, T* c, Int ldc) {
  const Operand left{a, op, lda, 0}, right{b, op == CUBLAS_OP_N ? CUBLAS_OP_T : CUBLAS_OP_N, ldb, 0};
  const bool valid = handle != nullptr && is_triangle(uplo) && alpha != nullptr && beta != nullptr &&
                     left.holds(n, k) && right.holds(k, n) && shaped(n, n, ldc) && stored(n, n, c);
  if (valid) multiply<T>(uplo, n, n, k, alpha, left, right, beta, c, ldc, 0, 1);
  return status_of(handle, valid);
}

/// Bytes of scratch memory: where, how many there are, how many it takes.
struct Scratch {
  void* memory;
  std::size_t size, wanted = 0;
};

/// Is there enough memory? If so, it is overwritten.
bool take(const Scratch& scratch) {
  if (scratch.wanted == 0) return true;
  const bool aligned = std::bit_cast<std::uintptr_t>(scratch.memory) % alignof(double) == 0;
  if (scratch.memory == nullptr || scratch.size < scratch.wanted || !aligned) return false;
  std::memset(scratch.memory, 0xff, scratch.wanted);
  return true;
}

/// The scratch memory to decompose A (rows×cols), whose type must be that of `others`.
Status ask(Solver handle, Params params, bool valid, Int rows, Int cols, Type type, std::initializer_list<Type> others,
           std::size_t* device, std::size_t* host) {
  valid = valid && params != nullptr && (type == CUDA_R_32F || type == CUDA_R_64F) && device != nullptr &&
          host != nullptr && std::all_of(others.begin(), others.end(), [=](Type other) { return other == type; });
  if (valid) *device = std::size_t((rows + 1) * cols) * (type == CUDA_R_32F ? sizeof(float) : sizeof(double));
  if (valid) *host = std::size_t(8 * cols);
  return status_of(handle, valid);
}

/// Where the scratch memory was asked for with success and is there: *info ← run(float) or run(double).
template <class Run>
Status solve(Status asked, Type type, bool valid, const Scratch& device, const Scratch& host, int* info, Run run) {
  if (asked != CUSOLVER_STATUS_SUCCESS) return asked;
  if (!valid || info == nullptr || !take(device) || !take(host)) return CUSOLVER_STATUS_INVALID_VALUE;
  *info = type == CUDA_R_32F ? run(float{}) : run(double{});
  return CUSOLVER_STATUS_SUCCESS;
}

template <class T>
Map<T> map(void* data, Int rows, Int cols, Int leading) {
  return {static_cast<T*>(data), rows, cols, Eigen::OuterStride<>(leading)};
}

/// One triangle of A, as a lower one; zeros above.
template <class T>
Matrix<T> triangle(const Map<T>& a, Fill uplo) {
  const Matrix<T> lower = uplo == CUBLAS_FILL_MODE_LOWER ? Matrix<T>(a) : Matrix<T>(a.transpose());
  return lower.template triangularView<Eigen::Lower>();
}

/// The first matrix in double. All become NaN, and stay so unless it is finite.
template <class T>
Matrix<double> taken(std::initializer_list<Map<T>> matrices) {
  const Matrix<double> copy = matrices.begin()->template cast<double>();
  for (Map<T> matrix : matrices) matrix.setConstant(T(NAN));
  return copy;
}

/// A = U diag(s) Vᵀ.
template <class T>
int svd(Map<T> a, Map<T> s, Map<T> u, Map<T> v) {
  using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;  // this one loses two digits
  const Matrix<double> copy = taken<T>({a, s, u, v});
  if (!copy.allFinite() || copy.size() == 0) return 0;
  const Eigen::JacobiSVD<Matrix<Wide>> parts(copy.cast<Wide>(), Eigen::ComputeThinU | Eigen::ComputeThinV);
  s = parts.singularValues().template cast<T>();
  u = parts.matrixU().template cast<T>();
  v = parts.matrixV().template cast<T>();
  return 0;
}

/// Symmetric A = Q diag(w) Qᵀ from one triangle; A ← Q.
template <class T>
int eigh(Map<T> a, Map<T> w, Fill uplo) {
  const Matrix<double> l = triangle(a, uplo).template cast<double>();
  taken<T>({a, w});
  if (!l.allFinite() || l.size() == 0) return 0;
  const Eigen::SelfAdjointEigenSolver<Matrix<double>> parts(l);
  a = parts.eigenvectors().template cast<T>();
  w = parts.eigenvalues().template cast<T>();
  return parts.info() == Eigen::Success ? 0 : 1;
}

/// A = LLᵀ, or UᵀU, from and in one triangle. Returns 0, or which leading minor is not positive.
template <class T>
int cholesky(Map<T> a, Fill uplo) {
  Matrix<T> l = triangle(a, uplo);
  Int n = l.rows(), j = 0;
  for (; j < n; ++j) {
    l.col(j).tail(n - j).noalias() -= l.bottomLeftCorner(n - j, j) * l.row(j).head(j).transpose();
    if (l(j, j) <= 0) break;
    l.col(j).tail(n - j) /= std::sqrt(l(j, j));
  }
  if (uplo == CUBLAS_FILL_MODE_LOWER)
    a.template triangularView<Eigen::Lower>() = l;
  else
    a.template triangularView<Eigen::Upper>() = l.transpose();
  return j == n ? 0 : int(j + 1);
}

/// R in A's upper triangle, the reflectors 1 − τ vvᵀ below it.
template <class T>
int qr(Map<T> a, Map<T> tau) {
  const Matrix<double> copy = taken<T>({a, tau});
  if (!copy.allFinite() || copy.size() == 0) return 0;
  const Eigen::HouseholderQR<Matrix<double>> parts(copy);
  a = parts.matrixQR().template cast<T>();
  tau = parts.hCoeffs().template cast<T>();
  return 0;
}

Status ask_orgqr(Solver handle, int m, int n, int k, int lda, int* lwork) {
  const bool valid = shaped(m, n, lda) && n <= m && 0 <= k && k <= n && lwork != nullptr;
  if (valid) *lwork = 32 * n;
  return status_of(handle, valid);
}

/// A (m×n) ← the first n columns of the product of k reflectors that qr left in A.
template <class T>
Status orgqr(Solver handle, int m, int n, int k, T* data, int lda, const T* tau, T* work, int lwork, int* info) {
  int wanted = 0;
  if (const auto asked = ask_orgqr(handle, m, n, k, lda, &wanted); asked != CUSOLVER_STATUS_SUCCESS) return asked;
  const Scratch scratch{work, sizeof(T) * std::size_t(std::max(lwork, 0)), sizeof(T) * std::size_t(wanted)};
  if (info == nullptr || !stored(m, n, data, tau) || !take(scratch)) return CUSOLVER_STATUS_INVALID_VALUE;
  Map<T> a = map<T>(data, m, n, lda);
  const Matrix<double> v = a.leftCols(k).template cast<double>();
  const Eigen::VectorXd coefficients = Eigen::Map<const Eigen::VectorX<T>>(tau, k).template cast<double>();
  a = (Eigen::householderSequence(v, coefficients) * Matrix<double>::Identity(m, n)).template cast<T>();
  return *info = 0, CUSOLVER_STATUS_SUCCESS;
}

}  // namespace

extern "C" {
cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t status) { return status == cudaSuccess ? "no error" : "an error"; }

cudaError_t cudaMalloc(void** memory, size_t size) {
  if (posix_memalign(memory, 256, size) != 0) return last_error = cudaErrorMemoryAllocation;
  std::memset(*memory, 0xff, size);
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) { return std::free(memory), cudaSuccess; }
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
  if (size != 0 && (to == nullptr || from == nullptr)) return last_error = cudaErrorInvalidValue;
  if (size != 0) std::memmove(to, from, size);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t) {
  return cudaMemcpy(to, from, size, kind);
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t size, cudaStream_t) {
  if (size != 0 && memory == nullptr) return last_error = cudaErrorInvalidValue;
  if (size != 0) std::memset(memory, value, size);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  return *status = cudaStreamCaptureStatusNone, cudaSuccess;
}

BlasStatus cublasCreate_v2(Blas* handle) { return *handle = new cublasContext, CUBLAS_STATUS_SUCCESS; }
BlasStatus cublasDestroy_v2(Blas handle) { return delete handle, CUBLAS_STATUS_SUCCESS; }
BlasStatus cublasSetStream_v2(Blas handle, cudaStream_t) { return status_of(handle, true); }
BlasStatus cublasSetWorkspace_v2(Blas handle, void* memory, size_t) {
  return status_of(handle, std::bit_cast<std::uintptr_t>(memory) % 256 == 0);
}
BlasStatus cublasSetMathMode(Blas handle, cublasMath_t mode) {
  if (handle != nullptr) handle->math_mode = int(mode);
  return status_of(handle, true);
}
const char* cublasGetStatusString(BlasStatus status) { return status == 0 ? "success" : "an error"; }

BlasStatus cublasGemmStridedBatchedEx_64(Blas handle, Op op_a, Op op_b, Int m, Int n, Int k, const void* alpha,
                                         const void* a, Type type_a, Int lda, long long distance_a, const void* b,
                                         Type type_b, Int ldb, long long distance_b, const void* beta, void* c,
                                         Type type_c, Int ldc, long long distance_c, Int batch,
                                         cublasComputeType_t compute, cublasGemmAlgo_t) {
  const Operand left{a, op_a, lda, distance_a}, right{b, op_b, ldb, distance_b};
  const bool valid = handle != nullptr && type_a == type_b && alpha != nullptr && beta != nullptr && batch >= 0 &&
                     left.holds(m, k) && right.holds(k, n) && shaped(m, n, ldc) && stored(m, n, c) &&
                     (distance_c != 0 || batch <= 1) &&
                     (keeps_sums(handle) || (type_c != CUDA_R_16F && type_c != CUDA_R_16BF));
  const auto run = [&](Type factors, Type result, cublasComputeType_t sums, auto product) {
    if (type_a != factors || type_c != result || compute != sums) return false;
    product(CUBLAS_FILL_MODE_FULL, m, n, k, alpha, left, right, beta, c, ldc, distance_c, batch);
    return true;
  };
  return status_of(handle, valid && (run(CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F, multiply<double>) ||
                                     run(CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, multiply<float>) ||
                                     run(CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, multiply<Tf32, float>) ||
                                     run(CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F, multiply<__half>) ||
                                     run(CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F, multiply<__half, float>) ||
                                     run(CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F, multiply<__nv_bfloat16>) ||
                                     run(CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F, multiply<__nv_bfloat16, float>)));
}

#define SCHATTEN_STAND_IN(letter, T)                                                                             \
  BlasStatus cublas##letter##syrk_v2_64(Blas handle, Fill uplo, Op op, Int n, Int k, const T* alpha, const T* a, \
                                        Int lda, const T* beta, T* c, Int ldc) {                                 \
    return multiply_triangle(handle, uplo, op, n, k, alpha, a, lda, a, lda, beta, c, ldc);                       \
  }                                                                                                              \
  BlasStatus cublas##letter##syrkx_64(Blas handle, Fill uplo, Op op, Int n, Int k, const T* alpha, const T* a,   \
                                      Int lda, const T* b, Int ldb, const T* beta, T* c, Int ldc) {              \
    return multiply_triangle(handle, uplo, op, n, k, alpha, a, lda, b, ldb, beta, c, ldc);                       \
  }                                                                                                              \
  Status cusolverDn##letter##orgqr_bufferSize(Solver handle, int m, int n, int k, const T*, int lda, const T*,   \
                                              int* lwork) {                                                      \
    return ask_orgqr(handle, m, n, k, lda, lwork);                                                               \
  }                                                                                                              \
  Status cusolverDn##letter##orgqr(Solver handle, int m, int n, int k, T* a, int lda, const T* tau, T* work,     \
                                   int lwork, int* info) {                                                       \
    return orgqr(handle, m, n, k, a, lda, tau, work, lwork, info);                                               \
  }
SCHATTEN_STAND_IN(S, float)
SCHATTEN_STAND_IN(D, double)

Status cusolverDnCreate(Solver* handle) { return *handle = new cusolverDnContext, CUSOLVER_STATUS_SUCCESS; }
Status cusolverDnDestroy(Solver handle) { return delete handle, CUSOLVER_STATUS_SUCCESS; }
Status cusolverDnSetStream(Solver handle, cudaStream_t) { return status_of(handle, true); }
Status cusolverDnCreateParams(Params* params) { return *params = new cusolverDnParams, CUSOLVER_STATUS_SUCCESS; }
Status cusolverDnDestroyParams(Params params) { return delete params, CUSOLVER_STATUS_SUCCESS; }

Status cusolverDnXgesvdp_bufferSize(Solver handle, Params params, Job jobz, int econ, Int m, Int n, Type type,
                                    const void*, Int lda, Type type_s, const void*, Type type_u, const void*, Int ldu,
                                    Type type_v, const void*, Int ldv, Type compute, size_t* device, size_t* host) {
  const bool valid = jobz == CUSOLVER_EIG_MODE_VECTOR && econ == 1 && shaped(m, n, lda) &&
                     shaped(m, std::min(m, n), ldu) && shaped(n, std::min(m, n), ldv);
  return ask(handle, params, valid, m, n, type, {type_s, type_u, type_v, compute}, device, host);
}
Status cusolverDnXgesvdp(Solver handle, Params params, Job jobz, int econ, Int m, Int n, Type type, void* a, Int lda,
                         Type type_s, void* s, Type type_u, void* u, Int ldu, Type type_v, void* v, Int ldv,
                         Type compute, void* device, size_t device_size, void* host, size_t host_size, int* info,
                         double* perturbation) {
  Scratch d{device, device_size}, h{host, host_size};
  const auto asked = cusolverDnXgesvdp_bufferSize(handle, params, jobz, econ, m, n, type, a, lda, type_s, s, type_u, u,
                                                  ldu, type_v, v, ldv, compute, &d.wanted, &h.wanted);
  return solve(asked, type, perturbation != nullptr && stored(m, n, a, s, u, v), d, h, info, [&]<class T>(T) {
    const Int k = std::min(m, n);
    *perturbation = 0;
    return svd(map<T>(a, m, n, lda), map<T>(s, k, 1, k), map<T>(u, m, k, ldu), map<T>(v, n, k, ldv));
  });
}

Status cusolverDnXsyevd_bufferSize(Solver handle, Params params, Job jobz, Fill uplo, Int n, Type type, const void*,
                                   Int lda, Type type_w, const void*, Type compute, size_t* device, size_t* host) {
  const bool valid = jobz == CUSOLVER_EIG_MODE_VECTOR && is_triangle(uplo) && shaped(n, n, lda);
  return ask(handle, params, valid, n, n, type, {type_w, compute}, device, host);
}
Status cusolverDnXsyevd(Solver handle, Params params, Job jobz, Fill uplo, Int n, Type type, void* a, Int lda,
                        Type type_w, void* w, Type compute, void* device, size_t device_size, void* host,
                        size_t host_size, int* info) {
  Scratch d{device, device_size}, h{host, host_size};
  const auto asked = cusolverDnXsyevd_bufferSize(handle, params, jobz, uplo, n, type, a, lda, type_w, w, compute,
                                                 &d.wanted, &h.wanted);
  return solve(asked, type, stored(n, n, a, w), d, h, info,
               [&]<class T>(T) { return eigh(map<T>(a, n, n, lda), map<T>(w, n, 1, n), uplo); });
}

Status cusolverDnXpotrf_bufferSize(Solver handle, Params params, Fill uplo, Int n, Type type, const void*, Int lda,
                                   Type compute, size_t* device, size_t* host) {
  return ask(handle, params, is_triangle(uplo) && shaped(n, n, lda), n, n, type, {compute}, device, host);
}
Status cusolverDnXpotrf(Solver handle, Params params, Fill uplo, Int n, Type type, void* a, Int lda, Type compute,
                        void* device, size_t device_size, void* host, size_t host_size, int* info) {
  Scratch d{device, device_size}, h{host, host_size};
  const auto asked = cusolverDnXpotrf_bufferSize(handle, params, uplo, n, type, a, lda, compute, &d.wanted, &h.wanted);
  return solve(asked, type, stored(n, n, a), d, h, info,
               [&]<class T>(T) { return cholesky(map<T>(a, n, n, lda), uplo); });
}

Status cusolverDnXgeqrf_bufferSize(Solver handle, Params params, Int m, Int n, Type type, const void*, Int lda,
                                   Type type_tau, const void*, Type compute, size_t* device, size_t* host) {
  return ask(handle, params, shaped(m, n, lda), m, n, type, {type_tau, compute}, device, host);
}
Status cusolverDnXgeqrf(Solver handle, Params params, Int m, Int n, Type type, void* a, Int lda, Type type_tau,
                        void* tau, Type compute, void* device, size_t device_size, void* host, size_t host_size,
                        int* info) {
  Scratch d{device, device_size}, h{host, host_size};
  const auto asked =
      cusolverDnXgeqrf_bufferSize(handle, params, m, n, type, a, lda, type_tau, tau, compute, &d.wanted, &h.wanted);
  return solve(asked, type, stored(m, n, a, tau), d, h, info,
               [&]<class T>(T) { return qr(map<T>(a, m, n, lda), map<T>(tau, std::min(m, n), 1, std::min(m, n))); });
}

}  // extern "C"
