// SPDX-License-Identifier: BSD-3-Clause
// Host backend over BLAS and LAPACK, called by their Fortran symbols: OpenBLAS, MKL, BLIS + reference LAPACK, ...
//
// Enabled by SCHATTEN_ENABLE_BLAS. Tested with OpenBLAS's OpenMP build; its pthread build must not be called from
// several threads at once and is slow there.
#pragma once

#include <schatten/linalg/backend/eigen.hpp>
#include <schatten/linalg/backend/host_decomposition.hpp>

#include <algorithm>
#include <vector>

extern "C" {
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*, const int*,
            const float*, const int*, const float*, float*, const int*);
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*, const int*,
            const double*, const int*, const double*, double*, const int*);
void sgesdd_(const char*, const int*, const int*, float*, const int*, float*, float*, const int*, float*, const int*,
             float*, const int*, int*, int*);
void dgesdd_(const char*, const int*, const int*, double*, const int*, double*, double*, const int*, double*,
             const int*, double*, const int*, int*, int*);
void ssyevd_(const char*, const char*, const int*, float*, const int*, float*, float*, const int*, int*, const int*,
             int*);
void dsyevd_(const char*, const char*, const int*, double*, const int*, double*, double*, const int*, int*, const int*,
             int*);
void sgeqrf_(const int*, const int*, float*, const int*, float*, float*, const int*, int*);
void dgeqrf_(const int*, const int*, double*, const int*, double*, double*, const int*, int*);
void sorgqr_(const int*, const int*, const int*, float*, const int*, const float*, float*, const int*, int*);
void dorgqr_(const int*, const int*, const int*, double*, const int*, const double*, double*, const int*, int*);
}

namespace schatten::linalg {

/// Dense linear algebra by BLAS and LAPACK, for host execution spaces.
struct BlasBackend {
  static constexpr bool has_own_threads = true;
};

namespace backend {

/// The Fortran routines of one scalar type.
template <class T>
struct Fortran;
template <>
struct Fortran<float> {
  static constexpr auto gemm = sgemm_;
  static constexpr auto gesdd = sgesdd_;
  static constexpr auto syevd = ssyevd_;
  static constexpr auto geqrf = sgeqrf_;
  static constexpr auto orgqr = sorgqr_;
};
template <>
struct Fortran<double> {
  static constexpr auto gemm = dgemm_;
  static constexpr auto gesdd = dgesdd_;
  static constexpr auto syevd = dsyevd_;
  static constexpr auto geqrf = dgeqrf_;
  static constexpr auto orgqr = dorgqr_;
};

/// Leading dimension of a matrix that is read as column-major, at least what Fortran insists on.
inline int leading_dimension(std::ptrdiff_t stride, std::ptrdiff_t extent) {
  return static_cast<int>(std::max({stride, extent, std::ptrdiff_t{1}}));
}

/// C ← αAB + βC for one matrix.
template <class T>
void blas_gemm(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, T beta, const HostMatrix<T>& c) {
  if (!c.col_major() && c.row_major()) return blas_gemm(alpha, transpose(b), transpose(a), beta, transpose(c));
  const bool blas_can = c.col_major() && (a.col_major() || a.row_major()) && (b.col_major() || b.row_major());
  if (!blas_can || c.rows * c.cols == 0 || a.cols == 0) return eigen_gemm(alpha, a, b, beta, c);  // packs what must be
  const char op_a = a.col_major() ? 'N' : 'T';
  const char op_b = b.col_major() ? 'N' : 'T';
  const auto stored = [](const HostMatrix<const T>& x) {
    return x.col_major() ? leading_dimension(x.col_stride, x.rows) : leading_dimension(x.row_stride, x.cols);
  };
  const int m = int(c.rows), n = int(c.cols), k = int(a.cols);
  const int lda = stored(a), ldb = stored(b), ldc = leading_dimension(c.col_stride, c.rows);
  Fortran<T>::gemm(&op_a, &op_b, &m, &n, &k, &alpha, a.data, &lda, b.data, &ldb, &beta, c.data, &ldc);
}

template <ExecutionSpace Exec, class T, class Space>
void gemm(BlasBackend, const Exec& exec, T alpha, const BatchView<const T, Space>& a,
          const BatchView<const T, Space>& b, T beta, const BatchView<T, Space>& c, Workspace<Space>&) {
  const HostThreads threads(exec);
  for (std::size_t k = 0; k < c.extent(0); ++k) {
    blas_gemm(alpha, host_matrix(a, k), host_matrix(b, k), beta, host_matrix(c, k));
  }
}

/// LAPACK's routines in the shape that host_decomposition.hpp asks for; integer work memory comes from the heap.
struct LapackDecomposition {
  static std::size_t svd_work(std::ptrdiff_t m, std::ptrdiff_t n, bool vectors) {
    return std::size_t(vectors ? 3 * n * n + std::max(m, 4 * n * n + 4 * n) + 64 * (m + n)
                               : 3 * n + std::max(m, 7 * n) + 64 * (m + n));
  }
  static std::size_t eigh_work(std::ptrdiff_t n) { return std::size_t(1 + 6 * n + 2 * n * n + 64 * n); }

  /// a (m×n, m >= n) = u diag(sigma) vt by xGESDD.
  template <class T>
  static bool svd(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* u, T* sigma, T* vt, bool vectors, T* work,
                  std::size_t work_size) {
    const char job = vectors ? 'S' : 'N';
    const int rows = int(m), cols = int(n), size = int(work_size);
    std::vector<int> integers(std::size_t(8 * n));
    int info = 0;
    Fortran<T>::gesdd(&job, &rows, &cols, a, &rows, sigma, u, &rows, vt, &cols, work, &size, integers.data(), &info);
    return info == 0;
  }

  /// a (n×n, symmetric) ← its eigenvectors in columns, lambda ascending, by xSYEVD.
  template <class T>
  static bool eigh(std::ptrdiff_t n, T* a, T* lambda, T* work, std::size_t work_size) {
    const char job = 'V', lower = 'L';
    const int order = int(n), size = int(work_size);
    const int integer_size = 3 + 5 * order;
    std::vector<int> integers(std::size_t(integer_size), 0);
    int info = 0;
    Fortran<T>::syevd(&job, &lower, &order, a, &order, lambda, work, &size, integers.data(), &integer_size, &info);
    return info == 0;
  }

  static std::size_t qr_work(std::ptrdiff_t, std::ptrdiff_t n) { return std::size_t((2 + 64) * n); }

  /// a (m×n, m >= n) ← Q of its QR decomposition, R's diagonal not negative, by xGEQRF and xORGQR.
  template <class T>
  static bool orthonormal_basis(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* work, std::size_t work_size) {
    T *const tau = work, *const sign = work + n;
    const int rows = int(m), cols = int(n), size = int(work_size) - 2 * cols;
    int info = 0;
    Fortran<T>::geqrf(&rows, &cols, a, &rows, tau, sign + n, &size, &info);
    if (info != 0) return false;
    for (std::ptrdiff_t k = 0; k < n; ++k) sign[k] = a[k + k * m] < T(0) ? T(-1) : T(1);
    Fortran<T>::orgqr(&rows, &cols, &cols, a, &rows, tau, sign + n, &size, &info);
    for (std::ptrdiff_t k = 0; k < n; ++k) {
      for (std::ptrdiff_t i = 0; i < m; ++i) a[i + k * m] *= sign[k];
    }
    return info == 0;
  }
};

template <ExecutionSpace Exec, class T, class Space>
void svd(BlasBackend, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& u,
         const VectorBatchView<T, Space>& sigma, const BatchView<T, Space>& vt, bool vectors,
         Workspace<Space>& workspace) {
  svd_each<LapackDecomposition>(exec, a, u, sigma, vt, vectors, workspace);
}

template <ExecutionSpace Exec, class T, class Space>
void eigh(BlasBackend, const Exec& exec, const BatchView<const T, Space>& a, const VectorBatchView<T, Space>& lambda,
          const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  eigh_each<LapackDecomposition>(exec, a, lambda, v, workspace);
}

template <ExecutionSpace Exec, class T, class Space>
void orthonormal_basis(BlasBackend, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& q,
                       Workspace<Space>& workspace) {
  orthonormal_basis_each<LapackDecomposition>(exec, a, q, workspace);
}

}  // namespace backend
}  // namespace schatten::linalg
