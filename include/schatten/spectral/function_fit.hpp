// SPDX-License-Identifier: BSD-3-Clause
// Rational fits of any spectral function, and the numbers on which the rounding of its map depends.
#pragma once

#include <schatten/spectral/rational_power.hpp>
#include <schatten/spectral/spectral_function.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <mutex>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// Properties of f on [δ, 1], from its values at logarithmically spaced points.
struct FunctionRange {
  double turned = 0;     ///< largest |d ln f/d ln x − 1|/(2x²): the effect of an error of x²
  double own_slope = 0;  ///< largest |d ln f/d ln x|
  double moved = 0;      ///< largest |h − d ln f/d ln x|: the effect of an error of σ₁
  double largest = 0;    ///< f
  double least = 0;
  double steepest = 0;   ///< largest f(x)/x
  double flattest = 0;   ///< smallest f(x)/x
  double jump = 0;       ///< largest relative step between neighbouring numbers: that of a discontinuity
  bool positive = true;  ///< whether f > 0 at all of them

  [[nodiscard]] double ratio() const { return largest / least; }
  [[nodiscard]] double steepness() const { return steepest / flattest; }
};

/// Bytes on the heap.
inline std::size_t bytes_of(const FunctionRange&) { return 0; }

/// Sets the jump of f between the points of a grid where f changes most, by bisection. Sets `positive` to false if f is
/// not positive there.
template <SpectralFunction F>
void find_jump(const F& f, const std::vector<double>& grid, FunctionRange& range) {
  constexpr int halvings = 40, most_intervals = 64;
  const auto change = [](double a, double b) { return std::abs(std::log(b / a)); };
  double largest = 0;
  for (std::size_t i = 1; i < grid.size(); ++i) largest = (std::max)(largest, change(f(grid[i - 1]), f(grid[i])));
  int intervals = 0;
  for (std::size_t i = 1; i < grid.size() && intervals < most_intervals; ++i) {
    double a = grid[i - 1], b = grid[i], fa = f(a), fb = f(b);
    if (2 * change(fa, fb) < largest) continue;
    ++intervals;
    for (int k = 0; k < halvings && range.positive; ++k) {
      const double middle = 0.5 * (a + b), value = f(middle);
      range.positive = std::isfinite(value) && value > 0;
      if (!range.positive) return;
      const bool upper = change(value, fb) > change(fa, value);
      (upper ? a : b) = middle;
      (upper ? fa : fb) = value;
    }
    range.jump = (std::max)(range.jump, std::expm1(change(fa, fb)));
  }
}

/// Returns the range of f on [delta, 1]. If f is not positive or not finite somewhere, `positive` is false and the
/// largest values are those of |f|.
template <SpectralFunction F>
FunctionRange range_of(const F& f, double delta) {
  constexpr std::size_t points = 2000;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  FunctionRange range;
  range.least = range.flattest = infinity;
  const std::vector<double> grid = log_grid(delta, points);
  double before = 0;
  for (std::size_t i = 0; i < points; ++i) {
    const double value = f(grid[i]), size = std::isfinite(value) ? std::abs(value) : infinity;
    range.positive = range.positive && std::isfinite(value) && value > 0;
    range.largest = (std::max)(range.largest, size);
    range.steepest = (std::max)(range.steepest, size / grid[i]);
    if (range.positive) {
      range.least = (std::min)(range.least, value);
      range.flattest = (std::min)(range.flattest, value / grid[i]);
    }
    if (range.positive && i > 0) {
      const double slope = std::log(value / before) / std::log(grid[i] / grid[i - 1]);
      range.turned = (std::max)(range.turned, 0.5 * std::abs(slope - 1) / (grid[i - 1] * grid[i - 1]));
      range.own_slope = (std::max)(range.own_slope, std::abs(slope));
      range.moved = (std::max)(range.moved, std::abs(f.degree() - slope));
    }
    before = value;
  }
  if (range.positive) find_jump(f, grid, range);
  return range;
}

namespace detail {

/// y ↦ f(scale_margin·y)·scale_margin^{−h}, the function that is fitted: rational_power divides by s =
/// scale_margin·(the estimate of σ₁) and multiplies the result by s^h.
template <SpectralFunction F>
struct FunctionTarget {
  F f;
  double operator()(double y) const { return f(scale_margin * y) * std::pow(scale_margin, -f.degree()); }
};

}  // namespace detail

/// Returns the fit of f with that many poles, relative to f, on [resolution/scale_margin, 1].
///
/// The poles are Zolotarev's for intervals that begin at the resolution or at a bend of f. The fit is the best of
/// several such intervals and two spacings. The error is infinite if f is not positive on the interval. Cost: some
/// tenths of a millisecond to ten milliseconds.
template <SpectralFunction F>
RationalFit fit_function(const F& f, std::size_t poles, double resolution) {
  constexpr double between_check_points = 1.002, latest = 0.6;
  const double delta = (std::min)(resolution / scale_margin, 0.5);
  const detail::FunctionTarget<F> target{f};
  RationalFit best;
  for (double begin = delta; begin < latest; begin *= 2) {
    for (const double spacing : {0.0, 0.4}) {  // as for p = 0 and 0.4
      const detail::PoleBasis basis{rational_poles(poles, spacing, begin)};
      MinimaxFit<detail::PoleBasis, detail::FunctionTarget<F>> minimax(basis, 2 + poles, target, delta);
      const WeightFit fit = minimax(EqualAllowance());
      const double error = between_check_points * fit.error;
      if (fit.weights.empty() || !(error < best.error)) continue;
      best = {
          {fit.weights[0], fit.weights[1], basis.poles, {fit.weights.begin() + 2, fit.weights.end()}}, error, error};
    }
    if (poles == 0) break;
  }
  return best;
}

/// Returns the bound of the errors of rational_power for f at σ >= δ: those of the fit, and those of an error e of the
/// Gram matrix or its factors. range: of f on [δ, 1]. estimate: the relative error of σ₁.
///
/// e changes (S + t)⁻¹ = Z by ZeZ. Between v_m and v_k this is w/((σ_m² + t)(σ_k² + t)), times σ_m for out·v_k or σ_k
/// for outᵀu_k; m = k is in the direction u_k, the others are orthogonal to it. Poles whose weights have both signs do
/// not cancel their errors.
template <SpectralFunction F>
double function_error(const RationalFit& fit, const F& f, const FunctionRange& range, double delta, double e,
                      double estimate) {
  constexpr double points_each_decade = 24, others_each_decade = 6, below = 1e-3;
  const linalg::Rational& r = fit.function;
  const auto moved = [&](double m, double k) {
    double sum = std::abs(r.linear);
    for (std::size_t j = 0; j < r.poles.size(); ++j) {
      sum += std::abs(r.weights[j]) / ((m * m + r.poles[j]) * (k * k + r.poles[j]));
    }
    return sum * (std::max)(m, k);
  };
  std::vector<double> others{0};
  const double other = std::pow(10.0, -1 / others_each_decade), next = std::pow(10.0, -1 / points_each_decade);
  for (double m = 1; m > below * delta; m *= other) others.push_back(m);
  double worst = 0;
  for (double at = 1; at > delta * next; at *= next) {
    const double k = (std::max)(at, delta), value = f(k);
    double across = 0;
    for (const double m : others) across = (std::max)(across, moved(m, k));
    worst =
        (std::max)(worst, std::hypot(fit.error + estimate * range.moved + e * moved(k, k) / value, e * across / value));
  }
  return worst;
}

/// Whether two functions have the same numbers.
template <SpectralFunction F>
bool same_function(const F& a, const F& b) {
  static_assert(std::is_trivially_copyable_v<F>, "schatten: a SpectralFunction must be trivially copyable");
  return std::memcmp(&a, &b, sizeof(F)) == 0;
}

/// A cache of ranges and fits of a function, so that maps of other shapes, and numbers that were used before, need no
/// new fit. Several threads may use it.
template <SpectralFunction F>
class FunctionFits {
 public:
  FunctionRange range(const F& f, double delta) {
    const std::lock_guard lock(mutex_);
    return ranges_.get({bytes(f), 0, delta}, [&] { return range_of(f, delta); });
  }
  /// As fit_function.
  RationalFit rational(const F& f, std::size_t poles, double resolution) {
    const std::lock_guard lock(mutex_);
    return rational_.get({bytes(f), poles, resolution}, [&] { return fit_function(f, poles, resolution); });
  }

 private:
  using Bytes = std::array<unsigned char, sizeof(F)>;
  using Key = std::tuple<Bytes, std::size_t, double>;
  static Bytes bytes(const F& f) {
    Bytes bytes;
    std::memcpy(bytes.data(), &f, sizeof(F));
    return bytes;
  }
  std::mutex mutex_;
  FitCache<Key, FunctionRange> ranges_;
  FitCache<Key, RationalFit> rational_;
};

}  // namespace schatten::spectral
