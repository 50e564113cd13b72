// SPDX-License-Identifier: BSD-3-Clause
// Learning rates by layer, computed from the tails of the weights' spectra: TempBalance and LLR.
#pragma once

#include <schatten/diagnostics/weight_decay.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>
#include <vector>

namespace schatten {

/// Smallest and largest factor of the learning rates. The defaults are LLR's; TempBalance has 0.5 and 1.5.
struct LayerLrOptions {
  double least = 1;               ///< s_min, of the weight with the heaviest tail; 0 <= s_min <= s_max
  double most = 5;                ///< s_max, of the weight with the lightest tail; finite
  std::size_t least_values = 50;  ///< set_layer_lrs: weights with fewer singular values have the factor 1
};

/// Returns the factor of the learning rate of each layer, from the exponents α of all: s_min + (s_max − s_min)(α −
/// α_min)/(α_max − α_min). A layer with a larger α, a lighter tail, has a larger factor.
///
/// If all exponents are equal, each factor is (s_min + s_max)/2. A layer whose exponent is not finite has the factor 1
/// and does not change the others. Throws InvalidArgument.
/// Source: Zhou et al., arXiv 2312.00359 (TempBalance); He et al., arXiv 2605.22297 (LLR). The exponent of both codes
/// is alpha_decay_exponent.
inline std::vector<double> layer_lr_factors(const std::vector<double>& exponents, const LayerLrOptions& options = {}) {
  return detail::tail_factors(exponents, options.least, options.most, "layer_lr_factors");
}

/// Sets the learning rate of each group, one group per layer, to lr times the layer's factor by Optimizer::set_lr.
/// Returns the factors.
///
/// layers: a range of pairs (GroupId, View of rank 2: the weight from which α is computed), no group twice. The rates
/// stay until they are set again; LLR's interval is 100 steps. Schedules are not affected: set_lr_factor multiplies the
/// rates. Throws InvalidArgument, and then sets nothing, for an unknown group, an lr that is negative or not finite,
/// and options out of range. Fences `exec`. Cost: one svd without vectors for each layer.
template <class Backend = void, ExecutionSpace Exec, class Optimizer, class Layers>
std::vector<double> set_layer_lrs(const Exec& exec, Optimizer& optimizer, const Layers& layers, double lr,
                                  const LayerLrOptions& options = {}) {
  constexpr std::string_view function = "set_layer_lrs";
  require(std::isfinite(lr) && lr >= 0, function, "lr", lr, "must be finite and not negative");
  if constexpr (require_keyed_views<Layers>()) {
    std::vector<double> exponents;
    std::vector<std::size_t> seen;
    for (const auto& [group, w] : layers) {
      (void)optimizer.get(group, "lr");  // refuses an unknown group
      require(std::find(seen.begin(), seen.end(), group.index) == seen.end(), function, "group", group.index,
              "must be given once");
      seen.push_back(group.index);
      const bool takes_part = (std::min)(w.extent(0), w.extent(1)) >= options.least_values;
      exponents.push_back(takes_part ? alpha_decay_exponent<Backend>(exec, w)
                                     : std::numeric_limits<double>::quiet_NaN());
    }
    const std::vector<double> factors = layer_lr_factors(exponents, options);
    for (const double factor : factors) {
      require(std::isfinite(lr * factor), function, "lr", lr, "must be finite times its factor");
    }
    auto next = factors.begin();
    for (const auto& [group, w] : layers) optimizer.set_lr(group, lr * *next++);
    return factors;
  }
  return {};
}

}  // namespace schatten
