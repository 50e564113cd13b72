// SPDX-License-Identifier: BSD-3-Clause
// The norm whose direction of steepest descent is U f(μΣ) Vᵀ: an Orlicz norm of the singular values.
#pragma once

#include <schatten/spectral/exact.hpp>
#include <schatten/spectral/singular_values.hpp>
#include <schatten/spectral/spectral_function.hpp>
#include <schatten/spectral/steepest_descent.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace schatten {

namespace spectral {

/// A nondecreasing function f, and φ(d) = sup_x (xd − ∫₀ˣ f), which is ∫₀ˣ (d − f) at f(x) = d. On the host. Source:
/// Krasnosel'skii and Rutickii, Convex Functions and Orlicz Spaces (1961), chapter 1.
template <SpectralFunction F>
class YoungFunction {
 public:
  /// @pre f does not decrease.
  explicit YoungFunction(const F& f) : f_(f) {}

  /// Returns f(x); 0 for x <= 0.
  [[nodiscard]] double f(double x) const { return x > 0 ? f_(x) : 0.0; }

  /// Returns Σ_k φ(f(x_k)). @pre x is ascending and not negative.
  [[nodiscard]] double sum_at(const std::vector<double>& x) const {
    std::vector<double> d(x.size());
    std::transform(x.begin(), x.end(), d.begin(), [&](double each) { return f(each); });
    return sum(x, d);
  }
  /// Returns Σ_k φ(d_k); infinite if some d_k exceeds all values of f. @pre d is ascending.
  [[nodiscard]] double sum(const std::vector<double>& d) const {
    std::vector<double> x(d.size());
    std::transform(d.begin(), d.end(), x.begin(), [&](double each) { return inverse(each); });
    if (!d.empty() && std::isinf(x.back())) return x.back();
    return sum(x, d);
  }

  /// Throws InvalidArgument unless f is positive and, except for rounding, nondecreasing.
  void require_growing(std::string_view function) const {
    double before = 0;
    for (double x = least; x < largest; x *= 1.1) {
      const double value = f(x);
      require(std::isfinite(value) && value > 0 && value >= before * (1 - 1e-12), function, "f", std::string(F::name),
              "falls somewhere: no ball belongs to it");
      before = value;
    }
  }

  static constexpr double least = 1e-12;   ///< smaller x count as 0
  static constexpr double largest = 1e12;  ///< larger x count as infinite
  static constexpr int bisections = 60;    ///< steps of a search for x

 private:
  static constexpr double accuracy = 1e-10;  ///< of an integral, before the extrapolation
  static constexpr int deepest = 20;

  /// Returns the least x with f(x) >= d; infinite if there is none.
  [[nodiscard]] double inverse(double d) const {
    if (!(f(largest) >= d)) return std::numeric_limits<double>::infinity();
    if (f(least) >= d) return 0;
    double low = std::log(least), high = std::log(largest);
    for (int k = 0; k < bisections; ++k) {
      const double middle = 0.5 * (low + high);
      (f(std::exp(middle)) >= d ? high : low) = middle;
    }
    return std::exp(high);
  }

  /// Returns Σ_k φ(d_k) with f(x_k) = d_k. Each φ(d_k) is computed from the previous one by adding terms that are not
  /// negative.
  [[nodiscard]] double sum(const std::vector<double>& x, const std::vector<double>& d) const {
    double one = 0, all = 0;
    for (std::size_t k = 0; k < x.size(); ++k) {
      const double before = k > 0 ? x[k - 1] : 0;
      if (k > 0) one += before * (d[k] - d[k - 1]);
      if (x[k] > before) one += before > 0 ? between(before, x[k], d[k]) : from_zero(x[k], d[k]);
      all += one;
    }
    return all;
  }

  /// Returns ∫_a^b (d − f) by the adaptive Simpson rule in ln x, for f with kinks and powers of x. @pre 0 < a < b, d >=
  /// f
  [[nodiscard]] double between(double a, double b, double d) const {
    const double low = std::log(a), high = std::log(b), middle = 0.5 * (low + high);
    const double at_low = part(low, d), at_middle = part(middle, d), at_high = part(high, d);
    const double whole = (high - low) / 6 * (at_low + 4 * at_middle + at_high);
    const double allowed = accuracy * whole + 1e-15 * (high - low) * b * d;  // rounding of d − f
    return simpson(low, at_low, middle, at_middle, high, at_high, whole, allowed, 0, d);
  }
  /// Returns ∫_0^x (d − f). The part near 0 is computed from the power of x that f is proportional to there.
  [[nodiscard]] double from_zero(double x, double d) const {
    double sum = 0, high = x;
    for (; high * d > 1e-12 * sum && high > 1e-40 * x; high *= 0.125) sum += between(0.125 * high, high, d);
    return sum + high * (d - f(high) / (1 + f_.order()));
  }
  [[nodiscard]] double part(double log_x, double d) const {
    const double x = std::exp(log_x), above = d - f(x);
    return above > 0 ? x * above : 0.0;
  }
  [[nodiscard]] double simpson(double a, double at_a, double m, double at_m, double b, double at_b, double whole,
                               double allowed, int depth, double d) const {
    const double l = 0.5 * (a + m), r = 0.5 * (m + b), at_l = part(l, d), at_r = part(r, d);
    const double left = (m - a) / 6 * (at_a + 4 * at_l + at_m), right = (b - m) / 6 * (at_m + 4 * at_r + at_b);
    const double change = left + right - whole;
    if (depth >= deepest || std::abs(change) <= 15 * allowed) return left + right + change / 15;
    return simpson(a, at_a, l, at_l, m, at_m, left, 0.5 * allowed, depth + 1, d) +
           simpson(m, at_m, r, at_r, b, at_b, right, 0.5 * allowed, depth + 1, d);
  }

  F f_;
};

namespace detail {

/// σ_k ↦ f(μ σ_k). If f(0) > 0, singular values that count as zero map to zero.
template <class T, SpectralFunction F>
struct FunctionOfMultiple {
  F f;
  double multiple, order;
  KOKKOS_FUNCTION double operator()(double value, double largest, double, std::size_t) const {
    if (value == 0.0 || (order <= 0.0 && value <= sigma_floor<T> * largest)) return 0.0;
    return f(multiple * value);
  }
};

/// Returns the μ with Σφ(f(μσ_k)) = level; if none reaches the level, the largest that is tried. @pre σ is descending,
/// σ_0 in [1, 2).
template <SpectralFunction F>
double multiple_of_level(const YoungFunction<F>& young, const std::vector<double>& sigma, double level) {
  std::vector<double> x(sigma.size());
  double low = std::log(YoungFunction<F>::least), high = std::log(YoungFunction<F>::largest);
  for (int k = 0; k < YoungFunction<F>::bisections; ++k) {
    const double middle = 0.5 * (low + high), multiple = std::exp(middle);
    std::transform(sigma.rbegin(), sigma.rend(), x.begin(), [&](double value) { return multiple * value; });
    (young.sum_at(x) <= level ? low : high) = middle;
  }
  return std::exp(low);
}

inline void check_level(std::string_view function, double level) {
  require(std::isfinite(level) && level > 0, function, "level", level, "must be finite and positive");
}

}  // namespace detail

}  // namespace spectral

/// Returns ‖M‖_f = inf{λ > 0 : Σ_k φ(σ_k/λ) <= level} of one matrix (rank 2), φ(d) = ∫₀^d f⁻¹. This is the norm whose
/// direction of steepest descent is U f(μΣ) Vᵀ. For f = x^p with level 1/q, q = 1 + 1/p, it is the Schatten-q norm. For
/// f = min(x, τ) it is the larger of ‖M‖_{S_∞}/τ and ‖M‖_F/√(2·level).
///
/// @pre f is defined for all x > 0 and continuous. Throws InvalidArgument if f is not positive or decreases, and for a
/// level that is not positive. Returns NaN if M has a NaN or an infinity. Fences `exec` and allocates scratch memory.
/// Cost: one svd without vectors, and 10⁴ evaluations of f per singular value. Source: Luxemburg, Banach Function
/// Spaces (1955); that such norms of σ are norms of M: Lewis, J. Convex Anal. 2 (1995).
template <class Backend = void, ExecutionSpace Exec, KokkosView V, SpectralFunction F>
double orlicz_norm(const Exec& exec, const V& m, const F& f, double level = 1) {
  spectral::detail::check_level("orlicz_norm", level);
  const spectral::YoungFunction<F> young(f);
  young.require_growing("orlicz_norm");
  const auto [scale, sigma] = spectral::singular_values<Backend>(exec, m);
  const double top = sigma.empty() ? 0.0 : sigma.front();
  if (top == 0.0 || std::isnan(top)) return top;
  using Young = spectral::YoungFunction<F>;
  double low = std::log(top / Young::largest), high = std::log(top / Young::least);
  std::vector<double> d(sigma.size());
  for (int k = 0; k < Young::bisections; ++k) {
    const double middle = 0.5 * (low + high), lambda = std::exp(middle);
    std::transform(sigma.rbegin(), sigma.rend(), d.begin(), [&](double value) { return value / lambda; });
    (young.sum(d) <= level ? high : low) = middle;
  }
  return scale * std::exp(high);
}

/// Returns max ⟨G, D⟩ over ‖D‖_f <= 1, the dual norm of G. out ← the D that attains it: U f(μΣ) Vᵀ, with the μ for
/// which its norm is 1. One matrix (rank 2), any layout. For a zero G `out` is zero and the result 0. Preconditions,
/// errors and cost are those of orlicz_norm, with two svds.
template <class Backend = void, ExecutionSpace Exec, KokkosView VG, SpectralFunction F, KokkosView VO>
double steepest_descent(const Exec& exec, const VG& g, const F& f, double level, const VO& out) {
  using T = scalar_of<VO>;
  using Space = typename Exec::memory_space;
  using Chosen = linalg::ChosenBackend<Backend, Exec>;
  if constexpr (spectral::check_descent_types<VG, VO>()) {
    constexpr std::string_view function = "steepest_descent";
    spectral::detail::check_level(function, level);
    const spectral::YoungFunction<F> young(f);
    young.require_growing(function);
    const BatchView<const T, Space> batch_g = as_batch<Exec>(g);
    const BatchView<T, Space> batch_out = as_batch<Exec>(out);
    require_shape(batch_out, 1, g.extent(0), g.extent(1), function, "out");
    require_own_elements(batch_out, function, "out");
    require(!overlap(batch_g, batch_out), function, "out", shape_of(batch_out), "must not overlap g");
    if (g.size() == 0) return 0.0;
    const auto [scale, sigma] = spectral::singular_values<Chosen>(exec, g);
    const bool usual = linalg::is_finite(sigma.front()) && sigma.front() > 0;  // else out is NaN or zero, whatever μ is
    const double multiple = usual ? spectral::detail::multiple_of_level(young, sigma, level) : 1.0;
    Workspace<Space> workspace;
    spectral::detail::svd_map<Chosen>(exec, "schatten::steepest_descent/scale",
                                      spectral::detail::FunctionOfMultiple<T, F>{f, multiple, f.order()}, batch_g,
                                      batch_out, workspace);
    exec.fence();  // fences: documented. The workspace goes
    if (!usual) return sigma.front();
    double sum = 0;
    for (const double value : sigma) {
      if (value > spectral::sigma_floor<T> * sigma.front() || f.order() > 0) sum += value * young.f(multiple * value);
    }
    return scale * sum;
  } else {
    return 0.0;
  }
}

}  // namespace schatten
