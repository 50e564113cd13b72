// SPDX-License-Identifier: BSD-3-Clause
// The method `rational` of a plan: the fewest poles, in the precision that the tolerance needs.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/spectral/candidates.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <type_traits>
#include <utility>

namespace schatten::spectral {

/// Returns r(x) for x >= 0.
inline double value_at(const linalg::Rational& r, double x) {
  double sum = r.constant + r.linear * x;
  for (std::size_t j = 0; j < r.poles.size(); ++j) sum += r.weights[j] / (x + r.poles[j]);
  return sum;
}

/// Returns the largest σ·r(σ²), to a few percent, for p < 0, where the largest values are below the resolution.
inline double largest_value(const linalg::Rational& r) {
  double largest = 1;
  for (const double x : r.poles) largest = (std::max)(largest, std::sqrt(x) * value_at(r, x));
  return largest;
}

/// Returns the largest ‖(error of the fit, leak)‖ at σ >= δ; the leak is orthogonal to the direction. Near δ the fit
/// leaves an allowance for rounding, as long as `falling`·(δ/σ)² and the fit's own error exceed the tolerance together.
inline double with_leak(const RationalFit& fit, double power, double room, double falling, double leak) {
  const double at_resolution = std::hypot(fit.bound - falling, leak);
  if (fit.error + falling <= room) return at_resolution;
  const double ratio = std::sqrt((std::max)(room - fit.error, 0.0) / falling);  // δ/σ there
  return (std::max)(at_resolution, std::hypot(fit.error, leak * std::pow(ratio, 1 + power)));
}

/// Returns with_poles(K) for the smallest number K of poles that meets the tolerance; if none does, for the largest.
/// The error decreases as 1.5 exp(−π²K/ln(4/δ)). The search starts at the K for which this is `room`.
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

/// Returns the rational function with the fewest poles that meets the tolerance, including the rounding of precision
/// Work, with the Gram matrix in precision Gram. It needs two or three fits. If rounding needs most of the tolerance,
/// the bound is infinite.
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
    const double leak = times * rational_leak<Work>(p, delta, (std::max)(excess, 0.0), shape);
    const double storage = p < 0 ? 0.5 * double(std::numeric_limits<T>::epsilon()) * largest_value(fit.function) : 0;
    const double error = (std::max)(fit.bound, with_leak(fit, p, room, rounding.falling, leak)) + rounding.rest +
                         storage + (times - 1) * rounding.largest();
    return MethodChoice{SpectralMethod::rational, format, error, cost, fit.function};
  };
  if (p == 1.0) return with_poles(0);
  return fewest_poles(options, tolerance - rounding.largest(), with_poles);
}

/// Returns the same for float matrices with the Gram matrix and as few poles as possible in double, the others in T.
/// These fits do not depend on the shape, so all shapes share them.
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
  // What is left of the tolerance reaches further down: directions under the resolution come out less damped. Where to,
  // in steps that shapes share, by the law of the error; rounding grows a little, hence the search.
  constexpr double step = 0.9;
  const std::size_t poles = choice.function.poles.size(), fine = choice.fine_poles;
  const double rounding = mixed_rounding_error<T>(choice.function, fine, p, options.resolution, shape);
  const double gain = std::log((tolerance - rounding) / (choice.error_bound - rounding));
  const double rate = std::numbers::pi * std::numbers::pi * double(poles), depth = std::log(4 / options.resolution);
  const double deeper = 1 / (1 / depth - (std::min)(gain / rate, 0.5 / depth)) - depth;
  for (int steps = static_cast<int>(-deeper / std::log(step)); steps > 0; steps = steps * 2 / 3) {
    MethodChoice further = with(poles, fine, options.resolution * std::pow(step, steps));
    if (further.error_bound <= tolerance) return further;
  }
  return choice;
}

/// Returns, for float matrices, the composed fit that meets the tolerance with the fewest poles, and among these with
/// the smallest resolution, of those that cost less than most_cost.
template <Scalar T>
MethodChoice choose_composed(const SpectralPowerOptions& options, ComposedFits& fits, double most_cost) {
  const Shape shape = Shape::of(options.rows, options.cols);
  MethodChoice best{SpectralMethod::rational, Format::mixed};
  double finest = 0;
  for (std::size_t k = 0; k < compositions.size(); ++k) {
    const Composition& composition = compositions[k];
    const double cost = CostModel(shape).composed(composition.count);
    if (composition.resolution > options.resolution || cost >= most_cost) continue;
    const bool met = best.error_bound <= options.tolerance;
    if (met && (cost > best.cost || (cost == best.cost && composition.resolution >= finest))) continue;
    const ComposedFit& fit = fits.get(k, options.power);
    if (!(fit.under <= (options.power > 0 ? 1 + fit.error : 1.3))) continue;  // what is promised below the resolution
    const double error = composed_error<T>(fit, options.power, options.resolution, shape);
    if (!(error <= options.tolerance) && !(error < best.error_bound)) continue;
    best = {SpectralMethod::rational, Format::mixed, error, cost, {}, {}, 1, fit.function};
    finest = composition.resolution;
  }
  return best;
}

/// A rational function of the Gram matrix; on host execution spaces.
struct RationalMethod {
  static constexpr SpectralMethod method = SpectralMethod::rational;

  static void check(const SpectralPowerOptions&, const Capabilities& capabilities) {
    require(capabilities.host, "SpectralPower", "method", "rational", "needs a host execution space");
  }
  template <Scalar T>
  static void candidates(Candidates<T>& all) {
    if (!all.capabilities.host) return;
    all.add(choose_rational<T, T>(all.options, all.fits.rational));
    all.products_are_slower = all.last_meets();
    if constexpr (std::is_same_v<T, float>) {
      if (!all.products_are_slower) {
        all.add(choose_rational<T, T, double>(all.options, all.fits.rational));
        if (!all.last_meets()) all.add(choose_mixed<T>(all.options, all.fits.rational));
        all.add(choose_composed<T>(all.options, all.fits.composed, all.least_cost()));
        all.add(choose_rational<T, double>(all.options, all.fits.rational));
      }
    }
  }
  template <class Backend, ExecutionSpace Exec, class T, class Space>
  static void apply(const Exec& exec, const SpectralPowerOptions& options, const MethodChoice& choice,
                    const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
    if constexpr (is_host_execution_space<Exec>) {
      if constexpr (std::is_same_v<T, float>) {
        if (!choice.composed.poles.empty()) {
          return rational_power<T, Backend, double>(exec, choice.composed, options.power, m, out, workspace);
        }
        if (choice.format == Format::mixed) {
          return rational_power<T, Backend, double>(exec, choice.function, options.power, m, out, workspace,
                                                    choice.fine_poles);
        }
      }
      in_format<T>(choice.format, [&]<class Work>() {
        rational_power<Work, Backend>(exec, choice.function, options.power, m, out, workspace);
      });
    }
  }
};

}  // namespace schatten::spectral
