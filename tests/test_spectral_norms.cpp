// SPDX-License-Identifier: BSD-3-Clause
// Schatten norms, their duals, and the direction of steepest descent.

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/schatten_norm.hpp>
#include <schatten/spectral/steepest_descent.hpp>

#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double exponents[] = {1, 9.0 / 8, 2, 9, infinity};

struct Direction {
  Matrix d;
  double dual;
};

template <class C>
Direction descent(const Matrix& g, double q) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const auto out = output_view<T>(std::size_t(g.rows()), std::size_t(g.cols()));
  const double dual = steepest_descent<typename C::Backend>(exec, to_view<T>(g), q, out);
  return {to_matrix(out), dual};
}

double inner(const Matrix& a, const Matrix& b) { return a.cwiseProduct(b).sum(); }

}  // namespace

TEST_CASE("dual exponents") {
  CHECK(dual_exponent(1) == infinity);
  CHECK(dual_exponent(infinity) == 1);
  CHECK(dual_exponent(2) == 2);
  CHECK(dual_exponent(9) == doctest::Approx(9.0 / 8));
  CHECK(dual_exponent(9.0 / 8) == doctest::Approx(9));
}

TEST_CASE_TEMPLATE("Schatten norms against singular values in double, at any scale", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{18, 11}, {11, 18}, {1, 9}, {9, 1}}) {
    const Matrix a = rounded<T>(gaussian(rows, cols, 1) / 64);
    for (const double q : exponents) {
      CAPTURE(q);
      const double wanted = reference_schatten_norm(a, q);
      const double tolerance = 20 * epsilon<T>;
      CHECK(std::abs(schatten_norm<typename C::Backend>(exec, to_view<T>(a), q) / wanted - 1) <= tolerance);
      const double dual = reference_schatten_norm(a, dual_exponent(q));
      CHECK(std::abs(dual_norm<typename C::Backend>(exec, to_view<T>(a), q) / dual - 1) <= tolerance);
      for (const double scale : {1e-30, 1e30, double(std::numeric_limits<T>::max()) / 2}) {
        const double scaled = schatten_norm<typename C::Backend>(exec, to_view<T>(scale * a), q);
        CHECK(std::abs(scaled / scale / wanted - 1) <= tolerance);
      }
    }
  }
}

TEST_CASE_TEMPLATE("norms of layouts, of zero, empty and non-finite matrices", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const Matrix a = rounded<T>(gaussian(7, 5, 2));
  for_each_storage([&](auto storage) {
    const Batch<T, storage> m(2, 7, 5);
    assign(m.matrix(1), a);
    const double norm = schatten_norm<typename C::Backend>(exec, m.matrix(1), 2);
    CHECK(norm == doctest::Approx(a.norm()).epsilon(20 * epsilon<T>));
  });
  Matrix bad = a;
  bad(3, 2) = std::numeric_limits<double>::quiet_NaN();
  for (const double q : exponents) {
    CHECK(schatten_norm<typename C::Backend>(exec, to_view<T>(Matrix::Zero(4, 3)), q) == 0);
    CHECK(schatten_norm<typename C::Backend>(exec, to_view<T>(Matrix(0, 3)), q) == 0);
    CHECK(std::isnan(schatten_norm<typename C::Backend>(exec, to_view<T>(bad), q)));
  }
}

TEST_CASE_TEMPLATE("steepest descent: ‖D‖_{S_q} = 1 and ⟨G, D⟩ is the dual norm", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{20, 12}, {12, 20}, {1, 6}}) {
    for (const double lowest : {0.5, 1e-3}) {
      const std::size_t rank = std::min(rows, cols);
      const Matrix g =
          rounded<T>(known_matrix(rows, cols, singular_values_of(Spectrum::geometric, rank, lowest), 3).matrix());
      for (const double q : {2.0, 9.0, infinity}) {
        CAPTURE(q);
        CAPTURE(lowest);
        const Direction direction = descent<C>(g, q);
        const double dual = reference_schatten_norm(g, dual_exponent(q));
        const double tolerance = 40 * epsilon<T>;
        CHECK(std::abs(reference_schatten_norm(direction.d, q) - 1) <= tolerance);
        CHECK(std::abs(inner(g, direction.d) / dual - 1) <= tolerance);
        CHECK(std::abs(direction.dual / dual - 1) <= tolerance);
      }
    }
  }
}

TEST_CASE("no random direction of the unit ball beats it") {
  using C = Case<double, SerialExec, EigenBackend>;
  const Matrix g = gaussian(9, 7, 4);
  for (const double q : {2.0, 3.0, 9.0, infinity}) {
    const Direction best = descent<C>(g, q);
    const double value = inner(g, best.d);
    double closest = 0;
    for (unsigned trial = 0; trial < 600; ++trial) {
      // Half of them anywhere, half near the best one, where a wrong maximum would be beaten.
      Matrix direction = gaussian(9, 7, 100 + trial);
      if (trial % 2 == 1) direction = best.d + std::pow(10.0, -double(trial % 5)) * direction;
      direction /= reference_schatten_norm(direction, q);
      closest = std::max(closest, inner(g, direction));
      CHECK(inner(g, direction) <= value * (1 + 1e-12));
    }
    CHECK(closest > 0.999 * value);
  }
}

TEST_CASE_TEMPLATE("steepest descent: the three named directions", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const KnownMatrix known = known_matrix(16, 10, singular_values_of(Spectrum::geometric, 10, 0.1), 5);
  const Matrix g = rounded<T>(known.matrix());
  const double tolerance = 100 * epsilon<T>;
  CHECK(max_abs(descent<C>(g, 2).d - g / g.norm()) <= tolerance);
  CHECK(max_abs(descent<C>(g, infinity).d - known.power(0)) <= tolerance);
  const Matrix htmuon = known.power(0.125);
  CHECK(max_abs(descent<C>(g, 9).d - htmuon / reference_schatten_norm(htmuon, 9)) <= tolerance);
}

TEST_CASE_TEMPLATE("steepest descent at any scale", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  // Condition 10: what rounding the scaled matrix changes, p = 0 amplifies by as much.
  const Matrix g = rounded<T>(known_matrix(8, 6, singular_values_of(Spectrum::geometric, 6, 0.1), 6).matrix() / 16);
  const double largest = double(std::numeric_limits<T>::max()) / 2;
  for (const double q : {2.0, 9.0, infinity}) {
    const Direction direction = descent<C>(g, q);
    for (const double scale : {1e-30, 1e30, largest, 1 / largest}) {
      CAPTURE(q);
      CAPTURE(scale);
      const Direction scaled = descent<C>(scale * g, q);
      // 1/largest: the entries are subnormal and keep about 17 bits.
      const double tolerance = scale == 1 / largest ? 10 * std::ldexp(1.0, -17) * 10 : 100 * epsilon<T>;
      CHECK(max_abs(scaled.d - direction.d) <= tolerance);
      CHECK(std::abs(scaled.dual / scale / direction.dual - 1) <= tolerance);
    }
  }
}

TEST_CASE_TEMPLATE("steepest descent of zero, empty and non-finite G", C, SCHATTEN_TEST_CASES) {
  for (const double q : {2.0, 9.0, infinity}) {
    const Direction zero = descent<C>(Matrix::Zero(5, 4), q);
    CHECK(max_abs(zero.d) == 0);
    CHECK(zero.dual == 0);
    CHECK(descent<C>(Matrix(0, 4), q).dual == 0);
    Matrix bad = gaussian(5, 4, 7);
    bad(4, 3) = infinity;
    const Direction direction = descent<C>(bad, q);
    CHECK(all_nan(direction.d));
    CHECK(std::isnan(direction.dual));
  }
}
