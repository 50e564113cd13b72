// SPDX-License-Identifier: BSD-3-Clause
// The map commutes with transposition, layout, batching, scaling and orthogonal multiplication.

#include "support/known_spectrum.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr std::size_t rows = 21, cols = 13;

/// Every method that can, at the powers that matter.
template <class C>
std::vector<SpectralPowerOptions> plans(std::size_t m, std::size_t n) {
  std::vector<SpectralPowerOptions> options;
  for (const double p : {-0.25, 0.0, 0.125, 1.0}) {
    for (const SpectralMethod method : {SpectralMethod::svd, SpectralMethod::eigh, SpectralMethod::quintic}) {
      if (method == SpectralMethod::quintic && p != 0) continue;
      options.push_back({.rows = m, .cols = n, .power = p, .resolution = 0.1, .tolerance = 2, .method = method});
      if (method == SpectralMethod::quintic) options.back().format = whole_format<C>;
      if (method == SpectralMethod::eigh) {  // a Gram matrix in double, where T is float
        options.push_back({.rows = m, .cols = n, .power = p, .resolution = 0.1, .tolerance = 2e-5, .method = method});
      }
    }
    for (const SpectralMethod method : {SpectralMethod::rational, SpectralMethod::iterates}) {
      if (method == SpectralMethod::rational && !has_rational<C>) continue;
      options.push_back({.rows = m, .cols = n, .power = p, .resolution = 0.1, .tolerance = 0.03, .method = method});
      if (method == SpectralMethod::iterates) options.back().format = whole_format<C>;
    }
  }
  return options;
}

template <class C, class VM, class VO>
void apply(const SpectralPowerOptions& options, const VM& m, const VO& out) {
  static const auto fits = std::make_shared<spectral::FitCaches>();  // they take milliseconds
  const typename C::Exec exec;
  SpectralPower<typename C::Scalar, typename C::Exec, typename C::Backend> power(options, fits);
  power.apply(exec, m, out);
  exec.fence();
}

template <class C>
Matrix applied(const SpectralPowerOptions& options, const Matrix& m) {
  const auto in = to_view<typename C::Scalar>(m), out = output_view<typename C::Scalar>(options.rows, options.cols);
  apply<C>(options, in, out);
  return to_matrix(out);
}

/// Condition 10, entries already rounded to T.
template <class T>
Matrix well_conditioned(unsigned seed) {
  return rounded<T>(known_matrix(rows, cols, singular_values_of(Spectrum::geometric, cols, 0.1), seed).matrix());
}

/// Two computations of the same matrix, each within the error of the map.
template <class T>
double tolerance(const SpectralPowerOptions& options) {
  return 200 * epsilon<T> * (options.power < 0 ? 2 : 1);
}

/// The approximate methods see σ relative to an estimate of σ₁, which another basis changes a little.
template <class T>
double tolerance_in_another_basis(const SpectralPowerOptions& options) {
  const bool exact = options.method != SpectralMethod::rational && options.method != SpectralMethod::iterates;
  const double largest = std::max(1.0, std::pow(options.resolution, options.power));
  return tolerance<T>(options) + (exact ? 0.0 : 2 * options.tolerance * largest);
}

}  // namespace

TEST_CASE_TEMPLATE("layout and batch change nothing, to the last bit", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const SpectralPowerOptions& options : plans<C>(rows, cols)) {
    CAPTURE(to_string(options.method));
    CAPTURE(options.power);
    const std::size_t batch = 5;
    std::vector<Matrix> wanted;
    for (std::size_t b = 0; b < batch; ++b) wanted.push_back(applied<C>(options, well_conditioned<T>(unsigned(b))));
    for_each_storage([&](auto storage) {
      CAPTURE(to_string(storage));
      const Batch<T, storage> m(batch, rows, cols), out(batch, rows, cols);
      for (std::size_t b = 0; b < batch; ++b) assign(m.matrix(b), well_conditioned<T>(unsigned(b)));
      apply<C>(options, m.view(), out.view());
      // The last product of a map reads rows or columns as `out` is stored, and may sum in another order.
      const bool same_storage = bits_repeat<C> && (storage == Storage::right || storage == Storage::window);
      for (std::size_t b = 0; b < batch; ++b) {
        const double difference = max_abs(to_matrix(out.matrix(b)) - wanted[b]);
        CHECK(difference <= (same_storage ? 0.0 : tolerance<T>(options)));
        CHECK(to_matrix(m.matrix(b)) == well_conditioned<T>(unsigned(b)));
      }
      // One matrix of the batch, as a View of rank 2, gives what the batch gave.
      const Batch<T, storage> single(batch, rows, cols);
      apply<C>(options, m.matrix(3), single.matrix(3));
      CHECK(max_abs(to_matrix(single.matrix(3)) - to_matrix(out.matrix(3))) <=
            (bits_repeat<C> ? 0.0 : tolerance<T>(options)));
      CHECK(out.surroundings_intact());
    });
  }
}

TEST_CASE_TEMPLATE("transposition commutes with the map", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (SpectralPowerOptions options : plans<C>(rows, cols)) {
    CAPTURE(to_string(options.method));
    CAPTURE(options.power);
    const Matrix m = well_conditioned<T>(1), out = applied<C>(options, m);
    std::swap(options.rows, options.cols);
    CHECK(max_abs(applied<C>(options, m.transpose()) - out.transpose()) <= tolerance<T>(options));
  }
}

TEST_CASE_TEMPLATE("scaling by c scales the output by c^p", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const SpectralPowerOptions& options : plans<C>(rows, cols)) {
    CAPTURE(to_string(options.method));
    CAPTURE(options.power);
    const Matrix m = well_conditioned<T>(2), out = applied<C>(options, m);
    // 2^k with k·p an integer: every operation scales exactly.
    for (const int exponent : {-96, -8, 8, 96}) {
      CAPTURE(exponent);
      const double factor = std::ldexp(1.0, int(exponent * options.power));
      const Matrix scaled = applied<C>(options, std::ldexp(1.0, exponent) * m);
      // Square roots of the factor enter V on the way: those are exact for even powers of two alone.
      // A device's power of a power of two may be off by a digit.
      const bool exact = is_host_execution_space<typename C::Exec> &&
                         (options.method != SpectralMethod::eigh || int(exponent * options.power) % 2 == 0);
      CHECK(max_abs(scaled / factor - out) <= (exact ? 0.0 : tolerance<T>(options)));
    }
    for (const double scale : {1e-30, 1e30}) {
      const Matrix scaled = applied<C>(options, scale * m);
      CHECK(max_abs(scaled / std::pow(scale, options.power) - out) <= tolerance<T>(options));
    }
  }
}

TEST_CASE_TEMPLATE("orthogonal matrices pass through on either side", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix left = random_orthogonal(rows, rows, 21), right = random_orthogonal(cols, cols, 22);
  for (const SpectralPowerOptions& options : plans<C>(rows, cols)) {
    CAPTURE(to_string(options.method));
    CAPTURE(options.power);
    const Matrix m = well_conditioned<T>(3), out = applied<C>(options, m);
    const double allowed = tolerance_in_another_basis<T>(options);
    CHECK(max_abs(applied<C>(options, left * m) - left * out) <= allowed);
    CHECK(max_abs(applied<C>(options, m * right) - out * right) <= allowed);
  }
}

TEST_CASE_TEMPLATE("p = 1 gives M back, and powers add up", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix m = well_conditioned<T>(4);
  for (const SpectralMethod method : {SpectralMethod::svd, SpectralMethod::eigh}) {
    SpectralPowerOptions options{.rows = rows, .cols = cols, .power = 1, .resolution = 0.1, .method = method};
    CHECK(max_abs(applied<C>(options, m) - m) <= tolerance<T>(options));
    options.power = 0.5;  // (Σ^½)^½ = Σ^¼
    const Matrix half = applied<C>(options, m), quarter = applied<C>(options, half);
    options.power = 0.25;
    CHECK(max_abs(applied<C>(options, m) - quarter) <= 2 * tolerance<T>(options));
  }
}

TEST_CASE_TEMPLATE("set_power and a shared workspace give what a fresh plan gives", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const Matrix m = well_conditioned<T>(5);
  SpectralPower<T, typename C::Exec, typename C::Backend> power({.rows = rows, .cols = cols, .resolution = 0.1});
  Workspace<typename C::Exec::memory_space> workspace;
  for (const double p : {0.5, -0.25, 0.0, 1.0, 0.125}) {
    power.set_power(p);
    const auto in = to_view<T>(m), own = output_view<T>(rows, cols), shared = output_view<T>(rows, cols);
    power.apply(exec, in, own);
    power.apply(exec, in, shared, workspace);
    exec.fence();
    const Matrix fresh = applied<C>({.rows = rows, .cols = cols, .power = p, .resolution = 0.1}, m);
    CHECK(to_matrix(own) == fresh);
    CHECK(to_matrix(shared) == fresh);
  }
}
