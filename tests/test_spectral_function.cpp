// SPDX-License-Identifier: BSD-3-Clause
// SpectralMap: functions of singular values other than powers keep their promise in every direction above the resolution.
// labels: portable

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/views.hpp"
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/spectral/spectral_map.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using linalg::PortableBackend;

/// A caller's own: the square root, with a ripple.
struct Ripple {
  static constexpr std::string_view name = "ripple";
  KOKKOS_FUNCTION double operator()(double x) const { return std::sqrt(x) * (1 + 0.2 * std::sin(3 * std::log(x))); }
  [[nodiscard]] double order() const { return 0.5; }
  [[nodiscard]] double degree() const { return 0.25; }
};

/// Zero below a half: nothing to be relative to.
struct Cut {
  static constexpr std::string_view name = "cut";
  KOKKOS_FUNCTION double operator()(double x) const { return x < 0.5 ? 0.0 : 1.0; }
  [[nodiscard]] double order() const { return 1; }
  [[nodiscard]] double degree() const { return 0; }
};

Vector logarithmic(std::size_t n, double lowest) {
  Vector sigma(static_cast<Eigen::Index>(n));
  for (Eigen::Index k = 0; k < sigma.size(); ++k) sigma(k) = std::pow(lowest, double(k) / double(sigma.size() - 1));
  return sigma;
}

/// Largest error over the promise in the three readings: along u_k and v_k, of out·v_k and of outᵀu_k.
template <class T, class F>
double worst_share(const F& f, const SpectralMapOptions& wanted, double scale, SpectralMethod* method = nullptr) {
  SpectralMap<F, T, Exec, PortableBackend> map(f, wanted);
  if (method != nullptr) *method = map.method();
  const Exec exec;
  const std::size_t short_side = std::min(wanted.rows, wanted.cols);
  const KnownMatrix known = known_matrix(wanted.rows, wanted.cols, logarithmic(short_side, wanted.resolution), 3);
  using Array = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  const Array m("m", wanted.rows, wanted.cols), out("out", wanted.rows, wanted.cols);
  assign(m, Matrix(scale * known.matrix()));
  map.apply(exec, m, out);
  exec.fence();
  const Matrix result = to_matrix(out);
  double worst = 0;
  for (Eigen::Index k = 0; k < known.sigma.size(); ++k) {
    const double value = f(known.sigma(k)) * std::pow(scale, f.degree());
    const double right = (result * known.v.col(k) - value * known.u.col(k)).norm();
    const double left = (result.transpose() * known.u.col(k) - value * known.v.col(k)).norm();
    worst = std::max(worst, std::max(left, right) / value / map.error_bound());
  }
  return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("a spectral function keeps its promise, by the method that was chosen and by svd", T, float,
                   double) {
  const auto check = [](const auto& f) {
    for (const auto& [rows, cols] : {std::pair{24U, 24U}, std::pair{40U, 16U}, std::pair{12U, 30U}}) {
      SpectralMapOptions wanted{.rows = rows, .cols = cols, .resolution = 1e-2, .tolerance = 4e-2};
      CAPTURE(std::decay_t<decltype(f)>::name);
      SpectralMethod method{};
      CHECK(worst_share<T>(f, wanted, 1.0, &method) <= 1);
      CHECK(method == SpectralMethod::rational);
      CHECK(worst_share<T>(f, wanted, 37.0) <= 1);
      wanted.method = SpectralMethod::svd;
      CHECK(worst_share<T>(f, wanted, 0.03) <= 1);
    }
  };
  check(PowerFunction{});
  check(SoftSign{});
  check(SoftRatio{});
  check(Clip{});
  check(CappedInverse{});
  check(HighPass{});
  check(SoftPolar{});
  check(Ripple{});
}

TEST_CASE("smaller tolerances take more poles; the scale is the degree's") {
  const auto poles = [](double tolerance) {
    return SpectralMap<SoftSign, double, Exec, PortableBackend>(
               SoftSign{}, {.rows = 200, .cols = 200, .resolution = 1e-3, .tolerance = tolerance})
        .poles();
  };
  CHECK(poles(3e-2) <= 2);
  CHECK(poles(1e-3) <= 6);
  CHECK(worst_share<double>(SoftSign{}, {.rows = 20, .cols = 20, .tolerance = 1e-6}, 1e200) <= 1);
  CHECK(worst_share<double>(Clip{}, {.rows = 20, .cols = 20, .tolerance = 5e-2}, 1e-150) <= 1);
}

TEST_CASE("a zero matrix gives zero, a NaN gives NaN") {
  const Exec exec;
  using Array = Kokkos::View<float***, Kokkos::LayoutRight, Kokkos::HostSpace>;
  const Array m("m", 3, 5, 4), out("out", 3, 5, 4);
  for (const SpectralMethod method : {SpectralMethod::rational, SpectralMethod::svd}) {
    SpectralMap<SoftPolar, float, Exec, PortableBackend> map(SoftPolar{}, {.rows = 5, .cols = 4, .method = method});
    m(1, 2, 2) = 3;
    m(2, 0, 0) = std::numeric_limits<float>::quiet_NaN();
    map.apply(exec, m, out);
    exec.fence();
    CHECK(out(0, 0, 0) == 0);
    CHECK(out(1, 2, 2) == doctest::Approx(1).epsilon(3e-2));
    CHECK(std::isnan(out(2, 4, 3)));
  }
}

TEST_CASE("what cannot be kept is refused with the reason") {
  using Map = SpectralMap<Clip, float, Exec, PortableBackend>;
  using CutMap = SpectralMap<Cut, float, Exec, PortableBackend>;
  const auto contains = [](const std::string& text, std::string_view part) { return text.find(part) != text.npos; };
  CHECK(contains(message_of([] { CutMap(Cut{}, {.rows = 8, .cols = 8}); }), "not positive"));
  CHECK(contains(
      message_of([] { Map(Clip{}, {.rows = 64, .cols = 64, .tolerance = 1e-5, .method = SpectralMethod::rational}); }),
      "32 poles"));
  CHECK(
      contains(message_of([] { Map(Clip{}, {.rows = 8, .cols = 8, .method = SpectralMethod::quintic}); }), "quintic"));
  CHECK(contains(message_of([] { Map(Clip{}, {.rows = 8, .cols = 8, .resolution = 0}); }), "resolution"));
}
