// SPDX-License-Identifier: BSD-3-Clause
// Factors of weights computed from the tails of their spectra: the formula that AlphaDecay, TempBalance and LLR share.
#pragma once

#include <schatten/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace schatten::detail {

/// least + (most − least)(α − α_min)/(α_max − α_min) for the exponents α of all weights. If all are equal:
/// (least + most)/2. An exponent that is not finite has the factor 1 and does not change the others. Throws
/// InvalidArgument with the name `function` unless 0 <= least <= most < ∞.
inline std::vector<double> tail_factors(const std::vector<double>& exponents, double least, double most,
                                        std::string_view function) {
  require(std::isfinite(most), function, "most", most, "must be finite");
  require(std::isfinite(least) && least >= 0 && least <= most, function, "least", least,
          "must lie between 0 and most = " + std::to_string(most));
  double lowest = std::numeric_limits<double>::infinity(), highest = -lowest;
  for (const double alpha : exponents) {
    if (!std::isfinite(alpha)) continue;
    lowest = (std::min)(lowest, alpha);
    highest = (std::max)(highest, alpha);
  }
  std::vector<double> factors;
  for (const double alpha : exponents) {
    if (!std::isfinite(alpha)) {
      factors.push_back(1);
    } else {
      const double x = highest > lowest ? (alpha - lowest) / (highest - lowest) : 0.5;
      factors.push_back((1 - x) * least + x * most);
    }
  }
  return factors;
}

}  // namespace schatten::detail
