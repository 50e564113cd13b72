// SPDX-License-Identifier: BSD-3-Clause
// labels: bare
// Hill's estimator against its definition on known spectra.

#include "support/errors.hpp"
#include "support/instantiations.hpp"
#include "support/known_spectrum.hpp"
#include "support/typed.hpp"
#include <schatten/diagnostics/hill.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

/// 1 + k / Σ_{i<=k} ln(λ_i/λ_{k+1}) of the eigenvalues λ = σ² of WᵀW.
double hill_of(const Vector& sigma, std::size_t k) {
  std::vector<double> lambda;
  for (Eigen::Index i = 0; i < sigma.size(); ++i) lambda.push_back(sigma(i) * sigma(i));
  std::sort(lambda.rbegin(), lambda.rend());
  double sum = 0;
  for (std::size_t i = 0; i < k; ++i) sum += std::log(lambda[i] / lambda[k]);
  return 1 + double(k) / sum;
}

}  // namespace

TEST_CASE_TEMPLATE("hill_alpha is what the singular values give", Case, SCHATTEN_TEST_CASES) {
  using T = typename Case::Scalar;
  const typename Case::Exec exec;
  for (const bool tall : {true, false}) {
    const std::size_t rows = tall ? 24 : 10, cols = tall ? 10 : 24;
    const Spectrum spectrum = tall ? Spectrum::geometric : Spectrum::harmonic;
    const KnownMatrix known = known_matrix(rows, cols, singular_values_of(spectrum, 10, 0.01), 5);
    for_each_storage([&](auto storage) {
      const Batch<T, decltype(storage)::value> w(1, rows, cols);
      const double scale = storage.value == Storage::left ? 1e30 : storage.value == Storage::window ? 1e-30 : 1.0;
      assign(w.matrix(), scale * known.matrix());
      const Matrix before = to_matrix(w.matrix());
      for (const std::size_t k : {1U, 5U, 9U}) {
        const double alpha = hill_alpha<typename Case::Backend>(exec, w.matrix(), k);
        CAPTURE(to_string(storage.value));
        CAPTURE(scale);
        CAPTURE(k);
        // σ_k+1 >= 0.01 carries a relative error of about 100 ε.
        CHECK(std::abs(alpha - hill_of(known.sigma, k)) < 200 * epsilon<T> * alpha * alpha);
        if (k == 5) CHECK(hill_alpha<typename Case::Backend>(exec, w.matrix()) == alpha);
      }
      CHECK(to_matrix(w.matrix()) == before);
    });
  }
}

TEST_CASE("a power law of exponent α gives α back") {
  // Eigenvalues at the quantiles of a density ~ λ^-α: λ_i = i^(-1/(α-1)). The estimate tends to α.
  const Kokkos::DefaultHostExecutionSpace exec;
  for (const double alpha : {2.0, 3.0, 5.0}) {
    Vector sigma(60);
    for (Eigen::Index i = 0; i < 60; ++i) sigma(i) = std::pow(double(i + 1), -0.5 / (alpha - 1));
    const auto w = to_view<double>(known_matrix(80, 60, sigma, 1).matrix());
    CHECK(std::abs(hill_alpha(exec, w) - hill_of(sigma, 30)) < 1e-10);
    CHECK(std::abs(hill_alpha(exec, w) - alpha) < 0.06 * alpha);
  }
}

TEST_CASE("a flat spectrum has no tail, a zero matrix and one with a NaN have no estimate") {
  const Kokkos::DefaultHostExecutionSpace exec;
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(hill_alpha(exec, to_view<double>(Matrix::Identity(6, 4))) == infinity);
  CHECK(hill_alpha(exec, to_view<float>(3 * Matrix::Identity(5, 5)), 1) == infinity);
  CHECK(hill_alpha(exec, to_view<double>(random_orthogonal(9, 6, 1))) > 1e12);
  CHECK(std::isnan(hill_alpha(exec, to_view<double>(Matrix::Zero(6, 4)))));
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), infinity, -infinity}) {
    const auto w = to_view<float>(gaussian(6, 4, 1));
    w(5, 3) = float(bad);
    CHECK(std::isnan(hill_alpha(exec, w)));
  }
  Matrix diagonal = Matrix::Zero(4, 4);
  diagonal(0, 0) = 2;
  diagonal(1, 1) = 1;
  CHECK(std::abs(hill_alpha(exec, to_view<double>(diagonal), 1) - (1 + 1 / std::log(4.0))) < 1e-14);
  CHECK(std::isnan(hill_alpha(exec, to_view<double>(diagonal), 2)));
  CHECK(std::abs(hill_alpha({1e300, 1e-300}, 1) - (1 + 1 / (1200 * std::log(10.0)))) < 1e-15);
}

TEST_CASE("hill_alpha refuses k and matrices out of range") {
  const Kokkos::DefaultHostExecutionSpace exec;
  const auto w = to_view<double>(gaussian(6, 4, 1));
  CHECK_NOTHROW(hill_alpha(exec, w, 3));
  CHECK(contains(message_of([&] { hill_alpha(exec, w, 4); }), "hill_alpha: k = 4, but it must be smaller than"));
  CHECK(contains(message_of([&] { hill_alpha(exec, w, 100); }), "k = 100"));
  const auto row = to_view<double>(gaussian(1, 4, 1));
  CHECK(contains(message_of([&] { hill_alpha(exec, row); }), "min(rows, cols) = 1"));
  const auto empty = to_view<double>(Matrix::Zero(0, 4));
  CHECK(contains(message_of([&] { hill_alpha(exec, empty); }), "min(rows, cols) = 0"));
}
