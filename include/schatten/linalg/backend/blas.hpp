// SPDX-License-Identifier: BSD-3-Clause
// Host backend over BLAS and LAPACK, called by their Fortran symbols: OpenBLAS, MKL, BLIS + reference LAPACK, ...
//
// Enabled by SCHATTEN_ENABLE_BLAS. Tested with OpenBLAS's OpenMP build; its pthread build must not be called from
// several threads at once and is slow there. Its integers must have 32 bits.
#pragma once

#if defined(MKL_ILP64) || defined(OPENBLAS_USE64BITINT)
#error \
    "Schatten calls BLAS and LAPACK with 32-bit integers, and this program is compiled for 64-bit ones \
(MKL_ILP64, OPENBLAS_USE64BITINT): link the LP64 interface, or leave SCHATTEN_ENABLE_BLAS out"
#endif

#include <schatten/core/error.hpp>
#include <schatten/linalg/backend/eigen.hpp>
#include <schatten/linalg/backend/host_routines.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>
#include <vector>

// Fortran's symbols under names of ours: a program may declare the same symbols otherwise, as Eigen's <blas.h>,
// LAPACKE's <lapack.h> and the user's own prototypes do.
#define SCHATTEN_TEXT_OF(x) #x
#define SCHATTEN_TEXT(x) SCHATTEN_TEXT_OF(x)
#define SCHATTEN_SYMBOL(name) __asm__(SCHATTEN_TEXT(__USER_LABEL_PREFIX__) #name)
extern "C" {
void schatten_sgemm(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
                    const int*, const float*, const int*, const float*, float*, const int*) SCHATTEN_SYMBOL(sgemm_);
void schatten_dgemm(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
                    const int*, const double*, const int*, const double*, double*, const int*) SCHATTEN_SYMBOL(dgemm_);
void schatten_sgesdd(const char*, const int*, const int*, float*, const int*, float*, float*, const int*, float*,
                     const int*, float*, const int*, int*, int*) SCHATTEN_SYMBOL(sgesdd_);
void schatten_dgesdd(const char*, const int*, const int*, double*, const int*, double*, double*, const int*, double*,
                     const int*, double*, const int*, int*, int*) SCHATTEN_SYMBOL(dgesdd_);
void schatten_ssyevd(const char*, const char*, const int*, float*, const int*, float*, float*, const int*, int*,
                     const int*, int*) SCHATTEN_SYMBOL(ssyevd_);
void schatten_dsyevd(const char*, const char*, const int*, double*, const int*, double*, double*, const int*, int*,
                     const int*, int*) SCHATTEN_SYMBOL(dsyevd_);
void schatten_sgeqrf(const int*, const int*, float*, const int*, float*, float*, const int*, int*)
    SCHATTEN_SYMBOL(sgeqrf_);
void schatten_dgeqrf(const int*, const int*, double*, const int*, double*, double*, const int*, int*)
    SCHATTEN_SYMBOL(dgeqrf_);
void schatten_sorgqr(const int*, const int*, const int*, float*, const int*, const float*, float*, const int*, int*)
    SCHATTEN_SYMBOL(sorgqr_);
void schatten_dorgqr(const int*, const int*, const int*, double*, const int*, const double*, double*, const int*, int*)
    SCHATTEN_SYMBOL(dorgqr_);
}
#undef SCHATTEN_SYMBOL
#undef SCHATTEN_TEXT
#undef SCHATTEN_TEXT_OF

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
  static constexpr auto gemm = schatten_sgemm;
  static constexpr auto gesdd = schatten_sgesdd;
  static constexpr auto syevd = schatten_ssyevd;
  static constexpr auto geqrf = schatten_sgeqrf;
  static constexpr auto orgqr = schatten_sorgqr;
};
template <>
struct Fortran<double> {
  static constexpr auto gemm = schatten_dgemm;
  static constexpr auto gesdd = schatten_dgesdd;
  static constexpr auto syevd = schatten_dsyevd;
  static constexpr auto geqrf = schatten_dgeqrf;
  static constexpr auto orgqr = schatten_dorgqr;
};

/// Whether each is a number of Fortran's integers, which have 32 bits.
template <class... Sizes>
bool fortran_integers(Sizes... sizes) {
  return ((std::ptrdiff_t(sizes) <= std::ptrdiff_t((std::numeric_limits<int>::max)())) && ...);
}

/// Whether xGEQRF writes 32 bits of `info`. It is called for an empty matrix, with a query of the work memory. A LAPACK
/// whose integers have 64 bits reads the same values from the arguments, and writes 64 bits.
inline bool geqrf_writes_32_bits() {
  if (std::endian::native != std::endian::little) return true;  // the first half of 64 bits is another number there
  alignas(8) const int none[2] = {0, 0}, one[2] = {1, 0}, query[2] = {-1, -1};
  alignas(8) int info[2] = {-2, -2};
  float matrix = 0, tau = 0, size = 0;
  Fortran<float>::geqrf(none, none, &matrix, one, &tau, &size, query, info);
  return info[1] == -2;
}

/// Whether the LAPACK that is linked counts in 32 bits. It is asked once in a program.
inline bool lapack_counts_in_32_bits() {
  static const bool answer = geqrf_writes_32_bits();
  return answer;
}

/// Throws InvalidArgument where LAPACK's integers have 64 bits, before it or BLAS is given anything.
inline void require_32_bit_integers() {
  require(lapack_counts_in_32_bits(), "linalg::BlasBackend", "integers of the LAPACK that is linked", "64 bits",
          "must have integers of 32 bits: link the LP64 build of BLAS and LAPACK, not the ILP64 one");
}

/// Leading dimension of a matrix that is read as column-major, at least what Fortran insists on.
inline std::ptrdiff_t leading_dimension(std::ptrdiff_t stride, std::ptrdiff_t extent) {
  return (std::max)({stride, extent, std::ptrdiff_t{1}});
}

/// C ← αAB + βC for one matrix.
template <class T>
void blas_gemm(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, T beta, const HostMatrix<T>& c) {
  if (!c.col_major() && c.row_major()) return blas_gemm(alpha, transpose(b), transpose(a), beta, transpose(c));
  const bool blas_can = c.col_major() && (a.col_major() || a.row_major()) && (b.col_major() || b.row_major());
  if (!blas_can || c.rows * c.cols == 0 || a.cols == 0) return eigen_gemm(alpha, a, b, beta, c);  // packs what must be
  const auto stored = [](const HostMatrix<const T>& x) {
    return x.col_major() ? leading_dimension(x.col_stride, x.rows) : leading_dimension(x.row_stride, x.cols);
  };
  const std::ptrdiff_t leading_a = stored(a), leading_b = stored(b),
                       leading_c = leading_dimension(c.col_stride, c.rows);
  if (!fortran_integers(c.rows, c.cols, a.cols, leading_a, leading_b, leading_c)) {
    return eigen_gemm(alpha, a, b, beta, c);
  }
  const char op_a = a.col_major() ? 'N' : 'T', op_b = b.col_major() ? 'N' : 'T';
  const int m = int(c.rows), n = int(c.cols), k = int(a.cols);
  const int lda = int(leading_a), ldb = int(leading_b), ldc = int(leading_c);
  Fortran<T>::gemm(&op_a, &op_b, &m, &n, &k, &alpha, a.data, &lda, b.data, &ldb, &beta, c.data, &ldc);
}

template <ExecutionSpace Exec, class T, class Space>
void gemm(BlasBackend, const Exec& exec, T alpha, const BatchView<const T, Space>& a,
          const BatchView<const T, Space>& b, T beta, const BatchView<T, Space>& c, Workspace<Space>&) {
  require_32_bit_integers();
  const HostThreads threads(exec);
  for (std::size_t k = 0; k < c.extent(0); ++k) {
    blas_gemm(alpha, host_matrix(a, k), host_matrix(b, k), beta, host_matrix(c, k));
  }
}

/// LAPACK's routines in the shape that linalg/host/decomposition.hpp asks for; integer work memory comes from the heap.
/// Matrices that need a number beyond 32 bits, work memory included (17 500 columns with vectors), go to the library's
/// own.
struct LapackDecomposition {
  static std::ptrdiff_t svd_size(std::ptrdiff_t m, std::ptrdiff_t n, bool vectors) {
    return vectors ? 3 * n * n + (std::max)(m, 4 * n * n + 4 * n) + 64 * (m + n)
                   : 3 * n + (std::max)(m, 7 * n) + 64 * (m + n);
  }
  static std::size_t svd_work(std::ptrdiff_t m, std::ptrdiff_t n, bool vectors) {
    const std::ptrdiff_t size = svd_size(m, n, vectors);
    return fortran_integers(size) ? std::size_t(size) : HostRoutines::svd_work(m, n, vectors);
  }
  static std::ptrdiff_t eigh_size(std::ptrdiff_t n) { return 1 + 6 * n + 2 * n * n + 64 * n; }
  static std::size_t eigh_work(std::ptrdiff_t n) {
    return fortran_integers(eigh_size(n)) ? std::size_t(eigh_size(n)) : HostRoutines::eigh_work(n);
  }

  /// a (m×n, m >= n) = u diag(sigma) vt by xGESDD.
  template <class T>
  static bool svd(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* u, T* sigma, T* vt, bool vectors, T* work,
                  std::size_t work_size) {
    if (!fortran_integers(svd_size(m, n, vectors))) {
      return HostRoutines::svd(m, n, a, u, sigma, vt, vectors, work, work_size);
    }
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
    if (!fortran_integers(eigh_size(n))) return HostRoutines::eigh(n, a, lambda, work, work_size);
    const char job = 'V', lower = 'L';
    const int order = int(n), size = int(work_size);
    const int integer_size = 3 + 5 * order;
    std::vector<int> integers(std::size_t(integer_size), 0);
    int info = 0;
    Fortran<T>::syevd(&job, &lower, &order, a, &order, lambda, work, &size, integers.data(), &integer_size, &info);
    return info == 0;
  }

  static std::size_t qr_work(std::ptrdiff_t m, std::ptrdiff_t n) {
    return fortran_integers(m, 66 * n) ? std::size_t(66 * n) : HostRoutines::qr_work(m, n);
  }

  /// a (m×n, m >= n) ← Q of its QR decomposition, R's diagonal not negative, by xGEQRF and xORGQR.
  template <class T>
  static bool orthonormal_basis(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* work, std::size_t work_size) {
    if (!fortran_integers(m, 66 * n)) return HostRoutines::orthonormal_basis(m, n, a, work, work_size);
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
  require_32_bit_integers();
  svd_each<LapackDecomposition>(exec, a, u, sigma, vt, vectors, workspace);
}

template <ExecutionSpace Exec, class T, class Space>
void eigh(BlasBackend, const Exec& exec, const BatchView<const T, Space>& a, const VectorBatchView<T, Space>& lambda,
          const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  require_32_bit_integers();
  eigh_each<LapackDecomposition>(exec, a, lambda, v, workspace);
}

template <ExecutionSpace Exec, class T, class Space>
void orthonormal_basis(BlasBackend, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& q,
                       Workspace<Space>& workspace) {
  require_32_bit_integers();
  orthonormal_basis_each<LapackDecomposition>(exec, a, q, workspace);
}

}  // namespace backend
}  // namespace schatten::linalg
