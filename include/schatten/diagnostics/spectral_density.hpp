// SPDX-License-Identifier: BSD-3-Clause
// The empirical spectral density: a histogram of eigenvalues or singular values on a logarithmic axis.
#pragma once

#include <schatten/diagnostics/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten {

/// Bins of a SpectralDensity.
struct SpectralDensityOptions {
  std::size_t bins = 50;  ///< their number; at least 1
  double lowest = 0;      ///< first edge; 0: the smallest positive value, but not below 1e-12 of the largest
  double highest = 0;     ///< last edge; 0: the largest value
};

/// A histogram whose edges are a geometric sequence. Bin k is [edges[k], edges[k + 1]); the last bin includes its end.
struct SpectralDensity {
  std::vector<double> edges;        ///< bins + 1 numbers
  std::vector<std::size_t> counts;  ///< values in each bin
  std::vector<double> density;      ///< counts/(N·width), N the number of all values: a probability density
  std::size_t below = 0;            ///< number of values below the first edge, zeros included
  std::size_t above = 0;            ///< number of values above the last edge
};

/// Returns the density of values in any order. For weight_eigenvalues(exec, W) it is the empirical spectral density
/// (ESD) of WWᵀ.
///
/// If no value is 1e-300 or above, there are no bins and all values are `below`. If first and last edge would be equal
/// to a relative 1e-6, an edge that is not given is moved away by a factor of 2. Throws InvalidArgument for a value
/// that is negative or not finite, and for edges that are negative, not finite or not ascending. Cost: two passes.
inline SpectralDensity spectral_density(const std::vector<double>& values, const SpectralDensityOptions& options = {}) {
  constexpr std::string_view function = "spectral_density";
  require(options.bins >= 1, function, "bins", options.bins, "must be at least 1");
  for (const auto& [argument, edge] : {std::pair{"lowest", options.lowest}, std::pair{"highest", options.highest}}) {
    require(linalg::is_finite(edge) && edge >= 0, function, argument, edge, "must be finite and not negative");
  }
  double smallest = (std::numeric_limits<double>::max)(), largest = 0;
  require(detail::finite_spectrum(values, function, "values"), function, "values", "not finite", "must be finite");
  for (const double value : values) {
    if (value > 0) smallest = (std::min)(smallest, value);
    largest = (std::max)(largest, value);
  }
  SpectralDensity result;
  if (largest < 1e-300) {
    result.below = values.size();
    return result;
  }
  const bool low_given = options.lowest > 0, high_given = options.highest > 0;
  double low = low_given ? options.lowest : (std::max)(smallest, 1e-12 * largest);
  double high = high_given ? options.highest : largest;
  if (!(high > (1 + 1e-6) * low)) {
    require(!low_given || !high_given, function, "highest", high, "must be above lowest = " + detail::printed(low));
    const double last = low_given ? low : high;
    if (!low_given) low = high / 2;
    if (!high_given) high = 2 * (std::min)(last, (std::numeric_limits<double>::max)() / 2);
  }
  const double width = (std::log(high) - std::log(low)) / double(options.bins);
  for (std::size_t k = 0; k < options.bins; ++k) result.edges.push_back(low * std::exp(double(k) * width));
  result.edges.push_back(high);
  result.counts.assign(options.bins, 0);
  for (const double value : values) {
    if (value < low) {
      ++result.below;
    } else if (value > high) {
      ++result.above;
    } else {
      const auto past = std::upper_bound(result.edges.begin(), result.edges.end(), value) - result.edges.begin();
      ++result.counts[(std::min)(std::size_t(past), options.bins) - 1];
    }
  }
  for (std::size_t k = 0; k < options.bins; ++k) {
    const double share = double(result.counts[k]) / double(values.size());
    result.density.push_back(share / (result.edges[k + 1] - result.edges[k]));
  }
  return result;
}

}  // namespace schatten
