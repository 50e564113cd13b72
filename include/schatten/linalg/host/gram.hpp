// SPDX-License-Identifier: BSD-3-Clause
// Products and Gram matrices on the host by the register-tiled product, spread over threads.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/linalg/host/gemm.hpp>
#include <schatten/linalg/host/triangular.hpp>

#include <algorithm>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// C ← αAB + βC for gemm_each. @pre C's rows or columns are contiguous.
struct KernelGemm {
  template <class T>
  static void run(T alpha, const HostMatrix<const T>& a, const HostMatrix<const T>& b, T beta, const HostMatrix<T>& c) {
    const auto by_rows = c.col_major() ? transpose(c) : c;
    if (beta == T(0)) {
      fill(by_rows, T(0));
    } else if (beta != T(1)) {
      for (std::ptrdiff_t i = 0; i < by_rows.rows; ++i) {
        for (std::ptrdiff_t j = 0; j < by_rows.cols; ++j) by_rows(i, j) *= beta;
      }
    }
    kernel_gemm(alpha, a, b, c);
  }
};

/// Columns of a Gram matrix that are one task.
inline constexpr std::ptrdiff_t gram_width = 128;

/// squares_j ← Σ_i a_ij², j < gram_width, in the order in which A lies in memory, 64 rows at a time: in double too the
/// roundings of a long sum of like terms go to one side.
template <class T>
void sum_squares(const HostMatrix<const T>& a, double* squares) {
  constexpr std::ptrdiff_t block_rows = 64, lanes = 16;
  std::fill(squares, squares + a.cols, 0.0);
  if (a.col_stride == 1) {
    double partial[gram_width];
    for (std::ptrdiff_t first = 0; first < a.rows; first += block_rows) {
      std::fill(partial, partial + a.cols, 0.0);
      for (std::ptrdiff_t i = first; i < (std::min)(first + block_rows, a.rows); ++i) {
        const T* const row = &a(i, 0);
        for (std::ptrdiff_t j = 0; j < a.cols; ++j) partial[j] += double(row[j]) * double(row[j]);
      }
      for (std::ptrdiff_t j = 0; j < a.cols; ++j) squares[j] += partial[j];
    }
    return;
  }
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) {
    for (std::ptrdiff_t first = 0; first < a.rows; first += block_rows * lanes) {
      const std::ptrdiff_t end = (std::min)(first + block_rows * lanes, a.rows);
      double partial[lanes] = {}, sum = 0;
      std::ptrdiff_t i = first;
      for (; i + lanes <= end; i += lanes) {
        for (std::ptrdiff_t l = 0; l < lanes; ++l) partial[l] += double(a(i + l, j)) * double(a(i + l, j));
      }
      for (; i < end; ++i) sum += double(a(i, j)) * double(a(i, j));
      for (const double part : partial) sum += part;
      squares[j] += sum;
    }
  }
}

/// Rows [first, first + count) of C's upper triangle ← the columns of its lower one, in square tiles.
template <class T>
void mirror_columns(const HostMatrix<T>& c, std::ptrdiff_t first, std::ptrdiff_t count) {
  constexpr std::ptrdiff_t tile = 32;
  for (std::ptrdiff_t col = first; col < first + count; col += tile) {
    const std::ptrdiff_t col_end = (std::min)(col + tile, first + count);
    for (std::ptrdiff_t row = col; row < c.rows; row += tile) {
      const std::ptrdiff_t row_end = (std::min)(row + tile, c.rows);
      for (std::ptrdiff_t j = col; j < col_end; ++j) {
        for (std::ptrdiff_t i = (std::max)(row, j + 1); i < row_end; ++i) c(j, i) = c(i, j);
      }
    }
  }
}

/// One task: a block of columns of the lower triangle of S = XᵀX, their mirror image, and their part of the diagonal.
template <class T, class S, class Space>
struct GramTask {
  BatchView<const T, Space> x;
  BatchView<S, Space> symmetric;
  VectorBatchView<double, Space> diagonal;
  std::size_t blocks;
  void operator()(std::size_t task) const {
    const std::size_t b = task / blocks, turn = task % blocks;
    // Long columns and short ones in turn: any run of tasks that a thread takes weighs about the same.
    const std::size_t place = turn % 2 == 0 ? turn / 2 : blocks - 1 - turn / 2;
    const auto a = host_matrix(x, b);
    const auto c = host_matrix(symmetric, b);
    const std::ptrdiff_t n = c.rows, m = a.rows, first = std::ptrdiff_t(place) * gram_width;
    const std::ptrdiff_t count = (std::min)(gram_width, n - first);
    const auto columns = block(a, 0, first, m, count);
    const auto below = block(c, first, first, n - first, count);
    fill(c.col_major() ? transpose(below) : below, S(0));
    constexpr bool levels = std::is_same_v<T, S>;
    kernel_gemm<levels>(S(1), transpose(block(a, 0, first, m, n - first)), columns, below, Part::lower);
    mirror_columns(c, first, count);
    sum_squares(columns, &diagonal(b, std::size_t(first)));
  }
};

/// S ← XᵀX for every matrix, in the precision of S, and its diagonal in double.
template <ExecutionSpace Exec, class T, class S, class Space>
void host_gram(const Exec& exec, const BatchView<const T, Space>& x, const BatchView<S, Space>& s,
               const VectorBatchView<double, Space>& diagonal) {
  using Task = GramTask<T, S, Space>;
  // A product packs the operand that it reads across memory: let that be the narrow one.
  const BatchView<S, Space> symmetric = x.stride(1) < x.stride(2) ? s : transpose(s);
  const std::size_t blocks = (s.extent(1) + std::size_t(gram_width) - 1) / std::size_t(gram_width);
  for_each_matrix(exec, "schatten::gram", s.extent(0) * blocks, Task{x, symmetric, diagonal, blocks});
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
