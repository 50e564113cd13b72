// SPDX-License-Identifier: BSD-3-Clause
// Batched products out of a host library's gemm for one matrix, spread over the threads of the execution space.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/linalg/host/matrix.hpp>
#include <schatten/linalg/host/threads.hpp>

#include <algorithm>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// Columns [first, first + count) of a host matrix.
template <class T>
HostMatrix<T> columns(const HostMatrix<T>& a, std::ptrdiff_t first, std::ptrdiff_t count) {
  return {a.data + first * a.col_stride, a.rows, count, a.row_stride, a.col_stride};
}

/// One task: Gemm::run on some columns of one matrix's C, or on some rows where C is row-major.
template <class Gemm, class T, class Space>
struct GemmTask {
  T alpha;
  BatchView<const T, Space> a, b;
  T beta;
  BatchView<T, Space> c;
  std::size_t parts;
  void operator()(std::size_t task) const {
    const std::size_t k = task / parts, part = task % parts;
    auto matrix_a = host_matrix(a, k), matrix_b = host_matrix(b, k);
    auto matrix_c = host_matrix(c, k);
    if (matrix_c.row_major()) {  // Cᵀ = BᵀAᵀ is column-major
      const auto left = transpose(matrix_b);
      matrix_b = transpose(matrix_a);
      matrix_a = left;
      matrix_c = transpose(matrix_c);
    }
    constexpr std::ptrdiff_t unit = 16;  // whole register tiles
    const std::ptrdiff_t share = (matrix_c.cols / std::ptrdiff_t(parts) + unit - 1) / unit * unit;
    const std::ptrdiff_t first = (std::min)(std::ptrdiff_t(part) * share, matrix_c.cols);
    const std::ptrdiff_t count = part + 1 == parts ? matrix_c.cols - first : (std::min)(share, matrix_c.cols - first);
    if (count == 0) return;
    Gemm::run(alpha, matrix_a, columns(matrix_b, first, count), beta, columns(matrix_c, first, count));
  }
};

/// C ← αAB + βC for every matrix, each on one thread; where there are fewer matrices than threads, the columns of C are
/// shared out as well. The library's own threads stay out of it: Eigen's wait for each other by spinning.
template <class Gemm, ExecutionSpace Exec, class T, class Space>
void gemm_each(const Exec& exec, T alpha, const BatchView<const T, Space>& a, const BatchView<const T, Space>& b,
               T beta, const BatchView<T, Space>& c) {
  constexpr double flops_worth_a_thread = 1e6;
  const std::size_t batch = c.extent(0), threads = static_cast<std::size_t>(concurrency(exec));
  if (c.size() == 0) return;
  const double flops = 2.0 * double(c.extent(1)) * double(c.extent(2)) * double(a.extent(2));
  const std::size_t wanted = batch >= threads ? 1 : (threads + batch - 1) / batch;
  const std::size_t parts = std::clamp<std::size_t>(std::size_t(flops / flops_worth_a_thread), 1, wanted);
  const GemmTask<Gemm, T, Space> task{alpha, a, b, beta, c, parts};
  if (threads == 1 || batch * parts == 1 || flops * double(batch) < flops_worth_a_thread) {
    const HostThreads one(1);
    for (std::size_t k = 0; k < batch * parts; ++k) task(k);
  } else {
    for_each_matrix(exec, "schatten::gemm", batch * parts, task);
  }
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
