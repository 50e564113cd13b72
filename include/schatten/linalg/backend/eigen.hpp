// SPDX-License-Identifier: BSD-3-Clause
// Host backend over Eigen: gemm. The decompositions are in host_routines.hpp.
#pragma once

#include <schatten/core/workspace.hpp>
#include <schatten/linalg/backend/host_gemm.hpp>

#include <Eigen/Core>

#include <cstddef>
#include <vector>

namespace schatten::linalg {

/// Dense linear algebra by Eigen, for host execution spaces.
struct EigenBackend {};

namespace backend {

/// C += αAB by Eigen's blocked product, on one thread. A's order and B's: where they are contiguous. @pre C's columns are.
///
/// The product itself: `noalias() += alpha * A * B` on Maps also compiles Eigen's products for vectors and for small
/// matrices, for each pair of orders, in six times as long.
template <int order_a, int order_b, class T>
void eigen_product(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, const HostMatrix<T>& c) {
  using namespace Eigen::internal;
  using Product = general_matrix_matrix_product<Eigen::Index, T, order_a, false, T, order_b, false, Eigen::ColMajor, 1>;
  gemm_blocking_space<Eigen::ColMajor, T, T, Eigen::Dynamic, Eigen::Dynamic, Eigen::Dynamic> blocking(c.rows, c.cols,
                                                                                                      a.cols, 1, true);
  Product::run(c.rows, c.cols, a.cols, a.data, order_a == Eigen::ColMajor ? a.col_stride : a.row_stride, b.data,
               order_b == Eigen::ColMajor ? b.col_stride : b.row_stride, c.data, 1, c.col_stride, alpha, blocking,
               nullptr);
}

/// C ← αAB + βC for one matrix, on one thread; matrices without a unit stride are copied.
template <class T>
void eigen_gemm(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, T beta, const HostMatrix<T>& c) {
  if (!c.col_major() && c.row_major()) return eigen_gemm(alpha, transpose(b), transpose(a), beta, transpose(c));
  const auto packed = [](const HostMatrix<const T>& x, std::vector<T>& memory) {
    if (x.col_major() || x.row_major()) return x;
    memory.resize(std::size_t(x.rows * x.cols));
    copy(x, col_major_matrix(memory.data(), x.rows, x.cols));
    return HostMatrix<const T>{memory.data(), x.rows, x.cols, 1, x.rows};
  };
  std::vector<T> memory_a, memory_b, memory_c;
  if (!c.col_major()) {
    memory_c.resize(std::size_t(c.rows * c.cols));
    const auto packed_c = col_major_matrix(memory_c.data(), c.rows, c.cols);
    copy(c, packed_c);
    eigen_gemm(alpha, a, b, beta, packed_c);
    return copy(packed_c, c);
  }
  if (beta == T(0)) {
    fill(transpose(c), T(0));
  } else if (beta != T(1)) {
    for (std::ptrdiff_t j = 0; j < c.cols; ++j) {
      for (std::ptrdiff_t i = 0; i < c.rows; ++i) c(i, j) *= beta;
    }
  }
  if (a.cols == 0 || c.rows * c.cols == 0) return;
  const HostMatrix<const T> left = packed(a, memory_a), right = packed(b, memory_b);
  constexpr int by_cols = Eigen::ColMajor, by_rows = Eigen::RowMajor;
  if (left.col_major()) {
    if (right.col_major()) return eigen_product<by_cols, by_cols>(alpha, left, right, c);
    return eigen_product<by_cols, by_rows>(alpha, left, right, c);
  }
  if (right.col_major()) return eigen_product<by_rows, by_cols>(alpha, left, right, c);
  eigen_product<by_rows, by_rows>(alpha, left, right, c);
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
