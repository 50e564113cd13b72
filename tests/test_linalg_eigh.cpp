// SPDX-License-Identifier: BSD-3-Clause
// Symmetric eigenvalue decompositions: residual, orthogonality, order, agreement of the backends, inputs at the edges.

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/linalg/eigh.hpp>

#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;

template <class T>
double eigh_tolerance(std::size_t n) {
  return 8 * epsilon<T> * std::sqrt(2.0 * double(n));
}

struct Decomposition {
  Vector lambda;
  Matrix v;
};

/// The decomposition of matrix 1 of a batch of 3.
template <class C, Storage storage>
Decomposition decompose(const Matrix& a) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const auto n = std::size_t(a.rows());
  const Batch<T, storage> in(3, n, n), v(3, n, n);
  const Kokkos::View<T**, Kokkos::LayoutRight, TestSpace> lambda("schatten::test::lambda", 3, n);
  for (std::size_t b = 0; b < 3; ++b) assign(in.matrix(b), b == 1 ? a : Matrix::Identity(a.rows(), a.cols()));
  Workspace<typename C::Exec::memory_space> workspace;
  linalg::eigh<typename C::Backend>(exec, in.view(), lambda, v.view(), workspace);
  exec.fence();
  CHECK(to_matrix(in.matrix(1)) == rounded<T>(a));
  Decomposition result{to_matrix(lambda).row(1).transpose(), to_matrix(v.matrix(1))};
  CHECK(v.surroundings_intact());
  return result;
}

template <class C>
void check_decomposition(const Matrix& exact, const Decomposition& d) {
  using T = typename C::Scalar;
  const Matrix a = rounded<T>(exact);
  const double tolerance = eigh_tolerance<T>(std::size_t(a.rows()));
  double largest = 0;
  for (Eigen::Index k = 0; k < d.lambda.size(); ++k) {
    largest = std::max(largest, std::abs(d.lambda(k)));
    if (k > 0) CHECK(d.lambda(k) >= d.lambda(k - 1));
  }
  CHECK(max_abs(d.v * d.lambda.asDiagonal() * d.v.transpose() - a) <= tolerance * largest);
  CHECK(orthogonality_error(d.v) <= tolerance);
}

/// V diag(lambda) Vᵀ, symmetric to the last bit.
Matrix symmetric(const Vector& lambda, unsigned seed) {
  const auto n = std::size_t(lambda.size());
  const Matrix v = random_orthogonal(n, n, seed);
  const Matrix a = v * lambda.asDiagonal() * v.transpose();
  return (a + a.transpose()) / 2;
}

}  // namespace

TEST_CASE_TEMPLATE("eigh of every layout and size", C, SCHATTEN_TEST_CASES) {
  for_each_storage([&](auto storage) {
    CAPTURE(to_string(storage));
    for (const std::size_t n : {1U, 2U, 3U, 8U, 17U, 33U}) {
      CAPTURE(n);
      const Matrix g = gaussian(n, n, unsigned(n));
      const Matrix a = g + g.transpose();  // indefinite
      check_decomposition<C>(a, decompose<C, storage.value>(a));
    }
  });
}

TEST_CASE_TEMPLATE("eigh of known eigenvalues", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const Spectrum spectrum : all_spectra) {
    CAPTURE(to_string(spectrum));
    for (const double sign : {1.0, -1.0}) {
      Vector wanted = sign * singular_values_of(spectrum, 40, 1e-5);
      const Matrix a = symmetric(wanted, 3);
      const Decomposition d = decompose<C, Storage::right>(a);
      check_decomposition<C>(a, d);
      std::sort(wanted.data(), wanted.data() + wanted.size());
      CHECK(max_abs(d.lambda - wanted) <= eigh_tolerance<T>(40));
    }
  }
}

TEST_CASE_TEMPLATE("eigh of structured matrices", C, SCHATTEN_TEST_CASES) {
  Matrix diagonal = Matrix::Zero(4, 4);
  diagonal.diagonal() << 1, -3, 0, 2;
  for (const Matrix& a :
       {Matrix(Matrix::Zero(5, 5)), Matrix(Matrix::Identity(20, 20)), Matrix(Matrix::Ones(20, 20)), diagonal}) {
    check_decomposition<C>(a, decompose<C, Storage::left>(a));
  }
  CHECK(decompose<C, Storage::right>(Matrix()).lambda.size() == 0);
}

TEST_CASE_TEMPLATE("eigh at extreme scales", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix g = gaussian(9, 9, 4) / 32, a = g + g.transpose();
  for (const double scale : {1e-30, 1e30, double(std::numeric_limits<T>::max()) / 4}) {
    CAPTURE(scale);
    check_decomposition<C>(scale * a, decompose<C, Storage::right>(scale * a));
  }
  const double unit = double(std::numeric_limits<T>::denorm_min());
  const Matrix tiny = rounded<T>(1e5 * unit * a);
  const Decomposition d = decompose<C, Storage::right>(tiny);
  CHECK(max_abs(d.v * d.lambda.asDiagonal() * d.v.transpose() - tiny) <= 30 * unit);
  CHECK(orthogonality_error(d.v) <= eigh_tolerance<T>(9));
}

TEST_CASE_TEMPLATE("eigh of a matrix with a NaN or an infinity is NaN throughout, its neighbours are not", C,
                   SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const Matrix good = Vector::LinSpaced(6, -2, 3).asDiagonal();
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    const Batch<T, Storage::right> a(3, 6, 6), v(3, 6, 6);
    const Kokkos::View<T**, Kokkos::LayoutRight, TestSpace> lambda("schatten::test::lambda", 3, 6);
    for (std::size_t b = 0; b < 3; ++b) assign(a.matrix(b), good);
    a.view()(1, 2, 3) = a.view()(1, 3, 2) = T(bad);
    Workspace<typename C::Exec::memory_space> workspace;
    linalg::eigh<typename C::Backend>(exec, a.view(), lambda, v.view(), workspace);
    exec.fence();
    CHECK(all_nan(to_matrix(v.matrix(1))));
    CHECK(all_nan(to_matrix(lambda).row(1)));
    for (const Eigen::Index b : {0, 2}) {
      check_decomposition<C>(good, {to_matrix(lambda).row(b).transpose(), to_matrix(v.matrix(std::size_t(b)))});
    }
  }
}

TEST_CASE_TEMPLATE("backends agree on eigenvalues and projectors", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Reference = Case<double, SerialExec, PortableBackend>;
  const Matrix a = rounded<T>(symmetric(Vector::LinSpaced(21, -1, 1), 8));
  const Decomposition got = decompose<C, Storage::right>(a), wanted = decompose<Reference, Storage::right>(a);
  CHECK(max_abs(got.lambda - wanted.lambda) <= eigh_tolerance<T>(21));
  for (Eigen::Index k = 0; k < 21; ++k) {  // the gaps are 0.1
    const Matrix difference = got.v.col(k) * got.v.col(k).transpose() - wanted.v.col(k) * wanted.v.col(k).transpose();
    CHECK(max_abs(difference) <= 10 * eigh_tolerance<T>(21));
  }
}

TEST_CASE("eigh refuses matrices that are not square and outputs that overlap") {
  const SerialExec exec;
  Workspace<SerialExec::memory_space> workspace;
  const auto a = to_view<double>(gaussian(3, 3, 1)), wide = to_view<double>(gaussian(3, 4, 2));
  const Kokkos::View<double*, Kokkos::HostSpace> lambda("schatten::test::lambda", 3),
      longer("schatten::test::lambda", 4);
  CHECK_THROWS_WITH_AS(linalg::eigh(exec, wide, lambda, a, workspace),
                       "schatten::linalg::eigh: a = 1x3x4, but it must have the extents 1x3x3 (batch x rows x cols)",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::eigh(exec, a, lambda, wide, workspace),
                       "schatten::linalg::eigh: v = 1x3x4, but it must have the extents 1x3x3 (batch x rows x cols)",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::eigh(exec, a, longer, to_view<double>(gaussian(3, 3, 1)), workspace),
                       "schatten::linalg::eigh: lambda = 1x4, but it must hold 1 vectors of length 3", InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::eigh(exec, a, lambda, a, workspace),
                       "schatten::linalg::eigh: v = 1x3x3, but it must not overlap a", InvalidArgument);
  const Kokkos::View<double*, Kokkos::HostSpace> inside(a.data(), 3);
  CHECK_THROWS_WITH_AS(linalg::eigh(exec, a, inside, to_view<double>(gaussian(3, 3, 1)), workspace),
                       "schatten::linalg::eigh: lambda = View, but it must not overlap a", InvalidArgument);
}
