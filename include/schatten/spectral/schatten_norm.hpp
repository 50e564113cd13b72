// SPDX-License-Identifier: BSD-3-Clause
// Schatten norms ‖M‖_{S_q} = (Σ σ_k^q)^{1/q} and their duals.
#pragma once

#include <schatten/spectral/singular_values.hpp>

#include <cmath>
#include <limits>

namespace schatten {

/// Exponent of the dual of the Schatten-q norm: 1/q + 1/q* = 1, so 1 ↔ ∞, 2 ↔ 2, 9 ↔ 9/8.
inline double dual_exponent(double q) {
  require(!std::isnan(q) && q >= 1.0, "dual_exponent", "q", q, "must lie in [1, infinity]");
  if (std::isinf(q)) return 1.0;
  return q == 1.0 ? std::numeric_limits<double>::infinity() : q / (q - 1);
}

/// ‖M‖_{S_q} of one matrix (rank 2): q = 1 nuclear, 2 Frobenius, ∞ spectral norm. NaN if M holds a NaN or an infinity.
///
/// From the singular values, divided by the largest before they are raised to q. Throws InvalidArgument unless
/// q is in [1, ∞]. Fences `exec` (it returns a number) and allocates scratch. Cost: one svd without vectors.
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

/// Dual norm of Schatten-q: max ⟨M, D⟩ over ‖D‖_{S_q} <= 1, that is ‖M‖_{S_q*} with 1/q + 1/q* = 1. As schatten_norm.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double dual_norm(const Exec& exec, const V& m, double q) {
  return schatten_norm<Backend>(exec, m, dual_exponent(q));
}

}  // namespace schatten
