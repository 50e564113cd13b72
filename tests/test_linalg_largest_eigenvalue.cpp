// SPDX-License-Identifier: BSD-3-Clause
// The estimate of the largest eigenvalue: never above it, and within what fits allow, spectra that are hard for
// Lanczos' recurrence included.

#include "support/typed.hpp"
#include <schatten/linalg/largest_eigenvalue.hpp>
#include <schatten/spectral/weight_fit.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

/// Estimates for diagonal matrices, stored as T: the starts are hashed numbers, to which no basis is special.
template <class T, class C>
std::vector<double> estimates(const std::vector<std::vector<double>>& spectra) {
  using Exec = typename C::Exec;
  using Space = typename Exec::memory_space;
  const Exec exec;
  Workspace<Space> workspace;
  const std::size_t batch = spectra.size(), n = spectra[0].size();
  const Kokkos::View<T***, Kokkos::LayoutRight, TestSpace> s("schatten::test::s", batch, n, n);
  const Kokkos::View<double*, TestSpace> result("schatten::test::result", batch);
  for (std::size_t b = 0; b < batch; ++b) {
    for (std::size_t i = 0; i < n; ++i) s(b, i, i) = T(Sum<T>(spectra[b][i]));
  }
  const NumberBatchView<double, Space> numbers(result.data(), batch);
  linalg::largest_eigenvalue<typename C::Backend>(exec, as_const(as_batch<Exec>(s)), numbers, workspace);
  exec.fence();
  std::vector<double> values;
  for (std::size_t b = 0; b < batch; ++b) values.push_back(result(b));
  return values;
}

/// One eigenvalue `top` above a bulk that is dense at its end `edge`: constant, uniform, or Chebyshev's.
std::vector<double> outlier(std::size_t n, double top, double edge, int kind) {
  std::vector<double> lambda(n);
  for (std::size_t k = 0; k < n; ++k) {
    const double place = (double(k) + 0.5) / double(n);
    lambda[k] = edge * (kind == 0 ? 1 : (kind == 1 ? place : 0.5 * (1 + std::cos(std::numbers::pi * place))));
  }
  lambda[0] = top;
  return lambda;
}

}  // namespace

TEST_CASE_TEMPLATE("within the margin of the fits, never above", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  constexpr double margin = spectral::scale_margin * spectral::scale_margin;
  std::mt19937 random(7);
  double least = 1;
  for (const std::size_t n : {1U, 2U, 3U, 17U, 64U, 200U}) {
    for (const double top : {1.0, 3e4}) {
      std::vector<std::vector<double>> spectra;
      for (const double edge : {0.75, 0.8, 0.85, 0.9, 0.92, 1.0}) {
        for (const int kind : {0, 1, 2}) {
          spectra.push_back(outlier(n, top, edge * top, kind));
          std::shuffle(spectra.back().begin(), spectra.back().end(), random);
        }
      }
      for (const double estimate : estimates<T, C>(spectra)) {
        CHECK(estimate >= top / margin);
        CHECK(estimate <= top * (1 + 2e-5 + 50 * epsilon<T>));
        least = std::min(least, std::sqrt(estimate / top));
      }
    }
  }
  MESSAGE("least estimate of a singular value: " << least);
}

TEST_CASE("leading vectors that are all but orthogonal to starts") {
  // Row 70 of Hadamard's matrix of order 256 (its squared cosine with the first start is 3e-12), and differences of two
  // unit vectors.
  constexpr std::size_t n = 256;
  const auto hadamard = [](std::size_t row, std::size_t i) { return std::popcount(row & i) % 2 == 1 ? -1.0 : 1.0; };
  const auto lambda = outlier(n, 1, 0.9, 1);
  const auto check = [](const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>& s) {
    Workspace<Kokkos::HostSpace> workspace;
    double estimate = 0;
    linalg::largest_eigenvalue<EigenBackend>(SerialExec(), as_const(as_batch<SerialExec>(s)),
                                             NumberBatchView<double, Kokkos::HostSpace>(&estimate, 1), workspace);
    CHECK(estimate >= 1 / (spectral::scale_margin * spectral::scale_margin));
    CHECK(estimate <= 1.0001);
  };
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> s("schatten::test::s", n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < n; ++k) {
        const std::size_t row = k == 0 ? 70 : (k == 70 ? 0 : k);
        sum += hadamard(row, i) * hadamard(row, j) * lambda[k] / double(n);
      }
      s(i, j) = sum;
    }
  }
  check(s);
  for (const auto& [a, b] : {std::pair<std::size_t, std::size_t>{28, 21}, {137, 96}, {0, 1}, {100, 200}}) {
    Kokkos::deep_copy(s, 0.0);
    for (std::size_t k = 0, place = 2; k < n; ++k) {
      if (k != a && k != b) s(k, k) = lambda[place++];
    }
    s(a, a) = s(b, b) = 0.5 * (lambda[0] + lambda[1]);
    s(a, b) = s(b, a) = 0.5 * (lambda[1] - lambda[0]);
    check(s);
  }
}

TEST_CASE_TEMPLATE("matrices of 16 bits: the vectors are not rounded to them", T, Half, BFloat16) {
  using C = Case<float, SerialExec, EigenBackend>;
  for (const int kind : {0, 1, 2}) {
    for (const double top : {1.0, 2048.0}) {
      for (const double estimate :
           estimates<T, C>({outlier(100, top, 0.8 * top, kind), outlier(100, top, top, kind)})) {
        CHECK(estimate >= 0.99 * top);
        CHECK(estimate <= 1.0001 * top);
      }
    }
  }
}

TEST_CASE_TEMPLATE("zero gives zero; a NaN stays in its matrix", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  std::vector<std::vector<double>> spectra(3, std::vector<double>(30, 0.0));
  spectra[1][4] = std::numeric_limits<double>::quiet_NaN();
  spectra[2][5] = 2;
  const auto estimate = estimates<T, C>(spectra);
  CHECK(estimate[0] == 0);
  CHECK(std::isnan(estimate[1]));
  CHECK(std::abs(estimate[2] - 2) <= 1e-4);
}
