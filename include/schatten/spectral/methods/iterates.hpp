// SPDX-License-Identifier: BSD-3-Clause
// The method `iterates` of a plan: the schedule of fewest steps, in each format.
#pragma once

#include <schatten/spectral/candidates.hpp>

#include <type_traits>
#include <utility>

namespace schatten::spectral {

/// The schedule with the fewest steps that meets the tolerance in precision Work.
template <Scalar T, Element Work>
MethodChoice choose_iterates(const SpectralPowerOptions& options, const Capabilities& capabilities, IterateFits& fits) {
  const Shape shape = Shape::of(options.rows, options.cols);
  IteratePlan plan = plan_iterates<T, Work>(shape, options.power, options.resolution, options.tolerance, fits,
                                            capabilities.symmetric(shape.short_side));
  const double cost = product_cost<T, Work> * CostModel(shape, capabilities).iterates(plan), error = plan.error;
  return {SpectralMethod::iterates, format_of<T, Work>, error, cost, {}, std::move(plan)};
}

/// Linear combinations of the iterates of quintics. They are candidates if they may be faster than those found before.
struct IteratesMethod {
  static constexpr SpectralMethod method = SpectralMethod::iterates;

  template <Scalar T>
  static void candidates(Candidates<T>& all) {
    if (all.products_are_slower) return;
    const double flops = all.cost.least_iterates(all.options.resolution);
    all.for_each_format([&]<class Work>() {
      if (product_cost<T, Work> * flops < all.least_cost()) {
        all.add(choose_iterates<T, Work>(all.options, all.capabilities, all.fits.iterates));
      }
    });
  }
  template <class Backend, ExecutionSpace Exec, class T, class Space>
  static void apply(const Exec& exec, const SpectralPowerOptions& options, const MethodChoice& choice,
                    const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
    constexpr bool reduced = std::is_same_v<T, float> && linalg::multiplies_reduced_floats<Backend>;
    in_format<T, reduced>(choice.format, [&]<class Work>() {
      iterate_power<Work, Backend>(exec, choice.iterates.fit, choice.iterates.form, options.power, m, out, workspace);
    });
  }
};

}  // namespace schatten::spectral
