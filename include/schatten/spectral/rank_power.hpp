// SPDX-License-Identifier: BSD-3-Clause
// Rank power: the k-th singular value is replaced by k^{−q}.
#pragma once

#include <schatten/spectral/exact.hpp>

#include <cmath>

namespace schatten::spectral {

namespace detail {

/// σ_k ↦ (k+1)^{−q}, zero where σ_k is at the rounding level of σ_0. @pre value is finite.
template <class T>
struct PowerOfRank {
  double exponent;
  KOKKOS_FUNCTION double operator()(double value, double largest, double, std::size_t k) const {
    return value <= sigma_floor<T> * largest ? 0.0 : math::pow(double(k + 1), -exponent);
  }
};

}  // namespace detail

/// out ← U diag(1, 2^{−q}, 3^{−q}, ...) Vᵀ, q the exponent, in the descending order of the singular values.
///
/// M, out (m×n). Source: the reference implementation of Pang et al., arXiv 2603.10067. It also replaces singular
/// values that are zero, whose vectors are arbitrary. Here singular values with σ <= 4ε(T)·σ₁ map to zero, as in
/// svd_power for p <= 0. If singular values are equal (up to rounding), the decomposition chooses their order and
/// vectors, and unlike UΣ^pVᵀ the output depends on this choice. The map does not depend on the scale of M and commutes
/// with transposes. Throws InvalidArgument for an exponent that is not finite. Cost: svd + 2mn·min(m, n) flops.
template <class Backend, ExecutionSpace Exec, class T, class Space>
void rank_power(const Exec& exec, double exponent, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
                Workspace<Space>& workspace) {
  require(std::isfinite(exponent), "spectral::rank_power", "exponent", exponent, "must be finite");
  detail::svd_map<Backend>(exec, "schatten::rank_power/scale", detail::PowerOfRank<T>{exponent}, m, out, workspace);
}

}  // namespace schatten::spectral
