// The map M = UΣVᵀ ↦ UΣ^pVᵀ as a plan: made once for a shape and an accuracy, applied every step.
#pragma once

#include <schatten/spectral/exact.hpp>
#include <schatten/spectral/quintic.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

namespace schatten {

/// How U Σ^p Vᵀ is computed.
enum class SpectralMethod {
  automatic,  ///< the cheapest of the others that meets the tolerance
  svd,        ///< singular value decomposition, in the matrix's own precision
  eigh,       ///< eigen-decomposition of the Gram matrix, in double where float does not meet the tolerance
  quintic     ///< Muon's five quintics; p = 0 alone
};

/// "automatic", "svd", ...
inline std::string to_string(SpectralMethod method) {
  switch (method) {
    case SpectralMethod::automatic: return "automatic";
    case SpectralMethod::svd: return "svd";
    case SpectralMethod::eigh: return "eigh";
    case SpectralMethod::quintic: return "quintic";
  }
  return "SpectralMethod(" + std::to_string(static_cast<int>(method)) + ")";
}

/// What a SpectralPower is made for.
struct SpectralPowerOptions {
  std::size_t rows = 0;
  std::size_t cols = 0;
  double power = 0.125;      ///< p in (-0.5, 1]
  double resolution = 1e-3;  ///< smallest σ/σ_max, in (0, 1], that must come out within the tolerance
  double tolerance = 2e-2;   ///< relative error of σ^p, for σ >= resolution·σ_max
  SpectralMethod method = SpectralMethod::automatic;
};

namespace spectral {

/// Backward error of a decomposition of n columns, in multiples of ε(T)·‖M‖: measured worst × 2 to 3, n = 16 to 1024,
/// all backends (docs/mathematics.md has the table; tests/test_spectral_*.cpp hold the promises to it).
inline double svd_rounding(std::size_t n) { return 7 * std::sqrt(double(n)); }
/// The same for a Gram matrix and its eigen-decomposition, in multiples of ε(Work)·‖M‖².
inline double gram_rounding(std::size_t n) { return 4 + double(n) / 10; }
/// Rounding of five quintics on σ, absolute, in multiples of ε(T).
inline constexpr double quintic_rounding = 200;

/// Promised relative error of σ^p at σ >= δσ_max by svd_power, n = min(rows, cols): a backward error e moves σ by e and
/// turns the singular vectors by e/σ. For p < 0 the output's largest singular value, up to floor^p, sets its rounding.
template <Scalar T>
double svd_error(double power, double resolution, std::size_t n) {
  const double epsilon = double(std::numeric_limits<T>::epsilon()), backward = svd_rounding(n) * epsilon;
  const double turn = backward / resolution;
  const double storage = power < 0 ? std::pow(sigma_floor<T>, power) : std::pow(resolution, -power);
  return backward * (1 + std::abs(power) / resolution) + epsilon * storage + turn * turn;
}

/// The same by eigh_power: an error e in the Gram matrix moves σ by e/σ; the factors of the smallest eigenvalues, up to
/// floor^{(p−1)/2}, round into every direction.
template <Scalar T, Scalar Work>
double eigh_error(double power, double resolution, std::size_t n) {
  if (resolution * resolution < 4 * gram_floor<Work>) return std::numeric_limits<double>::infinity();
  const double backward = gram_rounding(n) * double(std::numeric_limits<Work>::epsilon());
  const double moved = 0.5 * (1 - power) / (resolution * resolution) + 1 / resolution;
  const double storage = power < 0 ? std::pow(gram_floor<Work>, power / 2) : std::pow(resolution, -power);
  const double leak = 0.3 * std::sqrt(double(n)) * std::pow(gram_floor<Work>, (power - 1) / 2);
  return backward * moved + double(std::numeric_limits<Work>::epsilon()) * leak +
         double(std::numeric_limits<T>::epsilon()) * (8 + storage);
}

/// A method and what it promises.
struct MethodChoice {
  SpectralMethod method = SpectralMethod::svd;
  bool gram_in_double = false;
  double error_bound = 0;
};

/// The first of the methods, cheapest first, that meets the tolerance. Throws InvalidArgument if none does.
template <Scalar T>
MethodChoice choose_method(const SpectralPowerOptions& options, std::span<const Quintic> quintics) {
  const double p = options.power, resolution = options.resolution;
  // NaN first: comparing it would trap where the program traps invalid operations.
  require(!std::isnan(p) && p > -0.5 && p <= 1.0, "SpectralPower", "power", p, "must lie in (-0.5, 1]");
  require(!std::isnan(resolution) && resolution > 0.0 && resolution <= 1.0, "SpectralPower", "resolution", resolution,
          "must lie in (0, 1]");
  require(std::isfinite(options.tolerance) && options.tolerance > 0.0, "SpectralPower", "tolerance", options.tolerance,
          "must be positive and finite");
  require(options.method >= SpectralMethod::automatic && options.method <= SpectralMethod::quintic, "SpectralPower",
          "method", to_string(options.method), "must be one of automatic, svd, eigh, quintic");
  require(options.method != SpectralMethod::quintic || p == 0.0, "SpectralPower", "power", p,
          "must be 0 for the method quintic");
  const std::size_t rank = std::min(options.rows, options.cols);
  std::array<MethodChoice, 4> candidates{{
      {SpectralMethod::quintic, false, std::numeric_limits<double>::infinity()},
      {SpectralMethod::eigh, false, eigh_error<T, T>(p, resolution, rank)},
      {SpectralMethod::eigh, true, eigh_error<T, double>(p, resolution, rank)},
      {SpectralMethod::svd, false, svd_error<T>(p, resolution, rank)},
  }};
  const bool exact = options.method == SpectralMethod::svd || options.method == SpectralMethod::eigh;
  if (p == 0.0 && !exact) {
    const double rounding = quintic_rounding * double(std::numeric_limits<T>::epsilon());
    candidates[0].error_bound = quintic_error(quintics, resolution, rank) + rounding;
  }
  double best = std::numeric_limits<double>::infinity();
  for (const MethodChoice& candidate : candidates) {
    if (options.method != SpectralMethod::automatic && options.method != candidate.method) continue;
    if (candidate.error_bound <= options.tolerance) return candidate;
    best = std::min(best, candidate.error_bound);
  }
  const auto number = [](double x) { return schatten::detail::printed(x); };
  throw InvalidArgument("SpectralPower", "tolerance", number(options.tolerance),
                        "is out of reach: method " + to_string(options.method) + " promises " +
                            (std::isfinite(best) ? number(best) : std::string("nothing")) + " at resolution " +
                            number(resolution) + "; ask for a coarser resolution, a larger tolerance" +
                            (std::is_same_v<T, float> ? ", double" : "") +
                            (options.method != SpectralMethod::automatic ? ", another method" : ""));
}

}  // namespace spectral

/// Computes U Σ^p Vᵀ for matrices of one shape.
///
/// p = 0 is the polar factor (Muon), p = 1 is M, 1/8 is HTMuon (Pang et al., arXiv 2603.10067).
/// A matrix with a NaN or an infinity gives NaN throughout and leaves its neighbours in the batch alone; a zero matrix
/// gives zero; any scale, also subnormal, is legal.
template <Scalar T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace, class Backend = linalg::DefaultBackend<Exec>>
class SpectralPower {
 public:
  using memory_space = typename Exec::memory_space;

  /// Checks the options and chooses the method. Throws InvalidArgument for a power outside (-0.5, 1], a resolution
  /// outside (0, 1], a tolerance that is not positive, and where no method (or not the one asked for) meets the
  /// tolerance. Cost: microseconds; a tenth of a millisecond for p = 0.
  explicit SpectralPower(const SpectralPowerOptions& options)
      : options_(options), choice_(spectral::choose_method<T>(options, muon)) {}

  /// out ← U Σ^p Vᵀ for every matrix. M, out: (rows, cols) or (batch, rows, cols), any layout.
  /// @pre out shares no element with M. Throws InvalidArgument. Asynchronous on `exec` as far as the backend is.
  template <KokkosView VM, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VO& out) {
    apply(exec, m, out, workspace_);
  }

  /// The same with scratch memory from `workspace`, which several plans may share.
  template <KokkosView VM, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VO& out, Workspace<memory_space>& workspace) const {
    static_assert(std::is_same_v<scalar_of<VM>, T> && std::is_same_v<scalar_of<VO>, T>,
                  "schatten: M and out must have the scalar type of the SpectralPower");
    static_assert(!std::is_const_v<typename VO::value_type>, "schatten: out is written and must not be const");
    static_assert(int(view_rank<VM>) == int(view_rank<VO>), "schatten: M and out must have the same rank");
    const BatchView<const T, memory_space> batch_m = as_batch<Exec>(m);
    const BatchView<T, memory_space> batch_out = as_batch<Exec>(out);
    require_shape(batch_m, batch_m.extent(0), options_.rows, options_.cols, "SpectralPower::apply", "m");
    require_shape(batch_out, batch_m.extent(0), options_.rows, options_.cols, "SpectralPower::apply", "out");
    require(!overlap(batch_m, batch_out), "SpectralPower::apply", "out", shape_of(batch_out), "must not overlap m");
    if (batch_m.size() == 0) return;
    const ProfilingRegion region("schatten::SpectralPower::apply");
    switch (choice_.method) {
      case SpectralMethod::svd:
        return spectral::svd_power<Backend>(exec, batch_m, options_.power, batch_out, workspace);
      case SpectralMethod::eigh:
        if (choice_.gram_in_double) {
          return spectral::eigh_power<double, Backend>(exec, batch_m, options_.power, batch_out, workspace);
        }
        return spectral::eigh_power<T, Backend>(exec, batch_m, options_.power, batch_out, workspace);
      case SpectralMethod::quintic:
        return spectral::quintic_iteration<Backend>(exec, std::span<const spectral::Quintic>(muon), batch_m, batch_out,
                                                    workspace);
      case SpectralMethod::automatic: break;  // resolved at construction
    }
  }

  /// Changes p; the rest of the plan is made anew for it. Throws InvalidArgument and keeps the old plan.
  void set_power(double power) {
    SpectralPowerOptions options = options_;
    options.power = power;
    choice_ = spectral::choose_method<T>(options, muon);
    options_ = options;
  }

  /// Promised relative error of σ^p in every singular direction with σ >= resolution·σ_max, rounding included.
  [[nodiscard]] double error_bound() const noexcept { return choice_.error_bound; }
  /// The method that was chosen; never `automatic`.
  [[nodiscard]] SpectralMethod method() const noexcept { return choice_.method; }
  /// Whether `eigh` forms and decomposes the Gram matrix in double although T is float.
  [[nodiscard]] bool gram_in_double() const noexcept { return choice_.gram_in_double; }
  /// What the plan was made for.
  [[nodiscard]] const SpectralPowerOptions& options() const noexcept { return options_; }

 private:
  static constexpr std::array<spectral::Quintic, spectral::muon_steps> muon{
      spectral::muon_quintic, spectral::muon_quintic, spectral::muon_quintic, spectral::muon_quintic,
      spectral::muon_quintic};

  SpectralPowerOptions options_;
  spectral::MethodChoice choice_;
  Workspace<memory_space> workspace_;
};

}  // namespace schatten
