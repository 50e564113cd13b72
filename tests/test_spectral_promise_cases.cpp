// SPDX-License-Identifier: BSD-3-Clause
// Matrices that broke a promise once, as tests/adversary/adversary.cpp left them.

#include "adversary/matrices.hpp"
#include "adversary/trial.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::adversary;

enum class Backend { standard, portable };

/// Keeps its promise, entries by rows, whichever way they are stored. Where the plan `may_be_refused` and is, it
/// promises nothing.
template <class T>
void check(const SpectralPowerOptions& options, Backend backend, const std::vector<double>& entries,
           bool may_be_refused = false) {
  Plain<T> m{options.rows, options.cols};
  for (std::size_t k = 0; k < entries.size(); ++k) m(k / options.cols, k % options.cols) = T(entries[k]);
  Oracle<T> oracle;
  for (const bool columns_first : {false, true}) {
    const std::optional<Answer> answer = oracle.ask({options, backend == Backend::portable, columns_first}, m);
    if (!answer && may_be_refused) continue;
    REQUIRE(answer);
    CAPTURE(to_string(answer->method));
    CAPTURE(answer->bound);
    CHECK(answer->finite);
    CHECK(answer->readings.worst() <= answer->bound);
  }
}

}  // namespace

TEST_CASE("svd: a column that rotations reduce to nothing") {
  check<double>(
      {.rows = 3, .cols = 3, .power = 0.03125, .resolution = 0.001, .tolerance = 0.01, .method = SpectralMethod::svd},
      Backend::portable, {1, 1, 1, 0, 1, 0, 0, 1, 0});
}

TEST_CASE("svd: two directions at the resolution turn into each other") {
  for (const Backend backend : {Backend::standard, Backend::portable}) {
    check<double>(
        {.rows = 3, .cols = 3, .power = 0, .resolution = 0x1p-20, .tolerance = 0.01, .method = SpectralMethod::svd},
        backend, {1, 1, 1, 1, 1 + 0x1p-18, 1, 1, 1, 1 - 0x1p-18});
  }
}

TEST_CASE("svd: long rows of like terms turn the vectors") {
  constexpr std::size_t n = 1736;
  std::vector<double> entries(2 * n);
  for (std::size_t k = 0; k < n; ++k) {
    const double one = 0x1.030dd5e43855bp+0, other = 0x1.030db3efcf085p+0;
    entries[k] = k % 2 == 0 ? one : other;
    entries[n + k] = k % 2 == 0 ? other : one;
  }
  check<double>(
      {.rows = 2, .cols = n, .power = 0.03125, .resolution = 1e-6, .tolerance = 1e-8, .method = SpectralMethod::svd},
      Backend::standard, entries);
}

TEST_CASE("eigh: what lies under the rounding of the Gram matrix does not leak into the other directions") {
  for (const Backend backend : {Backend::standard, Backend::portable}) {
    check<double>(
        {.rows = 3, .cols = 3, .power = 0, .resolution = 1, .tolerance = 0.001, .method = SpectralMethod::eigh},
        backend, {0x1p-23, 0, -1, 0, 0x1p-24, 1, 0, 0, 1});
    check<double>(
        {.rows = 3, .cols = 3, .power = -0.1, .resolution = 0.001, .tolerance = 0.01, .method = SpectralMethod::eigh},
        backend, {0x1p-33, 0x1p-27, 0x1p-16, 0, 0x1p-8, 1, 0, 0, 0});
    check<double>(
        {.rows = 4, .cols = 4, .power = -0.25, .resolution = 0.01, .tolerance = 0.03, .method = SpectralMethod::eigh},
        backend,
        {-1, 1, -1, 1, 0x1p-3, -0x1p-2, 0x1p-3, -0x1p-2, 0x1p-1, 0x1p-1, 0x1p-1, 0x1p-1, 1, -0x1p-1, 1, -0x1p-1});
  }
}

TEST_CASE("rational: many poles follow the power far under the resolution") {
  check<float>(
      {.rows = 3, .cols = 3, .power = -0.49, .resolution = 1, .tolerance = 1e-3, .method = SpectralMethod::rational},
      Backend::standard, {0, 1.5, 1.5, -0.75, 1.5, 1.5, 0.5, 0.375, 0.375});
  check<double>({.rows = 3,
                 .cols = 3,
                 .power = -0.49,
                 .resolution = 0.001,
                 .tolerance = 3e-8,
                 .method = SpectralMethod::rational},
                Backend::standard,
                {0x1.48p-2, -0x1.d6p-3, 0x1.08p+0, 0x1.4p-2, -0x1.dp-3, 0x1.08p+0, 0x1.48p-2, -0x1.d6p-3, 0x1.08p+0});
  check<float>(
      {.rows = 3,
       .cols = 3,
       .power = -0.49,
       .resolution = 0.0001,
       .tolerance = 3e-5,
       .method = SpectralMethod::rational},
      Backend::portable,
      {0x1.334d0ap-2, 0x1.334p-2, 0x1.335384p-2, 0, 0x1.336p-2, 0x1.332p-2, 0x1p-2, 0x1.33414p-2, 0x1.33388ap-2});
}

TEST_CASE("rational: Lanczos' recurrence of a matrix of rank one ends in a subnormal length") {
  check<float>(
      {.rows = 3, .cols = 7, .power = 0.5, .resolution = 0.001, .tolerance = 0.2, .method = SpectralMethod::rational},
      Backend::standard,
      {0x1.11aceep+0,  0x1.11aceep+0,   0x1.11aceep+0, 0x1.11aceep+0,  0x1.11aceep+0,   0x1.11aceep+0,  0x1.11aceep+0,
       0x1.96ce3ep-68, -0x1.026ae2p-66, 0x1.cb29bp-67, 0x1.4514aap-69, -0x1.61b766p-66, 0x1.e2e29cp-68, 0x1.ddfa94p-68,
       0x1.11aceep+0,  0x1.11aceep+0,   0x1.11aceep+0, 0x1.11aceep+0,  0x1.11aceep+0,   0x1.11aceep+0,  0x1.11aceep+0});
}

TEST_CASE_TEMPLATE("rational: more columns than a leaf, some of them under the resolution", T, float, double) {
  Oracle<T> oracle;
  for (unsigned seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    const std::size_t n = 33 + seed % 8;
    const Plain<double> drawn = random_matrix(n, n, {1e-6, 1e-7}, random);
    const Plain<T> m{n, n, {drawn.entries.begin(), drawn.entries.end()}};
    const std::optional<Answer> answer = oracle.ask(
        {{.power = -0.49, .resolution = 1e-6, .tolerance = 0.03, .method = SpectralMethod::rational}, false, false}, m);
    REQUIRE(answer);
    CAPTURE(seed);
    CHECK(answer->finite);
    CHECK(answer->readings.worst() <= answer->bound);
  }
}

TEST_CASE("rational: tolerances near rounding, where the weights of the poles have both signs or reach far down") {
  for (const double times : {1.0, 4.0, 16.0, 256.0}) {
    const auto options = [&](std::size_t n, double power, double resolution, double tolerance) {
      return SpectralPowerOptions{.rows = n,
                                  .cols = n,
                                  .power = power,
                                  .resolution = resolution,
                                  .tolerance = tolerance * times,
                                  .method = SpectralMethod::rational};
    };
    check<float>(options(2, -0.49, 0.1, 1.83e-5), Backend::portable, {1, 1, 1, 1}, true);
    check<float>(options(2, 0.03125, 1, 2.92e-6), Backend::portable, {1, 1, 0, 0}, true);
    check<double>(options(2, -0.49, 1, 6.58e-14), Backend::portable, {1, 1, 1, 1}, true);
    check<double>(options(3, 0, 0.1, 1.42e-13), Backend::standard, {-0.5, -0.5, 0, -0.75, -0.5, -0.25, 0.5, 1, -0.5},
                  true);
  }
}

TEST_CASE("rational: equal terms of sums are rounded with one sign without fused multiply-adds") {
  check<float>({.rows = 4,
                .cols = 4,
                .power = 0.03125,
                .resolution = 0.01,
                .tolerance = 7.79903e-05,
                .method = SpectralMethod::rational},
               Backend::standard, {-1.5, -1.5, -1.5, -1.5, 1, 1, 1, 1, -2, -2, -2, -2, 3, 3, 3, 3});
}

TEST_CASE("rational: along singular vectors of two entries the rounding of a Gram matrix does not average") {
  struct Shape {
    std::size_t rows, cols;
    double power;
  };
  Oracle<float> oracle;
  for (const Shape& shape : {Shape{512, 256, 0}, Shape{512, 256, 0.125}, Shape{512, 64, 0.5}}) {
    const std::size_t m = shape.rows, n = shape.cols;
    ExactSvd<double> svd{0, {m, n}, {n, n}, std::vector<double>(n)};
    for (std::size_t k = 0; k < n; ++k) {  // left vectors of Hadamard's matrix; right ones in pairs of coordinates
      svd.sigma[k] = k % 2 == 0 ? 1 : 1.001e-3;
      for (std::size_t i = 0; i < m; ++i) svd.u(i, k) = adversary::detail::hadamard(i, k) / std::sqrt(double(m));
      svd.v(k, k) = std::sqrt(0.5);
      svd.v(k ^ 1, k) = (k % 2 == 0 ? 1 : -1) * std::sqrt(0.5);
    }
    Plain<float> entries{m, n};
    for (std::size_t k = 0; k < n; ++k) {
      for (const std::size_t j : {k, k ^ 1}) {
        for (std::size_t i = 0; i < m; ++i) entries(i, j) += float(svd.sigma[k] * svd.u(i, k) * svd.v(j, k));
      }
    }
    const std::optional<Answer> answer = oracle.ask({{.power = shape.power}, false, true}, entries, svd);
    REQUIRE(answer);
    CAPTURE(n);
    CAPTURE(to_string(answer->format));
    CHECK(answer->readings.worst() <= answer->bound);
  }
}

TEST_CASE("iterates: segments of several steps mix directions in") {
  check<float>({.rows = 10,
                .cols = 4,
                .power = 0.5,
                .resolution = 0.0001,
                .tolerance = 0.03,
                .method = SpectralMethod::iterates},
               Backend::standard,
               {0, 1, 1, 0, 0, 0, 0, 0, 0, 0,      0, 0,      0, 0, 0, 0,       0, 0,      0, 0,
                0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1p-8, 0, 0x1p-7, 0, 0, 0, 0x1p-12, 1, 0x1p-1, 1, 0x1p-2});
  check<float>(
      {.rows = 4, .cols = 8, .power = 0.5, .resolution = 0.001, .tolerance = 0.03, .method = SpectralMethod::iterates},
      Backend::standard, {-0x1.bd504ep-5, 0, -0x1.854874p-7, 0x1.bac5c4p+0, 0, 0x1.08p-10,   0, 0,
                          -0x1.7b59cap+0, 0, -0x1.540184p+0, 0x1.c9ecdp-5,  0, -0x1.8p-13,   0, 0,
                          -0x1.175be4p-1, 0, 0x1.b8eb9cp-1,  0x1.b58c82p-1, 0, -0x1.878p-10, 0, 0,
                          0x1.39e652p+0,  0, -0x1.38ef3ep+0, 0x1.0c8c32p-1, 0, -0x1.cp-11,   0, 0});
}

namespace {

/// M of power 1 in every method that promises something, also where σ₁ or the elements are beyond normal numbers.
template <class T>
void check_identity(double scale) {
  const std::vector<double> entries{scale, scale, 0.75 * scale, scale, scale, 0.5 * scale};
  for (const SpectralMethod method : {SpectralMethod::svd, SpectralMethod::eigh, SpectralMethod::rational}) {
    for (const Backend backend : {Backend::standard, Backend::portable}) {
      CAPTURE(to_string(method));
      CAPTURE(scale);
      check<T>({.rows = 2, .cols = 3, .power = 1, .resolution = 1e-2, .tolerance = 0.1, .method = method}, backend,
               entries);
    }
  }
}

}  // namespace

TEST_CASE("a result near the largest number does not overflow, and subnormal results are rounded once") {
  check_identity<float>(0x1.fp127);  // σ₁ is more than the largest float
  check_identity<float>(0x1p-140);
  check_identity<float>(0x1p-147);
  check_identity<double>(0x1.fp1023);
  check_identity<double>(0x1p-1065);
  check_identity<double>(0x1p-1072);
}
