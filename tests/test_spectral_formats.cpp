// SPDX-License-Identifier: BSD-3-Clause
// Half and BFloat16 as what iterates and quintics store: their promise, in every direction of the matrix as stored.
// labels: accuracy portable

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>
#include <schatten/spectral/iterate_plan.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace {

using namespace schatten;
using namespace schatten::test;

#if defined(SCHATTEN_ENABLE_CUDA)
using C = Case<float, DeviceExec, CudaBackend>;
#else
using C = Case<float, SerialExec, EigenBackend>;
#endif
using Exec = C::Exec;
using Space = Exec::memory_space;
using spectral::IterateForm;

/// What iterate_power<W> works on: M, divided by a power of two, rounded to W.
template <class W>
Matrix stored_by_iterates(const Matrix& m, Workspace<Space>& workspace) {
  const Exec exec;
  const auto in = to_view<float>(m);
  const auto rows = std::size_t(m.rows()), cols = std::size_t(m.cols());
  const Kokkos::View<double*, TestSpace> unit("schatten::test::unit", 1);
  const NumberBatchView<double, Space> numbers_unit(unit.data(), 1);
  const Kokkos::View<W**, Kokkos::LayoutRight, TestSpace> x("schatten::test::x", rows, cols);
  spectral::normalize(exec, as_const(as_batch<Exec>(in)), as_batch<Exec>(x), numbers_unit, workspace);
  exec.fence();
  Matrix stored(m.rows(), m.cols());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) stored(Eigen::Index(i), Eigen::Index(j)) = double(x(i, j)) * unit(0);
  }
  return stored;
}

template <class W>
Matrix iterated(const spectral::IterateFit& fit, double power, const Matrix& m, Workspace<Space>& workspace,
                IterateForm form = IterateForm::direct) {
  const Exec exec;
  const auto in = to_view<float>(m), out = output_view<float>(std::size_t(m.rows()), std::size_t(m.cols()));
  spectral::iterate_power<W, C::Backend>(exec, fit, form, power, as_const(as_batch<Exec>(in)), as_batch<Exec>(out),
                                         workspace);
  exec.fence();
  return to_matrix(out);
}

/// Worst error over the promise, over every spectrum, schedule and power.
template <class W>
double worst_ratio(std::size_t rows, std::size_t cols, IterateForm form) {
  Workspace<Space> workspace;
  double worst = 0;
  for (const Spectrum spectrum : all_spectra) {
    for (std::size_t schedule = 0; schedule < 4; ++schedule) {
      const double resolution = spectral::iterate_schedules[schedule].resolution;
      const Vector sigma = singular_values_of(spectrum, cols, 1.2 * resolution);
      const Matrix m = rounded<float>(known_matrix(rows, cols, sigma, 3).matrix());
      const ReferenceSvd known = reference_svd(stored_by_iterates<W>(m, workspace));
      for (const double power : {-0.25, 0.0, 0.125, 0.5}) {
        const auto fit = spectral::fit_iterates(spectral::iterate_schedules[schedule].steps, power, resolution);
        const double promise = spectral::iterate_error<float, W>(fit, power, resolution, {rows, cols}, form);
        if (!std::isfinite(promise)) continue;
        const Matrix out = iterated<W>(fit, power, m, workspace, form);
        const auto errors = direction_errors(KnownMatrix{known.u, known.sigma, known.v}, power, out);
        for (std::size_t k = 0; k < errors.size(); ++k) {
          const double value = known.sigma(Eigen::Index(k));
          if (value < resolution * known.sigma(0)) continue;
          CAPTURE(to_string(spectrum));
          CAPTURE(power);
          CAPTURE(resolution);
          const double relative = errors[k].along() / std::pow(value, power);
          CHECK(relative <= promise);
          worst = std::max(worst, relative / promise);
        }
      }
    }
  }
  return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("iterates in reduced formats keep their promise for the matrix as stored", W, Half, BFloat16,
                   TensorFloat32) {
  for (const IterateForm form : {IterateForm::direct, IterateForm::tail}) {
    const std::string name = form == IterateForm::direct ? "direct, " : "tail, ";
    MESSAGE(name << "8x8: worst error over promise " << worst_ratio<W>(8, 8, form));
    MESSAGE(name << "40x16: " << worst_ratio<W>(40, 16, form));
    MESSAGE(name << "48x48: " << worst_ratio<W>(48, 48, form));
  }
}

TEST_CASE("the promise of 16 bits: direct form alone, and infinite where rounding takes over") {
  const auto& schedule = spectral::iterate_schedules[2];
  const auto fit = spectral::fit_iterates(schedule.steps, 0.125, schedule.resolution);
  const auto promise = [&]<class W>(W, std::size_t n, IterateForm form) {
    return spectral::iterate_error<float, W>(fit, 0.125, schedule.resolution, {n, n}, form);
  };
  CHECK(std::isinf(promise(Half(), 1024, IterateForm::gram)));
  CHECK(promise(Half(), 1024, IterateForm::direct) < promise(BFloat16(), 1024, IterateForm::direct));
  CHECK(promise(float(), 1024, IterateForm::direct) < promise(Half(), 1024, IterateForm::direct));
  CHECK(promise(Half(), 1024, IterateForm::direct) <= 1e-2);
  CHECK(promise(Half(), 64, IterateForm::direct) > promise(Half(), 1024, IterateForm::direct));
}

TEST_CASE_TEMPLATE("Gaussian and k^(-1/2) spectra in 16 bits, Frobenius error", W, Half, BFloat16) {
  // The spectra that gradients resemble; errors of the rounding of M itself are counted here.
  Workspace<Space> workspace;
  const std::size_t n = 192;
  const auto& schedule = spectral::iterate_schedules[2];
  const auto fit = spectral::fit_iterates(schedule.steps, 0.125, schedule.resolution);
  Vector falling(static_cast<Eigen::Index>(n));
  for (std::size_t k = 0; k < n; ++k) falling(Eigen::Index(k)) = 1 / std::sqrt(double(k + 1));
  for (const bool normal : {true, false}) {
    const Matrix m = rounded<float>(normal ? gaussian(2 * n, n, 1) : known_matrix(2 * n, n, falling, 1).matrix());
    const ReferenceSvd svd = reference_svd(m);
    const Matrix exact = KnownMatrix{svd.u, svd.sigma, svd.v}.power(0.125);
    const double error = (iterated<W>(fit, 0.125, m, workspace) - exact).norm() / exact.norm();
    MESSAGE((normal ? "Gaussian: " : "k^(-1/2): ") << error);
    CHECK(error <= (std::is_same_v<W, Half> ? 1e-2 : 2e-2));
  }
}

TEST_CASE_TEMPLATE("zeros, non-finite and huge matrices in 16 bits", W, Half, BFloat16) {
  Workspace<Space> workspace;
  const auto& schedule = spectral::iterate_schedules[0];
  const auto fit = spectral::fit_iterates(schedule.steps, 0.125, schedule.resolution);
  CHECK(max_abs(iterated<W>(fit, 0.125, Matrix::Zero(6, 4), workspace)) == 0);
  Matrix bad = gaussian(6, 4, 1);
  bad(2, 3) = std::numeric_limits<double>::infinity();
  CHECK(all_nan(iterated<W>(fit, 0.125, bad, workspace)));
  const Matrix m = rounded<float>(gaussian(20, 12, 2)), plain = iterated<W>(fit, 0.125, m, workspace);
  for (const double scale : {0x1p-80, 0x1p+80}) {  // powers of two: the same digits
    const Matrix scaled = iterated<W>(fit, 0.125, m * scale, workspace) / std::pow(scale, 0.125);
    CHECK(max_abs(scaled - plain) <= 1e-6 * max_abs(plain));
  }
}

TEST_CASE_TEMPLATE("columns longer than the largest 16-bit number", W, Half, BFloat16) {
  // Entries of the Gram matrix of numbers up to 2 reach 4 m.
  Workspace<Space> workspace;
  const auto& schedule = spectral::iterate_schedules[0];
  const auto fit = spectral::fit_iterates(schedule.steps, 0.5, schedule.resolution);
  const Matrix ones = Matrix::Ones(70000, 2);
  const double sigma = std::sqrt(140000.0);
  CHECK(max_abs(iterated<W>(fit, 0.5, 1.9 * ones, workspace) - std::sqrt(1.9 / sigma) * ones) <=
        0.03 * std::sqrt(1.9 / sigma));
}

#if defined(SCHATTEN_ENABLE_CUDA)
TEST_CASE("a group in 16 bits needs no promise for matrices smaller than its own") {
  Optimizer<float, Exec, C::Backend> optimizer;
  const auto options = [](Format format, double tolerance) {
    return HTMuonOptions{
        .map = {.method = SpectralMethod::iterates, .resolution = 3e-3, .tolerance = tolerance, .format = format}};
  };
  const GroupId group = optimizer.add_group(options(Format::float16, 1e-2));
  CHECK_NOTHROW(optimizer.add_group(options(Format::bfloat16, 3e-2)));
  CHECK_THROWS_AS(optimizer.add_group(options(Format::bfloat16, 1e-3)), InvalidArgument);
  CHECK_NOTHROW(optimizer.set_power(group, 0.25));
  const auto add = [&](std::size_t n) {
    optimizer.add(group, std::to_string(n), Kokkos::View<float**, Space>("schatten::test::w", n, n),
                  Kokkos::View<float**, Space>("schatten::test::g", n, n));
  };
  CHECK_NOTHROW(add(512));
  CHECK(contains(message_of<InvalidArgument>([&] { add(2); }), "tolerance = 0.01"));
}
#endif

TEST_CASE("plans choose formats where the backend multiplies them, and say so where it does not") {
  const auto plan = [](Format format, SpectralMethod method, double power, double tolerance) {
    return SpectralPower<float, Exec, C::Backend>({.rows = 1024,
                                                   .cols = 1024,
                                                   .power = power,
                                                   .resolution = 3e-3,
                                                   .tolerance = tolerance,
                                                   .method = method,
                                                   .format = format});
  };
  CHECK(plan(Format::scalar, SpectralMethod::iterates, 0.125, 1e-2).format() == Format::scalar);
  CHECK(plan(Format::float64, SpectralMethod::iterates, 0.125, 1e-2).format() == Format::float64);
  CHECK(contains(message_of<InvalidArgument>([&] { plan(Format::scalar, SpectralMethod::svd, 0.125, 1e-2); }),
                 "must be automatic for the method svd"));
#if defined(SCHATTEN_ENABLE_CUDA)
  CHECK(plan(Format::automatic, SpectralMethod::iterates, 0.125, 1e-2).format() == Format::float16);
  CHECK(plan(Format::automatic, SpectralMethod::iterates, 0.125, 1e-2).steps() == 5);
  CHECK(plan(Format::float16, SpectralMethod::automatic, 0.125, 1e-2).method() == SpectralMethod::iterates);
  CHECK(plan(Format::bfloat16, SpectralMethod::quintic, 0.0, 2).format() == Format::bfloat16);
  CHECK(plan(Format::tf32, SpectralMethod::iterates, 0.125, 3e-2).format() == Format::tf32);
  CHECK(plan(Format::automatic, SpectralMethod::iterates, 0.125, 1.9e-3).format() == Format::scalar);
  CHECK_THROWS_AS(plan(Format::bfloat16, SpectralMethod::iterates, 0.125, 1e-3), InvalidArgument);
#else
  CHECK(contains(message_of<InvalidArgument>([&] { plan(Format::float16, SpectralMethod::iterates, 0.125, 1e-2); }),
                 "needs float matrices and a backend that multiplies such numbers"));
#endif
}
