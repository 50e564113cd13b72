// Host backend over Eigen: gemm.  The decompositions are in eigen_decomposition.hpp, which compiles far longer.
#pragma once

#include <schatten/core/workspace.hpp>
#include <schatten/linalg/backend/host_gemm.hpp>

#include <Eigen/Core>

namespace schatten::linalg {

/// Dense linear algebra by Eigen, for host execution spaces.
struct EigenBackend {};

namespace backend {

template <class T>
using EigenRowMajor = Eigen::Map<Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>,
                                 Eigen::Unaligned, Eigen::OuterStride<>>;
template <class T>
using EigenColMajor = Eigen::Map<Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic>,
                                 Eigen::Unaligned, Eigen::OuterStride<>>;

/// f(Eigen expression of `a`): a Map where rows or columns are contiguous, else a copy.
template <class T, class F>
void with_eigen(const HostMatrix<const T>& a, const F& f) {
  T* const data = const_cast<T*>(a.data);  // Maps of const and non-const would double the instantiations; never written
  if (a.col_major()) return f(EigenColMajor<T>(data, a.rows, a.cols, Eigen::OuterStride<>(a.col_stride)));
  if (a.row_major()) return f(EigenRowMajor<T>(data, a.rows, a.cols, Eigen::OuterStride<>(a.row_stride)));
  Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> packed(a.rows, a.cols);
  copy(a, col_major_matrix(packed.data(), a.rows, a.cols));
  f(EigenColMajor<T>(packed.data(), a.rows, a.cols, Eigen::OuterStride<>(a.rows)));
}

/// C ← αAB + βC for one matrix.
template <class T>
void eigen_gemm(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, T beta, const HostMatrix<T>& c) {
  if (!c.col_major() && c.row_major()) return eigen_gemm(alpha, transpose(b), transpose(a), beta, transpose(c));
  if (!c.col_major()) {
    Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> packed(c.rows, c.cols);
    const auto packed_c = col_major_matrix(packed.data(), c.rows, c.cols);
    copy(c, packed_c);
    eigen_gemm(alpha, a, b, beta, packed_c);
    return copy(packed_c, c);
  }
  EigenColMajor<T> map_c(c.data, c.rows, c.cols, Eigen::OuterStride<>(c.col_stride));
  if (beta == T(0)) {
    map_c.setZero();
  } else if (beta != T(1)) {
    map_c *= beta;
  }
  if (a.cols == 0) return;
  with_eigen(a, [&](const auto& map_a) {
    with_eigen(b, [&](const auto& map_b) { map_c.noalias() += alpha * map_a * map_b; });
  });
}

/// eigen_gemm in the shape that host_gemm.hpp asks for.
struct EigenGemm {
  template <class T>
  static void run(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, T beta, const HostMatrix<T>& c) {
    eigen_gemm(alpha, a, b, beta, c);
  }
};

template <ExecutionSpace Exec, class T, class Space>
void gemm(EigenBackend, const Exec& exec, T alpha, const BatchView<const T, Space>& a,
          const BatchView<const T, Space>& b, T beta, const BatchView<T, Space>& c, Workspace<Space>&) {
  gemm_each<EigenGemm>(exec, alpha, a, b, beta, c);
}

}  // namespace backend
}  // namespace schatten::linalg
