// SPDX-License-Identifier: BSD-3-Clause
// error_bound() is never exceeded, in any direction with σ >= resolution·σ_max, by any method.
// labels: accuracy

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <array>
#include <optional>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr double resolutions[] = {1, 1e-1, 1e-2, 1e-3, 1e-4};

template <class T, class Exec, class Backend>
std::optional<SpectralPower<T, Exec, Backend>> plan(const SpectralPowerOptions& options) {
  try {
    return std::optional<SpectralPower<T, Exec, Backend>>(std::in_place, options);
  } catch (const InvalidArgument&) {  // out of reach for this method
    return std::nullopt;
  }
}

/// Worst measured error over promise, and how often float used a Gram matrix in double.
struct Outcome {
  double worst = 0;
  int plans = 0, in_double = 0;
};

template <class C>
Outcome worst_ratio(SpectralMethod method, std::size_t rows, std::size_t cols, unsigned seed) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  Outcome outcome;
  for (const Spectrum spectrum : all_spectra) {
    for (const double lowest : {1e-1, 1e-3, 1e-6, 0.0}) {
      if (lowest == 1e-1 && !std::is_same_v<Exec, SerialExec>) continue;  // the threaded space repeats a part
      if (lowest == 0 && (spectrum == Spectrum::geometric || spectrum == Spectrum::clustered)) continue;
      const KnownMatrix made =
          known_matrix(rows, cols, singular_values_of(spectrum, std::min(rows, cols), lowest), seed);
      const KnownMatrix known = stored<T>(made);
      const auto m = to_view<T>(made.matrix());
      const auto out = output_view<T>(rows, cols);
      for (const double p : {-0.49, 0.0, 0.125, 1.0}) {
        std::vector<DirectionError> errors;
        for (const double resolution : resolutions) {
          auto power = plan<T, Exec, typename C::Backend>(
              {.rows = rows, .cols = cols, .power = p, .resolution = resolution, .tolerance = 0.5, .method = method});
          if (!power) continue;
          ++outcome.plans;
          outcome.in_double += power->format() == Format::float64 ? 1 : 0;
          CAPTURE(to_string(spectrum));
          CAPTURE(lowest);
          CAPTURE(p);
          CAPTURE(resolution);
          CHECK(power->error_bound() <= 0.5);
          if (errors.empty() || method != SpectralMethod::svd) {  // svd computes the same for all resolutions
            power->apply(exec, m, out);
            exec.fence();
            errors = direction_errors(known, p, to_matrix(out));
          }
          for (std::size_t k = 0; k < errors.size(); ++k) {
            const double sigma = known.sigma(Eigen::Index(k)) / known.sigma(0);
            if (sigma < resolution) continue;
            const double relative = errors[k].worst() / std::pow(known.sigma(Eigen::Index(k)), p);
            CHECK(relative <= power->error_bound());
            outcome.worst = std::max(outcome.worst, relative / power->error_bound());
          }
        }
      }
    }
  }
  return outcome;
}

}  // namespace

TEST_CASE_TEMPLATE("eigh keeps its promise, in float and with a Gram matrix in double", C, SCHATTEN_TEST_CASES) {
  const bool large =
      std::is_same_v<typename C::Exec, SerialExec> && !std::is_same_v<typename C::Backend, PortableBackend>;
  const Outcome outcome = worst_ratio<C>(SpectralMethod::eigh, large ? 96 : 24, large ? 64 : 40, 1);
  MESSAGE("worst error over promise " << outcome.worst << ", " << outcome.plans << " plans, " << outcome.in_double
                                      << " with a Gram matrix in double");
  CHECK(outcome.plans > 200);
  if (std::is_same_v<typename C::Scalar, float>) CHECK(outcome.in_double > 100);
  if (std::is_same_v<typename C::Scalar, double>) CHECK(outcome.in_double == 0);
}

TEST_CASE_TEMPLATE("svd keeps its promise", C, SCHATTEN_TEST_CASES) {
  const Outcome outcome = worst_ratio<C>(SpectralMethod::svd, 24, 40, 2);
  MESSAGE("worst error over promise " << outcome.worst << ", " << outcome.plans << " plans");
  CHECK(outcome.plans > 300);
}

TEST_CASE("float switches to a Gram matrix in double where its own does not meet the tolerance") {
  const auto chosen = [](double resolution, double tolerance) {
    return SpectralPower<float, SerialExec>({.rows = 64,
                                             .cols = 64,
                                             .resolution = resolution,
                                             .tolerance = tolerance,
                                             .method = SpectralMethod::eigh})
               .format() == Format::float64;
  };
  CHECK(!chosen(0.1, 2e-2));
  CHECK(chosen(1e-3, 2e-2));
  CHECK(chosen(0.1, 1e-5));
}

TEST_CASE("automatic takes the fastest method that meets the tolerance") {
  const auto chosen = [](double p, double resolution, double tolerance) {
    return SpectralPower<float, SerialExec>(
               {.rows = 256, .cols = 256, .power = p, .resolution = resolution, .tolerance = tolerance})
        .method();
  };
  CHECK(chosen(0.0, 1e-1, 0.9) == SpectralMethod::rational);
  CHECK(chosen(0.125, 1e-3, 3e-2) == SpectralMethod::rational);
  CHECK(chosen(0.125, 1e-3, 1e-5) == SpectralMethod::rational);
  const SpectralPower<double, SerialExec> fine({.rows = 256, .cols = 256, .resolution = 1e-9});
  CHECK(fine.method() == SpectralMethod::svd);
  // A plan that is re-made for another p chooses anew.
  SpectralPower<float, SerialExec> power({.rows = 64, .cols = 64, .power = 1});
  CHECK(power.poles() == 0);
  power.set_power(0.5);
  CHECK(power.poles() > 0);
  CHECK(power.options().power == 0.5);
}
