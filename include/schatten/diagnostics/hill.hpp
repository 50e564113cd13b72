// SPDX-License-Identifier: BSD-3-Clause
// Hill's estimator of the tail exponent of a weight matrix's spectrum (heavy-tailed self-regularization).
#pragma once

#include <schatten/diagnostics/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace schatten {

/// Returns Hill's estimator from singular values in any order: α = 1 + k / Σ_{i<=k} ln(λ_i/λ_{k+1}), where λ_1 >= λ_2
/// >= ... are their squares. A smaller α is a heavier tail.
///
/// k in [1, number of values); 0 means half of them. The result is infinite if the k + 1 largest are equal, NaN if a
/// value is not finite or λ_{k+1} = 0. Throws InvalidArgument for another k, for fewer than two values and for a
/// negative value. Source: Hill (1975); Zhou et al., "Temperature balancing, layer-wise weight analysis" (2023),
/// PL_Alpha_Hill.
inline double hill_alpha(const std::vector<double>& singular_values, std::size_t k = 0) {
  const std::size_t count = singular_values.size();
  require(count >= 2, "hill_alpha", "singular_values.size()", count, "must be at least 2");
  require(k < count, "hill_alpha", "k", k, "must be smaller than singular_values.size()");
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  if (!detail::finite_spectrum(singular_values, "hill_alpha", "singular_values")) return none;
  if (k == 0) k = count / 2;
  const std::vector<double> sigma = detail::descending(singular_values);
  if (sigma[k] == 0) return none;
  double sum = 0;
  for (std::size_t i = 0; i < k; ++i) {
    const double ratio = sigma[i] / sigma[k];  // infinite beyond the range of double
    sum += 2 * (linalg::is_finite(ratio) ? std::log(ratio) : std::log(sigma[i]) - std::log(sigma[k]));
  }
  return sum == 0 ? std::numeric_limits<double>::infinity() : 1 + double(k) / sum;
}

/// Returns Hill's estimator of the tail exponent of the spectral density of WᵀW, from the singular values of W.
///
/// W: one matrix (rank 2), any layout and scale; k in [1, min(rows, cols)), 0 means half of them. The result is NaN if
/// W has a NaN or an infinity; otherwise as above, also the errors. Fences `exec` and allocates scratch memory. Cost:
/// one svd without vectors.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double hill_alpha(const Exec& exec, const V& w, std::size_t k = 0) {
  const std::size_t rank = (std::min)(w.extent(0), w.extent(1));
  require(rank >= 2, "hill_alpha", "min(rows, cols)", rank, "must be at least 2");
  require(k < rank, "hill_alpha", "k", k, "must be smaller than min(rows, cols)");
  return hill_alpha(spectral::singular_values<Backend>(exec, w).relative, k);
}

}  // namespace schatten
