// Decompositions of one matrix in device memory by cuSOLVER: SVD, symmetric eigen-decomposition, Cholesky, QR.
//
// float and double, column-major. Each asks for its scratch memory first (…_scratch) and is then called with it.
// `info` lies in device memory: 0 after success; read it once the stream has been waited for, with check_info.
#pragma once

#include <schatten/linalg/backend/vendor/handles.hpp>

#include <algorithm>
#include <concepts>
#include <limits>
#include <string_view>

namespace schatten::linalg::vendor {

template <class T>
concept Decomposable = std::same_as<T, float> || std::same_as<T, double>;

/// Bytes of scratch memory on the device and on the host.
struct ScratchBytes {
  std::size_t device = 0, host = 0;
};

/// Scratch memory of at least the size asked for, and where the status of the decomposition goes (device memory).
struct Scratch {
  void* device;
  std::size_t device_bytes;
  void* host;
  std::size_t host_bytes;
  int* info;  ///< two: the second is orthonormal_basis' alone
};

namespace detail {

/// Throws InvalidArgument unless the matrix is stored as it is read and, where that is asked for, has m >= n.
template <class T>
void require_stored(const Matrices<T>& a, bool tall, std::string_view function) {
  require(a.op == CUBLAS_OP_N, function, "op of a", int(a.op), "must be CUBLAS_OP_N");
  require(!tall || a.rows >= a.cols, function, "rows of a", a.rows, "must not be less than its columns");
  require(tall || a.rows == a.cols, function, "rows of a", a.rows, "must be its columns");
}

/// Of a scratch of that many bytes: what cuSOLVER's older calls count in int.
template <class T>
int scalars_in(std::size_t bytes) {
  return int(std::min<std::size_t>(bytes / sizeof(T), std::size_t(std::numeric_limits<int>::max())));
}

}  // namespace detail

/// Throws NumericalError for a nonzero status, copied from the device: an argument, or what did not converge.
inline void check_info(int info, const char* call) {
  if (info == 0) return;
  throw NumericalError("schatten: " + std::string(call) + (info < 0 ? ": argument " : ": no result, info = ") +
                       std::to_string(info < 0 ? -info : info) + (info < 0 ? " is wrong" : ""));
}

/// A = U diag(σ) Vᵀ by polar decomposition, economy size: A (m×n), m >= n, destroyed; U (m×n), V (n×n), σ (n) descending.
/// A matrix with m < n is decomposed by its transpose: the same memory read as row-major. Waits for the stream: the
/// perturbation that a singular A needs is returned to the host.
template <Decomposable T>
ScratchBytes svd_scratch(const Handles& handles, const Matrices<T>& a, const T* sigma, const Matrices<T>& u,
                         const Matrices<T>& v) {
  detail::require_stored(a, true, "vendor::svd_scratch");
  constexpr cudaDataType type = Type<T>::data;
  ScratchBytes bytes;
  check(cusolverDnXgesvdp_bufferSize(handles.solver(), handles.params(), CUSOLVER_EIG_MODE_VECTOR, 1, a.rows, a.cols,
                                     type, a.data, a.leading, type, sigma, type, u.data, u.leading, type, v.data,
                                     v.leading, type, &bytes.device, &bytes.host),
        "cusolverDnXgesvdp_bufferSize");
  return bytes;
}
template <Decomposable T>
void svd(const Handles& handles, const Matrices<T>& a, T* sigma, const Matrices<T>& u, const Matrices<T>& v,
         const Scratch& scratch) {
  detail::require_stored(a, true, "vendor::svd");
  constexpr cudaDataType type = Type<T>::data;
  double perturbation = 0;  // of A, where the polar decomposition met a singular matrix
  check(
      cusolverDnXgesvdp(handles.solver(), handles.params(), CUSOLVER_EIG_MODE_VECTOR, 1, a.rows, a.cols, type, a.data,
                        a.leading, type, sigma, type, u.data, u.leading, type, v.data, v.leading, type, scratch.device,
                        scratch.device_bytes, scratch.host, scratch.host_bytes, scratch.info, &perturbation),
      "cusolverDnXgesvdp");
}

/// A = Q diag(λ) Qᵀ from A's lower triangle: A (n×n) ← Q, λ (n) ascending.
template <Decomposable T>
ScratchBytes eigh_scratch(const Handles& handles, const Matrices<T>& a, const T* lambda) {
  detail::require_stored(a, false, "vendor::eigh_scratch");
  constexpr cudaDataType type = Type<T>::data;
  ScratchBytes bytes;
  check(
      cusolverDnXsyevd_bufferSize(handles.solver(), handles.params(), CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER,
                                  a.rows, type, a.data, a.leading, type, lambda, type, &bytes.device, &bytes.host),
      "cusolverDnXsyevd_bufferSize");
  return bytes;
}
template <Decomposable T>
void eigh(const Handles& handles, const Matrices<T>& a, T* lambda, const Scratch& scratch) {
  detail::require_stored(a, false, "vendor::eigh");
  constexpr cudaDataType type = Type<T>::data;
  check(cusolverDnXsyevd(handles.solver(), handles.params(), CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER, a.rows,
                         type, a.data, a.leading, type, lambda, type, scratch.device, scratch.device_bytes,
                         scratch.host, scratch.host_bytes, scratch.info),
        "cusolverDnXsyevd");
}

/// Lower triangle of A (n×n) ← L with A = LLᵀ. info > 0: the leading minor that is not positive.
template <Decomposable T>
ScratchBytes cholesky_scratch(const Handles& handles, const Matrices<T>& a) {
  detail::require_stored(a, false, "vendor::cholesky_scratch");
  constexpr cudaDataType type = Type<T>::data;
  ScratchBytes bytes;
  check(cusolverDnXpotrf_bufferSize(handles.solver(), handles.params(), CUBLAS_FILL_MODE_LOWER, a.rows, type, a.data,
                                    a.leading, type, &bytes.device, &bytes.host),
        "cusolverDnXpotrf_bufferSize");
  return bytes;
}
template <Decomposable T>
void cholesky(const Handles& handles, const Matrices<T>& a, const Scratch& scratch) {
  detail::require_stored(a, false, "vendor::cholesky");
  constexpr cudaDataType type = Type<T>::data;
  check(cusolverDnXpotrf(handles.solver(), handles.params(), CUBLAS_FILL_MODE_LOWER, a.rows, type, a.data, a.leading,
                         type, scratch.device, scratch.device_bytes, scratch.host, scratch.host_bytes, scratch.info),
        "cusolverDnXpotrf");
}

namespace detail {

inline int orgqr_length(const Handles& handles, const Matrices<float>& a, const float* tau) {
  int length = 0;
  check(cusolverDnSorgqr_bufferSize(handles.solver(), int(a.rows), int(a.cols), int(a.cols), a.data, int(a.leading),
                                    tau, &length),
        "cusolverDnSorgqr_bufferSize");
  return length;
}
inline int orgqr_length(const Handles& handles, const Matrices<double>& a, const double* tau) {
  int length = 0;
  check(cusolverDnDorgqr_bufferSize(handles.solver(), int(a.rows), int(a.cols), int(a.cols), a.data, int(a.leading),
                                    tau, &length),
        "cusolverDnDorgqr_bufferSize");
  return length;
}
inline void orgqr(const Handles& handles, const Matrices<float>& a, const float* tau, const Scratch& scratch) {
  check(
      cusolverDnSorgqr(handles.solver(), int(a.rows), int(a.cols), int(a.cols), a.data, int(a.leading), tau,
                       static_cast<float*>(scratch.device), scalars_in<float>(scratch.device_bytes), scratch.info + 1),
      "cusolverDnSorgqr");
}
inline void orgqr(const Handles& handles, const Matrices<double>& a, const double* tau, const Scratch& scratch) {
  check(
      cusolverDnDorgqr(handles.solver(), int(a.rows), int(a.cols), int(a.cols), a.data, int(a.leading), tau,
                       static_cast<double*>(scratch.device), int(scratch.device_bytes / sizeof(double)), scratch.info),
      "cusolverDnDorgqr");
}

}  // namespace detail

/// A (m×n), m >= n, ← Q with A = QR, by geqrf and orgqr, one status each. `tau`: n scalars in device memory.
template <Decomposable T>
ScratchBytes orthonormal_basis_scratch(const Handles& handles, const Matrices<T>& a, const T* tau) {
  detail::require_stored(a, true, "vendor::orthonormal_basis_scratch");
  constexpr cudaDataType type = Type<T>::data;
  ScratchBytes bytes;
  check(cusolverDnXgeqrf_bufferSize(handles.solver(), handles.params(), a.rows, a.cols, type, a.data, a.leading, type,
                                    tau, type, &bytes.device, &bytes.host),
        "cusolverDnXgeqrf_bufferSize");
  const std::size_t second = sizeof(T) * std::size_t(detail::orgqr_length(handles, a, tau));
  bytes.device = bytes.device < second ? second : bytes.device;
  return bytes;
}
template <Decomposable T>
void orthonormal_basis(const Handles& handles, const Matrices<T>& a, T* tau, const Scratch& scratch) {
  detail::require_stored(a, true, "vendor::orthonormal_basis");
  constexpr cudaDataType type = Type<T>::data;
  check(cusolverDnXgeqrf(handles.solver(), handles.params(), a.rows, a.cols, type, a.data, a.leading, type, tau, type,
                         scratch.device, scratch.device_bytes, scratch.host, scratch.host_bytes, scratch.info),
        "cusolverDnXgeqrf");
  detail::orgqr(handles, a, tau, scratch);
}

}  // namespace schatten::linalg::vendor
