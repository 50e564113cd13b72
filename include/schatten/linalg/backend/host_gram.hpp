// Gram matrices on the host by the register-tiled product, spread over threads.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/linalg/backend/host_triangular.hpp>

#include <algorithm>

namespace schatten::linalg::backend {

/// One task: a block of columns of the lower triangle of S = XᵀX, mirrored, and their part of the diagonal.
template <class T, class Space>
struct GramTask {
  static constexpr std::ptrdiff_t width = 128;
  BatchView<const T, Space> x;
  BatchView<T, Space> s;
  VectorBatchView<double, Space> diagonal;
  std::size_t blocks;
  void operator()(std::size_t task) const {
    const auto a = host_matrix(x, task / blocks);
    const auto c = transpose(host_matrix(s, task / blocks));  // the rows of S are contiguous, so are the columns of Sᵀ
    const std::ptrdiff_t n = c.rows, m = a.rows, first = std::ptrdiff_t(task % blocks) * width;
    const std::ptrdiff_t count = std::min(width, n - first), below = n - first - count;
    const auto columns = block(a, 0, first, m, count);
    const auto square = block(c, first, first, count, count), rest = block(c, first + count, first, below, count);
    fill(transpose(square), T(0));
    fill(transpose(rest), T(0));
    lower_product(T(1), transpose(columns), columns, square);
    kernel_gemm(T(1), transpose(block(a, 0, first + count, m, below)), columns, rest);
    for (std::ptrdiff_t j = 0; j < count; ++j) {
      for (std::ptrdiff_t i = j + 1; i < n - first; ++i) c(first + j, first + i) = c(first + i, first + j);
    }
    double* const squares = &diagonal(task / blocks, std::size_t(first));
    for (std::ptrdiff_t j = 0; j < count; ++j) squares[j] = 0;
    for (std::ptrdiff_t i = 0; i < m; ++i) {
      for (std::ptrdiff_t j = 0; j < count; ++j) squares[j] += double(columns(i, j)) * double(columns(i, j));
    }
  }
};

/// S ← XᵀX for every matrix, full and symmetric, and its diagonal in double. @pre The rows of S are contiguous.
template <ExecutionSpace Exec, class T, class Space>
void host_gram(const Exec& exec, const BatchView<const T, Space>& x, const BatchView<T, Space>& s,
               const VectorBatchView<double, Space>& diagonal) {
  using Task = GramTask<T, Space>;
  const std::size_t blocks = (s.extent(1) + std::size_t(Task::width) - 1) / std::size_t(Task::width);
  for_each_matrix(exec, "schatten::gram", s.extent(0) * blocks, Task{x, s, diagonal, blocks});
}

}  // namespace schatten::linalg::backend
