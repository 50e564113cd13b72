// SPDX-License-Identifier: BSD-3-Clause
// labels: bare portable
// max_abs, frobenius_norm and inner_product, over every scale that the scalar has.

#include "support/typed.hpp"
#include <schatten/linalg/norms.hpp>

#include <array>
#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;

template <class E, class T>
struct NormCase {
  using Exec = E;
  using Scalar = T;
};

/// Equal but for rounding; zero and infinity are equal to themselves alone.
bool same(double got, double wanted) {
  if (wanted == 0 || std::isinf(wanted)) return got == wanted;
  return std::isfinite(got) && std::abs(got / wanted - 1) < 1e-13;
}

/// max_abs, frobenius_norm and inner_product with itself of every matrix of the batch.
template <class C, class V>
std::vector<std::array<double, 3>> norms_of(const V& view) {
  const typename C::Exec exec;
  using Space = typename C::Exec::memory_space;
  Workspace<Space> workspace;
  const std::size_t batch = view.extent(0);
  const Kokkos::View<double*, TestSpace> values("schatten::test::values", 3 * batch);
  for (std::size_t k = 0; k < 3 * batch; ++k) values(k) = -1;
  const auto numbers = [&](std::size_t k) { return NumberBatchView<double, Space>(values.data() + k * batch, batch); };
  linalg::max_abs(exec, view, numbers(0), workspace);
  linalg::frobenius_norm(exec, view, numbers(1), workspace);
  linalg::inner_product(exec, view, view, numbers(2), workspace);
  exec.fence();
  std::vector<std::array<double, 3>> norms;
  for (std::size_t b = 0; b < batch; ++b) norms.push_back({values(b), values(batch + b), values(2 * batch + b)});
  return norms;
}

template <class C>
double inner_product_of(const Matrix& a, const Matrix& c) {
  const typename C::Exec exec;
  using Space = typename C::Exec::memory_space;
  Workspace<Space> workspace;
  const auto view_a = to_view<typename C::Scalar>(a), view_c = to_view<typename C::Scalar>(c);
  const Kokkos::View<double*, TestSpace> value("schatten::test::value", 1);
  value(0) = -1;
  linalg::inner_product(exec, view_a, view_c, NumberBatchView<double, Space>(value.data(), 1), workspace);
  exec.fence();
  return value(0);
}

}  // namespace

#if defined(KOKKOS_ENABLE_CUDA)
#define SCHATTEN_TEST_AND_DEVICE_NORM_CASES , NormCase<Kokkos::Cuda, float>, NormCase<Kokkos::Cuda, double>
#else
#define SCHATTEN_TEST_AND_DEVICE_NORM_CASES
#endif
#define SCHATTEN_TEST_NORM_CASES                                                            \
  NormCase<SerialExec, float>, NormCase<SerialExec, double>, NormCase<ThreadedExec, float>, \
      NormCase<ThreadedExec, double> SCHATTEN_TEST_AND_DEVICE_NORM_CASES

TEST_CASE_TEMPLATE("norms of every layout and batch", C, SCHATTEN_TEST_NORM_CASES) {
  using T = typename C::Scalar;
  for_each_storage([&](auto storage) {
    CAPTURE(to_string(storage));
    const Batch<T, storage> a(3, 37, 21);
    for (std::size_t b = 0; b < 3; ++b) assign(a.matrix(b), gaussian(37, 21, unsigned(b)));
    const auto norms = norms_of<C>(a.view());
    for (std::size_t b = 0; b < 3; ++b) {
      const Matrix x = to_matrix(a.matrix(b));
      CHECK(norms[b][0] == max_abs(x));
      CHECK(norms[b][1] == doctest::Approx(x.norm()).epsilon(1e-14));
      CHECK(norms[b][2] == doctest::Approx(x.squaredNorm()).epsilon(1e-14));
    }
  });
}

TEST_CASE_TEMPLATE("norms over- and underflow only where their value does", C, SCHATTEN_TEST_NORM_CASES) {
  using T = typename C::Scalar;
  using Limits = std::numeric_limits<T>;
  const Matrix x = rounded<T>(gaussian(20, 30, 1) / 8);
  // Powers of two, so that scaling rounds nothing; the last but one makes the largest entries near the largest number.
  const int exponents[] = {-100, 100, Limits::max_exponent - 1, Limits::min_exponent - 10};
  for (const int exponent : exponents) {
    CAPTURE(exponent);
    const Matrix scaled = rounded<T>(std::ldexp(1.0, exponent) * x);
    REQUIRE(std::isfinite(max_abs(scaled)));
    const Batch<T, Storage::right> a(1, 20, 30);
    assign(a.matrix(), scaled);
    const auto norms = norms_of<C>(a.view());
    CHECK(norms[0][0] == max_abs(scaled));
    // The reference is taken where nothing can go wrong; a subnormal matrix lost digits before it came here.
    const Matrix safe = std::ldexp(1.0, -exponent / 2) * (std::ldexp(1.0, exponent / 2 - exponent) * scaled);
    const double norm = std::ldexp(safe.norm(), exponent), square = std::ldexp(safe.squaredNorm(), 2 * exponent);
    CHECK(same(norms[0][1], norm));
    CHECK(same(norms[0][2], square));
  }
}

TEST_CASE_TEMPLATE("norms of subnormal, zero and empty matrices", C, SCHATTEN_TEST_NORM_CASES) {
  using T = typename C::Scalar;
  const double unit = double(std::numeric_limits<T>::denorm_min());
  const Batch<T, Storage::right> a(1, 2, 2), zero(1, 3, 4), no_rows(1, 0, 4), no_columns(1, 4, 0), no_batch(0, 2, 2);
  a.view()(0, 0, 0) = T(3 * unit);
  a.view()(0, 0, 1) = T(-4 * unit);
  a.view()(0, 1, 0) = a.view()(0, 1, 1) = T(0);
  assign(zero.matrix(), Matrix::Zero(3, 4));
  CHECK(norms_of<C>(a.view())[0][0] == 4 * unit);
  CHECK(norms_of<C>(a.view())[0][1] == 5 * unit);
  for (const auto& norms : {norms_of<C>(zero.view()), norms_of<C>(no_rows.view()), norms_of<C>(no_columns.view())}) {
    CHECK(norms[0] == std::array<double, 3>{0, 0, 0});
  }
  CHECK(norms_of<C>(no_batch.view()).empty());
}

TEST_CASE_TEMPLATE("norms of a matrix with a NaN or an infinity are NaN, its neighbours' are not", C,
                   SCHATTEN_TEST_NORM_CASES) {
  using T = typename C::Scalar;
  for (const T bad :
       {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity()}) {
    const Batch<T, Storage::right> a(3, 4, 5);
    for (std::size_t b = 0; b < 3; ++b) assign(a.matrix(b), Matrix::Ones(4, 5));
    a.view()(1, 3, 4) = bad;
    const auto norms = norms_of<C>(a.view());
    for (const double value : norms[1]) CHECK(std::isnan(value));
    for (const std::size_t b : {0U, 2U}) {
      CHECK(norms[b][0] == 1);
      CHECK(norms[b][1] == doctest::Approx(std::sqrt(20.0)));
    }
  }
}

TEST_CASE_TEMPLATE("inner_product of different matrices", C, SCHATTEN_TEST_NORM_CASES) {
  using T = typename C::Scalar;
  const Matrix a = rounded<T>(gaussian(9, 11, 1)), c = rounded<T>(gaussian(9, 11, 2));
  const double wanted = a.cwiseProduct(c).sum();
  CHECK(inner_product_of<C>(a, c) == doctest::Approx(wanted).epsilon(1e-13));
  const double high = std::ldexp(1.0, std::numeric_limits<T>::max_exponent - 30), low = 1 / high;
  CHECK(inner_product_of<C>(high * a, low * c) == doctest::Approx(wanted).epsilon(1e-13));
  CHECK(inner_product_of<C>(low * a, high * c) == doctest::Approx(wanted).epsilon(1e-13));
  // Orthogonal, and too large for a product of two entries: zero, not infinity times zero.
  Matrix x = Matrix::Zero(1, 2), y = Matrix::Zero(1, 2);
  x(0, 0) = y(0, 1) = high;
  CHECK(inner_product_of<C>(x, y) == 0);
}

TEST_CASE("norms are equal to the last bit on any number of threads") {
  const Batch<double, Storage::right> a(2, 301, 57);
  for (std::size_t b = 0; b < 2; ++b) assign(a.matrix(b), gaussian(301, 57, unsigned(b)));
  CHECK(norms_of<NormCase<SerialExec, double>>(a.view()) == norms_of<NormCase<ThreadedExec, double>>(a.view()));
}

TEST_CASE("inner_product refuses extents that differ") {
  const SerialExec exec;
  Workspace<SerialExec::memory_space> workspace;
  double value = -1;
  CHECK_THROWS_WITH_AS(
      linalg::inner_product(exec, to_view<float>(gaussian(2, 3, 1)), to_view<float>(gaussian(3, 2, 1)),
                            NumberBatchView<double, SerialExec::memory_space>(&value, 1), workspace),
      "schatten::linalg::inner_product: c = 1x3x2, but it must have the extents 1x2x3 (batch x rows x cols)",
      InvalidArgument);
  const auto three = batch_view(static_cast<const float*>(nullptr), 3, 0, 2);
  const NumberBatchView<double, SerialExec::memory_space> one(&value, 1);
  CHECK_THROWS_WITH_AS(linalg::frobenius_norm(exec, three, one, workspace),
                       "schatten::linalg::frobenius_norm: result = 1, but it must have a number for each matrix",
                       InvalidArgument);
  CHECK(value == -1);
}
