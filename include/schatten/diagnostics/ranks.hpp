// SPDX-License-Identifier: BSD-3-Clause
// Stable and effective rank: real numbers that measure the number of directions of a weight matrix.
#pragma once

#include <schatten/diagnostics/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace schatten {

namespace detail {

/// Returns the values divided by the largest; one NaN if a value is not finite, nothing if all are zero.
inline std::vector<double> over_largest(std::vector<double> values, std::string_view function) {
  if (!finite_spectrum(values, function, "singular_values")) return {std::numeric_limits<double>::quiet_NaN()};
  const double largest = values.empty() ? 0.0 : *std::max_element(values.begin(), values.end());
  if (largest == 0) return {};
  for (double& value : values) value /= largest;
  return values;
}

}  // namespace detail

/// Returns the stable rank Σσ_k²/σ_1² = ‖W‖_F²/‖W‖_2², in [1, rank], from singular values in any order.
///
/// 0 without a positive value, NaN if a value is not finite. Throws InvalidArgument for a negative one.
/// Source: Rudelson and Vershynin, "Sampling from large matrices" (2007).
inline double stable_rank(const std::vector<double>& singular_values) {
  double sum = 0;
  for (const double x : detail::over_largest(singular_values, "stable_rank")) sum += x * x;
  return sum;
}

/// Returns the effective rank exp(−Σ p_k ln p_k), p_k = σ_k/Σσ, in [1, rank], from singular values in any order.
///
/// 0 without a positive value, NaN if a value is not finite. Throws InvalidArgument for a negative one.
/// Source: Roy and Vetterli, "The effective rank: a measure of effective dimensionality" (2007), definition 1.
inline double effective_rank(const std::vector<double>& singular_values) {
  const std::vector<double> relative = detail::over_largest(singular_values, "effective_rank");
  double sum = 0, entropy = 0;
  for (const double x : relative) sum += x;
  if (relative.empty() || !linalg::is_finite(sum)) return sum;
  for (const double x : relative) {
    if (x > 0) entropy -= x / sum * std::log(x / sum);
  }
  return std::exp(entropy);
}

/// Returns the stable rank of W, one matrix (rank 2) of any layout and scale. NaN if W has a NaN or an infinity, 0 if
/// it is zero or empty. Fences `exec` and allocates scratch memory. Cost: one svd without vectors.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double stable_rank(const Exec& exec, const V& w) {
  return stable_rank(spectral::singular_values<Backend>(exec, w).relative);
}

/// Returns the effective rank of W. Arguments, errors and cost are those of stable_rank.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double effective_rank(const Exec& exec, const V& w) {
  return effective_rank(spectral::singular_values<Backend>(exec, w).relative);
}

}  // namespace schatten
