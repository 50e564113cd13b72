// Host backend over Eigen: singular value, symmetric eigenvalue and QR decompositions.
//
// A translation unit that instantiates eigen_svd<float> compiles for about 20 s, so the two routines are plain function
// templates: a program of many translation units may declare them `extern template` and instantiate them once.
#pragma once

#include <schatten/linalg/backend/bidiagonal_svd.hpp>
#include <schatten/linalg/backend/eigen.hpp>
#include <schatten/linalg/backend/host_decomposition.hpp>

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace schatten::linalg::backend {

/// Columns back to length one, from which the rounding of many plane rotations makes them drift.
template <class Matrix>
void normalize_columns(Matrix& q) {
  using T = typename Matrix::Scalar;
  for (Eigen::Index k = 0; k < q.cols(); ++k) q.col(k) /= T(q.col(k).template cast<double>().norm());
}

/// a (m×n, m >= n) = u diag(sigma) vt, all contiguous column-major. Bidiagonalisation by Eigen's Householder reflections,
/// then QR (bidiagonal_svd.hpp).
template <class T>
bool eigen_svd(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T* u, T* sigma, T* vt, bool vectors) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  const Eigen::Map<Matrix> map(a, m, n);
  const T largest = map.cwiseAbs().maxCoeff(), scale = largest == T(0) ? T(1) : largest;
  Eigen::internal::UpperBidiagonalization<Matrix> reflections(Matrix(map / scale));
  const Matrix bidiagonal = reflections.bidiagonal().toDenseMatrix();
  Eigen::VectorXd diagonal = bidiagonal.diagonal().template cast<double>(), above = Eigen::VectorXd::Zero(n);
  above.head(n - 1) = bidiagonal.template diagonal<1>().template cast<double>();
  const Eigen::Index order = vectors ? n : 0;
  Matrix p = Matrix::Identity(order, order), q = p;
  if (!BidiagonalQr<T>(diagonal, above, p, q).run()) return false;
  std::vector<Eigen::Index> place(static_cast<std::size_t>(n));
  std::iota(place.begin(), place.end(), Eigen::Index{0});
  std::stable_sort(place.begin(), place.end(),
                   [&](Eigen::Index i, Eigen::Index j) { return std::abs(diagonal(i)) > std::abs(diagonal(j)); });
  for (Eigen::Index k = 0; k < n; ++k) sigma[k] = T(std::abs(diagonal(place[std::size_t(k)])) * double(scale));
  if (!vectors) return true;
  normalize_columns(p);
  normalize_columns(q);
  Matrix v(n, n);
  Eigen::Map<Matrix> map_u(u, m, n);
  map_u.bottomRows(m - n).setZero();
  for (Eigen::Index k = 0; k < n; ++k) {
    const Eigen::Index from = place[std::size_t(k)];
    map_u.col(k).head(n) = diagonal(from) < 0 ? (-p.col(from)).eval() : p.col(from).eval();
    v.col(k) = q.col(from);
  }
  map_u.applyOnTheLeft(reflections.householderU());
  v.applyOnTheLeft(reflections.householderV());
  Eigen::Map<Matrix>(vt, n, n) = v.transpose();
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
  normalize_columns(map);
  return true;
}

/// a (m×n, m >= n) ← Q of its QR decomposition, R's diagonal not negative. Householder reflections (Eigen::HouseholderQR).
template <class T>
void eigen_orthonormal_basis(std::ptrdiff_t m, std::ptrdiff_t n, T* a) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  Eigen::Map<Matrix> map(a, m, n);
  const T largest = map.cwiseAbs().maxCoeff(), scale = largest == T(0) ? T(1) : largest;
  const Eigen::HouseholderQR<Matrix> qr(Matrix(map / scale));
  map.setIdentity();
  map.applyOnTheLeft(qr.householderQ());
  for (Eigen::Index k = 0; k < n; ++k) {
    if (qr.matrixQR()(k, k) < T(0)) map.col(k) = -map.col(k);
  }
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
  static std::size_t qr_work(std::ptrdiff_t, std::ptrdiff_t) { return 0; }
  template <class T>
  static bool orthonormal_basis(std::ptrdiff_t m, std::ptrdiff_t n, T* a, T*, std::size_t) {
    eigen_orthonormal_basis(m, n, a);
    return true;
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

template <ExecutionSpace Exec, class T, class Space>
void orthonormal_basis(EigenBackend, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& q,
                       Workspace<Space>& workspace) {
  orthonormal_basis_each<EigenDecomposition>(exec, a, q, workspace);
}

}  // namespace schatten::linalg::backend
