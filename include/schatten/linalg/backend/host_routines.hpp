// SPDX-License-Identifier: BSD-3-Clause
// The library's own decompositions of host matrices, as the Eigen backend's: singular values, symmetric eigenvalues,
// QR.
#pragma once

#include <schatten/linalg/backend/eigen.hpp>
#include <schatten/linalg/host/decomposition.hpp>
#include <schatten/linalg/host/eigh.hpp>
#include <schatten/linalg/host/householder.hpp>
#include <schatten/linalg/host/svd.hpp>

#include <cstddef>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// Scalars of work that host_orthonormal_basis needs.
inline std::size_t host_orthonormal_basis_work(std::ptrdiff_t m, std::ptrdiff_t n) {
  return std::size_t(m * n + n) + householder::scratch(m, n);
}

/// a (m×n, m >= n, contiguous columns) ← Q of its QR decomposition, R's diagonal not negative, by Householder
/// reflections. `work`: host_orthonormal_basis_work(m, n) scalars. Cost: 4n²(m − n/3) flops.
template <class T>
void host_orthonormal_basis(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* work) {
  const HostMatrix<T> q = col_major_matrix(a, m, n), factored = col_major_matrix(work, m, n);
  T *const tau = work + m * n, *const scratch = tau + n;
  (void)divide_by_largest(q);
  householder_qr(q, tau, scratch);
  copy(q, factored);
  fill(transpose(q), T(0));
  for (std::ptrdiff_t k = 0; k < n; ++k) q(k, k) = T(1);
  apply_reflections(HostMatrix<const T>{work, m, n, 1, m}, tau, true, q, scratch);
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    if (!(factored(k, k) < T(0))) continue;
    for (std::ptrdiff_t i = 0; i < m; ++i) q(i, k) = -q(i, k);
  }
}

/// The routines in the shape that linalg/host/decomposition.hpp asks for.
struct HostRoutines {
  static std::size_t svd_work(std::ptrdiff_t m, std::ptrdiff_t n, bool vectors) { return host_svd_work(m, n, vectors); }
  template <class T>
  static bool svd(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* u, T* sigma, T* vt, bool vectors, T* work, std::size_t) {
    return host_svd(m, n, a, u, sigma, vt, vectors, work);
  }
  static std::size_t eigh_work(std::ptrdiff_t n) { return host_eigh_work(n); }
  template <class T>
  static bool eigh(std::ptrdiff_t n, T* a, T* lambda, T* work, std::size_t) {
    return host_eigh(n, a, lambda, work);
  }
  static std::size_t qr_work(std::ptrdiff_t m, std::ptrdiff_t n) { return host_orthonormal_basis_work(m, n); }
  template <class T>
  static bool orthonormal_basis(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* work, std::size_t) {
    host_orthonormal_basis(m, n, a, work);
    return true;
  }
};

template <ExecutionSpace Exec, class T, class Space>
void svd(EigenBackend, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& u,
         const VectorBatchView<T, Space>& sigma, const BatchView<T, Space>& vt, bool vectors,
         Workspace<Space>& workspace) {
  svd_each<HostRoutines>(exec, a, u, sigma, vt, vectors, workspace);
}

template <ExecutionSpace Exec, class T, class Space>
void eigh(EigenBackend, const Exec& exec, const BatchView<const T, Space>& a, const VectorBatchView<T, Space>& lambda,
          const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  eigh_each<HostRoutines>(exec, a, lambda, v, workspace);
}

template <ExecutionSpace Exec, class T, class Space>
void orthonormal_basis(EigenBackend, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& q,
                       Workspace<Space>& workspace) {
  orthonormal_basis_each<HostRoutines>(exec, a, q, workspace);
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
