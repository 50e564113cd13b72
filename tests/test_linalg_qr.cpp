// SPDX-License-Identifier: BSD-3-Clause
// labels: bare
// Orthonormal bases by QR: orthogonality, triangular R, agreement with Eigen in double, inputs at the edges.

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/tool_events.hpp"
#include "support/typed.hpp"
#include <schatten/linalg/qr.hpp>

#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;

template <class T>
double qr_tolerance(std::size_t m, std::size_t n) {
  return 8 * epsilon<T> * std::sqrt(double(m + n));
}

/// Q of `a` (rounded to T), by way of Views of the layout `storage`, matrix 1 of a batch of 3.
template <class C, Storage storage>
Matrix basis(const Matrix& a) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const auto m = std::size_t(a.rows()), n = std::size_t(a.cols());
  const Batch<T, storage> in(3, m, n), q(3, m, n);
  for (std::size_t b = 0; b < 3; ++b) assign(in.matrix(b), b == 1 ? a : gaussian(m, n, unsigned(b)));
  Workspace<typename C::Exec::memory_space> workspace;
  linalg::orthonormal_basis<typename C::Backend>(exec, in.view(), q.view(), workspace);
  exec.fence();
  const Matrix result = to_matrix(q.matrix(1));
  CHECK(to_matrix(in.matrix(1)) == rounded<T>(a));
  CHECK(orthogonality_error(to_matrix(q.matrix(2))) <= qr_tolerance<T>(m, n));
  CHECK(q.surroundings_intact());
  return result;
}

/// What every basis of a finite matrix must satisfy.
template <class C>
void check_basis(const Matrix& exact, const Matrix& q) {
  using T = typename C::Scalar;
  const Matrix a = rounded<T>(exact);
  const double tolerance = qr_tolerance<T>(std::size_t(a.rows()), std::size_t(a.cols()));
  const Matrix r = q.transpose() * a;
  CHECK(orthogonality_error(q) <= tolerance);
  CHECK((q * r - a).norm() <= tolerance * a.norm());
  for (Eigen::Index j = 0; j < r.cols(); ++j) {
    CHECK(r(j, j) >= -tolerance * a.col(j).norm());
    for (Eigen::Index i = j + 1; i < r.rows(); ++i) CHECK(std::abs(r(i, j)) <= tolerance * a.col(j).norm());
  }
}

}  // namespace

TEST_CASE_TEMPLATE("orthonormal basis of every layout and shape", C, SCHATTEN_TEST_CASES) {
  constexpr std::pair<std::size_t, std::size_t> shapes[] = {{1, 1}, {7, 1}, {2, 2}, {9, 9}, {23, 14}, {70, 60}};
  for_each_storage([&](auto storage) {
    CAPTURE(to_string(storage));
    for (const auto& [m, n] : shapes) {
      CAPTURE(m);
      CAPTURE(n);
      const Matrix a = gaussian(m, n, unsigned(m + n));
      check_basis<C>(a, basis<C, storage.value>(a));
    }
  });
}

TEST_CASE_TEMPLATE("agrees with Gram and Schmidt, signs included", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  Matrix a = rounded<T>(known_matrix(30, 12, singular_values_of(Spectrum::geometric, 12, 0.2), 3).matrix());
  Matrix wanted = a;
  for (Eigen::Index k = 0; k < a.cols(); ++k) {
    for (int pass = 0; pass < 2; ++pass) {
      for (Eigen::Index j = 0; j < k; ++j) wanted.col(k) -= wanted.col(j).dot(wanted.col(k)) * wanted.col(j);
    }
    wanted.col(k) /= wanted.col(k).norm();
  }
  CHECK(max_abs(basis<C, Storage::right>(a) - wanted) <= 5 * qr_tolerance<T>(30, 12));
}

TEST_CASE_TEMPLATE("columns of very different length, each to its own rounding", C, SCHATTEN_TEST_CASES) {
  Matrix a = gaussian(20, 6, 1);
  for (Eigen::Index k = 0; k < 6; ++k) a.col(k) *= std::pow(10.0, -2.0 * double(k));
  check_basis<C>(a, basis<C, Storage::right>(a));
}

TEST_CASE_TEMPLATE("a rank-deficient matrix has an orthonormal basis all the same", C, SCHATTEN_TEST_CASES) {
  Matrix zero_column = gaussian(8, 5, 1), repeated = gaussian(8, 5, 2), thin = gaussian(12, 4, 3);
  zero_column.col(2).setZero();
  repeated.col(3) = repeated.col(0);
  thin = (thin * thin.transpose()).leftCols(8).eval();
  const Matrix ones = Matrix::Ones(9, 6), triangular = -Matrix(Matrix::Identity(6, 6));
  for (const Matrix& a : {zero_column, repeated, thin, ones, triangular}) {
    check_basis<C>(a, basis<C, Storage::left>(a));
  }
  const Matrix identity = Matrix::Identity(7, 4);
  CHECK(basis<C, Storage::right>(Matrix::Zero(7, 4)) == identity);
  CHECK(max_abs(basis<C, Storage::right>(-identity) + identity) == 0);
}

TEST_CASE_TEMPLATE("orthonormal basis at extreme scales", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix a = gaussian(12, 8, 4) / 16;
  for (const double scale : {1e-30, 1e30, double(std::numeric_limits<T>::max()) / 4}) {
    CAPTURE(scale);
    check_basis<C>(scale * a, basis<C, Storage::right>(scale * a));
  }
  const Matrix tiny = rounded<T>(1e5 * double(std::numeric_limits<T>::denorm_min()) * a);
  CHECK(orthogonality_error(basis<C, Storage::right>(tiny)) <= qr_tolerance<T>(12, 8));
}

TEST_CASE_TEMPLATE("a matrix with a NaN or an infinity has a basis of NaN, its neighbours have not", C,
                   SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const Batch<T, Storage::right> a(3, 6, 5), q(3, 6, 5);
    for (std::size_t b = 0; b < 3; ++b) assign(a.matrix(b), gaussian(6, 5, 1));
    a.view()(1, 2, 3) = T(bad);
    Workspace<typename C::Exec::memory_space> workspace;
    linalg::orthonormal_basis<typename C::Backend>(exec, a.view(), q.view(), workspace);
    exec.fence();
    CHECK(all_nan(to_matrix(q.matrix(1))));
    for (const std::size_t b : {0U, 2U}) check_basis<C>(gaussian(6, 5, 1), to_matrix(q.matrix(b)));
  }
}

TEST_CASE_TEMPLATE("empty matrices, labels, and no allocation in a second call", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  Workspace<typename C::Exec::memory_space> workspace;
  for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{4, 0}, {0, 0}, {12, 9}}) {
    const Batch<T, Storage::right> a(2, m, n), q(2, m, n);
    for (std::size_t b = 0; b < 2; ++b) assign(a.matrix(b), gaussian(m, n, unsigned(b)));
    const auto decompose = [&] {
      linalg::orthonormal_basis<typename C::Backend>(exec, a.view(), q.view(), workspace);
      exec.fence();
    };
    decompose();
    const ToolEvents events;
    decompose();
    CHECK(events.allocations().empty());
    CHECK(foreign_labels(ToolEvents::kernels()).empty());
  }
}

TEST_CASE("orthonormal_basis refuses wide matrices, extents that differ and outputs that overlap") {
  const SerialExec exec;
  Workspace<SerialExec::memory_space> workspace;
  const auto a = to_view<float>(gaussian(4, 3, 1)), square = to_view<float>(gaussian(3, 3, 3)),
             wide = to_view<float>(gaussian(3, 4, 2));
  const auto message = [&](const auto& from, const auto& q) {
    return message_of([&] { linalg::orthonormal_basis(exec, from, q, workspace); });
  };
  CHECK(message(wide, wide) ==
        "schatten::linalg::orthonormal_basis: a = 1x3x4, but it must not have more columns than rows (batch x rows x "
        "cols)");
  CHECK(message(a, square) ==
        "schatten::linalg::orthonormal_basis: q = 1x3x3, but it must have the extents 1x4x3 (batch x rows x cols)");
  CHECK(message(a, a) == "schatten::linalg::orthonormal_basis: q = 1x4x3, but it must not overlap a");
}
