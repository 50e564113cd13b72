// SPDX-License-Identifier: BSD-3-Clause
// All numbers of the diagnostics for one weight matrix, from one decomposition.
#pragma once

#include <schatten/diagnostics/hill.hpp>
#include <schatten/diagnostics/power_law.hpp>
#include <schatten/diagnostics/ranks.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace schatten {

/// Norms, ranks and tail exponents of a matrix.
struct SpectralSummary {
  double frobenius_norm = 0;                                     ///< √Σσ²
  double spectral_norm = 0;                                      ///< σ_1
  double nuclear_norm = 0;                                       ///< Σσ
  double stable_rank = 0;                                        ///< stable_rank
  double effective_rank = 0;                                     ///< effective_rank
  double hill_alpha = std::numeric_limits<double>::quiet_NaN();  ///< hill_alpha with half of the eigenvalues
  PowerLaw power_law;                                            ///< fit_power_law of the eigenvalues
};

/// Returns the summary of a matrix from its singular values in any order.
///
/// All numbers are NaN if a value is not finite. If there are no values, norms and ranks are 0. A tail exponent is NaN
/// if there are too few values for it. Throws InvalidArgument for a negative value and for options out of range. Cost:
/// that of fit_power_law.
inline SpectralSummary spectral_summary(const std::vector<double>& singular_values,
                                        const PowerLawOptions& options = {}) {
  detail::check_power_law(options, "spectral_summary");
  SpectralSummary s;
  if (!detail::finite_spectrum(singular_values, "spectral_summary", "singular_values")) {
    s.frobenius_norm = s.spectral_norm = s.nuclear_norm = s.stable_rank = s.effective_rank = s.hill_alpha;
    return s;
  }
  std::vector<double> relative = singular_values;
  for (const double value : relative) s.spectral_norm = (std::max)(s.spectral_norm, value);
  if (s.spectral_norm == 0) return s;
  double sum = 0;
  for (double& value : relative) {
    value /= s.spectral_norm;
    sum += value;
  }
  s.nuclear_norm = s.spectral_norm * sum;
  s.stable_rank = stable_rank(relative);
  s.frobenius_norm = s.spectral_norm * std::sqrt(s.stable_rank);
  s.effective_rank = effective_rank(relative);
  if (relative.size() >= 2) s.hill_alpha = hill_alpha(relative);
  s.power_law = detail::fit_squares(relative, s.spectral_norm, options);
  return s;
}

/// Returns the summary of W, one matrix (rank 2) of any layout and scale. Fences `exec` and allocates scratch memory.
/// Cost: one svd without vectors and the fit.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
SpectralSummary spectral_summary(const Exec& exec, const V& w, const PowerLawOptions& options = {}) {
  return spectral_summary(weight_singular_values<Backend>(exec, w), options);
}

}  // namespace schatten
