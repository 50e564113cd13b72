// SPDX-License-Identifier: BSD-3-Clause
// A method that a plan may use, with its error bound and cost, and the list of those found so far.
#pragma once

#include <schatten/core/reduced_float.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/spectral/error_model.hpp>
#include <schatten/spectral/iterate_plan.hpp>
#include <schatten/spectral/method.hpp>
#include <schatten/spectral/quintic.hpp>
#include <schatten/spectral/rational_power.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// Capabilities of an execution space and its backend.
struct Capabilities {
  bool host = true;             ///< the rational method
  bool reduced_floats = false;  ///< products of the types in core/reduced_float.hpp
  bool block_rows = false;      ///< symmetric products in rows of blocks, as on a device
  /// Returns the flops of a symmetric product n×k by k×n over n²k.
  [[nodiscard]] double symmetric(std::size_t n) const { return block_rows ? linalg::symmetric_flops(n) : 1; }
};

/// A method with its error bound and cost.
struct MethodChoice {
  SpectralMethod method = SpectralMethod::svd;
  Format format = Format::scalar;  ///< its format; never automatic
  double error_bound = std::numeric_limits<double>::infinity();
  double cost = 0;                      ///< flops of matrix products in T that take as long
  linalg::Rational function{};          ///< rational
  IteratePlan iterates{};               ///< iterates
  std::size_t fine_poles = 0;           ///< rational, mixed: number of the smallest poles, which are computed in double
  linalg::ComposedRational composed{};  ///< rational, mixed: if it has poles, in place of `function`
  /// Number of poles of `rational`.
  [[nodiscard]] std::size_t poles() const {
    return function.poles.size() + (composed.poles.empty() ? 0 : composed.poles.size() + 1);
  }
};

/// The fits that plans share.
struct FitCaches {
  RationalFits rational;
  ComposedFits composed;
  IterateFits iterates;
  /// Returns the number of fits that were computed so far.
  [[nodiscard]] std::size_t made() const { return rational.made() + composed.made() + iterates.made(); }
};

/// Time of each method in flops of matrix products of the same scalar type, as measured on one core
/// (docs/benchmarks.md). Double takes twice as long as float. On a device, not measured yet: 16-bit products an eighth
/// of float's, tf32's a quarter, decompositions thirty times what they are on the host.
struct CostModel {
  explicit CostModel(const Shape& shape, const Capabilities& on = {})
      : m(double(shape.long_side)),
        n(double(shape.short_side)),
        symmetric(on.symmetric(shape.short_side)),
        capabilities(on) {}
  double m, n, symmetric;
  Capabilities capabilities;
  [[nodiscard]] double quintic(std::size_t steps) const { return quintic_flops(steps, m, n, symmetric); }
  [[nodiscard]] double rational(std::size_t poles) const { return 3 * n * n * m + 1.3 * double(poles) * n * n * n; }
  /// The Gram matrix costs twice as much, and each of the `fine` poles 1.75 times as much: all but its last third is in
  /// double.
  [[nodiscard]] double mixed(std::size_t poles, std::size_t fine) const {
    return n * n * m + 0.75 * 1.3 * double(fine) * n * n * n + rational(poles);
  }
  /// The Gram matrix and two thirds of a pole in double, the product with T, and the other poles.
  [[nodiscard]] double composed(std::size_t poles) const {
    return n * n * m + rational(poles) + (1.3 * 5 / 3 + 2.2) * n * n * n;
  }
  [[nodiscard]] double iterates(const IteratePlan& plan) const { return iterates(plan.fit.steps.size(), plan.form); }
  [[nodiscard]] double iterates(std::size_t steps, IterateForm form) const {
    return 1.35 * iterate_flops(steps, form, m, n, symmetric);
  }
  /// Returns the least cost of iterates at a resolution.
  [[nodiscard]] double least_iterates(double resolution) const {
    const std::size_t steps = iterate_schedules[coarsest_schedule(resolution)].steps.size();
    double least = std::numeric_limits<double>::infinity();
    for (const IterateForm form : {IterateForm::direct, IterateForm::tail, IterateForm::gram}) {
      least = (std::min)(least, iterates(steps, form));
    }
    return least;
  }
  [[nodiscard]] double eigh() const { return 3 * n * n * m + 35 * n * n * n * (capabilities.host ? 1 : 30); }
  [[nodiscard]] double svd() const { return (20 * n * n * m + 30 * n * n * n) * (capabilities.host ? 1 : 30); }
};

/// The cost of a product in Work divided by that of a product in T.
template <Scalar T, Element Work>
inline constexpr double product_cost = std::is_same_v<Work, TensorFloat32> ? 0.25
                                       : ReducedFloat<Work>                ? 0.125
                                       : std::is_same_v<T, Work>           ? 1.0
                                                                           : 2.0;

/// The Format whose type is Work, for matrices of T.
template <Scalar T, Element Work>
inline constexpr Format format_of = std::is_same_v<T, Work>          ? Format::scalar
                                    : std::is_same_v<Work, Half>     ? Format::float16
                                    : std::is_same_v<Work, BFloat16> ? Format::bfloat16
                                    : ReducedFloat<Work>             ? Format::tf32
                                                                     : Format::float64;

/// The candidates found so far for some options. Methods add theirs; those that are evaluated quickly come first.
template <Scalar T>
class Candidates {
 public:
  Candidates(const SpectralPowerOptions& its_options, const Capabilities& its_capabilities, FitCaches& its_fits)
      : options(its_options),
        capabilities(its_capabilities),
        fits(its_fits),
        shape(Shape::of(its_options.rows, its_options.cols)),
        cost(shape, its_capabilities) {}

  const SpectralPowerOptions& options;
  const Capabilities& capabilities;
  FitCaches& fits;
  Shape shape;
  CostModel cost;
  bool products_are_slower = false;  ///< a rational function in T meets the tolerance: the iterates are never faster

  /// Whether the method is that of the options, or the options are automatic and the method has their format.
  [[nodiscard]] bool wanted(SpectralMethod method) const {
    if (options.method != SpectralMethod::automatic) return options.method == method;
    return options.format == Format::automatic || traits_of(method)->formats;
  }
  /// Calls f.operator()<Work>() for the formats that the options allow for a method of matrix products.
  template <class F>
  void for_each_format(const F& f) const {
    const auto in = [&](Format format) { return options.format == Format::automatic || options.format == format; };
    if (in(Format::scalar) || (std::is_same_v<T, double> && in(Format::float64))) f.template operator()<T>();
    if constexpr (std::is_same_v<T, float>) {
      if (in(Format::float64)) f.template operator()<double>();
      if (capabilities.reduced_floats && in(Format::float16)) f.template operator()<Half>();
      if (capabilities.reduced_floats && in(Format::bfloat16)) f.template operator()<BFloat16>();
      if (capabilities.reduced_floats && in(Format::tf32)) f.template operator()<TensorFloat32>();
    }
  }

  void add(MethodChoice&& choice) {
    if (meets(choice)) least_ = (std::min)(least_, choice.cost);
    choices_.push_back(std::move(choice));
  }
  [[nodiscard]] bool meets(const MethodChoice& choice) const { return choice.error_bound <= options.tolerance; }
  /// Whether the candidate that was added last meets the tolerance.
  [[nodiscard]] bool last_meets() const { return !choices_.empty() && meets(choices_.back()); }
  /// The least cost of the candidates that meet the tolerance; infinite if none does. A candidate that costs more need
  /// not be fitted.
  [[nodiscard]] double least_cost() const { return least_; }
  [[nodiscard]] std::vector<MethodChoice>& choices() { return choices_; }

 private:
  double least_ = std::numeric_limits<double>::infinity();
  std::vector<MethodChoice> choices_;
};

/// Calls f.operator()<Work>() with the type of a choice's format, for matrices of T. reduced: whether the format may be
/// a 16-bit one or tf32.
template <Scalar T, bool reduced = false, class F>
void in_format(Format format, const F& f) {
  if (format == Format::scalar) return f.template operator()<T>();
  if constexpr (std::is_same_v<T, float>) {
    if (format == Format::float64) return f.template operator()<double>();
  }
  if constexpr (reduced) {
    if (format == Format::float16) return f.template operator()<Half>();
    if (format == Format::tf32) return f.template operator()<TensorFloat32>();
    f.template operator()<BFloat16>();
  }
}

}  // namespace schatten::spectral
