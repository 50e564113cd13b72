// SPDX-License-Identifier: BSD-3-Clause
// The spectral maps that a bucket keeps from step to step.
#pragma once

#include <schatten/optim/options.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace schatten::optim {

/// A plan's options for rows×cols matrices.
inline SpectralPowerOptions plan_options(double power, const MapOptions& map, std::size_t rows, std::size_t cols) {
  return {.rows = rows,
          .cols = cols,
          .power = power,
          .resolution = map.resolution,
          .tolerance = map.tolerance,
          .method = map.method,
          .format = map.format,
          .schedule = map.schedule,
          .quintic_steps = map.quintic_steps,
          .norm_epsilon = map.norm_epsilon};
}

/// One plan for each MapOptions in use; a new power is set in the existing plan.
template <class Plan>
class Plans {
 public:
  explicit Plans(std::shared_ptr<spectral::Fits> fits) : fits_(std::move(fits)) {}

  /// The plan. Throws InvalidArgument if no method can map this shape.
  const Plan& get(double power, const MapOptions& map, std::size_t rows, std::size_t cols) {
    for (auto& [known, plan] : plans_) {
      if (known != map) continue;
      if (plan.options().power != power) plan.set_power(power);
      return plan;
    }
    plans_.emplace_back(map, Plan(plan_options(power, map, rows, cols), fits_));
    return plans_.back().second;
  }

  /// Promised error of the plan for those options; infinite where there is none.
  [[nodiscard]] double error_bound() const { return plans_.empty() ? 0.0 : plans_.front().second.error_bound(); }

 private:
  std::shared_ptr<spectral::Fits> fits_;
  std::vector<std::pair<MapOptions, Plan>> plans_;
};

}  // namespace schatten::optim
