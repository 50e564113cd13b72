// SPDX-License-Identifier: BSD-3-Clause
// The method `quintic` of a plan: a published schedule, for p = 0 only.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/spectral/candidates.hpp>

#include <span>
#include <type_traits>

namespace schatten::spectral {

/// Quintics in each format that the backend multiplies.
struct QuinticMethod {
  static constexpr SpectralMethod method = SpectralMethod::quintic;

  static void check(const SpectralPowerOptions& options, const Capabilities&) {
    require(options.power == 0.0, "SpectralPower", "power", options.power, "must be 0 for the method quintic");
  }
  template <Scalar T>
  static void candidates(Candidates<T>& all) {
    const SpectralPowerOptions& options = all.options;
    if (options.power != 0.0) return;
    const std::span<const Quintic> quintics = quintics_of(options.schedule, options.quintic_steps);
    // Down to ‖M‖_F = norm_epsilon, where M is divided by twice its norm, as one of four times the rank might be.
    const std::size_t rank = (options.norm_epsilon > 0 ? 4 : 1) * all.shape.short_side;
    const double error = quintic_error(quintics, options.resolution, rank);
    all.for_each_format([&]<class Work>() {
      all.add({method, format_of<T, Work>, error + quintic_rounding_error<Work>(options.schedule, quintics.size()),
               product_cost<T, Work> * all.cost.quintic(quintics.size())});
    });
  }
  template <class Backend, ExecutionSpace Exec, class T, class Space>
  static void apply(const Exec& exec, const SpectralPowerOptions& options, const MethodChoice& choice,
                    const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
    constexpr bool reduced = std::is_same_v<T, float> && linalg::multiplies_reduced_floats<Backend>;
    in_format<T, reduced>(choice.format, [&]<class Work>() {
      quintic_iteration<Work, Backend>(exec, quintics_of(options.schedule, options.quintic_steps), m, out, workspace,
                                       options.norm_epsilon);
    });
  }
};

}  // namespace schatten::spectral
