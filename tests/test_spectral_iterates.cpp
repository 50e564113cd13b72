// SPDX-License-Identifier: BSD-3-Clause
// The iterate method in both forms: its promise in every direction, batches, shapes, precisions, extreme input.
// labels: accuracy

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/iterate_plan.hpp>
#include <schatten/spectral/iterate_power.hpp>
#include <schatten/spectral/schedules.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using spectral::IterateFit;
using spectral::IterateForm;

constexpr IterateForm forms[] = {IterateForm::direct, IterateForm::tail, IterateForm::gram};

std::string to_string(IterateForm form) {
  return form == IterateForm::direct ? "direct" : (form == IterateForm::tail ? "tail" : "gram");
}

/// iterate_power in precision Work on a matrix of scalar T.
template <class T, class Work, class Backend, class Exec>
Matrix applied(const Exec& exec, const IterateFit& fit, double power, const Matrix& m, IterateForm form,
               Workspace<typename Exec::memory_space>& workspace) {
  const auto in = to_view<T>(m), out = output_view<T>(std::size_t(m.rows()), std::size_t(m.cols()));
  spectral::iterate_power<Work, Backend>(exec, fit, form, power, as_const(as_batch<Exec>(in)), as_batch<Exec>(out),
                                         workspace);
  exec.fence();
  return to_matrix(out);
}

struct Plan {
  double power, resolution;
  IterateFit fit;
};

std::vector<Plan> plans(std::initializer_list<double> powers) {
  std::vector<Plan> all;
  for (const double power : powers) {
    for (const spectral::Schedule& schedule : spectral::iterate_schedules) {
      all.push_back({power, schedule.resolution, spectral::fit_iterates(schedule.steps, power, schedule.resolution)});
    }
  }
  return all;
}

/// Worst measured error over the promise, for one shape and every spectrum.
template <class T, class Work, class C>
double worst_ratio(std::size_t rows, std::size_t cols, const std::vector<Plan>& plans, bool all_lowest) {
  const typename C::Exec exec;
  Workspace<typename C::Exec::memory_space> workspace;
  const std::size_t n = std::min(rows, cols);
  double worst = 0;
  for (const Spectrum spectrum : all_spectra) {
    for (const double lowest : {1e-1, 3e-3, 1.001e-4, 1e-7}) {
      if (!all_lowest && (lowest == 1e-1 || lowest == 1e-7)) continue;
      const KnownMatrix made = known_matrix(rows, cols, singular_values_of(spectrum, n, lowest), 3);
      const KnownMatrix known = stored<T>(made);
      const Matrix m = made.matrix();
      for (const Plan& plan : plans) {
        for (const IterateForm form : forms) {
          const double promise =
              spectral::iterate_error<T, Work>(plan.fit, plan.power, plan.resolution, {std::max(rows, cols), n}, form);
          CAPTURE(to_string(spectrum));
          CAPTURE(lowest);
          CAPTURE(plan.power);
          CAPTURE(plan.resolution);
          CAPTURE(to_string(form));
          CHECK((std::isfinite(promise) || (form == IterateForm::gram && std::abs(plan.power) > 0.4)));
          if (!std::isfinite(promise)) continue;
          const Matrix out = applied<T, Work, typename C::Backend>(exec, plan.fit, plan.power, m, form, workspace);
          const auto errors = direction_errors(known, plan.power, out);
          for (std::size_t k = 0; k < errors.size(); ++k) {
            const double sigma = known.sigma(Eigen::Index(k));
            if (sigma < plan.resolution * known.sigma(0)) continue;
            const double relative = errors[k].worst() / std::pow(sigma, plan.power);
            CHECK(relative <= promise);
            worst = std::max(worst, relative / promise);
          }
        }
      }
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("float and double keep the promise in every direction, square, tall and wide") {
  using C = Case<float, SerialExec, EigenBackend>;
  const auto all = plans({-0.49, -0.25, 0.0, 0.125, 0.5, 0.9});
  MESSAGE("float 48x48: worst error over promise " << worst_ratio<float, float, C>(48, 48, all, true));
  MESSAGE("double 40x24: " << worst_ratio<double, double, C>(40, 24, all, true));
  const auto few = plans({-0.25, 0.125, 1.0});
  MESSAGE("float 96x16: " << worst_ratio<float, float, C>(96, 16, few, true));
  MESSAGE("float 24x72: " << worst_ratio<float, float, C>(24, 72, few, true));
  MESSAGE("float in double 24x24: " << worst_ratio<float, double, C>(24, 24, few, true));
}

TEST_CASE_TEMPLATE("every execution space and backend keeps the promise", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  MESSAGE("worst " << worst_ratio<T, T, C>(24, 20, plans({0.125}), false));
}

TEST_CASE("products over blocks, 160 columns, keep the promise") {
  using C = Case<float, SerialExec, EigenBackend>;
  std::vector<Plan> fine = plans({0.125});
  fine.erase(fine.begin(), fine.end() - 2);
  MESSAGE("worst " << worst_ratio<float, float, C>(200, 160, fine, false));
}

TEST_CASE_TEMPLATE("a batch gives each matrix what it gets alone; NaN and zero stay where they are", C,
                   SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  using Backend = typename C::Backend;
  const Exec exec;
  Workspace<typename Exec::memory_space> workspace;
  const auto fit = spectral::fit_iterates(spectral::iterate_schedules[2].steps, 0.125, 3e-3);
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{30, 17}, {17, 30}}) {
    for (const IterateForm form : forms) {
      const Batch<T, Storage::left> m(5, rows, cols), out(5, rows, cols);
      for (std::size_t b = 0; b < 5; ++b) assign(m.matrix(b), std::pow(10.0, double(b)) * gaussian(rows, cols, 7));
      assign(m.matrix(1), Matrix::Zero(Eigen::Index(rows), Eigen::Index(cols)));
      m.view()(3, 2, 4) = std::numeric_limits<T>::quiet_NaN();
      spectral::iterate_power<T, Backend>(exec, fit, form, 0.125, as_const(as_batch<Exec>(m.view())),
                                          as_batch<Exec>(out.view()), workspace);
      exec.fence();
      CHECK(max_abs(to_matrix(out.matrix(1))) == 0);
      CHECK(all_nan(to_matrix(out.matrix(3))));
      const Matrix alone = applied<T, T, Backend>(exec, fit, 0.125, to_matrix(m.matrix(0)), form, workspace);
      CHECK(max_abs(to_matrix(out.matrix(0)) - alone) <= 50 * epsilon<T>);
      for (const std::size_t b : {2U, 4U}) {  // f(sM) = s^p f(M)
        CHECK(max_abs(to_matrix(out.matrix(b)) - std::pow(10.0, 0.125 * double(b)) * alone) <= 500 * epsilon<T>);
      }
    }
  }
}

TEST_CASE_TEMPLATE("any scale is legal", T, float, double) {
  using C = Case<T, SerialExec, EigenBackend>;
  const SerialExec exec;
  Workspace<Kokkos::HostSpace> workspace;
  const KnownMatrix known = known_matrix(24, 16, singular_values_of(Spectrum::geometric, 16, 1e-2), 5);
  for (const double p : {-0.25, 0.0, 0.125, 1.0}) {
    const auto fit = spectral::fit_iterates(spectral::iterate_schedules[1].steps, p, 1e-2);
    for (const double scale : {1e-30, 1e30}) {
      for (const IterateForm form : forms) {
        KnownMatrix scaled = known;
        scaled.sigma *= scale;
        const Matrix out = applied<T, T, typename C::Backend>(exec, fit, p, scaled.matrix(), form, workspace);
        const auto errors = direction_errors(scaled, p, out);
        const double promise = spectral::iterate_error<T, T>(fit, p, 1e-2, {24, 16}, form);
        for (std::size_t k = 0; k < errors.size(); ++k) {
          // The rounding of the input matters too: the known directions are those of the unrounded matrix.
          const double relative = errors[k].worst() / std::pow(scaled.sigma(Eigen::Index(k)), p);
          CHECK(relative <= promise + 4 * epsilon<T> / 1e-2);
        }
      }
    }
  }
}

TEST_CASE("matrices whose largest singular vector has no structure to hide behind") {
  // Equal entries, one entry, equal columns up to sign: starts that are orthogonal to such vectors would miss σ₁.
  const SerialExec exec;
  Workspace<Kokkos::HostSpace> workspace;
  const auto fit = spectral::fit_iterates(spectral::iterate_schedules[3].steps, 0.125, 1e-3);
  for (const std::size_t n : {1U, 2U, 3U, 8U, 64U}) {
    for (const bool signs : {false, true}) {
      Matrix m = Matrix::Ones(Eigen::Index(n), Eigen::Index(n));
      if (signs) {
        for (Eigen::Index j = 1; j < m.cols(); j += 2) m.col(j) *= -1;
      }
      for (const IterateForm form : forms) {
        const Matrix out = applied<double, double, EigenBackend>(exec, fit, 0.125, m, form, workspace);
        CHECK(max_abs(out - m * std::pow(double(n), 0.125 - 1)) <= fit.error * 1.01 * std::pow(double(n), 0.125 - 1));
      }
    }
  }
}

TEST_CASE("rank-deficient input: what is not there stays small") {
  const SerialExec exec;
  Workspace<Kokkos::HostSpace> workspace;
  const auto fit = spectral::fit_iterates(spectral::iterate_schedules[3].steps, 0.125, 1e-3);
  Vector sigma = singular_values_of(Spectrum::geometric, 32, 1e-2);
  sigma.tail(16).setZero();
  const KnownMatrix known = known_matrix(48, 32, sigma, 9);
  for (const IterateForm form : forms) {
    const Matrix out = applied<float, float, EigenBackend>(exec, fit, 0.125, known.matrix(), form, workspace);
    const Matrix image = out * known.v;
    CHECK(image.rightCols(16).colwise().norm().maxCoeff() <= 2e-2);
  }
}

TEST_CASE("the second call allocates nothing and gives the same bits") {
  const SerialExec exec;
  const auto fit = spectral::fit_iterates(spectral::iterate_schedules[2].steps, 0.125, 3e-3);
  const Matrix m = gaussian(90, 20, 3);
  for (const IterateForm form : forms) {
    Workspace<Kokkos::HostSpace> workspace;
    const Matrix first = applied<float, float, EigenBackend>(exec, fit, 0.125, m, form, workspace);
    const std::size_t held = workspace.capacity();
    const Matrix second = applied<float, float, EigenBackend>(exec, fit, 0.125, m, form, workspace);
    CHECK(workspace.capacity() == held);
    CHECK(max_abs(first - second) == 0);
  }
}

TEST_CASE("segments, their flops, and the form that takes least time") {
  const auto begins = [](std::size_t steps, IterateForm form) {
    const spectral::IterateSegments segments(steps, form);
    std::vector<std::size_t> all;
    for (std::size_t k = 0; k <= segments.count(); ++k) all.push_back(segments.begin(k));
    return all;
  };
  using Begins = std::vector<std::size_t>;
  CHECK(begins(5, IterateForm::direct) == Begins{0, 1, 2, 3, 4, 5});
  CHECK(begins(5, IterateForm::tail) == Begins{0, 1, 2, 3, 5});
  CHECK(begins(5, IterateForm::gram) == Begins{0, 2, 5});
  CHECK(begins(1, IterateForm::tail) == Begins{0, 1});
  CHECK(begins(1, IterateForm::gram) == Begins{0, 1});
  // Symmetric halves: K(3n²m + n³) + n³, and (5S − 2)n²m + (4K − 3S + 1)n³ in S segments of several steps.
  CHECK(spectral::iterate_flops(6, IterateForm::direct, 4, 1) == 6 * 13 + 1);
  CHECK(spectral::iterate_flops(6, IterateForm::gram, 4, 1) == 8 * 4 + 19);
  CHECK(spectral::iterate_flops(5, IterateForm::tail, 4, 1) == 12 * 4 + 9);
  // Whole products: K(4n²m + 2n³) + 2n³.
  CHECK(spectral::iterate_flops(5, IterateForm::direct, 4, 1, 2) == 5 * 18 + 2);
  const auto plan_flops = [](SpectralMethod method, double power) {
    return SpectralPower<float, SerialExec, EigenBackend>(
               {.rows = 64, .cols = 16, .power = power, .tolerance = 2, .method = method})
        .product_flops();
  };
  CHECK(plan_flops(SpectralMethod::svd, 0) == 0);
  CHECK(plan_flops(SpectralMethod::quintic, 0) ==
        spectral::quintic_flops(5, 64, 16, loops_as_on_device<SerialExec> ? 2 : 1));
  CHECK(plan_flops(SpectralMethod::iterates, 0.125) > 0);
  CHECK(spectral::iterate_forms(6, 1, 1)[0] == IterateForm::direct);
  CHECK(spectral::iterate_forms(6, 4, 1)[0] == IterateForm::gram);
  CHECK(spectral::iterate_forms(5, 2.7, 1, 2)[0] == IterateForm::tail);
}

TEST_CASE("the promise is refused where rounding outweighs it") {
  const auto fit = spectral::fit_iterates(spectral::iterate_schedules[5].steps, 0.125, 1e-4);
  CHECK(std::isfinite(spectral::iterate_error<float, float>(fit, 0.125, 1e-4, {64, 64}, IterateForm::direct)));
  CHECK(std::isinf(spectral::iterate_error<float, float>(fit, 0.125, 1e-7, {64, 64}, IterateForm::direct)));
  CHECK(std::isfinite(spectral::iterate_error<double, double>(fit, 0.125, 1e-7, {64, 64}, IterateForm::direct)));
  CHECK(std::isinf(spectral::iterate_error<float, float>(IterateFit{}, 0.125, 1e-2, {64, 64}, IterateForm::direct)));
}

TEST_CASE("a plan takes the fewest steps that promise the tolerance") {
  spectral::IterateFits fits;
  std::size_t before = 0;
  for (const spectral::Schedule& schedule : spectral::iterate_schedules) {
    const auto plan = spectral::plan_iterates<float, float>({64, 64}, 0.125, schedule.resolution, 2e-2, fits);
    CAPTURE(schedule.resolution);
    CHECK(plan.error <= 2e-2);
    CHECK(plan.fit.steps.size() <= schedule.steps.size());
    CHECK(plan.fit.steps.size() >= before);
    CHECK(plan.form == IterateForm::direct);
    before = plan.fit.steps.size();
  }
  CHECK(spectral::plan_iterates<float, float>({640, 64}, 0.125, 1e-3, 2e-2, fits).form == IterateForm::gram);
  // Out of reach: the most that there is, or nothing at all.
  const auto best = spectral::plan_iterates<float, float>({64, 64}, 0.125, 1e-3, 1e-9, fits);
  CHECK(best.error > 1e-9);
  CHECK(best.error < 4e-3);
  CHECK(spectral::plan_iterates<float, float>({64, 64}, 0.125, 1e-7, 2e-2, fits).error > 0.1);
}
