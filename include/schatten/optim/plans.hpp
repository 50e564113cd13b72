// SPDX-License-Identifier: BSD-3-Clause
// The plans of a bucket's spectral maps.
#pragma once

#include <schatten/optim/options.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <cstddef>
#include <memory>
#include <type_traits>
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

/// The type of a map's plan and its construction: a SpectralPower for a power. function_rule.hpp has the specialization
/// for functions.
template <class Of>
struct PlanOf;

template <>
struct PlanOf<double> {
  template <Scalar T, ExecutionSpace Exec, class Backend>
  using Plan = SpectralPower<T, Exec, Backend>;
  template <class P>
  static P make(double power, const MapOptions& map, std::size_t rows, std::size_t cols,
                const std::shared_ptr<spectral::FitCaches>& fits) {
    return P(plan_options(power, map, rows, cols), fits);
  }
  template <class P>
  static void set(P& plan, double power) {
    if (plan.options().power != power) plan.set_power(power);
  }
};

/// One plan for each MapOptions in use; a new power, or function, is set in the existing plan.
template <class Of, class Plan>
class Plans {
 public:
  explicit Plans(std::shared_ptr<spectral::FitCaches> fits) : fits_(std::move(fits)) {}

  /// Returns the plan. Throws InvalidArgument if no method can map this shape.
  const Plan& get(const Of& of, const MapOptions& map, std::size_t rows, std::size_t cols) {
    for (auto& [known, plan] : plans_) {
      if (known != map) continue;
      PlanOf<Of>::set(plan, of);
      return plan;
    }
    plans_.emplace_back(map, PlanOf<Of>::template make<Plan>(of, map, rows, cols, fits_));
    return plans_.back().second;
  }

 private:
  std::shared_ptr<spectral::FitCaches> fits_;
  std::vector<std::pair<MapOptions, Plan>> plans_;
};

/// Returns the plan of a bucket, and makes it in the first call. Storage: a BucketStorage.
template <Scalar T, ExecutionSpace Exec, class Backend, class Of, class Storage>
const auto& plan_of(Storage& storage, const Of& of, const MapOptions& map) {
  using P = Plans<Of, typename PlanOf<Of>::template Plan<T, Exec, Backend>>;
  std::shared_ptr<void>& plans = std::is_same_v<Of, double> ? storage.plans : storage.function_plans;
  if (plans == nullptr) plans = std::make_shared<P>(storage.fits);
  return static_cast<P*>(plans.get())->get(of, map, storage.key().rows, storage.key().cols);
}

}  // namespace schatten::optim
