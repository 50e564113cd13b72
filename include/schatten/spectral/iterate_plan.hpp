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

/// A cache of fit_iterates for iterate_schedules.
class IterateFits {
 public:
  /// Returns the fit; the reference is valid until the next call.
  const IterateFit& get(std::size_t schedule, double power, double resolution) {
    return cache_.get({schedule, power, resolution},
                      [&] { return fit_iterates(iterate_schedules[schedule].steps, power, resolution); });
  }
  /// Returns the number of fits that were computed.
  [[nodiscard]] std::size_t made() const { return cache_.made(); }

 private:
  FitCache<std::tuple<std::size_t, double, double>, IterateFit> cache_;
};

/// At a third of its resolution a schedule's error exceeds a few percent, so coarser schedules are not fitted.
inline constexpr double schedule_reach = 3;

/// Returns the number of the coarsest schedule that may be used for a resolution.
inline std::size_t coarsest_schedule(double resolution) {
  std::size_t schedule = 0;
  while (schedule + 1 < iterate_schedules.size() &&
         iterate_schedules[schedule].resolution > schedule_reach * resolution) {
    ++schedule;
  }
  return schedule;
}

/// A fit, its form and its error bound.
struct IteratePlan {
  IterateFit fit;
  IterateForm form = IterateForm::direct;
  double error = std::numeric_limits<double>::infinity();
};

/// Returns the schedule with the fewest steps whose error bound is at most `tolerance` for matrices of a shape, in the
/// form with the fewest flops. If there is none, it returns the schedule with the smallest bound. `symmetric`: see
/// iterate_flops.
///
/// @pre power in (−0.5, 1], resolution in (0, 1]. Cost: milliseconds for each schedule tried whose fit is not in the
/// cache.
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
