// SPDX-License-Identifier: BSD-3-Clause
// labels: compilers
// gemm, symmetric_product and gram against products in double.

#include "support/typed.hpp"
#include <schatten/linalg/gemm.hpp>

#include <limits>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// What rounding may add to an entry of αAB + βC with inner extent k and entries of order one.
template <class T>
double gemm_tolerance(std::size_t k) {
  return 8 * epsilon<T> * double(k + 2);
}

}  // namespace

TEST_CASE_TEMPLATE("gemm of every layout, batch, scalar and transpose", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  Workspace<typename Exec::memory_space> workspace;
  const std::size_t batch = 3, m = 13, n = 9, k = 17;
  for_each_storage([&](auto storage) {
    CAPTURE(to_string(storage));
    const Batch<T, storage> a(batch, m, k), b(batch, k, n), c(batch, m, n);
    // Transposed operands are kept as they are stored, and read through schatten::transpose.
    const Batch<T, storage> at(batch, k, m), bt(batch, n, k), ct(batch, n, m);
    for (const double alpha : {1.0, -0.75}) {
      for (const double beta : {0.0, 1.0, 0.5}) {
        for (int transposes = 0; transposes < 8; ++transposes) {
          CAPTURE(transposes);
          std::vector<Matrix> wanted;
          for (std::size_t i = 0; i < batch; ++i) {
            const auto seed = unsigned(i);
            const Matrix x = rounded<T>(gaussian(m, k, seed)), y = rounded<T>(gaussian(k, n, seed + 10)),
                         z = rounded<T>(gaussian(m, n, seed + 20));
            assign(a.matrix(i), x);
            assign(at.matrix(i), x.transpose());
            assign(b.matrix(i), y);
            assign(bt.matrix(i), y.transpose());
            // beta = 0 must overwrite even NaN.
            assign(c.matrix(i), beta == 0 ? Matrix::Constant(z.rows(), z.cols(), not_a_number) : z);
            assign(ct.matrix(i),
                   beta == 0 ? Matrix::Constant(z.cols(), z.rows(), not_a_number) : Matrix(z.transpose()));
            wanted.push_back(alpha * x * y + beta * z);
          }
          const auto batch_a = transposes & 1 ? transpose(as_batch<Exec>(at.view())) : as_batch<Exec>(a.view());
          const auto batch_b = transposes & 2 ? transpose(as_batch<Exec>(bt.view())) : as_batch<Exec>(b.view());
          const auto batch_c = transposes & 4 ? transpose(as_batch<Exec>(ct.view())) : as_batch<Exec>(c.view());
          linalg::gemm<typename C::Backend>(exec, T(alpha), batch_a, batch_b, T(beta), batch_c, workspace);
          exec.fence();
          for (std::size_t i = 0; i < batch; ++i) {
            const Matrix got = transposes & 4 ? Matrix(to_matrix(ct.matrix(i)).transpose()) : to_matrix(c.matrix(i));
            CHECK(max_abs(got - wanted[i]) <= gemm_tolerance<T>(k) * 4);
          }
        }
      }
    }
    CHECK(c.surroundings_intact());
    CHECK(ct.surroundings_intact());
  });
}

TEST_CASE_TEMPLATE("gemm takes the user's Views of rank 2 and 3, mixed layouts", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  Workspace<typename C::Exec::memory_space> workspace;
  const std::size_t m = 5, n = 6, k = 7;
  const Matrix x = rounded<T>(gaussian(m, k, 1)), y = rounded<T>(gaussian(k, n, 2));
  const Batch<T, Storage::left> a(1, m, k);
  const Batch<T, Storage::scattered> b(1, k, n);
  const Batch<T, Storage::window> c(1, m, n);
  assign(a.matrix(), x);
  assign(b.matrix(), y);
  linalg::gemm<typename C::Backend>(exec, T(1), a.matrix(), b.matrix(), T(0), c.matrix(), workspace);
  exec.fence();
  CHECK(max_abs(to_matrix(c.matrix()) - x * y) <= gemm_tolerance<T>(k) * 4);
  linalg::gemm<typename C::Backend>(exec, T(1), a.view(), b.view(), T(1), c.view(), workspace);
  exec.fence();
  CHECK(max_abs(to_matrix(c.matrix()) - 2 * x * y) <= gemm_tolerance<T>(k) * 8);
}

TEST_CASE_TEMPLATE("gemm of empty and thin matrices", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  Workspace<typename C::Exec::memory_space> workspace;
  for_each_storage([&](auto storage) {
    CAPTURE(to_string(storage));
    for (const std::size_t m : {0, 1, 4}) {
      for (const std::size_t n : {0, 1, 5}) {
        for (const std::size_t k : {0, 1, 3}) {
          for (const double beta : {0.0, 0.5}) {
            CAPTURE(m);
            CAPTURE(n);
            CAPTURE(k);
            const Batch<T, storage> a(2, m, k), b(2, k, n), c(2, m, n);
            for (std::size_t i = 0; i < 2; ++i) {
              assign(a.matrix(i), gaussian(m, k, 1));
              assign(b.matrix(i), gaussian(k, n, 2));
              assign(c.matrix(i), Matrix::Constant(Eigen::Index(m), Eigen::Index(n), beta == 0 ? not_a_number : 1.0));
            }
            const Matrix wanted = to_matrix(a.matrix(1)) * to_matrix(b.matrix(1)) +
                                  Matrix::Constant(Eigen::Index(m), Eigen::Index(n), beta);
            linalg::gemm<typename C::Backend>(exec, T(1), a.view(), b.view(), T(beta), c.view(), workspace);
            exec.fence();
            CHECK(max_abs(to_matrix(c.matrix(1)) - wanted) <= gemm_tolerance<T>(k) * 4);
            CHECK(c.surroundings_intact());
          }
        }
      }
    }
  });
}

TEST_CASE_TEMPLATE("gemm reads Views whose rows share memory", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  Workspace<typename Exec::memory_space> workspace;
  const std::size_t m = 6, k = 5;
  const Kokkos::View<T*, TestSpace> signal("schatten::test::signal", m + k);
  for (std::size_t i = 0; i < m + k; ++i) signal(i) = T(i * i % 7);
  for (const std::size_t row_stride : {0, 1}) {
    for (const std::size_t col_stride : {0, 1}) {  // Hankel matrices; constant rows or columns
      const auto a =
          as_const(batch_view<typename Exec::memory_space>(signal.data(), 1, m, k, 0, row_stride, col_stride));
      const auto b = to_view<T>(gaussian(k, 4, 3));
      const auto c = output_view<T>(m, 4);
      Matrix x{Eigen::Index(m), Eigen::Index(k)};
      for (std::size_t i = 0; i < m; ++i) {
        for (std::size_t j = 0; j < k; ++j) {
          x(Eigen::Index(i), Eigen::Index(j)) = double(signal(i * row_stride + j * col_stride));
        }
      }
      linalg::gemm<typename C::Backend>(exec, T(1), a, b, T(0), c, workspace);
      exec.fence();
      CHECK(max_abs(to_matrix(c) - x * to_matrix(b)) <= gemm_tolerance<T>(k) * 40);
    }
  }
}

TEST_CASE_TEMPLATE("symmetric_product and gram are exactly symmetric and equal to gemm", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  Workspace<typename C::Exec::memory_space> workspace;
  for (const std::size_t n : {1, 31, 32, 33, 127, 128, 129, 200, 300}) {
    CAPTURE(n);
    const std::size_t m = n % 3 == 0 ? 40 : 11;
    const Matrix x = rounded<T>(gaussian(m, n, unsigned(n)));
    const Matrix wanted = x.transpose() * x;
    const auto check = [&](const auto& a, const auto& c) {
      assign(a.matrix(1), x);
      linalg::gram<typename C::Backend>(exec, a.view(), c.view(), workspace);
      exec.fence();
      const Matrix got = to_matrix(c.matrix(1));
      CHECK(max_abs(got - wanted) <= gemm_tolerance<T>(m) * 8);
      if (!loops_as_on_device<typename C::Exec>) CHECK(max_abs(got - got.transpose()) == 0);
      // (AᵀA)² as a product of two symmetric matrices.
      const Matrix square = wanted * wanted;
      const auto first = to_view<T>(wanted), second = output_view<T>(n, n);
      linalg::symmetric_product<typename C::Backend>(exec, T(-0.5), first, first, second, workspace);
      exec.fence();
      const Matrix product = to_matrix(second);
      CHECK(max_abs(product + 0.5 * square) <= gemm_tolerance<T>(n) * max_abs(square));
      if (!loops_as_on_device<typename C::Exec>) CHECK(max_abs(product - product.transpose()) == 0);
    };
    if (n == 33 || n == 129) {
      for_each_storage([&](auto storage) {
        const Batch<T, storage> c(2, n, n);
        check(Batch<T, storage>(2, m, n), c);
        CHECK(c.surroundings_intact());
      });
    } else {
      check(Batch<T, Storage::right>(2, m, n), Batch<T, Storage::right>(2, n, n));
    }
  }
}

TEST_CASE("gram of a matrix without rows is zero") {
  const SerialExec exec;
  Workspace<SerialExec::memory_space> workspace;
  const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace> a("schatten::test::a", 0, 3);
  const auto c = output_view<float>(3, 3);
  linalg::gram(exec, a, c, workspace);
  CHECK(max_abs(to_matrix(c)) == 0);
}

TEST_CASE("products refuse extents that differ and outputs that overlap, and write nothing") {
  const SerialExec exec;
  Workspace<SerialExec::memory_space> workspace;
  const auto a = to_view<float>(gaussian(3, 4, 1)), b = to_view<float>(gaussian(4, 5, 2)),
             c = to_view<float>(gaussian(3, 5, 3)), square = to_view<float>(gaussian(4, 4, 4));
  const Matrix before = to_matrix(c);
  CHECK_THROWS_WITH_AS(linalg::gemm(exec, 1.0F, a, a, 0.0F, c, workspace),
                       "schatten::linalg::gemm: b = 1x3x4, but it must have the extents 1x4x4 (batch x rows x cols)",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::gemm(exec, 1.0F, a, b, 0.0F, b, workspace),
                       "schatten::linalg::gemm: c = 1x4x5, but it must have the extents 1x3x5 (batch x rows x cols)",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::gemm(exec, 1.0F, square, square, 0.0F, square, workspace),
                       "schatten::linalg::gemm: c = 1x4x4, but it must not overlap a or b", InvalidArgument);
  CHECK_THROWS_AS(linalg::symmetric_product(exec, 1.0F, a, b, square, workspace), InvalidArgument);
  CHECK_THROWS_AS(linalg::gram(exec, a, c, workspace), InvalidArgument);
  CHECK_THROWS_AS(linalg::gram(exec, square, square, workspace), InvalidArgument);
  CHECK(to_matrix(c) == before);
}
