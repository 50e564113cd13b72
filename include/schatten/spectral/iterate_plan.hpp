// SPDX-License-Identifier: BSD-3-Clause
// The schedule with the fewest steps that meets a tolerance for a power and a resolution.
#pragma once

#include <schatten/spectral/fit_cache.hpp>
#include <schatten/spectral/iterate_power.hpp>
#include <schatten/spectral/schedules.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <tuple>

namespace schatten::spectral {

/// Bytes of a fit on the heap.
inline std::size_t bytes_of(const IterateFit& fit) {
  return fit.steps.capacity() * sizeof(Quintic) +
         (fit.outer.capacity() + fit.linear.capacity() + fit.square.capacity()) * sizeof(double);
}

/// fit_iterates of iterate_schedules[schedule], remembered.
class IterateFits {
 public:
  /// The fit; the reference lives until the next call.
  const IterateFit& get(std::size_t schedule, double power, double resolution) {
    return cache_.get({schedule, power, resolution},
                      [&] { return fit_iterates(iterate_schedules[schedule].steps, power, resolution); });
  }
  /// Fits made so far.
  [[nodiscard]] std::size_t made() const { return cache_.made(); }

 private:
  FitCache<std::tuple<std::size_t, double, double>, IterateFit> cache_;
};

/// A schedule's error at a third of its resolution is above a few percent: coarser ones need no fit.
inline constexpr double schedule_reach = 3;

/// The number of the coarsest schedule that may be used for a resolution.
inline std::size_t coarsest_schedule(double resolution) {
  std::size_t schedule = 0;
  while (schedule + 1 < iterate_schedules.size() &&
         iterate_schedules[schedule].resolution > schedule_reach * resolution) {
    ++schedule;
  }
  return schedule;
}

/// A fit, the form it is to run in and what it promises.
struct IteratePlan {
  IterateFit fit;
  IterateForm form = IterateForm::direct;
  double error = std::numeric_limits<double>::infinity();
};

/// The shipped schedule of fewest steps that promises `tolerance` for matrices of a shape, or else the one that
/// promises most, in the form of fewest flops that keeps the promise. `symmetric` as in iterate_flops.
///
/// @pre power in (−0.5, 1], resolution in (0, 1]. Cost: a fit a schedule tried, milliseconds each, unless remembered.
template <Scalar T, Element Work>
IteratePlan plan_iterates(const Shape& shape, double power, double resolution, double tolerance, IterateFits& fits,
                          double symmetric = 1) {
  const auto m = double(shape.long_side), n = double(shape.short_side);
  IteratePlan best;
  for (std::size_t schedule = coarsest_schedule(resolution); schedule < iterate_schedules.size(); ++schedule) {
    const IterateFit& fit = fits.get(schedule, power, resolution);
    for (const IterateForm form : iterate_forms(fit.steps.size(), m, n, symmetric)) {
      const double error = iterate_error<T, Work>(fit, power, resolution, shape, form);
      if (error < best.error) best = {fit, form, error};
      if (error <= tolerance) return {fit, form, error};
    }
  }
  return best;
}

}  // namespace schatten::spectral
