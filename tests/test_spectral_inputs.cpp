// SPDX-License-Identifier: BSD-3-Clause
// Inputs at the edges: empty, thin, zero, rank-deficient, of any scale, not finite.

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr SpectralMethod exact_methods[] = {SpectralMethod::svd, SpectralMethod::eigh};

template <class C>
SpectralPowerOptions options_for(const Matrix& m, double p, SpectralMethod method) {
  const bool products_alone = method == SpectralMethod::quintic || method == SpectralMethod::iterates;
  return {.rows = std::size_t(m.rows()),
          .cols = std::size_t(m.cols()),
          .power = p,
          .resolution = 0.1,
          .tolerance = method == SpectralMethod::rational || method == SpectralMethod::iterates ? 0.03 : 2,
          .method = method,
          .format = products_alone ? whole_format<C> : Format::automatic};
}

/// Fits take milliseconds, and most plans below are alike.
std::shared_ptr<spectral::FitCaches> shared_fits() {
  static const auto fits = std::make_shared<spectral::FitCaches>();
  return fits;
}

template <class C>
Matrix applied(const Matrix& m, double p, SpectralMethod method) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const SpectralPowerOptions options = options_for<C>(m, p, method);
  const auto in = to_view<T>(m), out = output_view<T>(options.rows, options.cols);
  SpectralPower<T, typename C::Exec, typename C::Backend> power(options, shared_fits());
  power.apply(exec, in, out);
  exec.fence();
  return to_matrix(out);
}

/// f(method, p) for every combination that there is.
template <class C, class F>
void for_each_plan(const F& f) {
  for (const double p : {-0.25, 0.0, 0.125, 1.0}) {
    for (const SpectralMethod method : exact_methods) f(method, p);
    if (has_rational<C>) f(SpectralMethod::rational, p);
    f(SpectralMethod::iterates, p);
  }
  f(SpectralMethod::quintic, 0.0);
  f(SpectralMethod::newton_schulz, 0.5);
}

}  // namespace

TEST_CASE_TEMPLATE("empty matrices and empty batches", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  for_each_plan<C>([&](SpectralMethod method, double p) {
    for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{0, 5}, {5, 0}, {0, 0}}) {
      CHECK(applied<C>(Matrix(Eigen::Index(m), Eigen::Index(n)), p, method).size() == 0);
    }
    const Batch<T, Storage::right> none(0, 3, 4), out(0, 3, 4);
    SpectralPower<T, typename C::Exec, typename C::Backend>(options_for<C>(Matrix(3, 4), p, method))
        .apply(exec, none.view(), out.view());
  });
}

TEST_CASE_TEMPLATE("a row, a column and a number: ‖m‖^{p−1} m", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const Matrix& m : {gaussian(1, 9, 1), gaussian(9, 1, 2), gaussian(1, 1, 3)}) {
    for (const double p : {-0.25, 0.0, 0.125, 1.0}) {
      const Matrix exact = rounded<T>(m), wanted = std::pow(exact.norm(), p - 1) * exact;
      for (const SpectralMethod method : exact_methods) {
        CHECK(max_abs(applied<C>(m, p, method) - wanted) <= 30 * epsilon<T> * max_abs(wanted));
      }
    }
    const double muon = [] {
      double x = 1;
      for (int step = 0; step < 5; ++step) x = spectral::muon_quintic(x);
      return x;
    }();
    const Matrix wanted = muon / rounded<T>(m).norm() * rounded<T>(m);
    CHECK(max_abs(applied<C>(m, 0, SpectralMethod::quintic) - wanted) <= spectral::quintic_rounding_error<T>());
  }
}

TEST_CASE_TEMPLATE("a zero matrix gives zero", C, SCHATTEN_TEST_CASES) {
  for_each_plan<C>([&](SpectralMethod method, double p) {
    for (const Matrix& zero : {Matrix(Matrix::Zero(7, 5)), Matrix(Matrix::Zero(5, 7)), Matrix(Matrix::Zero(20, 20))}) {
      CAPTURE(to_string(method));
      CAPTURE(p);
      CHECK(max_abs(applied<C>(zero, p, method)) == 0);
    }
  });
}

TEST_CASE_TEMPLATE("rank-deficient matrices: the map on their range", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{24, 18}, {18, 24}}) {
    Vector sigma = singular_values_of(Spectrum::geometric, 18, 0.1);
    sigma.tail(9).setZero();
    const KnownMatrix known = known_matrix(rows, cols, sigma, 9);
    for_each_plan<C>([&](SpectralMethod method, double p) {
      CAPTURE(to_string(method));
      CAPTURE(p);
      const Matrix out = applied<C>(known.matrix(), p, method);
      REQUIRE(std::isfinite(max_abs(out)));
      if (method == SpectralMethod::quintic || method == SpectralMethod::newton_schulz) return;
      SpectralPower<T, typename C::Exec, typename C::Backend> power(options_for<C>(out, p, method));
      const auto errors = direction_errors(known, p, out);
      // The directions of the range: the others hold rounding errors of the input, and only those.
      for (std::size_t k = 0; k < 9; ++k) {
        const double input = epsilon<T> * (2 + 4 * std::abs(p) / known.sigma(Eigen::Index(k)));
        CHECK(errors[k].worst() <= (power.error_bound() + input) * std::pow(known.sigma(Eigen::Index(k)), p));
      }
    });
  }
  // Exactly representable: half of the columns zero, and for p <= 0 the svd method maps their directions to zero.
  Matrix half = gaussian(16, 12, 3);
  half.rightCols(6).setZero();
  for (const double p : {-0.25, 0.0}) {
    const Matrix out = applied<C>(half, p, SpectralMethod::svd);
    CHECK(max_abs(out.rightCols(6)) <= 8 * epsilon<T>);
    if (p == 0) CHECK(orthogonality_error(out.leftCols(6)) <= 40 * epsilon<T>);
  }
}

TEST_CASE_TEMPLATE("any scale is legal", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const KnownMatrix known = known_matrix(14, 10, singular_values_of(Spectrum::geometric, 10, 0.2), 10);
  const Matrix m = rounded<T>(known.matrix());
  const double largest = double(std::numeric_limits<T>::max()) / 2;
  for_each_plan<C>([&](SpectralMethod method, double p) {
    CAPTURE(to_string(method));
    CAPTURE(p);
    if (method == SpectralMethod::newton_schulz) return;  // its ridges are absolute
    const Matrix out = applied<C>(m, p, method);
    for (const double scale : {1e-30, 1e30, largest}) {
      CAPTURE(scale);
      const Matrix scaled = applied<C>(scale * m, p, method);
      CHECK(max_abs(scaled / std::pow(scale, p) - out) <= 200 * epsilon<T>);
    }
    // Subnormal: the entries keep about 17 bits, so the direction is known to 1e-5 and the output as well.
    const double tiny = std::ldexp(double(std::numeric_limits<T>::denorm_min()), 17);
    const Matrix scaled = applied<C>(tiny * m, p, method);
    REQUIRE(std::isfinite(max_abs(scaled)));
    CHECK(max_abs(scaled / std::pow(tiny, p) - out) <= 5e-4);
    CHECK(max_abs(scaled) > 0);
  });
}

TEST_CASE_TEMPLATE("one bad matrix of a batch is NaN throughout and leaves the others alone", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  using Limits = std::numeric_limits<T>;
  for_each_plan<C>([&](SpectralMethod method, double p) {
    for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{9, 6}, {6, 9}}) {
      for (const T bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
        CAPTURE(to_string(method));
        CAPTURE(p);
        const Batch<T, Storage::right> m(4, rows, cols), out(4, rows, cols);
        for (std::size_t b = 0; b < 4; ++b) assign(m.matrix(b), gaussian(rows, cols, unsigned(b)));
        const auto options = options_for<C>(to_matrix(m.matrix()), p, method);
        m.view()(2, 4, 3) = bad;
        SpectralPower<T, typename C::Exec, typename C::Backend> power(options, shared_fits());
        power.apply(exec, m.view(), out.view());
        exec.fence();
        CHECK(all_nan(to_matrix(out.matrix(2))));
        for (const std::size_t b : {0U, 1U, 3U}) {
          const Matrix alone = applied<C>(to_matrix(m.matrix(b)), p, method);
          CHECK(max_abs(to_matrix(out.matrix(b)) - alone) <=
                (bits_repeat<C> ? 0.0 : 200 * epsilon<typename C::Scalar>));
        }
      }
    }
  });
}

TEST_CASE("a bad matrix on its own, large enough for every kernel of the backends") {
  using C = Case<float, ThreadedExec, EigenBackend>;
  for_each_plan<C>([&](SpectralMethod method, double p) {
    Matrix m = gaussian(150, 140, 1);
    m(149, 139) = std::numeric_limits<double>::quiet_NaN();
    CHECK(all_nan(applied<C>(m, p, method)));
  });
}

namespace {

/// Errors of out·v_k and outᵀu_k, relative to σ_k^p, for the first `count` directions of m.
template <class C>
double worst_vector_error(const Matrix& m, double p, SpectralMethod method, Eigen::Index count) {
  const ReferenceSvd svd = reference_svd(m);
  const Matrix out = applied<C>(m, p, method);
  double worst = 0;
  for (Eigen::Index k = 0; k < count; ++k) {
    const double value = std::pow(svd.sigma(k), p);
    const Vector right = out * svd.v.col(k) - value * svd.u.col(k);
    const Vector left = out.transpose() * svd.u.col(k) - value * svd.v.col(k);
    worst = std::max({worst, right.norm() / value, left.norm() / value});
  }
  return worst;
}

}  // namespace

TEST_CASE("svd: a column that rotations reduce to nothing does not turn the others") {
  Matrix m(3, 3);
  m << 1, 1, 1, 0, 1, 0, 0, 1, 0;
  CHECK(worst_vector_error<Case<double, SerialExec, PortableBackend>>(m, 0.03125, SpectralMethod::svd, 2) <= 1e-13);
}

TEST_CASE("rational: rank one up to 1e-20, whose Lanczos recurrence ends in a subnormal length") {
  const double a = 0x1.11aceep+0;
  const double small[] = {0x1.96ce3ep-68,  -0x1.026ae2p-66, 0x1.cb29bp-67, 0x1.4514aap-69,
                          -0x1.61b766p-66, 0x1.e2e29cp-68,  0x1.ddfa94p-68};
  Matrix m = Matrix::Constant(3, 7, a);
  for (Eigen::Index j = 0; j < 7; ++j) m(1, j) = small[j];
  CHECK(worst_vector_error<Case<float, SerialExec, EigenBackend>>(m, 0.5, SpectralMethod::rational, 1) <= 0.03);
}
