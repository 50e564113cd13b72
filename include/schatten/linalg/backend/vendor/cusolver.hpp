// SPDX-License-Identifier: BSD-3-Clause
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
#include <type_traits>

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
  int* info;  ///< two: the second is qr_basis' alone
};

namespace detail {

/// Throws InvalidArgument unless the matrix is stored as it is read and, where that is asked for, has m >= n.
template <class T>
void require_stored(const Matrices<T>& a, bool tall, std::string_view function) {
  require(a.op == CUBLAS_OP_N, function, "op of a", int(a.op), "must be CUBLAS_OP_N");
  require(!tall || a.rows >= a.cols, function, "rows of a", a.rows, "must not be less than its columns");
  require(tall || a.rows == a.cols, function, "rows of a", a.rows, "must be its columns");
}

/// Throws InvalidArgument unless `a` is stored as it is read, rows×cols.
template <class T>
void require_shape(const Matrices<T>& a, std::int64_t rows, std::int64_t cols, std::string_view function,
                   std::string_view argument) {
  require(a.op == CUBLAS_OP_N && a.rows == rows && a.cols == cols, function, argument, {a.rows, "x", a.cols},
          {"must be stored, and have the extents ", rows, "x", cols});
}

/// Of a scratch of that many bytes: what cuSOLVER's older calls count in int.
template <class T>
int scalars_in(std::size_t bytes) {
  return int(std::min<std::size_t>(bytes / sizeof(T), std::size_t((std::numeric_limits<int>::max)())));
}

}  // namespace detail

/// Throws NumericalError for a nonzero status, copied from the device: an argument, or what did not converge.
inline void check_info(int info, const char* call) {
  if (info == 0) return;
  throw NumericalError("schatten: " + std::string(call) + (info < 0 ? ": argument " : ": no result, info = ") +
                       std::to_string(info < 0 ? -info : info) + (info < 0 ? " is wrong" : ""));
}

/// A = U diag(σ) Vᵀ by polar decomposition, economy size: A (m×n), m >= n, destroyed; U (m×n), V (n×n), σ (n)
/// descending. A matrix with m < n is decomposed by its transpose: the same memory read as row-major. Waits for the
/// stream: the perturbation that a singular A needs, of the order of ε‖A‖, comes back to the host.
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
  detail::require_shape(u, a.rows, a.cols, "vendor::svd", "u");
  detail::require_shape(v, a.cols, a.cols, "vendor::svd", "v");
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

template <class T>
int orgqr_length(const Handles& handles, const Matrices<T>& a, const T* tau) {
  const auto run = [] {
    if constexpr (std::is_same_v<T, float>)
      return cusolverDnSorgqr_bufferSize;
    else
      return cusolverDnDorgqr_bufferSize;
  }();
  int length = 0;
  check(run(handles.solver(), int(a.rows), int(a.cols), int(a.cols), a.data, int(a.leading), tau, &length),
        "cusolverDn<T>orgqr_bufferSize");
  return length;
}
template <class T>
void orgqr(const Handles& handles, const Matrices<T>& a, const T* tau, const Scratch& scratch) {
  const auto run = [] {
    if constexpr (std::is_same_v<T, float>)
      return cusolverDnSorgqr;
    else
      return cusolverDnDorgqr;
  }();
  check(run(handles.solver(), int(a.rows), int(a.cols), int(a.cols), a.data, int(a.leading), tau,
            static_cast<T*>(scratch.device), scalars_in<T>(scratch.device_bytes), scratch.info + 1),
        "cusolverDn<T>orgqr");
}

}  // namespace detail

/// For qr and qr_basis. `tau`: n scalars in device memory.
template <Decomposable T>
ScratchBytes qr_scratch(const Handles& handles, const Matrices<T>& a, const T* tau) {
  detail::require_stored(a, true, "vendor::qr_scratch");
  require((std::max)(a.rows, a.leading) <= (std::numeric_limits<int>::max)(), "vendor::qr_scratch", "rows of a", a.rows,
          "must be an int, as the leading dimension");
  constexpr cudaDataType type = Type<T>::data;
  ScratchBytes bytes;
  check(cusolverDnXgeqrf_bufferSize(handles.solver(), handles.params(), a.rows, a.cols, type, a.data, a.leading, type,
                                    tau, type, &bytes.device, &bytes.host),
        "cusolverDnXgeqrf_bufferSize");
  const std::size_t second = sizeof(T) * std::size_t(detail::orgqr_length(handles, a, tau));
  bytes.device = bytes.device < second ? second : bytes.device;
  return bytes;
}

/// A (m×n), m >= n, ← R in and above the diagonal, the reflections that make A = QR below and in tau.
template <Decomposable T>
void qr(const Handles& handles, const Matrices<T>& a, T* tau, const Scratch& scratch) {
  detail::require_stored(a, true, "vendor::qr");
  constexpr cudaDataType type = Type<T>::data;
  check(cusolverDnXgeqrf(handles.solver(), handles.params(), a.rows, a.cols, type, a.data, a.leading, type, tau, type,
                         scratch.device, scratch.device_bytes, scratch.host, scratch.host_bytes, scratch.info),
        "cusolverDnXgeqrf");
}

/// A, as qr left it, ← the first n columns of Q. Its status is the second one.
template <Decomposable T>
void qr_basis(const Handles& handles, const Matrices<T>& a, const T* tau, const Scratch& scratch) {
  detail::require_stored(a, true, "vendor::qr_basis");
  detail::orgqr(handles, a, tau, scratch);
}

}  // namespace schatten::linalg::vendor
