// Which schedule serves a power, a resolution and a tolerance with the fewest steps.
#pragma once

#include <schatten/spectral/iterate_power.hpp>
#include <schatten/spectral/schedules.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// The latest fits of the shipped schedules, so that equal plans and a power that comes back cost nothing.
class IterateFits {
 public:
  /// fit_iterates of iterate_schedules[schedule], remembered. The reference lives until the next call.
  const IterateFit& get(std::size_t schedule, double power, double resolution) {
    const Key key{schedule, power, resolution};
    for (const Entry& entry : entries_) {
      if (entry.first == key) return entry.second;
    }
    if (entries_.size() < capacity) entries_.emplace_back();
    Entry& entry = entries_[next_];
    next_ = (next_ + 1) % capacity;
    entry = {key, fit_iterates(iterate_schedules[schedule].steps, power, resolution)};
    return entry.second;
  }

 private:
  using Key = std::tuple<std::size_t, double, double>;
  using Entry = std::pair<Key, IterateFit>;
  static constexpr std::size_t capacity = 16;
  std::vector<Entry> entries_;
  std::size_t next_ = 0;  ///< the oldest entry
};

/// A fit, the form it is to run in and what it promises.
struct IteratePlan {
  IterateFit fit;
  IterateForm form = IterateForm::direct;
  double error = std::numeric_limits<double>::infinity();
};

/// The shipped schedule of fewest steps that promises `tolerance` for matrices rows×cols, or else the one that promises
/// most. For both forms where both would serve: the cheaper one, the direct one where only that keeps the promise.
///
/// @pre power in (−0.5, 1], resolution in (0, 1]. Cost: a fit a schedule tried, milliseconds each, unless remembered.
template <Scalar T, Scalar Work>
IteratePlan plan_iterates(double power, double resolution, double tolerance, std::size_t rows, std::size_t cols,
                          IterateFits& fits) {
  constexpr double reach = 3;  // a schedule's error at a third of its resolution is above a few percent
  const std::size_t n = std::min(rows, cols), m = std::max(rows, cols);
  IteratePlan best;
  for (std::size_t schedule = 0; schedule < iterate_schedules.size(); ++schedule) {
    const bool last = schedule + 1 == iterate_schedules.size();
    if (!last && iterate_schedules[schedule].resolution > reach * resolution) continue;
    const IterateFit& fit = fits.get(schedule, power, resolution);
    for (const IterateForm form : {IterateForm::gram, IterateForm::direct}) {
      if (form == IterateForm::gram && !iterate_in_gram(fit.steps.size(), m, n)) continue;
      const double error = iterate_error<T, Work>(fit, power, resolution, n, form);
      if (error < best.error) best = {fit, form, error};
      if (error <= tolerance) return {fit, form, error};
    }
  }
  return best;
}

}  // namespace schatten::spectral
