// SPDX-License-Identifier: BSD-3-Clause
// SpectralMap: functions of singular values other than powers keep their promise in every direction above the
// resolution. labels: portable
// labels: portable

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/views.hpp"
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/spectral/orlicz_norm.hpp>
#include <schatten/spectral/spectral_map.hpp>
#include <schatten/spectral/steepest_descent.hpp>

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

/// Bends often: poles that fit it have large weights of both signs.
struct Waves {
  static constexpr std::string_view name = "waves";
  KOKKOS_FUNCTION double operator()(double x) const { return 1.2 + std::sin(20 * std::log(x)); }
  [[nodiscard]] double order() const { return 0; }
  [[nodiscard]] double degree() const { return 0; }
};

/// Not continuous.
struct Jump {
  static constexpr std::string_view name = "jump";
  KOKKOS_FUNCTION double operator()(double x) const { return x < 0.1 ? 0.2 : 1.0; }
  [[nodiscard]] double order() const { return 0; }
  [[nodiscard]] double degree() const { return 0; }
};

Vector logarithmic(std::size_t n, double lowest) {
  Vector sigma(static_cast<Eigen::Index>(n));
  for (Eigen::Index k = 0; k < sigma.size(); ++k) sigma(k) = std::pow(lowest, double(k) / double(sigma.size() - 1));
  return sigma;
}

/// Largest error over the promise in the three readings: along u_k and v_k, of out·v_k and of outᵀu_k.
template <class T, class F>
double worst_share(const F& f, const SpectralMapOptions& wanted, double scale, SpectralMethod* method = nullptr,
                   Spectrum spectrum = Spectrum::geometric) {
  SpectralMap<F, T, Exec, PortableBackend> map(f, wanted);
  if (method != nullptr) *method = map.method();
  const Exec exec;
  const std::size_t short_side = std::min(wanted.rows, wanted.cols);
  const KnownMatrix known =
      known_matrix(wanted.rows, wanted.cols, singular_values_of(spectrum, short_side, wanted.resolution), 3);
  using Array = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  const Array m("m", wanted.rows, wanted.cols), out("out", wanted.rows, wanted.cols);
  assign(m, Matrix(scale * known.matrix()));
  map.apply(exec, m, out);
  exec.fence();
  const Matrix result = to_matrix(out);
  double worst = 0;
  for (Eigen::Index k = 0; k < known.sigma.size(); ++k) {
    if (known.sigma(k) < 0.999 * wanted.resolution) continue;
    const double value = f(known.sigma(k)) * std::pow(scale, f.degree());
    const double right = (result * known.v.col(k) - value * known.u.col(k)).norm();
    const double left = (result.transpose() * known.u.col(k) - value * known.v.col(k)).norm();
    worst = std::max(worst, std::max(left, right) / value / map.error_bound());
  }
  return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("a spectral function keeps its promise, by the method that was chosen, by svd and by eigh", T, float,
                   double) {
  const auto check = [](const auto& f) {
    for (const auto& [rows, cols] : {std::pair{24U, 24U}, std::pair{40U, 16U}, std::pair{12U, 30U}}) {
      SpectralMapOptions wanted{.rows = rows, .cols = cols, .resolution = 1e-2, .tolerance = 4e-2};
      CAPTURE(std::decay_t<decltype(f)>::name);
      SpectralMethod method{};
      CHECK(worst_share<T>(f, wanted, 1.0, &method) <= 1);
      CHECK(method == SpectralMethod::rational);
      CHECK(worst_share<T>(f, wanted, 37.0) <= 1);
      for (const SpectralMethod exact : {SpectralMethod::svd, SpectralMethod::eigh}) {
        wanted.method = exact;
        CHECK(worst_share<T>(f, wanted, 0.03) <= 1);
      }
    }
  };
  check(PowerFunction{});
  check(PowerFunction{-0.25});
  check(SoftSign{});
  check(SoftRatio{});
  check(Clip{});
  check(CappedInverse{});
  check(HighPass{});
  check(SoftPolar{});
  check(Ripple{});
}

TEST_CASE("clusters, repeated singular values and half the rank, by both decompositions") {
  for (const Spectrum spectrum : {Spectrum::halves, Spectrum::one_large, Spectrum::clustered, Spectrum::half_rank}) {
    CAPTURE(to_string(spectrum));
    for (const SpectralMethod exact : {SpectralMethod::svd, SpectralMethod::eigh}) {
      SpectralMapOptions wanted{.rows = 30, .cols = 20, .resolution = 1e-3, .tolerance = 1e-2, .method = exact};
      CHECK(worst_share<double>(SoftSign{}, wanted, 1.0, nullptr, spectrum) <= 1);
      CHECK(worst_share<double>(SoftPolar{}, wanted, 1.0, nullptr, spectrum) <= 1);
      CHECK(worst_share<double>(Clip{.tau = 0.2}, wanted, 1.0, nullptr, spectrum) <= 1);
      CHECK(worst_share<double>(PowerFunction{-0.25}, wanted, 1.0, nullptr, spectrum) <= 1);
      CHECK(worst_share<float>(SoftSign{}, wanted, 1.0, nullptr, spectrum) <= 1);
    }
  }
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
  for (const SpectralMethod method : {SpectralMethod::rational, SpectralMethod::svd, SpectralMethod::eigh}) {
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

TEST_CASE("the rounding of poles that cancel is part of the promise") {
  const SpectralMapOptions wanted{.rows = 4, .cols = 4, .resolution = 0.5, .tolerance = 1e-2};
  CHECK(worst_share<float>(Waves{}, wanted, 1.0) <= 1);
  CHECK(worst_share<double>(Waves{}, wanted, 1.0) <= 1);
}

TEST_CASE("what cannot be kept is refused with the reason") {
  using Map = SpectralMap<Clip, float, Exec, PortableBackend>;
  using CutMap = SpectralMap<Cut, float, Exec, PortableBackend>;
  const auto contains = [](const std::string& text, std::string_view part) { return text.find(part) != text.npos; };
  CHECK(contains(message_of([] { CutMap(Cut{}, {.rows = 8, .cols = 8}); }), "not positive"));
  using JumpMap = SpectralMap<Jump, double, Exec, PortableBackend>;
  for (const SpectralMethod method : {SpectralMethod::svd, SpectralMethod::eigh}) {  // a σ at the jump has either value
    CHECK(contains(message_of([&] { JumpMap(Jump{}, {.rows = 8, .cols = 8, .method = method}); }), "out of reach"));
  }
  CHECK(contains(
      message_of([] { Map(Clip{}, {.rows = 64, .cols = 64, .tolerance = 1e-5, .method = SpectralMethod::rational}); }),
      "32 poles"));
  CHECK(
      contains(message_of([] { Map(Clip{}, {.rows = 8, .cols = 8, .method = SpectralMethod::quintic}); }), "quintic"));
  CHECK(contains(message_of([] { Map(Clip{}, {.rows = 8, .cols = 8, .resolution = 0}); }), "resolution"));
}

TEST_CASE("steepest descent in the norm of a function: on the ball, its product with G the dual norm, nothing better") {
  const Exec exec;
  using Array = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  const Array g = to_view<double>(known_matrix(9, 6, logarithmic(6, 1e-2), 3).matrix()), out("out", 9, 6);
  const auto norm_of = [&](const Matrix& m, const auto& f) {
    return orlicz_norm<PortableBackend>(exec, to_view<double>(m), f, 0.05);
  };
  const auto check = [&](const auto& f) {
    CAPTURE(std::decay_t<decltype(f)>::name);
    const double dual = steepest_descent<PortableBackend>(exec, g, f, 0.05, out);
    const Matrix d = to_matrix(out), m = to_matrix(g);
    CHECK(norm_of(d, f) == doctest::Approx(1).epsilon(1e-8));
    CHECK(m.cwiseProduct(d).sum() == doctest::Approx(dual).epsilon(1e-10));
    for (unsigned seed = 0; seed < 4; ++seed) {
      const Matrix other = d + 0.3 * seed * d.norm() * gaussian(9, 6, seed) / 7;
      CHECK(m.cwiseProduct(other).sum() <= dual * norm_of(other, f) * (1 + 1e-9));
    }
    CHECK(norm_of(1e-200 * d, f) == doctest::Approx(1e-200).epsilon(1e-8));
  };
  check(PowerFunction{0.25});
  check(SoftSign{});
  check(SoftRatio{});
  check(Clip{.tau = 0.2});
  check(HighPass{});
  check(SoftPolar{});
  CHECK(message_of([&] { (void)orlicz_norm<PortableBackend>(exec, g, CappedInverse{}); }).find("falls") !=
        std::string::npos);
}

TEST_CASE("norms of functions that have another name") {
  const Exec exec;
  using Array = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  const Matrix m = known_matrix(9, 6, logarithmic(6, 1e-2), 3).matrix();
  const Array g = to_view<double>(m), out("out", 9, 6), expected("expected", 9, 6);
  const double by_power = steepest_descent<PortableBackend>(exec, g, PowerFunction{0.125}, 1.0 / 9, out);
  CHECK(by_power == doctest::Approx(steepest_descent<PortableBackend>(exec, g, 9.0, expected)).epsilon(1e-10));
  CHECK((to_matrix(out) - to_matrix(expected)).norm() <= 1e-9);
  // σ₁ = 1 and ‖M‖_F: the larger of the two balls' norms.
  CHECK(orlicz_norm<PortableBackend>(exec, g, Clip{.tau = 0.1}, 50.0) == doctest::Approx(10).epsilon(1e-9));
  CHECK(orlicz_norm<PortableBackend>(exec, g, Clip{.tau = 1e3}, 0.5) == doctest::Approx(m.norm()).epsilon(1e-9));
  // A level that no multiple reaches: the whole spectral-norm ball.
  double nuclear = 0;
  for (const double value : logarithmic(6, 1e-2)) nuclear += value;
  CHECK(steepest_descent<PortableBackend>(exec, g, Clip{.tau = 0.1}, 50.0, out) ==
        doctest::Approx(0.1 * nuclear).epsilon(1e-9));
}
