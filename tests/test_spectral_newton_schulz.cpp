// SPDX-License-Identifier: BSD-3-Clause
// HTMuon_NS: against its recipe in double with plain Eigen, its known errors, inputs at the edges.
// labels: accuracy

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/tool_events.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/newton_schulz.hpp>

#include <limits>
#include <string>

namespace {

using namespace schatten;
using namespace schatten::test;

/// The recipe, step by step: the polar factor on the wide side, roots of the cols×cols Gram matrix.
Matrix recipe(const Matrix& m, int roots) {
  const bool tall = m.rows() > m.cols();
  Matrix x = (tall ? Matrix(m.transpose()) : m) / (m.norm() + 1e-7);
  for (int step = 0; step < 5; ++step) {
    const Matrix a = x * x.transpose();
    x = (3.4445 * x + (-4.7750 * a + 2.0315 * a * a) * x).eval();
  }
  const Matrix identity = Matrix::Identity(m.cols(), m.cols());
  Matrix s = m.transpose() * m + 1e-6 * identity;
  for (int root = 0; root < roots; ++root) {
    const double alpha = s.norm();
    Matrix y = s / alpha, z = identity;
    for (int step = 0; step < 5; ++step) {
      const Matrix t = 3 * identity - z * y;
      y = (0.5 * y * t).eval();
      z = (0.5 * t * z).eval();
    }
    s = std::sqrt(alpha) * (0.5 * (y + y.transpose())) + 1e-6 * identity;
  }
  return (tall ? Matrix(x.transpose()) : x) * s;
}

/// The library's output for `m`, as matrix 1 of a batch of 3 of the layout `storage`.
template <class C, Storage storage>
Matrix applied(const Matrix& m, double power) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const auto rows = std::size_t(m.rows()), cols = std::size_t(m.cols());
  const Batch<T, storage> in(3, rows, cols), out(3, rows, cols);
  for (std::size_t b = 0; b < 3; ++b) assign(in.matrix(b), b == 1 ? m : gaussian(rows, cols, unsigned(b)));
  Workspace<typename C::Exec::memory_space> workspace;
  const auto batch_in = as_batch<typename C::Exec>(in.view());
  spectral::newton_schulz_power<typename C::Backend>(exec, power, as_const(batch_in),
                                                     as_batch<typename C::Exec>(out.view()), workspace);
  exec.fence();
  const Matrix result = to_matrix(out.matrix(1));
  CHECK(max_abs(to_matrix(in.matrix(1)) - rounded<T>(m)) == 0);
  CHECK(out.surroundings_intact());
  return result;
}

double relative_error(const Matrix& got, const Matrix& wanted) { return (got - wanted).norm() / wanted.norm(); }

/// Relative Frobenius error, in float, against UΣ^{1/8}Vᵀ of m/σ₁.
double published_error(const Matrix& m) {
  ReferenceSvd svd = reference_svd(m);
  const double largest = svd.sigma(0);
  svd.sigma /= largest;
  const Matrix wanted = KnownMatrix{svd.u, svd.sigma, svd.v}.power(0.125);
  const ThreadedExec exec;
  const auto in = to_view<float>(m / largest), out = output_view<float>(std::size_t(m.rows()), std::size_t(m.cols()));
  Workspace<ThreadedExec::memory_space> workspace;
  spectral::newton_schulz_power<EigenBackend>(exec, 0.125, as_const(as_batch<ThreadedExec>(in)),
                                              as_batch<ThreadedExec>(out), workspace);
  exec.fence();
  return relative_error(to_matrix(out), wanted);
}

}  // namespace

TEST_CASE_TEMPLATE("agrees with the recipe for every shape, layout and power", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  constexpr std::pair<std::size_t, std::size_t> shapes[] = {{24, 16}, {16, 16}, {1, 5}, {6, 1}, {16, 24}};
  double worst = 0;
  for (const auto& [rows, cols] : shapes) {
    const std::size_t n = std::min(rows, cols);
    for (const double scale : {1.0, 0.05, 30.0}) {
      const Matrix m =
          rounded<T>(scale * known_matrix(rows, cols, singular_values_of(Spectrum::geometric, n, 0.1), 3).matrix());
      for (int k = 0; k <= 4; ++k) {
        const double power = std::ldexp(1.0, -k);
        const Matrix wanted = recipe(m, k + 1);
        CAPTURE(rows);
        CAPTURE(scale);
        CAPTURE(power);
        for_each_storage([&](auto storage) {
          if (storage.value != Storage::right && (k != 3 || scale != 1.0)) return;
          const double error = relative_error(applied<C, storage.value>(m, power), wanted) / epsilon<T>;
          CHECK(error < 40);
          worst = std::max(worst, error);
        });
      }
    }
  }
  MESSAGE("largest relative difference from the recipe: " << worst << " ε");
}

TEST_CASE("the method's own errors at p = 1/8: 0.34, 0.17, 0.76, 0.64") {
  const auto known = [](Spectrum spectrum, double lowest) {
    return known_matrix(256, 256, singular_values_of(spectrum, 256, lowest), 4).matrix();
  };
  struct {
    std::string spectrum;
    Matrix m;
    double error;
  } const cases[] = {{"Gaussian 256x256", gaussian(256, 256, 1), 0.34},
                     {"Gaussian 1024x256", gaussian(1024, 256, 2), 0.17},
                     {"1/k", known(Spectrum::harmonic, 0.0), 0.76},
                     {"geometric to 1e-4", known(Spectrum::geometric, 1e-4), 0.64}};
  for (const auto& [spectrum, m, expected] : cases) {
    CAPTURE(spectrum);
    const double error = published_error(m);
    CHECK(std::abs(error - expected) <= 0.05 * expected);
    MESSAGE(spectrum << ": relative Frobenius error " << error);
  }
}

TEST_CASE_TEMPLATE("a scale above one is a change of units", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix m = rounded<T>(4 * known_matrix(14, 10, singular_values_of(Spectrum::geometric, 10, 0.2), 5).matrix());
  // The ridge no longer counts from here on, so that the output scales as that of UΣ^pVᵀ does.
  const Matrix out = applied<C, Storage::right>(1024.0 * m, 0.125);
  for (const double scale : {std::ldexp(1.0, 98), double(std::numeric_limits<T>::max()) / 16}) {
    const Matrix scaled = applied<C, Storage::right>(scale * m, 0.125);
    CHECK(relative_error(scaled / std::pow(scale / 1024, 0.125), out) < 1e-5);
  }
}

TEST_CASE_TEMPLATE("below the ridge: M·1e7 times the root of the ridge", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix m = rounded<T>(1e-30 * gaussian(9, 6, 1));
  CHECK(relative_error(applied<C, Storage::right>(m, 0.5), recipe(m, 2)) < 40 * epsilon<T>);
  CHECK(max_abs(applied<C, Storage::right>(Matrix::Zero(9, 6), 0.125)) == 0);
  CHECK(max_abs(applied<C, Storage::right>(Matrix::Zero(6, 9), 0.5)) == 0);
}

TEST_CASE_TEMPLATE("a matrix with a NaN or an infinity is NaN throughout, its neighbours are not", C,
                   SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  for (const T bad : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()}) {
    const Batch<T, Storage::right> in(3, 9, 6), out(3, 9, 6);
    for (std::size_t b = 0; b < 3; ++b) assign(in.matrix(b), gaussian(9, 6, unsigned(b)));
    in.view()(1, 4, 3) = bad;
    Workspace<typename Exec::memory_space> workspace;
    spectral::newton_schulz_power<typename C::Backend>(exec, 0.25, as_const(as_batch<Exec>(in.view())),
                                                       as_batch<Exec>(out.view()), workspace);
    exec.fence();
    CHECK(all_nan(to_matrix(out.matrix(1))));
    for (const std::size_t b : {0U, 2U}) {
      const Matrix wanted = recipe(to_matrix(in.matrix(b)), 3);
      CHECK(relative_error(to_matrix(out.matrix(b)), wanted) < 1000 * epsilon<T>);
    }
  }
}

TEST_CASE_TEMPLATE("empty matrices, labels, and no allocation in a second call", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  Workspace<typename Exec::memory_space> workspace;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{0, 5}, {5, 0}, {12, 9}}) {
    const Batch<T, Storage::right> in(2, rows, cols), out(2, rows, cols);
    for (std::size_t b = 0; b < 2; ++b) assign(in.matrix(b), gaussian(rows, cols, unsigned(b)));
    const auto apply = [&] {
      spectral::newton_schulz_power<typename C::Backend>(exec, 0.125, as_const(as_batch<Exec>(in.view())),
                                                         as_batch<Exec>(out.view()), workspace);
      exec.fence();
    };
    apply();
    const ToolEvents events;
    apply();
    CHECK(events.allocations().empty());
    CHECK(foreign_labels(ToolEvents::kernels()).empty());
  }
}

TEST_CASE("a power that is not 1/2^k is refused") {
  using Exec = SerialExec;
  const Exec exec;
  const auto m = to_view<float>(gaussian(4, 3, 1)), out = to_view<float>(gaussian(4, 3, 2));
  const Matrix before = to_matrix(out);
  Workspace<Exec::memory_space> workspace;
  const auto apply = [&](double power) {
    spectral::newton_schulz_power<EigenBackend>(exec, power, as_const(as_batch<Exec>(m)), as_batch<Exec>(out),
                                                workspace);
  };
  for (const double power : {0.0, 0.3, 0.75, 2.0, -0.125, std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity()}) {
    CAPTURE(power);
    const std::string message = message_of([&] { apply(power); });
    CHECK(contains(message, "schatten::spectral::newton_schulz_power: power = "));
  }
  CHECK(contains(message_of([&] { apply(0.3); }), "power = 0.3, but it must be 1, 1/2, 1/4"));
  CHECK(to_matrix(out) == before);
}
