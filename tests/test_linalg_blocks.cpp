// SPDX-License-Identifier: BSD-3-Clause
// Copies between layouts, and symmetric products in rows of blocks: the loops of a device turn tiles in shared memory.

#include "support/typed.hpp"
#include <schatten/core/copy.hpp>
#include <schatten/linalg/gemm.hpp>

#include <algorithm>
#include <cstddef>

namespace {

using namespace schatten;
using namespace schatten::test;

#if defined(SCHATTEN_ENABLE_CUDA)
using Exec = DeviceExec;
using Backend = CudaBackend;
#else
using Exec = SerialExec;
using Backend = PortableBackend;
#endif
using Space = Exec::memory_space;

/// Row i of the product of two matrices of ones, rows and columns scaled, which is symmetric.
double scaled_row(std::size_t i) { return 1 + double(i % 7) / 8; }

template <class V>
void check_scaled_rows(const V& c, std::size_t batch, std::size_t k) {
  std::size_t wrong = 0;
  for (std::size_t b = 0; b < batch; ++b) {
    for (std::size_t i = 0; i < c.extent(1); ++i) {
      for (std::size_t j = 0; j < c.extent(2); ++j) {
        wrong += double(c(b, i, j)) != 0.5 * double(k) * scaled_row(i) * scaled_row(j) * double(b + 1);
      }
    }
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("copies between every two layouts are exact and write nothing else") {
  const Exec exec;
  const auto check = [&]<class T, class U, Storage from, Storage to>() {
    for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{1, 1}, {1, 70}, {70, 1}, {32, 64}, {33, 95}}) {
      CAPTURE(rows);
      CAPTURE(cols);
      const Batch<T, from> a(2, rows, cols);
      const Batch<U, to> b(2, rows, cols);
      for (std::size_t k = 0; k < 2; ++k) assign(a.matrix(k), gaussian(rows, cols, unsigned(k)));
      copy_elements(exec, "schatten::test/copy", as_const(as_batch<Exec>(a.view())), as_batch<Exec>(b.view()));
      exec.fence();
      for (std::size_t k = 0; k < 2; ++k) {
        CHECK(max_abs(to_matrix(b.matrix(k)) - rounded<U>(to_matrix(a.matrix(k)))) == 0);
      }
      CHECK(b.surroundings_intact());
    }
  };
  check.operator()<float, float, Storage::left, Storage::right>();
  check.operator()<float, double, Storage::right, Storage::left>();
  check.operator()<double, float, Storage::left, Storage::window>();
  check.operator()<float, float, Storage::left, Storage::scattered>();
  check.operator()<double, double, Storage::scattered, Storage::left>();
}

TEST_CASE("the rows of blocks cover a symmetric product once and begin at aligned elements") {
  for (const std::size_t n : {0U, 1U, 1024U, 2047U, 2048U, 3100U, 4096U, 5461U, 14336U}) {
    CAPTURE(n);
    const std::size_t count = linalg::symmetric_block_rows(n);
    CHECK(count == (n < 2048 ? 1U : (n < 3072 ? 2U : (n < 4096 ? 3U : 4U))));
    CHECK(linalg::detail::block_row_begin(n, count, 0) == 0);
    CHECK(linalg::detail::block_row_begin(n, count, count) == n);
    for (std::size_t r = 1; r < count; ++r) {
      const std::size_t begin = linalg::detail::block_row_begin(n, count, r);
      CHECK(begin % 128 == 0);
      CHECK(begin > linalg::detail::block_row_begin(n, count, r - 1));
      CHECK(begin < linalg::detail::block_row_begin(n, count, r + 1));
    }
  }
  CHECK(linalg::symmetric_flops(2047) == 2);
  CHECK(linalg::symmetric_flops(2048) == 1.5);
  CHECK(linalg::symmetric_flops(4096) == 1.25);
}

TEST_CASE("a symmetric product in rows of blocks") {
  const Exec exec;
  Workspace<Space> workspace;
  const std::size_t k = 3;
  const auto check = [&]<class T, Storage storage>(std::size_t n, std::size_t batch, std::size_t count) {
    CAPTURE(n);
    CAPTURE(count);
    const Batch<T, Storage::right> a(batch, k, n);
    const Batch<T, storage> c(batch, n, n);
    for (std::size_t b = 0; b < batch; ++b) {
      for (std::size_t l = 0; l < k; ++l) {
        // k terms of this size, each exact
        for (std::size_t j = 0; j < n; ++j) a.view()(b, l, j) = T(scaled_row(j));
      }
    }
    const auto batch_a = as_batch<Exec>(a.view());
    const auto batch_c = as_batch<Exec>(c.view());
    for (std::size_t b = 0; b < batch; ++b) {
      const auto one_a = as_const(matrices(batch_a, b, 1));
      linalg::detail::block_row_product<Backend>(exec, T(0.5) * T(b + 1), transpose(one_a), one_a,
                                                 matrices(batch_c, b, 1), count, workspace);
    }
    exec.fence();
    check_scaled_rows(c.view(), batch, k);
    CHECK(c.surroundings_intact());
  };
  for (const std::size_t count : {1U, 2U, 3U, 4U}) {
    check.operator()<float, Storage::right>(600, 1, count);
    check.operator()<double, Storage::left>(515, 1, count);
    check.operator()<float, Storage::window>(515, 2, count);
  }
}

TEST_CASE("a large symmetric product is exactly symmetric where blocks were copied") {
  const Exec exec;
  Workspace<Space> workspace;
  const std::size_t n = 2100, k = 2;
  const Batch<float, Storage::right> a(1, k, n), c(1, n, n);
  const Matrix x = rounded<float>(gaussian(k, n, 1));
  assign(a.matrix(), x);
  linalg::gram<Backend>(exec, a.view(), c.view(), workspace);
  exec.fence();
  const Matrix got = to_matrix(c.matrix());
  CHECK(max_abs(got - x.transpose() * x) <= 64 * epsilon<float>);
  const auto half = Eigen::Index(linalg::detail::block_row_begin(n, 2, 1)), rest = Eigen::Index(n) - half;
  CHECK(max_abs(got.topRightCorner(half, rest) - got.bottomLeftCorner(rest, half).transpose()) == 0);
}
