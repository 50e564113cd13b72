// SPDX-License-Identifier: BSD-3-Clause
// Rank power: singular values replaced by powers of their place.
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
/// M, out (m×n). Source: the reference implementation of Pang et al., arXiv 2603.10067, which replaces every singular
/// value, zeros too; their vectors are arbitrary, so here singular values with σ <= 4ε(T)·σ₁ map to zero, as svd_power
/// has it for p <= 0. Where singular values are equal (to rounding), their order and vectors are the decomposition's
/// choice, and the output, unlike UΣ^pVᵀ, depends on it. Independent of the scale of M; commutes with transposes.
/// Throws InvalidArgument for an exponent that is not finite. Cost: svd + 2mn·min(m, n) flops.
template <class Backend, ExecutionSpace Exec, class T, class Space>
void rank_power(const Exec& exec, double exponent, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
                Workspace<Space>& workspace) {
  require(std::isfinite(exponent), "spectral::rank_power", "exponent", exponent, "must be finite");
  detail::svd_map<Backend>(exec, "schatten::rank_power/scale", detail::PowerOfRank<T>{exponent}, m, out, workspace);
}

}  // namespace schatten::spectral
