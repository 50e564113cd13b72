// SPDX-License-Identifier: BSD-3-Clause
// Hill's estimator: how heavy the tail of a weight matrix's spectrum is (heavy-tailed self-regularisation).
#pragma once

#include <schatten/spectral/singular_values.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace schatten {

/// Hill's estimator of the tail exponent of the spectral density of WᵀW: with λ_1 >= λ_2 >= ... its eigenvalues,
/// α = 1 + k / Σ_{i<=k} ln(λ_i/λ_{k+1}). Smaller is heavier.
///
/// W: one matrix (rank 2), any layout; k in [1, min(rows, cols)), 0 means half of them. Infinite if the k + 1 largest
/// are equal, NaN if W holds a NaN or an infinity or λ_{k+1} = 0. Throws InvalidArgument. Fences `exec` (it returns a
/// number) and allocates scratch. Cost: one svd without vectors.
/// Source: Hill (1975); Zhou et al., "Temperature balancing, layer-wise weight analysis" (2023), PL_Alpha_Hill.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double hill_alpha(const Exec& exec, const V& w, std::size_t k = 0) {
  const std::size_t rank = (std::min)(w.extent(0), w.extent(1));
  require(rank >= 2, "hill_alpha", "min(rows, cols)", rank, "must be at least 2");
  require(k < rank, "hill_alpha", "k", k, "must be smaller than min(rows, cols)");
  if (k == 0) k = rank / 2;
  const std::vector<double> sigma = spectral::singular_values<Backend>(exec, w).relative;
  if (sigma[k] == 0 || std::isnan(sigma[k])) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (std::size_t i = 0; i < k; ++i) sum += 2 * std::log(sigma[i] / sigma[k]);
  return sum == 0 ? std::numeric_limits<double>::infinity() : 1 + double(k) / sum;
}

}  // namespace schatten
