// Host backend over Eigen: singular value and symmetric eigenvalue decompositions.
//
// A translation unit that instantiates eigen_svd<float> compiles for about 20 s, so the two routines are plain function
// templates: a program of many translation units may declare them `extern template` and instantiate them once.
#pragma once

#include <schatten/linalg/backend/eigen.hpp>
#include <schatten/linalg/backend/host_decomposition.hpp>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>

namespace schatten::linalg::backend {

/// a (m×n, m >= n) = u diag(sigma) vt, all contiguous column-major. Divide and conquer (Eigen::BDCSVD).
template <class T>
bool eigen_svd(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* u, T* sigma, T* vt, bool vectors) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  const unsigned options = vectors ? unsigned(Eigen::ComputeThinU) | unsigned(Eigen::ComputeThinV) : 0U;
  const Eigen::BDCSVD<Matrix> svd(Matrix(Eigen::Map<Matrix>(a, m, n)), options);
  if (svd.info() != Eigen::Success) return false;
  Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>(sigma, n) = svd.singularValues();
  if (vectors) Eigen::Map<Matrix>(u, m, n) = svd.matrixU();
  if (vectors) Eigen::Map<Matrix>(vt, n, n) = svd.matrixV().transpose();
  return true;
}

/// a (n×n, symmetric) ← its eigenvectors in columns, lambda ascending. Tridiagonal QR (Eigen::SelfAdjointEigenSolver).
template <class T>
bool eigen_eigh(std::ptrdiff_t n, T* a, T* lambda) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  Eigen::Map<Matrix> map(a, n, n);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(map);
  if (solver.info() != Eigen::Success) return false;
  Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>(lambda, n) = solver.eigenvalues();
  map = solver.eigenvectors();
  return true;
}

/// The routines in the shape that host_decomposition.hpp asks for. Eigen takes its work memory from the heap.
struct EigenDecomposition {
  static std::size_t svd_work(std::ptrdiff_t, std::ptrdiff_t, bool) { return 0; }
  static std::size_t eigh_work(std::ptrdiff_t) { return 0; }
  template <class T>
  static bool svd(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* u, T* sigma, T* vt, bool vectors, T*, std::size_t) {
    return eigen_svd(m, n, a, u, sigma, vt, vectors);
  }
  template <class T>
  static bool eigh(std::ptrdiff_t n, T* a, T* lambda, T*, std::size_t) {
    return eigen_eigh(n, a, lambda);
  }
};

template <ExecutionSpace Exec, class T, class Space>
void svd(EigenBackend, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& u,
         const VectorBatchView<T, Space>& sigma, const BatchView<T, Space>& vt, bool vectors,
         Workspace<Space>& workspace) {
  svd_each<EigenDecomposition>(exec, a, u, sigma, vt, vectors, workspace);
}

template <ExecutionSpace Exec, class T, class Space>
void eigh(EigenBackend, const Exec& exec, const BatchView<const T, Space>& a, const VectorBatchView<T, Space>& lambda,
          const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  eigh_each<EigenDecomposition>(exec, a, lambda, v, workspace);
}

}  // namespace schatten::linalg::backend
