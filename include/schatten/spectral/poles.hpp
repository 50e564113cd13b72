// SPDX-License-Identifier: BSD-3-Clause
// Poles of the rational basis 1/(S + t_j I), in closed form.
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

namespace schatten::spectral {

namespace detail {

/// sc(f·K' | 1 − δ²) = sn/cn, K' the complete elliptic integral of parameter 1 − δ², f in [0, 1).
///
/// The arithmetic-geometric mean starts from (1, δ), so that 1 − δ² is not computed. The amplitude follows from
/// descending Landen transformations: sin(2φ_{k−1} − φ_k) = (c_k/a_k) sin φ_k. Relative error 1e-11 or better for δ >=
/// 1e-8. Source: Abramowitz and Stegun, 16.4.
inline double sc_of_fraction(double f, double delta) {
  constexpr std::size_t max_terms = 16;
  // nvcc 13 compiles no other std::array<double, 16> after one whose length is a constant of a function.
  double a[max_terms] = {}, c[max_terms] = {};
  double b = delta;
  a[0] = 1.0;
  std::size_t last = 0;
  while (last + 1 < max_terms && a[last] - b > 1e-16 * a[last]) {
    c[last + 1] = 0.5 * (a[last] - b);
    a[last + 1] = 0.5 * (a[last] + b);
    b = std::sqrt(a[last] * b);
    ++last;
  }
  double phi =
      std::ldexp(f * 0.5 * std::numbers::pi, static_cast<int>(last));  // 2^N a_N u with u = f·K', K' = π/(2a_N)
  for (std::size_t k = last; k >= 1; --k) phi = 0.5 * (phi + std::asin(c[k] / a[k] * std::sin(phi)));
  return std::tan(phi);
}

}  // namespace detail

/// t_1 < ... < t_K for σ^{p−1} ≈ w₀ + w_lin σ² + Σ_j w_j/(σ² + t_j) on [δ, 1].
///
/// t_j = δ² sc²((2j − 1 + γ)/(2K + β)·K' | 1 − δ²): Zolotarev's poles for the inverse square root (p = 0), shifted for
/// the constant and the linear term and for p. γ and β are fitted to optimal poles: within 6 % of them for p in
/// [0, 0.7], 12 % at −0.2. @pre count >= 1, 0 < delta < 1.
inline std::vector<double> rational_poles(std::size_t count, double power, double delta) {
  const double gamma = -0.004 + power * (0.603 - 0.066 * power);
  const double beta = 1.71 + power * (0.33 - 0.115 * power);
  std::vector<double> poles(count);
  for (std::size_t j = 0; j < count; ++j) {
    const double sc = detail::sc_of_fraction((2.0 * double(j) + 1 + gamma) / (2.0 * double(count) + beta), delta);
    poles[j] = delta * sc * delta * sc;
  }
  return poles;
}

}  // namespace schatten::spectral
