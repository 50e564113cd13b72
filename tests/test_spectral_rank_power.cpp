// SPDX-License-Identifier: BSD-3-Clause
// Rank power: known directions, descending order, ties, zero and rounding-level singular values, edges.

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/tool_events.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/rank_power.hpp>

#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;

/// The output for `m`, matrix 1 of a batch of 3, Views of the layout `storage`.
template <class C, Storage storage = Storage::right>
Matrix applied(const Matrix& m, double exponent) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  const auto rows = std::size_t(m.rows()), cols = std::size_t(m.cols());
  const Batch<T, storage> in(3, rows, cols), out(3, rows, cols);
  for (std::size_t b = 0; b < 3; ++b) assign(in.matrix(b), b == 1 ? m : gaussian(rows, cols, unsigned(b)));
  Workspace<typename Exec::memory_space> workspace;
  spectral::rank_power<typename C::Backend>(exec, exponent, as_const(as_batch<Exec>(in.view())),
                                            as_batch<Exec>(out.view()), workspace);
  exec.fence();
  const Matrix result = to_matrix(out.matrix(1));
  CHECK(std::isfinite(max_abs(to_matrix(out.matrix(0)))));
  CHECK(out.surroundings_intact());
  return result;
}

/// U diag(1, 2^{−q}, ...) Vᵀ of the first `rank` directions.
Matrix wanted(const KnownMatrix& known, double exponent, Eigen::Index rank) {
  KnownMatrix ranked = known;
  for (Eigen::Index k = 0; k < known.sigma.size(); ++k) {
    ranked.sigma(k) = k < rank ? std::pow(double(k + 1), -exponent) : 0.0;
  }
  return ranked.matrix();
}

/// Descending, each 0.6 of the one before.
Vector separated(Eigen::Index n) {
  Vector sigma(n);
  for (Eigen::Index k = 0; k < n; ++k) sigma(k) = std::pow(0.6, double(k));
  return sigma;
}

}  // namespace

TEST_CASE_TEMPLATE("known directions, every shape, layout and exponent", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{13, 8}, {8, 13}, {8, 8}}) {
    const KnownMatrix known = known_matrix(rows, cols, separated(8), 2);
    const double turned = 100 * epsilon<T> / known.sigma(7);  // the input's rounding turns the last vectors by this
    for (const double exponent : {0.25, 0.5, 1.0, 0.0, -0.5}) {
      CAPTURE(exponent);
      for_each_storage([&](auto storage) {
        const Matrix out = applied<C, storage.value>(known.matrix(), exponent);
        CHECK(max_abs(out - wanted(known, exponent, 8)) <= turned);
      });
    }
  }
}

TEST_CASE_TEMPLATE("the scale of the matrix has no say", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix m = rounded<T>(known_matrix(10, 6, separated(6), 3).matrix() / 8);
  const Matrix out = applied<C>(m, 0.5);
  for (const double scale : {std::ldexp(1.0, -100), std::ldexp(1.0, 100)}) {
    CHECK(max_abs(applied<C>(scale * m, 0.5) - out) <= 100 * epsilon<T>);
  }
}

TEST_CASE_TEMPLATE("zero and rounding-level singular values map to zero", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  CHECK(max_abs(applied<C>(Matrix::Zero(9, 5), 0.25)) == 0);
  Matrix half = gaussian(12, 8, 3);
  half.rightCols(4).setZero();  // exactly representable
  const Matrix out = applied<C>(half, 0.25);
  CHECK(max_abs(out.rightCols(4)) <= 8 * epsilon<T>);
  const Vector image = reference_svd(out).sigma;
  for (Eigen::Index k = 0; k < 4; ++k) CHECK(std::abs(image(k) - std::pow(double(k + 1), -0.25)) <= 100 * epsilon<T>);
  CHECK(image.tail(4).maxCoeff() <= 8 * epsilon<T>);
  Vector sigma = separated(8);
  sigma.tail(3).setConstant(epsilon<T> / 16);
  Matrix diagonal = Matrix::Zero(8, 8);
  diagonal.diagonal() = sigma;
  Matrix expected = Matrix::Zero(8, 8);
  for (Eigen::Index k = 0; k < 5; ++k) expected(k, k) = std::pow(double(k + 1), -0.25);
  CHECK(max_abs(applied<C>(diagonal, 0.25) - expected) <= 100 * epsilon<T>);
}

TEST_CASE_TEMPLATE("equal singular values: each place is taken once", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  Vector sigma = Vector::Ones(6);
  sigma.tail(3).setConstant(0.25);
  const Matrix out = applied<C>(known_matrix(9, 6, sigma, 5).matrix(), 0.5);
  const Vector image = reference_svd(out).sigma;
  for (Eigen::Index k = 0; k < 6; ++k) CHECK(std::abs(image(k) - std::pow(double(k + 1), -0.5)) <= 100 * epsilon<T>);
}

TEST_CASE_TEMPLATE("a matrix that is not finite is NaN throughout; a second call allocates nothing", C,
                   SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  Matrix bad = gaussian(7, 5, 1);
  bad(2, 3) = std::numeric_limits<double>::infinity();
  CHECK(all_nan(applied<C>(bad, 0.5)));
  CHECK(applied<C>(Matrix(0, 4), 0.5).size() == 0);
  using Exec = typename C::Exec;
  const Exec exec;
  Workspace<typename Exec::memory_space> workspace;
  const auto m = to_view<T>(gaussian(9, 7, 1)), out = output_view<T>(9, 7);
  const auto apply = [&](double exponent) {
    spectral::rank_power<typename C::Backend>(exec, exponent, as_const(as_batch<Exec>(m)), as_batch<Exec>(out),
                                              workspace);
    exec.fence();
  };
  apply(0.5);
  const ToolEvents events;
  apply(0.25);
  CHECK(events.allocations().empty());
  CHECK(foreign_labels(ToolEvents::kernels()).empty());
  CHECK(contains(message_of([&] { apply(std::numeric_limits<double>::quiet_NaN()); }),
                 "schatten::spectral::rank_power: exponent = "));
}
