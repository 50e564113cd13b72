// SPDX-License-Identifier: BSD-3-Clause
// Fits of σ^p by composed rational functions, for float matrices at resolutions for which a Gram matrix in float is not
// accurate enough.
#pragma once

#include <schatten/linalg/rational.hpp>
#include <schatten/spectral/fit_cache.hpp>
#include <schatten/spectral/minimax_fit.hpp>
#include <schatten/spectral/poles.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// The inner function of a composed fit and its poles: T = shift/(x + shift), y = x + rise·T.
struct Composition {
  double resolution;  ///< derived for σ >= resolution
  double shift, rise;
  std::array<double, 3> poles;
  std::size_t count;  ///< of the poles
};

/// Found by a simplex search that minimizes the error of the fit for one p on [resolution/scale_margin, 1] plus the
/// rounding of float (composed_error), with |σ r(σ²)| <= δ^p below the resolution. The weights for any p are computed
/// by a fit.
inline constexpr std::array compositions{
    Composition{1e-5, 2.0533e-10, 1.3371, {1.5470e-4, 1.3162e-2}, 2},             // p = 1/8: error 4.6e-2
    Composition{1e-5, 1.6804e-10, 1.2959, {1.3900e-4, 1.2043e-2}, 2},             // p = 0: 4.8e-2
    Composition{1e-5, 2.4709e-10, 1.3882, {1.7161e-4, 1.4368e-2}, 2},             // p = 1/4: 4.3e-2
    Composition{6e-6, 3.8401e-11, 1.8004, {4.4892e-5, 1.2540e-3, 4.0614e-2}, 3},  // p = 1/8: 1.4e-2
    Composition{1e-5, 9.9634e-11, 4.3967, {1.1852e-4, 3.4479e-3, 1.0722e-1}, 3},  // p = 1/8: 1.2e-2
    Composition{1e-5, 1.2273e-10, 3.9441, {1.2295e-4, 3.4750e-3, 1.0512e-1}, 3},  // p = 0.3: 1.0e-2
};

/// A composed fit.
struct ComposedFit {
  linalg::ComposedRational function;
  double resolution = 1;                                   ///< of its composition
  double error = std::numeric_limits<double>::infinity();  ///< largest relative error on [resolution/scale_margin, 1]
  double under = 0;  ///< largest |σ r(σ²)| below, over σ^p or resolution^p, the larger one
};

/// Bytes of a fit on the heap.
inline std::size_t bytes_of(const ComposedFit& fit) {
  const linalg::ComposedRational& r = fit.function;
  return (r.poles.capacity() + r.weights.capacity() + r.products.capacity()) * sizeof(double);
}

namespace detail {

/// σ times 1, x, T, 1/(y + t_j), T/(y + t_j), with x = σ².
struct ComposedBasis {
  linalg::ComposedRational inner;  ///< weights unused
  void operator()(double sigma, double* row) const {
    const double x = sigma * sigma, t = inner.shift / (x + inner.shift), y = inner.inner(x);
    const std::size_t count = inner.poles.size();
    row[0] = sigma;
    row[1] = sigma * x;
    row[2] = sigma * t;
    for (std::size_t j = 0; j < count; ++j) {
      row[3 + j] = sigma / (y + inner.poles[j]);
      row[3 + count + j] = t * row[3 + j];
    }
  }
};

}  // namespace detail

/// Returns the minimax fit of σ^p with that composition. Cost: a millisecond.
inline ComposedFit fit_composed(const Composition& composition, double power) {
  constexpr double between_check_points = 1.002;
  const double delta = composition.resolution / scale_margin;
  const std::size_t count = composition.count, terms = 3 + 2 * count;
  linalg::ComposedRational r;
  r.shift = composition.shift;
  r.rise = composition.rise;
  r.poles.assign(composition.poles.begin(), composition.poles.begin() + std::ptrdiff_t(count));
  const detail::ComposedBasis basis{r};
  MinimaxFit<detail::ComposedBasis> minimax(basis, terms, power, delta);
  const WeightFit fit = minimax(EqualAllowance());
  if (fit.weights.empty()) return {};
  const auto w = fit.weights.begin();
  r.constant = w[0];
  r.linear = w[1];
  r.once = w[2];
  r.weights.assign(w + 3, w + 3 + std::ptrdiff_t(count));
  r.products.assign(w + 3 + std::ptrdiff_t(count), fit.weights.end());
  ComposedFit result{r, composition.resolution, between_check_points * fit.error};
  for (const double ratio : log_grid(1e-4, 300)) {
    const double sigma = ratio * delta, reference = std::pow(power < 0 ? sigma : delta, power);
    result.under = (std::max)(result.under, std::abs(sigma * r(sigma * sigma)) / reference);
  }
  return result;
}

/// A cache of fit_composed. All shapes and resolutions share the fits.
class ComposedFits {
 public:
  /// Returns the fit; the reference is valid until the next call.
  const ComposedFit& get(std::size_t composition, double power) {
    return fits_.get({composition, power}, [&] { return fit_composed(compositions[composition], power); });
  }
  /// Returns the number of fits that were computed.
  [[nodiscard]] std::size_t made() const { return fits_.made(); }

 private:
  FitCache<std::pair<std::size_t, double>, ComposedFit> fits_;
};

}  // namespace schatten::spectral
