// SPDX-License-Identifier: BSD-3-Clause
// Singular value decompositions: residual, orthogonality, order, agreement of the backends, inputs at the edges.

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/linalg/svd.hpp>

#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;

/// Rounding of a backward stable decomposition of an m×n matrix, relative to σ_max.
template <class T>
double svd_tolerance(std::size_t m, std::size_t n) {
  return 8 * epsilon<T> * std::sqrt(double(m + n));
}

struct Decomposition {
  Matrix u, vt;
  Vector sigma;
};

/// The decomposition of `a` (rounded to T), by way of Views of the layout `storage`, matrix 1 of a batch of 3.
template <class C, Storage storage>
Decomposition decompose(const Matrix& a) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const auto m = std::size_t(a.rows()), n = std::size_t(a.cols()), k = std::min(m, n);
  const Batch<T, storage> in(3, m, n), u(3, m, k), vt(3, k, n);
  const Kokkos::View<T**, Kokkos::LayoutRight, TestSpace> sigma("schatten::test::sigma", 3, k),
      alone("schatten::test::sigma", 3, k);
  for (std::size_t b = 0; b < 3; ++b) assign(in.matrix(b), b == 1 ? a : gaussian(m, n, unsigned(b)));
  Workspace<typename C::Exec::memory_space> workspace;
  linalg::svd<typename C::Backend>(exec, in.view(), u.view(), sigma, vt.view(), workspace);
  linalg::singular_values<typename C::Backend>(exec, in.view(), alone, workspace);
  exec.fence();
  Decomposition result{to_matrix(u.matrix(1)), to_matrix(vt.matrix(1)), Vector(Eigen::Index(k))};
  const double largest = k > 0 ? double(sigma(1, 0)) : 0.0;
  for (std::size_t i = 0; i < k; ++i) {
    result.sigma(Eigen::Index(i)) = double(sigma(1, i));
    const bool both_nan = std::isnan(sigma(1, i)) && std::isnan(alone(1, i));
    CHECK((both_nan || std::abs(double(alone(1, i)) - double(sigma(1, i))) <= svd_tolerance<T>(m, n) * largest));
  }
  CHECK(to_matrix(in.matrix(1)) == rounded<T>(a));
  CHECK(u.surroundings_intact());
  CHECK(vt.surroundings_intact());
  return result;
}

/// What every decomposition of a finite matrix must satisfy.
template <class C>
void check_decomposition(const Matrix& exact, const Decomposition& d) {
  using T = typename C::Scalar;
  const Matrix a = rounded<T>(exact);
  const double tolerance = svd_tolerance<T>(std::size_t(a.rows()), std::size_t(a.cols()));
  const double largest = d.sigma.size() > 0 ? d.sigma(0) : 0.0;
  CHECK(max_abs(d.u * d.sigma.asDiagonal() * d.vt - a) <= tolerance * largest);
  const Vector reference = reference_svd(a).sigma;
  for (Eigen::Index k = 0; k < d.sigma.size(); ++k) {
    CHECK(d.sigma(k) >= 0);
    CHECK(std::abs(d.sigma(k) - reference(k)) <= tolerance * largest);
    if (k > 0) CHECK(d.sigma(k) <= d.sigma(k - 1));
  }
  // On the long side, vectors of σ = 0 may be zero; all others are orthonormal.
  Eigen::Index rank = d.sigma.size();
  while (rank > 0 && d.sigma(rank - 1) == 0) --rank;
  const Matrix v = d.vt.transpose();
  const bool tall = a.rows() >= a.cols();
  const Matrix &long_side = tall ? d.u : v, &short_side = tall ? v : d.u;
  CHECK(orthogonality_error(short_side) <= tolerance);
  CHECK(orthogonality_error(long_side.leftCols(rank)) <= tolerance);
  for (Eigen::Index k = rank; k < long_side.cols(); ++k) CHECK(long_side.col(k).norm() <= 1 + tolerance);
}

}  // namespace

TEST_CASE_TEMPLATE("svd of every layout and shape", C, SCHATTEN_TEST_CASES) {
  const std::pair<std::size_t, std::size_t> shapes[] = {{1, 1}, {1, 7},   {7, 1},   {2, 2},
                                                        {9, 9}, {23, 14}, {14, 23}, {40, 33}};
  for_each_storage([&](auto storage) {
    CAPTURE(to_string(storage));
    for (const auto& [m, n] : shapes) {
      CAPTURE(m);
      CAPTURE(n);
      const Matrix a = gaussian(m, n, unsigned(m + n));
      check_decomposition<C>(a, decompose<C, storage.value>(a));
    }
  });
}

TEST_CASE_TEMPLATE("svd of spectra that expose mistakes", C, SCHATTEN_TEST_CASES) {
  for (const Spectrum spectrum : all_spectra) {
    CAPTURE(to_string(spectrum));
    for (const double lowest : {1e-2, 1e-6, 0.0}) {
      CAPTURE(lowest);
      if (lowest == 0.0 && (spectrum == Spectrum::geometric || spectrum == Spectrum::clustered)) continue;
      for (const std::size_t m : {60U, 35U}) {
        const Vector sigma = singular_values_of(spectrum, 35, lowest);
        const Matrix a = known_matrix(m, 35, sigma, 5).matrix();
        check_decomposition<C>(a, decompose<C, Storage::right>(a));
      }
    }
  }
}

TEST_CASE_TEMPLATE("svd of structured matrices", C, SCHATTEN_TEST_CASES) {
  const Matrix zero = Matrix::Zero(6, 4), identity = Matrix::Identity(5, 5), ones = Matrix::Ones(20, 30);
  Matrix diagonal = Matrix::Zero(4, 4), column = Matrix::Zero(18, 17);
  diagonal.diagonal() << 1, -3, 0, 2;
  column.col(3).setConstant(2);
  for (const Matrix& a : {zero, identity, ones, diagonal, column})
    check_decomposition<C>(a, decompose<C, Storage::left>(a));
}

TEST_CASE_TEMPLATE("svd at extreme scales", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix a = gaussian(12, 8, 4) / 16;
  const double scales[] = {1e-30, 1e30, double(std::numeric_limits<T>::max()) / 4};
  for (const double scale : scales) {
    CAPTURE(scale);
    check_decomposition<C>(scale * a, decompose<C, Storage::right>(scale * a));
  }
  // Subnormal: entries are multiples of the smallest positive number, which is all the accuracy there is.
  const double unit = double(std::numeric_limits<T>::denorm_min());
  const Matrix tiny = rounded<T>(1e5 * unit * a);
  const Decomposition d = decompose<C, Storage::right>(tiny);
  CHECK(max_abs(d.u * d.sigma.asDiagonal() * d.vt - tiny) <= 30 * unit);
  CHECK(orthogonality_error(d.u) <= svd_tolerance<T>(12, 8));
}

TEST_CASE_TEMPLATE("svd of empty matrices writes nothing", C, SCHATTEN_TEST_CASES) {
  for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{0, 4}, {4, 0}, {0, 0}}) {
    const Matrix a{Eigen::Index(m), Eigen::Index(n)};
    CHECK(decompose<C, Storage::right>(a).sigma.size() == 0);
  }
}

TEST_CASE_TEMPLATE("svd of a matrix with a NaN or an infinity is NaN throughout, its neighbours are not", C,
                   SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const Matrix good = gaussian(6, 5, 1);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const Batch<T, Storage::right> a(3, 6, 5), u(3, 6, 5), vt(3, 5, 5);
    const Kokkos::View<T**, Kokkos::LayoutRight, TestSpace> sigma("schatten::test::sigma", 3, 5);
    for (std::size_t b = 0; b < 3; ++b) assign(a.matrix(b), good);
    a.view()(1, 2, 3) = T(bad);
    Workspace<typename C::Exec::memory_space> workspace;
    linalg::svd<typename C::Backend>(exec, a.view(), u.view(), sigma, vt.view(), workspace);
    exec.fence();
    CHECK(all_nan(to_matrix(u.matrix(1))));
    CHECK(all_nan(to_matrix(vt.matrix(1))));
    CHECK(all_nan(to_matrix(sigma).row(1)));
    for (const std::size_t b : {0U, 2U}) {
      check_decomposition<C>(
          good, {to_matrix(u.matrix(b)), to_matrix(vt.matrix(b)), to_matrix(sigma).row(Eigen::Index(b)).transpose()});
    }
  }
}

TEST_CASE_TEMPLATE("backends agree on singular values and projectors", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Reference = Case<double, SerialExec, PortableBackend>;
  const Matrix a = rounded<T>(known_matrix(30, 21, singular_values_of(Spectrum::geometric, 21, 1e-2), 8).matrix());
  const Decomposition got = decompose<C, Storage::right>(a), wanted = decompose<Reference, Storage::right>(a);
  CHECK(max_abs(got.sigma - wanted.sigma) <= svd_tolerance<T>(30, 21));
  // Singular vectors are unique up to a sign common to both sides; the gaps are at least 0.2·σ.
  for (Eigen::Index k = 0; k < 21; ++k) {
    const double perturbation = svd_tolerance<T>(30, 21) / (0.1 * wanted.sigma(k));
    CHECK(max_abs(got.u.col(k) * got.vt.row(k) - wanted.u.col(k) * wanted.vt.row(k)) <= perturbation);
  }
}

TEST_CASE("svd refuses extents that differ and outputs that overlap") {
  const SerialExec exec;
  Workspace<SerialExec::memory_space> workspace;
  const auto a = to_view<float>(gaussian(4, 3, 1)), u = to_view<float>(gaussian(4, 3, 2)),
             vt = to_view<float>(gaussian(3, 3, 3));
  const Kokkos::View<float*, Kokkos::HostSpace> sigma("schatten::test::sigma", 3),
      long_sigma("schatten::test::sigma", 4);
  const Matrix before = to_matrix(u);
  CHECK_THROWS_WITH_AS(linalg::svd(exec, a, vt, sigma, vt, workspace),
                       "schatten::linalg::svd: u = 1x3x3, but it must have the extents 1x4x3 (batch x rows x cols)",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::svd(exec, a, u, sigma, u, workspace),
                       "schatten::linalg::svd: vt = 1x4x3, but it must have the extents 1x3x3 (batch x rows x cols)",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::svd(exec, a, u, long_sigma, vt, workspace),
                       "schatten::linalg::svd: sigma = 1x4, but it must hold 1 vectors of length 3", InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::svd(exec, a, a, sigma, vt, workspace),
                       "schatten::linalg::svd: u = 1x4x3, but it must not overlap a or vt", InvalidArgument);
  CHECK_THROWS_AS(linalg::singular_values(exec, a, long_sigma, workspace), InvalidArgument);
  const auto in = [](const auto& matrix) { return Kokkos::View<float*, Kokkos::HostSpace>(matrix.data(), 3); };
  CHECK_THROWS_WITH_AS(linalg::svd(exec, a, u, in(a), vt, workspace),
                       "schatten::linalg::svd: sigma = View, but it must not overlap a", InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::svd(exec, a, u, in(u), vt, workspace),
                       "schatten::linalg::svd: sigma = View, but it must not overlap u", InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::svd(exec, a, u, in(vt), vt, workspace),
                       "schatten::linalg::svd: sigma = View, but it must not overlap vt", InvalidArgument);
  CHECK_THROWS_WITH_AS(linalg::singular_values(exec, a, in(a), workspace),
                       "schatten::linalg::singular_values: sigma = View, but it must not overlap a", InvalidArgument);
  CHECK(to_matrix(u) == before);
}
