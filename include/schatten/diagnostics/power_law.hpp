// SPDX-License-Identifier: BSD-3-Clause
// The power law that fits the tail of a spectrum: α by maximum likelihood, x_min by the Kolmogorov–Smirnov distance.
#pragma once

#include <schatten/diagnostics/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>
#include <vector>

namespace schatten {

/// Where the tail of a PowerLaw begins.
struct PowerLawOptions {
  double x_min = 0;             ///< where the tail begins; 0: chosen by the fit
  std::size_t least_tail = 10;  ///< fewest values of a chosen tail; at least 2
};

/// A density ~ x^−α for x >= x_min.
struct PowerLaw {
  double alpha = std::numeric_limits<double>::quiet_NaN();           ///< α, of the density; above 1
  double standard_error = std::numeric_limits<double>::quiet_NaN();  ///< of α: (α − 1)/√tail
  double x_min = std::numeric_limits<double>::quiet_NaN();           ///< where the tail begins
  std::size_t tail = 0;                                              ///< number of values >= x_min
  double distance = std::numeric_limits<double>::quiet_NaN();  ///< Kolmogorov–Smirnov: largest |empirical − fitted|
};

namespace detail {

/// The fit to the n values from x_min on, given by their ascending logarithms. The distance is computed only until it
/// exceeds `enough`. If all values are x_min, α is infinite and the distance 0.
inline PowerLaw fit_tail(const double* logs, std::size_t n, double x_min, double enough) {
  PowerLaw fit;
  fit.tail = n;
  fit.x_min = x_min;
  fit.distance = 0;
  const double origin = std::log(x_min);
  double sum = 0;
  for (std::size_t j = 0; j < n; ++j) sum += logs[j] - origin;
  if (!(sum > 0)) {
    fit.alpha = fit.standard_error = std::numeric_limits<double>::infinity();
    return fit;
  }
  const double slope = double(n) / sum;
  fit.alpha = 1 + slope;
  fit.standard_error = slope / std::sqrt(double(n));
  for (std::size_t j = 0; j < n && fit.distance < enough; ++j) {
    const double fitted = -std::expm1(-slope * (logs[j] - origin));
    const double before = double(j) / double(n), after = double(j + 1) / double(n);
    fit.distance = (std::max)({fit.distance, fitted - before, after - fitted});
  }
  return fit;
}

/// As fit_power_law, for values that have been checked.
inline PowerLaw fit_checked(std::vector<double> values, const PowerLawOptions& options) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  values.erase(std::remove(values.begin(), values.end(), 0.0), values.end());
  std::sort(values.begin(), values.end());
  std::vector<double> logs;
  for (const double value : values) logs.push_back(std::log(value));
  if (options.x_min > 0) {
    const auto first = std::lower_bound(values.begin(), values.end(), options.x_min) - values.begin();
    const std::size_t n = values.size() - std::size_t(first);
    return n < 2 ? PowerLaw() : fit_tail(logs.data() + first, n, options.x_min, infinity);
  }
  PowerLaw best, flat;
  for (std::size_t i = 0; i + options.least_tail <= logs.size(); ++i) {
    if (i > 0 && logs[i] == logs[i - 1]) continue;
    const PowerLaw fit =
        fit_tail(logs.data() + i, logs.size() - i, values[i], best.tail > 0 ? best.distance : infinity);
    if (!linalg::is_finite(fit.alpha)) {
      if (flat.tail == 0) flat = fit;
    } else if (best.tail == 0 || fit.distance < best.distance) {
      best = fit;
    }
  }
  return best.tail > 0 ? best : flat;
}

/// Throws InvalidArgument.
inline void check_power_law(const PowerLawOptions& options, std::string_view function) {
  require(linalg::is_finite(options.x_min) && options.x_min >= 0, function, "x_min", options.x_min,
          "must be finite and not negative");
  require(options.least_tail >= 2, function, "least_tail", options.least_tail, "must be at least 2");
}

/// The fit to the squares of scale·sigma for sigma near 1 and any scale, so that no square over- or underflows.
inline PowerLaw fit_squares(std::vector<double> sigma, double scale, PowerLawOptions options) {
  const double largest = sigma.empty() ? 0.0 : *std::max_element(sigma.begin(), sigma.end());
  if (largest == 0 || scale == 0) return {};
  for (double& value : sigma) value *= value;
  if (options.x_min > 0) {
    options.x_min = (std::max)(options.x_min / scale / scale, (std::numeric_limits<double>::min)());
  }
  PowerLaw fit = fit_checked(sigma, options);
  fit.x_min = fit.x_min * scale * scale;
  return fit;
}

}  // namespace detail

/// Returns the power law that fits the largest of `values` best: α = 1 + n/Σ ln(x_i/x_min) over the n values >= x_min.
///
/// x_min is the value, among those that leave at least least_tail values, for which the empirical distribution of the
/// tail and the fitted one 1 − (x/x_min)^(1−α) differ least (Kolmogorov–Smirnov). Values may have any order; zeros are
/// left out. If the tail has too few values (fewer than two, if x_min is given), all numbers are NaN and tail is 0. If
/// all values of the tail are x_min, α is infinite. If a value is not finite, all numbers are NaN. Throws
/// InvalidArgument for a negative value and options out of range. Cost: at most n²/2 exponentials for n values.
/// Source: Clauset, Shalizi, Newman, "Power-law distributions in empirical data" (2009), equations 3.1, 3.2, 3.9.
inline PowerLaw fit_power_law(const std::vector<double>& values, const PowerLawOptions& options = {}) {
  detail::check_power_law(options, "fit_power_law");
  if (!detail::finite_spectrum(values, "fit_power_law", "values")) return {};
  return detail::fit_checked(values, options);
}

/// Returns the fit for the eigenvalues λ of WᵀW, of which x_min is one.
///
/// W: one matrix (rank 2), any layout and scale. All numbers are NaN if W has a NaN or an infinity. Fences `exec` and
/// allocates scratch memory. Cost: one svd without vectors and the fit.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
PowerLaw fit_power_law(const Exec& exec, const V& w, const PowerLawOptions& options = {}) {
  detail::check_power_law(options, "fit_power_law");
  const auto [scale, sigma] = spectral::singular_values<Backend>(exec, w);
  if (!linalg::is_finite(scale) || !detail::finite_spectrum(sigma, "fit_power_law", "w")) return {};
  return detail::fit_squares(sigma, scale, options);
}

}  // namespace schatten
