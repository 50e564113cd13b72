// SPDX-License-Identifier: BSD-3-Clause
// Which method a plan takes: the fastest that meets its tolerance.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/core/reduced_float.hpp>
#include <schatten/spectral/error_model.hpp>
#include <schatten/spectral/iterate_plan.hpp>
#include <schatten/spectral/method.hpp>
#include <schatten/spectral/newton_schulz.hpp>
#include <schatten/spectral/quintic.hpp>
#include <schatten/spectral/rational_power.hpp>
#include <schatten/spectral/schedules.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// What an execution space and its backend have to offer.
struct Machine {
  bool host = true;             ///< the rational method
  bool reduced_floats = false;  ///< products of the types in core/reduced_float.hpp
  double symmetric = 1;         ///< flops of a symmetric product n×k by k×n over n²k: 2 where it is formed whole
};

/// A method, what it promises and what it costs.
struct MethodChoice {
  SpectralMethod method = SpectralMethod::svd;
  Format format = Format::scalar;  ///< what it works in; never automatic
  double error_bound = std::numeric_limits<double>::infinity();
  double cost = 0;              ///< flops of matrix products in T that take as long
  linalg::Rational function{};  ///< rational
  IteratePlan iterates{};       ///< iterates
  std::size_t fine_poles = 0;   ///< rational, mixed: the smallest poles, which are done in double
};

/// The fits that plans share.
struct Fits {
  RationalFits rational;
  IterateFits iterates;
  /// Fits made so far: what a change of power costs.
  [[nodiscard]] std::size_t made() const { return rational.made() + iterates.made(); }
};

/// Time of each method in flops of matrix products of the same scalar type, as measured on one core
/// (docs/benchmarks.md). Double takes twice as long as float. On a device, not measured yet: 16-bit products an eighth of
/// float's, tf32's a quarter, decompositions thirty times what they are on the host.
struct CostModel {
  explicit CostModel(const Shape& shape, const Machine& on = {})
      : m(double(shape.long_side)), n(double(shape.short_side)), machine(on) {}
  double m, n;
  Machine machine;
  [[nodiscard]] double quintic(std::size_t steps) const { return quintic_flops(steps, m, n, machine.symmetric); }
  [[nodiscard]] double rational(std::size_t poles) const { return 3 * n * n * m + 1.3 * double(poles) * n * n * n; }
  /// The Gram matrix twice as dear, `fine` poles 1.75 times: all but their last third in double.
  [[nodiscard]] double mixed(std::size_t poles, std::size_t fine) const {
    return n * n * m + 0.75 * 1.3 * double(fine) * n * n * n + rational(poles);
  }
  [[nodiscard]] double iterates(const IteratePlan& plan) const { return iterates(plan.fit.steps.size(), plan.form); }
  [[nodiscard]] double iterates(std::size_t steps, IterateForm form) const {
    return 1.35 * iterate_flops(steps, form, m, n, machine.symmetric);
  }
  /// The least that iterates may cost at a resolution.
  [[nodiscard]] double least_iterates(double resolution) const {
    const std::size_t steps = iterate_schedules[coarsest_schedule(resolution)].steps.size();
    double least = std::numeric_limits<double>::infinity();
    for (const IterateForm form : {IterateForm::direct, IterateForm::tail, IterateForm::gram}) {
      least = std::min(least, iterates(steps, form));
    }
    return least;
  }
  [[nodiscard]] double eigh() const { return 3 * n * n * m + 35 * n * n * n * (machine.host ? 1 : 30); }
  [[nodiscard]] double svd() const { return (20 * n * n * m + 30 * n * n * n) * (machine.host ? 1 : 30); }
};

/// Cost of a product of Work over one of T.
template <Scalar T, Element Work>
inline constexpr double product_cost = std::is_same_v<Work, TensorFloat32> ? 0.25
                                       : ReducedFloat<Work>                ? 0.125
                                       : std::is_same_v<T, Work>           ? 1.0
                                                                           : 2.0;

/// The name of Work where matrices are of T.
template <Scalar T, Element Work>
inline constexpr Format format_of = std::is_same_v<T, Work>          ? Format::scalar
                                    : std::is_same_v<Work, Half>     ? Format::float16
                                    : std::is_same_v<Work, BFloat16> ? Format::bfloat16
                                    : ReducedFloat<Work>             ? Format::tf32
                                                                     : Format::float64;

/// r(x) for x >= 0.
inline double value_at(const linalg::Rational& r, double x) {
  double sum = r.constant + r.linear * x;
  for (std::size_t j = 0; j < r.poles.size(); ++j) sum += r.weights[j] / (x + r.poles[j]);
  return sum;
}

/// The largest σ·r(σ²), to a few percent, where σ^p falls: p < 0, and the largest values lie under the resolution.
inline double largest_value(const linalg::Rational& r) {
  double largest = 1;
  for (const double x : r.poles) largest = std::max(largest, std::sqrt(x) * value_at(r, x));
  return largest;
}

/// The largest ‖(error of the fit, leak)‖ at σ >= δ: what mixes in is orthogonal to the direction. Near δ the fit leaves
/// rounding its room, up to where `falling`·(δ/σ)² and the fit's own error are the room.
inline double with_leak(const RationalFit& fit, double power, double room, double falling, double leak) {
  const double at_resolution = std::hypot(fit.bound - falling, leak);
  if (fit.error + falling <= room) return at_resolution;
  const double ratio = std::sqrt(std::max(room - fit.error, 0.0) / falling);  // δ/σ there
  return std::max(at_resolution, std::hypot(fit.error, leak * std::pow(ratio, 1 + power)));
}

/// The fewest poles whose choice, with_poles(poles), meets the tolerance, and that choice; the one of the most poles where
/// none does. The error falls as 1.5 exp(−π²K/ln(4/δ)) in their number K: the search starts where that is `room`.
template <class WithPoles>
MethodChoice fewest_poles(const SpectralPowerOptions& options, double room, const WithPoles& with_poles) {
  constexpr int most_poles = 32;
  const double rate = std::numbers::pi * std::numbers::pi / std::log(4 / options.resolution);
  int poles = std::clamp(static_cast<int>(std::log(1.5 / room) / rate), 1, most_poles);
  MethodChoice choice = with_poles(std::size_t(poles));
  while (choice.error_bound > options.tolerance && poles < most_poles) choice = with_poles(std::size_t(++poles));
  while (poles > 1) {
    MethodChoice fewer = with_poles(std::size_t(--poles));
    if (fewer.error_bound > options.tolerance) break;
    choice = std::move(fewer);
  }
  return choice;
}

/// The rational function of fewest poles that meets the tolerance together with the rounding of precision Work, the Gram
/// matrix in precision Gram: two or three fits. Where rounding takes most of the tolerance the bound is infinite.
template <Scalar T, Scalar Work, Scalar Gram = Work>
MethodChoice choose_rational(const SpectralPowerOptions& options, RationalFits& fits) {
  constexpr double largest_share = 0.9;
  const Shape shape = Shape::of(options.rows, options.cols);
  const double p = options.power, tolerance = options.tolerance, delta = options.resolution;
  const RoundingError rounding = rational_rounding_error<T, Work, Gram>(p, delta, shape);
  constexpr Format format = std::is_same_v<Gram, Work> ? format_of<T, Work> : Format::mixed;
  if (!(rounding.largest() <= largest_share * tolerance)) return {SpectralMethod::rational, format};
  const double room = tolerance - rounding.rest;
  const auto with_poles = [&](std::size_t poles) {
    const RationalFit& fit = fits.get(poles, p, delta, room, rounding.falling);
    const CostModel model(shape);
    const double cost =
        product_cost<T, Work> * (std::is_same_v<Gram, Work> ? model.rational(poles) : model.mixed(poles, 0));
    const double at = delta / scale_margin;
    const double excess = (fit.function.constant + sum_of_sizes(fit.function, 0)) / value_at(fit.function, at * at) - 1;
    const double times = cancellation(fit.function, at * at);
    const double leak = times * rational_leak<Work>(p, delta, std::max(excess, 0.0), shape);
    const double storage = p < 0 ? 0.5 * double(std::numeric_limits<T>::epsilon()) * largest_value(fit.function) : 0;
    const double error = std::max(fit.bound, with_leak(fit, p, room, rounding.falling, leak)) + rounding.rest +
                         storage + (times - 1) * rounding.largest();
    return MethodChoice{SpectralMethod::rational, format, error, cost, fit.function};
  };
  if (p == 1.0) return with_poles(0);
  return fewest_poles(options, tolerance - rounding.largest(), with_poles);
}

/// The same with the Gram matrix in double, and of the poles the fewest that it takes, the rest in T: for float matrices.
/// These fits leave rounding no room of a particular shape, so that all shapes share them.
template <Scalar T>
MethodChoice choose_mixed(const SpectralPowerOptions& options, RationalFits& fits) {
  const Shape shape = Shape::of(options.rows, options.cols);
  const double p = options.power, tolerance = options.tolerance;
  // All poles in double: what is left is the rounding of their sum and of the product.
  const double least = mixed_rounding_error<T>({}, 0, p, options.resolution, shape);
  if (p == 1.0 || !(least < tolerance)) return {SpectralMethod::rational, Format::mixed};
  // With poles and weights for σ down to `reach`.
  const auto with = [&](std::size_t poles, std::size_t fine, double reach) {
    const RationalFit& fit = fits.get(poles, p, reach, tolerance, 0);
    const double error = fit.error + mixed_rounding_error<T>(fit.function, fine, p, options.resolution, shape);
    const double cost = CostModel(shape).mixed(poles, fine);
    return MethodChoice{SpectralMethod::rational, Format::mixed, error, cost, fit.function, {}, fine};
  };
  MethodChoice choice = fewest_poles(options, tolerance - least, [&](std::size_t poles) {
    std::size_t fine = 0;
    MethodChoice best = with(poles, fine, options.resolution);
    while (best.error_bound > tolerance && fine < poles) best = with(poles, ++fine, options.resolution);
    return best;
  });
  if (!(choice.error_bound <= tolerance) || p < 0)
    return choice;  // p < 0: σ^p grows below δ, and what is promised there is δ^p
  // What is left of the tolerance reaches further down: directions under the resolution come out less damped. Where to, in
  // steps that shapes share, by the law of the error; rounding grows a little, hence the search.
  constexpr double step = 0.9;
  const std::size_t poles = choice.function.poles.size(), fine = choice.fine_poles;
  const double rounding = mixed_rounding_error<T>(choice.function, fine, p, options.resolution, shape);
  const double gain = std::log((tolerance - rounding) / (choice.error_bound - rounding));
  const double rate = std::numbers::pi * std::numbers::pi * double(poles), depth = std::log(4 / options.resolution);
  const double deeper = 1 / (1 / depth - std::min(gain / rate, 0.5 / depth)) - depth;
  for (int steps = static_cast<int>(-deeper / std::log(step)); steps > 0; steps = steps * 2 / 3) {
    MethodChoice further = with(poles, fine, options.resolution * std::pow(step, steps));
    if (further.error_bound <= tolerance) return further;
  }
  return choice;
}

/// The schedule of fewest steps that meets the tolerance in precision Work.
template <Scalar T, Element Work>
MethodChoice choose_iterates(const SpectralPowerOptions& options, const Machine& machine, IterateFits& fits) {
  const Shape shape = Shape::of(options.rows, options.cols);
  IteratePlan plan =
      plan_iterates<T, Work>(shape, options.power, options.resolution, options.tolerance, fits, machine.symmetric);
  const double cost = product_cost<T, Work> * CostModel(shape, machine).iterates(plan), error = plan.error;
  return {SpectralMethod::iterates, format_of<T, Work>, error, cost, {}, std::move(plan)};
}

/// Throws InvalidArgument, in the name of `function`, for a resolution or a tolerance that no plan could have.
inline void require_accuracy(std::string_view function, double resolution, double tolerance) {
  require(!std::isnan(resolution) && resolution > 0.0 && resolution <= 1.0, function, "resolution", resolution,
          "must lie in (0, 1]");
  require(std::isfinite(tolerance) && tolerance > 0.0, function, "tolerance", tolerance, "must be positive and finite");
}

/// "automatic, svd, …": all methods.
inline std::string method_names() {
  std::string names;
  for (const MethodTraits& traits : methods) names.append(names.empty() ? "" : ", ").append(traits.name);
  return names;
}

/// Throws InvalidArgument where an option is out of its range, or not what the machine has.
inline void require_valid(const SpectralPowerOptions& options, const Machine& machine) {
  const double p = options.power;
  // NaN first: comparing it would trap where the program traps invalid operations.
  require(!std::isnan(p) && p > -0.5 && p <= 1.0, "SpectralPower", "power", p, "must lie in (-0.5, 1]");
  require_accuracy("SpectralPower", options.resolution, options.tolerance);
  require(traits_of(options.method) != nullptr, "SpectralPower", "method", to_string(options.method),
          "must be one of " + method_names());
  require(options.format >= Format::automatic && options.format <= Format::tf32, "SpectralPower", "format",
          to_string(options.format), "must be one of automatic, scalar, float64, float16, bfloat16, tf32");
  require(options.schedule >= QuinticSchedule::muon && options.schedule <= QuinticSchedule::simple, "SpectralPower",
          "schedule", to_string(options.schedule), "must be one of muon, polar_express, cans, simple");
  const std::size_t most = largest_steps(options.schedule);
  require(options.quintic_steps <= most, "SpectralPower", "quintic_steps", options.quintic_steps,
          "must be at most " + std::to_string(most) + " for the schedule " + to_string(options.schedule));
  require(std::isfinite(options.norm_epsilon) && options.norm_epsilon >= 0, "SpectralPower", "norm_epsilon",
          options.norm_epsilon, "must be finite and not negative");
  require(machine.reduced_floats || options.format < Format::float16, "SpectralPower", "format",
          to_string(options.format), "needs float matrices and a backend that multiplies such numbers (a device's)");
  const bool products_alone = options.method == SpectralMethod::automatic ||
                              options.method == SpectralMethod::quintic || options.method == SpectralMethod::iterates;
  require(options.format == Format::automatic || products_alone, "SpectralPower", "format", to_string(options.format),
          "must be automatic for the method " + to_string(options.method));
  require(machine.host || options.method != SpectralMethod::rational, "SpectralPower", "method", "rational",
          "needs a host execution space");
  require(options.method != SpectralMethod::quintic || p == 0.0, "SpectralPower", "power", p,
          "must be 0 for the method quintic");
  require(options.method != SpectralMethod::newton_schulz || detail::halvings(p) >= 0, "SpectralPower", "power", p,
          "must be 1, 1/2, 1/4 or another power of one half for the method newton_schulz");
}

/// The ways of computing what the options ask for that could be the fastest. One that costs more than another that
/// meets the tolerance is left out where its fit would take time.
template <Scalar T>
std::vector<MethodChoice> candidates(const SpectralPowerOptions& options, const Machine& machine, Fits& fits) {
  const double p = options.power, resolution = options.resolution;
  const Shape shape = Shape::of(options.rows, options.cols);
  const CostModel cost(shape, machine);
  const bool any_format = options.format == Format::automatic;
  const auto wanted = [&](SpectralMethod method) {
    return options.method == method ||
           (options.method == SpectralMethod::automatic &&
            (any_format || method == SpectralMethod::quintic || method == SpectralMethod::iterates));
  };
  std::vector<MethodChoice> all;
  double least = std::numeric_limits<double>::infinity();  // cost of those that meet the tolerance
  const auto add = [&](MethodChoice&& choice) {
    if (choice.error_bound <= options.tolerance) least = std::min(least, choice.cost);
    all.push_back(std::move(choice));
  };
  // f.operator()<Work>() for the formats that quintic and iterates may take.
  const auto for_each_format = [&](const auto& f) {
    const auto in = [&](Format format) { return any_format || options.format == format; };
    if (in(Format::scalar) || (std::is_same_v<T, double> && in(Format::float64))) f.template operator()<T>();
    if constexpr (std::is_same_v<T, float>) {
      if (in(Format::float64)) f.template operator()<double>();
      if (machine.reduced_floats && in(Format::float16)) f.template operator()<Half>();
      if (machine.reduced_floats && in(Format::bfloat16)) f.template operator()<BFloat16>();
      if (machine.reduced_floats && in(Format::tf32)) f.template operator()<TensorFloat32>();
    }
  };
  bool met = false;  // by a rational function in T: double, and the iterates, are never faster
  if (wanted(SpectralMethod::rational) && machine.host) {
    add(choose_rational<T, T>(options, fits.rational));
    met = all.back().error_bound <= options.tolerance;
    if constexpr (std::is_same_v<T, float>) {
      if (!met) {
        add(choose_rational<T, T, double>(options, fits.rational));
        if (!(all.back().error_bound <= options.tolerance)) add(choose_mixed<T>(options, fits.rational));
        add(choose_rational<T, double>(options, fits.rational));
      }
    }
  }
  if (wanted(SpectralMethod::quintic) && p == 0.0) {
    const std::span<const Quintic> quintics = quintics_of(options.schedule, options.quintic_steps);
    // Down to ‖M‖_F = norm_epsilon, where M is divided by twice its norm, as one of four times the rank might be.
    const std::size_t rank = (options.norm_epsilon > 0 ? 4 : 1) * shape.short_side;
    const double error = quintic_error(quintics, resolution, rank);
    for_each_format([&]<class Work>() {
      add({SpectralMethod::quintic, format_of<T, Work>,
           error + quintic_rounding_error<Work>(options.schedule, quintics.size()),
           product_cost<T, Work> * cost.quintic(quintics.size())});
    });
  }
  if (wanted(SpectralMethod::iterates) && !met) {
    const double flops = cost.least_iterates(resolution);
    for_each_format([&]<class Work>() {
      if (product_cost<T, Work> * flops < least) add(choose_iterates<T, Work>(options, machine, fits.iterates));
    });
  }
  if (wanted(SpectralMethod::eigh)) {
    add({SpectralMethod::eigh, Format::scalar, eigh_error<T, T>(p, resolution, shape), cost.eigh()});
    if constexpr (std::is_same_v<T, float>) {
      add({SpectralMethod::eigh, Format::float64, eigh_error<T, double>(p, resolution, shape), 2 * cost.eigh()});
    }
  }
  if (wanted(SpectralMethod::svd)) {
    add({SpectralMethod::svd, Format::scalar, svd_error<T>(p, resolution, shape), cost.svd()});
  }
  return all;
}

/// The fastest of the methods that meets the tolerance. Throws InvalidArgument if none does.
/// Fits come from `fits`.
template <Scalar T>
MethodChoice choose_method(const SpectralPowerOptions& options, const Machine& machine, Fits& fits) {
  require_valid(options, machine);
  if (!has_promise(options.method)) return {options.method};
  double best = std::numeric_limits<double>::infinity(), least = best;
  MethodChoice chosen;
  for (MethodChoice& candidate : candidates<T>(options, machine, fits)) {
    best = std::min(best, candidate.error_bound);
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
