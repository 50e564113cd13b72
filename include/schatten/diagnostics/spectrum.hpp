// SPDX-License-Identifier: BSD-3-Clause
// Singular values and eigenvalues of a weight matrix as numbers on the host, which all diagnostics of a spectrum use.
#pragma once

#include <schatten/spectral/singular_values.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

namespace schatten {

namespace detail {

/// Whether all values are finite. Throws InvalidArgument for a negative one.
inline bool finite_spectrum(const std::vector<double>& values, std::string_view function, std::string_view argument) {
  bool finite = true;
  for (const double value : values) {
    if (!linalg::is_finite(value)) {
      finite = false;
    } else {
      require(value >= 0, function, argument, value, "must hold no negative value");
    }
  }
  return finite;
}

/// The values, largest first. @pre no NaN
inline std::vector<double> descending(std::vector<double> values) {
  std::sort(values.begin(), values.end(), std::greater<>());
  return values;
}

}  // namespace detail

/// Returns the min(rows, cols) singular values σ of W, largest first; all NaN if W has a NaN or an infinity.
///
/// W: one matrix (rank 2), any layout. Fences `exec` and allocates scratch memory. Cost: one svd without vectors.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
std::vector<double> weight_singular_values(const Exec& exec, const V& w) {
  auto [scale, sigma] = spectral::singular_values<Backend>(exec, w);
  for (double& value : sigma) value *= scale;
  return sigma;
}

/// Returns the min(rows, cols) eigenvalues λ = σ² that WWᵀ and WᵀW have in common, largest first. Their distribution is
/// the empirical spectral density of HT-SR. λ is infinite for σ above 1e154 and zero for σ below 1e-162. Arguments, NaN
/// and cost as for weight_singular_values.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
std::vector<double> weight_eigenvalues(const Exec& exec, const V& w) {
  std::vector<double> lambda = weight_singular_values<Backend>(exec, w);
  for (double& value : lambda) value *= value;
  return lambda;
}

}  // namespace schatten
