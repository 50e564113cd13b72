// SPDX-License-Identifier: BSD-3-Clause
// The map M = UΣVᵀ ↦ σ₁^h U f(Σ/σ₁) Vᵀ for a function f, as a plan for one shape and accuracy.
#pragma once

#include <schatten/spectral/choose_method.hpp>
#include <schatten/spectral/function_fit.hpp>
#include <schatten/spectral/map_region.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace schatten {

/// The options of a SpectralMap.
struct SpectralMapOptions {
  std::size_t rows = 0;                               ///< of the matrices
  std::size_t cols = 0;                               ///< of the matrices
  double resolution = 1e-3;                           ///< smallest σ/σ_max, in (0, 1], for which the tolerance holds
  double tolerance = 3e-2;                            ///< relative error of f(σ/σ₁), for σ >= resolution·σ_max
  SpectralMethod method = SpectralMethod::automatic;  ///< or svd, eigh, rational
};

namespace spectral {

namespace detail {

/// σ_k ↦ (s σ_0)^h f(σ_k/σ_0). If f(0) > 0, singular values at the rounding level of σ_0 count as zero and map to zero.
/// @pre value is finite.
template <class T, SpectralFunction F>
struct FunctionOfSigma {
  F f;
  double of_scale, order;  ///< h, and the order of f at 0
  [[nodiscard]] double degree() const { return of_scale; }
  KOKKOS_FUNCTION double operator()(double value, double largest, double scale, std::size_t) const {
    if (value == 0.0 || (order <= 0.0 && value <= sigma_floor<T> * largest)) return 0.0;
    return math::pow(scale, of_scale) * math::pow(largest, of_scale) * f(value / largest);
  }
};

/// The function that eigh_map applies to a Gram matrix: h(λ) = s^h λ_max^{h/2} f(√(λ/λ_max))/√λ, and d ln h/d ln λ.
template <SpectralFunction F>
struct FunctionOfGram {
  F f;
  double of_scale;  ///< h
  [[nodiscard]] double degree() const { return of_scale; }
  KOKKOS_FUNCTION double operator()(double lambda, double largest, double scale) const {
    const double unit = math::pow(scale, of_scale) * math::pow(largest, 0.5 * of_scale);
    return unit * f(math::sqrt(lambda / largest)) / math::sqrt(lambda);
  }
  KOKKOS_FUNCTION double slope(double lambda, double largest) const {
    constexpr double step = 1e-3;  // the difference of logarithms to O(step²)
    const double x = math::sqrt(lambda / largest), above = f(x * (1 + step)), below = f(x * (1 - step));
    return 0.5 * ((above - below) / (step * (above + below)) - 1);
  }
};

/// Returns the rational function with the fewest poles that meets the tolerance for f, with the poles in precision Work
/// and the Gram matrix in precision Gram. range: that of f. The bound is infinite if no function with a cost below
/// `most_cost` meets the tolerance.
template <Scalar T, Scalar Work, Scalar Gram = Work, SpectralFunction F>
MethodChoice choose_rational(const F& f, const FunctionRange& range, const SpectralMapOptions& options,
                             double most_cost, FunctionFits<F>& fits) {
  constexpr std::size_t most_poles = 32;
  constexpr double largest_share = 0.9, estimate = 2e-4;  // what the host's estimate of σ₁ may lack
  const Shape shape = Shape::of(options.rows, options.cols);
  const double delta = options.resolution, ulp = double(std::numeric_limits<Work>::epsilon());
  constexpr Format format = std::is_same_v<Gram, Work> ? format_of<T, Work> : Format::mixed;
  const double along = std::is_same_v<Gram, Work> ? rational_rounding<T, Work>(shape) : factor_rounding(shape);
  if (!range.positive) return {SpectralMethod::rational, format};
  const double stored = double(std::numeric_limits<T>::epsilon()) * (16 + range.ratio());
  const double rounding = ulp * (along * range.turned + 2 * range.steepness()) + stored + estimate * range.moved;
  if (!(rounding <= largest_share * options.tolerance)) return {SpectralMethod::rational, format};
  for (std::size_t poles = 0; poles <= most_poles; ++poles) {
    const CostModel model(shape);
    const double cost =
        product_cost<T, Work> * (std::is_same_v<Gram, Work> ? model.rational(poles) : model.mixed(poles, 0));
    if (cost >= most_cost) break;
    RationalFit fit = fits.rational(f, poles, delta);
    if (fit.error + stored > options.tolerance) continue;
    const linalg::Rational& r = fit.function;
    const double largest = (std::max)(range.steepest, 0.5 * (std::abs(r.constant) + sum_of_sizes(r, 0)));
    const double error =
        function_error(fit, f, range, delta, ulp * along, estimate) + ulp * 2 * largest / range.flattest + stored;
    if (error <= options.tolerance) {
      return {SpectralMethod::rational, format, error, cost, std::move(fit.function)};
    }
    if (fit.error < (1 - largest_share) * options.tolerance) break;  // all is rounding
  }
  return {SpectralMethod::rational, format};
}

/// Returns the factor by which f increases below δ; 1 if it does not. range: of f on [δ, 1], below: of f below δ.
inline double growth(const FunctionRange& range, const FunctionRange& below) {
  return below.largest > range.largest ? below.largest / range.least : 1.0;
}

/// Returns the bound of the relative error of f at σ >= δσ_max by the singular value decomposition, as svd_error for
/// σ^p. range, below: of f on [δ, 1] and on [sigma_floor, 1].
template <Scalar T>
double svd_error(const FunctionRange& range, const FunctionRange& below, double resolution, const Shape& shape) {
  if (!range.positive) return std::numeric_limits<double>::infinity();
  const double epsilon = double(std::numeric_limits<T>::epsilon()), backward = svd_rounding(shape) * epsilon;
  const double moved = backward * range.own_slope / resolution;
  const double turned = (std::max)(backward / 8, 2 * epsilon) * (growth(range, below) / resolution + range.ratio());
  return backward * (1 + range.moved) + (std::max)(moved, turned) + epsilon * below.largest / range.least + range.jump;
}

/// Returns the bound for the eigendecomposition of the Gram matrix in precision Work, as eigh_error for σ^p. range,
/// below: of f on [δ, 1] and on [√gram_floor, 1]. Terms of second order are bounded by the largest values of f(x)/x of
/// all directions.
template <Scalar T, Scalar Work>
double eigh_error(const FunctionRange& range, const FunctionRange& below, double resolution, const Shape& shape) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double epsilon = double(std::numeric_limits<Work>::epsilon()), backward = gram_rounding(shape) * epsilon;
  const double off_diagonal = backward / (resolution * resolution);
  const bool resolved = resolution >= 2 * std::sqrt(gram_floor<Work>) && off_diagonal <= 0.25;
  if (!range.positive || !resolved) return infinity;
  const double sensitivity =
      growth(range, below) * (std::max)(1.0, range.own_slope) / resolution + range.ratio() + range.moved;
  const double second = 0.25 * off_diagonal * off_diagonal * (1 + below.steepest / range.flattest);
  return backward * sensitivity + second +
         double(std::numeric_limits<T>::epsilon()) * (8 + 1.5 * below.largest / range.least) + range.jump;
}

}  // namespace detail

}  // namespace spectral

/// Computes σ₁^h U f(Σ/σ₁) Vᵀ for matrices of one shape. f is a SpectralFunction of degree h, of the library or of the
/// caller.
///
/// The result for a matrix with a NaN or an infinity is NaN in all elements; other matrices of the batch are not
/// affected. The result for a zero matrix is zero. Matrices may have any scale.
template <SpectralFunction F, Scalar T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace,
          class Backend = linalg::DefaultBackend<Exec>>
class SpectralMap {
 public:
  using memory_space = typename Exec::memory_space;  ///< where matrices are
  using Fits = spectral::FunctionFits<F>;            ///< fits that plans may share

  /// Fits f and chooses the method. On host execution spaces this is a rational function of the Gram matrix, if one
  /// with at most 32 poles meets the tolerance and costs less than the decompositions. Throws InvalidArgument for
  /// options and numbers of f out of range, for a method other than automatic, svd, eigh and rational, and if the
  /// method does not meet the tolerance, with the reason. Maps may share `fits`. Cost: a millisecond per pole, or
  /// microseconds if `fits` has the fit.
  SpectralMap(const F& f, const SpectralMapOptions& options, std::shared_ptr<Fits> fits = std::make_shared<Fits>())
      : f_(f), options_(options), fits_(std::move(fits)) {
    constexpr std::string_view function = "SpectralMap";
    spectral::require_accuracy(function, options.resolution, options.tolerance);
    const SpectralMethod wanted = options.method;
    require(wanted == SpectralMethod::automatic || wanted == SpectralMethod::svd || wanted == SpectralMethod::eigh ||
                wanted == SpectralMethod::rational,
            function, "method", to_string(wanted),
            "must be automatic, svd, eigh or rational: the others compute powers alone");
    require(wanted != SpectralMethod::rational || is_host_execution_space<Exec>, function, "method", "rational",
            "needs a host execution space");
    choice_ = chosen(f);
  }

  /// Sets f and chooses the method again. Does nothing if f is equal. If it throws InvalidArgument, the map does not
  /// change.
  void set_function(const F& f) {
    if (spectral::same_function(f, f_)) return;
    choice_ = chosen(f);
    f_ = f;
  }

  /// out ← σ₁^h U f(Σ/σ₁) Vᵀ for every matrix. M, out: (rows, cols) or (batch, rows, cols), any layout.
  /// @pre out shares no element with M. Throws InvalidArgument for other extents. Asynchronous on `exec` if the backend
  /// is.
  template <KokkosView VM, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VO& out, Workspace<memory_space>& workspace) const {
    constexpr bool scalars = std::is_same_v<scalar_of<VM>, T> && std::is_same_v<scalar_of<VO>, T>;
    constexpr bool writable = !std::is_const_v<typename VO::value_type>;
    constexpr bool ranks = int(view_rank<VM>) == int(view_rank<VO>);
    static_assert(scalars, "schatten: M and out must have the scalar type of the SpectralMap");
    static_assert(!scalars || writable, "schatten: out is written and must not be const");
    static_assert(!scalars || !writable || ranks, "schatten: M and out must have the same rank");
    if constexpr (scalars && writable && ranks) {
      constexpr std::string_view function = "SpectralMap::apply";
      const BatchView<const T, memory_space> batch_m = as_batch<Exec>(m);
      const BatchView<T, memory_space> batch_out = as_batch<Exec>(out);
      require_shape(batch_m, batch_m.extent(0), options_.rows, options_.cols, function, "m");
      require_shape(batch_out, batch_m.extent(0), options_.rows, options_.cols, function, "out");
      require_own_elements(batch_out, function, "out");
      require(!overlap(batch_m, batch_out), function, "out", shape_of(batch_out), "must not overlap m");
      if (batch_m.size() == 0) return;
      const ProfilingRegion region("schatten::SpectralMap::apply");
      spectral::in_map_region<Backend>(exec, batch_m, [&] { apply_method(exec, batch_m, batch_out, workspace); });
    }
  }
  /// Does not compile: Eigen matrices and pointers need a View.
  template <class VM, class VO, class... More>
    requires(!(KokkosView<VM> && KokkosView<VO>))
  void apply(const Exec&, const VM&, const VO&, const More&...) const {
    constexpr bool views = KokkosView<VM> && KokkosView<VO>;  // of a concept itself compilers say more
    static_assert(views,
                  "schatten: M and out must be Kokkos Views; schatten::view(matrix) makes one of an Eigen matrix "
                  "(interop/eigen.hpp), schatten::matrix_view of a pointer (interop/pointers.hpp)");
  }

  /// As above, with the plan's own scratch memory.
  template <KokkosView VM, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VO& out) {
    apply(exec, m, out, workspace_);
  }

  /// Returns the bound of the relative error of f in every singular direction with σ >= resolution·σ_max, rounding
  /// included.
  [[nodiscard]] double error_bound() const noexcept { return choice_.error_bound; }
  /// Returns the method: svd, eigh or rational.
  [[nodiscard]] SpectralMethod method() const noexcept { return choice_.method; }
  /// Returns the format of the method.
  [[nodiscard]] Format format() const noexcept { return choice_.format; }
  /// Returns the number of poles of `rational`; 0 for other methods.
  [[nodiscard]] std::size_t poles() const noexcept { return choice_.function.poles.size(); }
  /// Returns f.
  [[nodiscard]] const F& function() const noexcept { return f_; }
  /// Returns the options of the plan.
  [[nodiscard]] const SpectralMapOptions& options() const noexcept { return options_; }

 private:
  void apply_method(const Exec& exec, const BatchView<const T, memory_space>& batch_m,
                    const BatchView<T, memory_space>& batch_out, Workspace<memory_space>& workspace) const {
    if (choice_.method != SpectralMethod::svd) {
      if constexpr (is_host_execution_space<Exec> && std::is_same_v<T, float>) {
        if (choice_.format == Format::mixed) {
          return spectral::rational_power<T, Backend, double>(exec, choice_.function, f_.degree(), batch_m, batch_out,
                                                              workspace);
        }
      }
      if (choice_.format == Format::float64 && !std::is_same_v<T, double>) {
        return apply_in<double>(exec, batch_m, batch_out, workspace);
      }
      return apply_in<T>(exec, batch_m, batch_out, workspace);
    }
    spectral::detail::svd_map<Backend>(exec, "schatten::SpectralMap/scale",
                                       spectral::detail::FunctionOfSigma<T, F>{f_, f_.degree(), f_.order()}, batch_m,
                                       batch_out, workspace);
  }

  [[nodiscard]] spectral::MethodChoice chosen(const F& f) const {
    if constexpr (requires { f.check(std::string_view()); }) f.check("SpectralMap");
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const auto wanted = [&](SpectralMethod method) {
      return options_.method == SpectralMethod::automatic || options_.method == method;
    };
    const spectral::FunctionRange range = fits_->range(f, (std::min)(options_.resolution, 0.999));
    spectral::MethodChoice choice{SpectralMethod::svd, Format::scalar, infinity, infinity};
    double best = infinity;
    const auto take = [&](spectral::MethodChoice&& other) {
      best = (std::min)(best, other.error_bound);
      if (other.error_bound <= options_.tolerance && other.cost < choice.cost) choice = std::move(other);
    };
    if (wanted(SpectralMethod::eigh)) {
      take(eigh_choice<T>(f, range));
      if constexpr (std::is_same_v<T, float>) take(eigh_choice<double>(f, range));
    }
    if (wanted(SpectralMethod::svd)) {
      const spectral::Shape shape = spectral::Shape::of(options_.rows, options_.cols);
      take(
          {SpectralMethod::svd, Format::scalar,
           spectral::detail::svd_error<T>(range, fits_->range(f, spectral::sigma_floor<T>), options_.resolution, shape),
           spectral::CostModel(shape).svd()});
    }
    if (wanted(SpectralMethod::rational) && is_host_execution_space<Exec>) {
      take(spectral::detail::choose_rational<T, T>(f, range, options_, choice.cost, *fits_));
      if constexpr (std::is_same_v<T, float>) {
        take(spectral::detail::choose_rational<T, T, double>(f, range, options_, choice.cost, *fits_));
        take(spectral::detail::choose_rational<T, double>(f, range, options_, choice.cost, *fits_));
      }
    }
    if (choice.error_bound <= options_.tolerance) return choice;
    throw InvalidArgument(
        "SpectralMap", "tolerance", schatten::detail::printed(options_.tolerance),
        "is out of reach for " + std::string(F::name) +
            (range.positive ? ": rational needs more than 32 poles or more digits, and decompositions promise " +
                                  (std::isfinite(best) ? schatten::detail::printed(best) : "less")
                            : ": it is not positive above the resolution, where a relative error needs f > 0"));
  }

  template <class Work>
  [[nodiscard]] spectral::MethodChoice eigh_choice(const F& f, const spectral::FunctionRange& range) const {
    const spectral::Shape shape = spectral::Shape::of(options_.rows, options_.cols);
    const spectral::FunctionRange below = fits_->range(f, std::sqrt(spectral::gram_floor<Work>));
    return {SpectralMethod::eigh, spectral::format_of<T, Work>,
            spectral::detail::eigh_error<T, Work>(range, below, options_.resolution, shape),
            spectral::product_cost<T, Work> * spectral::CostModel(shape).eigh()};
  }

  template <class Work>
  void apply_in(const Exec& exec, const BatchView<const T, memory_space>& m, const BatchView<T, memory_space>& out,
                Workspace<memory_space>& workspace) const {
    if (choice_.method == SpectralMethod::eigh) {
      const spectral::detail::FunctionOfGram<F> map{f_, f_.degree()};
      return spectral::detail::eigh_map<Work, Backend>(exec, map, options_.resolution, m, out, workspace);
    }
    if constexpr (is_host_execution_space<Exec>) {
      spectral::rational_power<Work, Backend>(exec, choice_.function, f_.degree(), m, out, workspace);
    }
  }

  F f_;
  SpectralMapOptions options_;
  std::shared_ptr<Fits> fits_;
  spectral::MethodChoice choice_;
  Workspace<memory_space> workspace_;
};

}  // namespace schatten
