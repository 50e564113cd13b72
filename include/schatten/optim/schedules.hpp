// SPDX-License-Identifier: BSD-3-Clause
// Schedules: callables t ↦ number for Optimizer::set_lr_factor and set_power. t counts the steps taken so far: 0 before
// the first step. Any other callable may be used.
//
//   opt.set_lr_factor(group, schedule(t));
//   opt.step(exec);
//
// Learning rates: factors of the group's lr. In the first `warmup` steps the factor is (t + 1)/(warmup + 1): never 0,
// and 1 at t = warmup, where the schedule itself begins. It ends at t = steps and is constant from there on.
// The last of `steps` steps has t = steps − 1, one step before the end.
#pragma once

#include <schatten/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <string_view>

namespace schatten {

/// Options of LinearLr and CosineLr.
struct LrScheduleOptions {
  std::size_t steps = 1;   ///< of the training, warm-up included; at least 1
  std::size_t warmup = 0;  ///< steps of the warm-up; at most `steps`
  double end = 0;          ///< the factor at the end; in [0, 1]
};

namespace optim {

/// Throws InvalidArgument for options out of range.
inline void check_schedule(const LrScheduleOptions& options, std::string_view function) {
  require(options.steps >= 1, function, "steps", options.steps, "must be at least 1");
  require(options.warmup <= options.steps, function, "warmup", options.warmup,
          {"must not exceed steps = ", options.steps});
  require(std::isfinite(options.end) && options.end >= 0 && options.end <= 1, function, "end", options.end,
          "must lie in [0, 1]");
}

/// The factor of a warm-up. @pre t < warmup
constexpr double warmup_factor(std::size_t t, std::size_t warmup) { return double(t + 1) / double(warmup + 1); }

/// Returns (1 − x)·begin + x·end; exact at both ends. @pre x in [0, 1]
constexpr double interpolated(double begin, double end, double x) { return (1 - x) * begin + x * end; }

/// Returns the fraction of the steps from `first` to `last` that lie before step t, in [0, 1]; 1 if there are none.
constexpr double passed(std::size_t t, std::size_t first, std::size_t last) {
  if (t >= last) return 1;
  return t <= first ? 0 : double(t - first) / double(last - first);
}

}  // namespace optim

/// A warm-up, then 1.
class ConstantLr {
 public:
  /// A warm-up of `warmup` steps, then 1.
  explicit ConstantLr(std::size_t warmup = 0) : warmup_(warmup) {}
  /// Returns the factor for the step after t steps.
  double operator()(std::size_t t) const { return t < warmup_ ? optim::warmup_factor(t, warmup_) : 1.0; }

 private:
  std::size_t warmup_;
};

/// A warm-up, then a straight line from 1 to `end`. PyTorch's LinearLR(start_factor = 1, end_factor = end).
class LinearLr {
 public:
  /// Throws InvalidArgument.
  explicit LinearLr(const LrScheduleOptions& options) : options_(options) {
    optim::check_schedule(options, "LinearLr");
  }
  /// Returns the factor for the step after t steps.
  double operator()(std::size_t t) const {
    if (t < options_.warmup) return optim::warmup_factor(t, options_.warmup);
    return optim::interpolated(1, options_.end, optim::passed(t, options_.warmup, options_.steps));
  }

 private:
  LrScheduleOptions options_;
};

/// A warm-up, then end + (1 − end)(1 + cos πx)/2 with x from 0 to 1 (Loshchilov and Hutter, arXiv 1608.03983, eq. 5,
/// without restarts). PyTorch's CosineAnnealingLR up to T_max; after that PyTorch's increases again and this one stays
/// at `end`.
class CosineLr {
 public:
  /// Throws InvalidArgument.
  explicit CosineLr(const LrScheduleOptions& options) : options_(options) {
    optim::check_schedule(options, "CosineLr");
  }
  /// Returns the factor for the step after t steps.
  double operator()(std::size_t t) const {
    if (t < options_.warmup) return optim::warmup_factor(t, options_.warmup);
    const double x = optim::passed(t, options_.warmup, options_.steps);
    return options_.end + (1 - options_.end) * (1 + std::cos(std::numbers::pi * x)) / 2;
  }

 private:
  LrScheduleOptions options_;
};

/// Warm-up, 1, and in the last `decay` steps a straight line to `end` (Hu et al., arXiv 2404.06395, section 4).
class WarmupStableDecayLr {
 public:
  struct Options {
    std::size_t steps = 1;   ///< of the training, warm-up and decay included; at least 1
    std::size_t warmup = 0;  ///< steps of the warm-up
    std::size_t decay = 0;   ///< steps of the decay; with those of the warm-up at most `steps`
    double end = 0;          ///< the factor at the end; in [0, 1]
  };
  /// Throws InvalidArgument.
  explicit WarmupStableDecayLr(const Options& options) : options_(options) {
    constexpr std::string_view function = "WarmupStableDecayLr";
    optim::check_schedule({options.steps, options.warmup, options.end}, function);
    require(options.decay <= options.steps - options.warmup, function, "decay", options.decay,
            {"must not exceed the steps after the warm-up, ", options.steps - options.warmup});
  }
  /// Returns the factor for the step after t steps.
  double operator()(std::size_t t) const {
    if (t < options_.warmup) return optim::warmup_factor(t, options_.warmup);
    return optim::interpolated(1, options_.end, optim::passed(t, options_.steps - options_.decay, options_.steps));
  }

 private:
  Options options_;
};

/// Options of LinearPower.
struct PowerScheduleOptions {
  std::size_t steps = 1;  ///< of the training; at least 1
  double begin = 0.125;   ///< the power at the beginning, in (−0.5, 1]
  double end = 0.0;       ///< the power at the end, in (−0.5, 1]
};

namespace optim {

/// Throws InvalidArgument for a power outside (−0.5, 1].
inline void check_power(double power, std::string_view function, std::string_view argument) {
  require(std::isfinite(power) && power > -0.5 && power <= 1, function, argument, power, "must lie in (-0.5, 1]");
}

/// Throws InvalidArgument for options out of range.
inline void check_schedule(const PowerScheduleOptions& options, std::string_view function) {
  require(options.steps >= 1, function, "steps", options.steps, "must be at least 1");
  check_power(options.begin, function, "begin");
  check_power(options.end, function, "end");
}

}  // namespace optim

/// The same power in every step.
class ConstantPower {
 public:
  /// Throws InvalidArgument for a power outside (−0.5, 1].
  explicit ConstantPower(double power) : power_(power) { optim::check_power(power, "ConstantPower", "power"); }
  /// The power.
  double operator()(std::size_t) const { return power_; }

 private:
  double power_;
};

/// A straight line from `begin` at t = 0 to `end` at t = steps, then `end`.
class LinearPower {
 public:
  /// Throws InvalidArgument.
  explicit LinearPower(const PowerScheduleOptions& options) : options_(options) {
    optim::check_schedule(options, "LinearPower");
  }
  /// Returns the power for the step after t steps.
  double operator()(std::size_t t) const {
    return optim::interpolated(options_.begin, options_.end, optim::passed(t, 0, options_.steps));
  }

 private:
  PowerScheduleOptions options_;
};

/// end + (begin − end)/(1 + exp((t/steps − middle)/width)): DynMuon's (arXiv 2605.17109). `begin` and `end` are limits.
/// The power is (begin + end)/2 at t = middle·steps, and with the defaults 0.45 at t = 0. After `steps` the same
/// formula holds.
class LogisticPower {
 public:
  struct Options {
    std::size_t steps = 1;  ///< of the training; at least 1
    double begin = 1;       ///< p_max, in (−0.5, 1]
    double end = -0.25;     ///< p_min, in (−0.5, 1]
    double middle = 0.02;   ///< τ: finite
    double width = 0.08;    ///< w: finite and positive
  };
  /// Throws InvalidArgument.
  explicit LogisticPower(const Options& options) : options_(options) {
    constexpr std::string_view function = "LogisticPower";
    optim::check_schedule(PowerScheduleOptions{options.steps, options.begin, options.end}, function);
    require(std::isfinite(options.middle), function, "middle", options.middle, "must be finite");
    require(std::isfinite(options.width) && options.width > 0, function, "width", options.width,
            "must be finite and positive");
  }
  /// Returns the power for the step after t steps.
  double operator()(std::size_t t) const {
    const double x = (double(t) / double(options_.steps) - options_.middle) / options_.width;
    return options_.end + (options_.begin - options_.end) / (1 + std::exp((std::min)(x, 700.0)));
  }

 private:
  Options options_;
};

}  // namespace schatten
