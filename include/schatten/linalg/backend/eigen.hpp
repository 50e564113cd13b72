// SPDX-License-Identifier: BSD-3-Clause
// Host backend over Eigen: gemm. The decompositions are in host_routines.hpp.
#pragma once

#include <schatten/core/workspace.hpp>
#include <schatten/linalg/host/gemm.hpp>
#include <schatten/linalg/host/kernel.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#if !EIGEN_VERSION_AT_LEAST(3, 4, 0)
#error "Schatten needs Eigen 3.4 or newer"
#endif

namespace schatten::linalg {

/// Dense linear algebra by Eigen, for host execution spaces.
struct EigenBackend {};

namespace backend {

/// The sizes of the blocks of Eigen's product and memory for them. Eigen's own would come from the stack, of which a
/// thread may have little, or from an allocator whose alignment is that of any unit of the program.
template <class T>
class EigenBlocks : public Eigen::internal::level3_blocking<T, T> {
 public:
  EigenBlocks(std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t depth) {
    this->m_mc = Eigen::Index(rows);
    this->m_nc = Eigen::Index(cols);
    this->m_kc = Eigen::Index(depth);
    Eigen::internal::computeProductBlockingSizes<T, T, 1>(this->m_kc, this->m_mc, this->m_nc);
    constexpr std::size_t unit = alignment / sizeof(T);
    const std::size_t size_a = (std::size_t(this->m_mc) * std::size_t(this->m_kc) + unit - 1) / unit * unit;
    const std::size_t size_b = std::size_t(this->m_kc) * std::size_t(this->m_nc);
    memory_.reset(static_cast<T*>(::operator new((size_a + size_b) * sizeof(T), std::align_val_t(alignment))));
    this->m_blockA = memory_.get();
    this->m_blockB = memory_.get() + size_a;
  }

 private:
  static constexpr std::size_t alignment = 64;
  struct Free {
    void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(alignment)); }
  };
  std::unique_ptr<T, Free> memory_;
};

/// C += αAB by Eigen's blocked product, on one thread. A's order and B's: where they are contiguous. @pre C's columns
/// are.
///
/// The product itself: `noalias() += alpha * A * B` on Maps also compiles Eigen's products for vectors and for small
/// matrices, for each pair of orders, in six times as long.
template <int order_a, int order_b, class T>
void eigen_product(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, const HostMatrix<T>& c) {
  using namespace Eigen::internal;
  using Eigen::Index;
  using Product = general_matrix_matrix_product<Index, T, order_a, false, T, order_b, false, Eigen::ColMajor, 1>;
  EigenBlocks<T> blocks(c.rows, c.cols, a.cols);
  Product::run(Index(c.rows), Index(c.cols), Index(a.cols), a.data,
               Index(order_a == Eigen::ColMajor ? a.col_stride : a.row_stride), b.data,
               Index(order_b == Eigen::ColMajor ? b.col_stride : b.row_stride), c.data, 1, Index(c.col_stride), alpha,
               blocks, nullptr);
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
#if defined(EIGEN_USE_BLAS)
  using Index = int;
#else
  using Index = Eigen::Index;  // EIGEN_DEFAULT_DENSE_INDEX_TYPE, an int in some programs
#endif
  if constexpr (sizeof(Index) < sizeof(std::ptrdiff_t)) {
    const auto reach = [](const auto& x) {  // the largest number that Eigen computes of x
      return (std::max)({x.rows * x.row_stride + x.cols * x.col_stride, x.rows, x.cols});
    };
    if ((std::max)({reach(left), reach(right), reach(c)}) > (std::numeric_limits<Index>::max)()) {
      return kernel_gemm(alpha, left, right, c);
    }
  }
  constexpr int by_cols = Eigen::ColMajor, by_rows = Eigen::RowMajor;
  if (left.col_major()) {
    if (right.col_major()) return eigen_product<by_cols, by_cols>(alpha, left, right, c);
    return eigen_product<by_cols, by_rows>(alpha, left, right, c);
  }
  if (right.col_major()) return eigen_product<by_rows, by_cols>(alpha, left, right, c);
  eigen_product<by_rows, by_rows>(alpha, left, right, c);
}

/// eigen_gemm in the shape that linalg/host/gemm.hpp asks for.
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
