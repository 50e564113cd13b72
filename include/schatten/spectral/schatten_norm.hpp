// SPDX-License-Identifier: BSD-3-Clause
// Schatten norms ‖M‖_{S_q} = (Σ σ_k^q)^{1/q} and their duals.
#pragma once

#include <schatten/spectral/singular_values.hpp>

#include <cmath>
#include <limits>

namespace schatten {

/// Returns q*, the exponent of the dual of the Schatten-q norm: 1/q + 1/q* = 1, so 1 ↔ ∞, 2 ↔ 2, 9 ↔ 9/8.
inline double dual_exponent(double q) {
  require(!std::isnan(q) && q >= 1.0, "dual_exponent", "q", q, "must lie in [1, infinity]");
  if (std::isinf(q)) return 1.0;
  return q == 1.0 ? std::numeric_limits<double>::infinity() : q / (q - 1);
}

/// Returns ‖M‖_{S_q} of one matrix (rank 2): q = 1 nuclear, 2 Frobenius, ∞ spectral norm. NaN if M has a NaN or an
/// infinity.
///
/// Throws InvalidArgument unless q is in [1, ∞]. Fences `exec` and allocates scratch memory. The singular values are
/// divided by the largest before they are raised to q, so that they do not overflow. Cost: one svd without vectors.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double schatten_norm(const Exec& exec, const V& m, double q) {
  require(!std::isnan(q) && q >= 1.0, "schatten_norm", "q", q, "must lie in [1, infinity]");
  const auto [scale, sigma] = spectral::singular_values<Backend>(exec, m);
  const double largest = sigma.empty() ? 0.0 : sigma.front();
  if (largest == 0.0 || std::isnan(largest)) return largest;
  if (std::isinf(q)) return scale * largest;
  double sum = 0;
  for (const double value : sigma) sum += std::pow(value / largest, q);
  return scale * largest * std::pow(sum, 1 / q);
}

/// Returns the dual norm max ⟨M, D⟩ over ‖D‖_{S_q} <= 1, which is ‖M‖_{S_q*} with 1/q + 1/q* = 1. Errors and cost are
/// those of schatten_norm.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double dual_norm(const Exec& exec, const V& m, double q) {
  return schatten_norm<Backend>(exec, m, dual_exponent(q));
}

}  // namespace schatten
