// SPDX-License-Identifier: BSD-3-Clause
// The choice of a plan's method: the fastest that meets the tolerance.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/spectral/methods.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace schatten::spectral {

/// Throws InvalidArgument, with `function` in the message, for a resolution outside (0, 1] and a tolerance that is not
/// positive.
inline void require_accuracy(std::string_view function, double resolution, double tolerance) {
  require(!std::isnan(resolution) && resolution > 0.0 && resolution <= 1.0, function, "resolution", resolution,
          "must lie in (0, 1]");
  require(std::isfinite(tolerance) && tolerance > 0.0, function, "tolerance", tolerance, "must be positive and finite");
}

/// Returns the names of all methods: "automatic, svd, …".
inline std::string method_names() {
  std::string names;
  for (const MethodTraits& traits : methods) names.append(names.empty() ? "" : ", ").append(traits.name);
  return names;
}

/// Throws InvalidArgument for options that are out of range or not among the capabilities.
inline void require_valid(const SpectralPowerOptions& options, const Capabilities& capabilities) {
  const double p = options.power;
  // NaN first: comparing it would trap where the program traps invalid operations.
  require(!std::isnan(p) && p > -0.5 && p <= 1.0, "SpectralPower", "power", p, "must lie in (-0.5, 1]");
  require_accuracy("SpectralPower", options.resolution, options.tolerance);
  require(traits_of(options.method) != nullptr, "SpectralPower", "method", to_string(options.method),
          {"must be one of ", method_names()});
  require(options.format >= Format::automatic && options.format <= Format::tf32, "SpectralPower", "format",
          to_string(options.format), "must be one of automatic, scalar, float64, float16, bfloat16, tf32");
  require(options.schedule >= QuinticSchedule::muon && options.schedule <= QuinticSchedule::simple, "SpectralPower",
          "schedule", to_string(options.schedule), "must be one of muon, polar_express, cans, simple");
  const std::size_t most = largest_steps(options.schedule);
  require(options.quintic_steps <= most, "SpectralPower", "quintic_steps", options.quintic_steps,
          {"must be at most ", most, " for the schedule ", to_string(options.schedule)});
  require(std::isfinite(options.norm_epsilon) && options.norm_epsilon >= 0, "SpectralPower", "norm_epsilon",
          options.norm_epsilon, "must be finite and not negative");
  require(capabilities.reduced_floats || options.format < Format::float16, "SpectralPower", "format",
          to_string(options.format), "needs float matrices and a backend that multiplies such numbers (a device's)");
  require(options.format == Format::automatic || traits_of(options.method)->formats, "SpectralPower", "format",
          to_string(options.format), {"must be automatic for the method ", to_string(options.method)});
  for_each_method([&]<class M>(const M&) {
    if constexpr (requires { M::check(options, capabilities); }) {
      if (options.method == M::method) M::check(options, capabilities);
    }
  });
}

/// Returns the fastest of the methods that meet the tolerance. Throws InvalidArgument if none does. Fits are taken from
/// `fits`.
template <Scalar T>
MethodChoice choose_method(const SpectralPowerOptions& options, const Capabilities& capabilities, FitCaches& fits) {
  require_valid(options, capabilities);
  if (!has_promise(options.method)) return {options.method};
  double best = std::numeric_limits<double>::infinity(), least = best;
  MethodChoice chosen;
  Candidates<T> all(options, capabilities, fits);
  for_each_method([&]<class M>(const M&) {
    if constexpr (requires { M::candidates(all); }) {
      if (all.wanted(M::method)) M::candidates(all);
    }
  });
  for (MethodChoice& candidate : all.choices()) {
    best = (std::min)(best, candidate.error_bound);
    if (candidate.error_bound > options.tolerance || candidate.cost >= least) continue;
    least = candidate.cost;
    chosen = std::move(candidate);
  }
  if (std::isfinite(least)) return chosen;
  const auto number = [](double x) { return schatten::detail::printed(x); };
  throw InvalidArgument("SpectralPower", "tolerance", number(options.tolerance),
                        "is out of reach: method " + to_string(options.method) + " promises " +
                            (std::isfinite(best) ? number(best) : std::string("nothing")) + " at resolution " +
                            number(options.resolution) + "; ask for a coarser resolution, a larger tolerance" +
                            (std::is_same_v<T, float> ? ", double" : "") +
                            (options.method != SpectralMethod::automatic ? ", another method" : ""));
}

}  // namespace schatten::spectral
