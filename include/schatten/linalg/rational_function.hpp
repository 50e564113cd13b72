// Rational functions of symmetric positive semidefinite matrices.
#pragma once

#include <schatten/linalg/backend.hpp>
#include <schatten/linalg/backend/host_rational_function.hpp>
#include <schatten/linalg/rational.hpp>

namespace schatten::linalg {

/// W_b ← factor_b · r(S_b/scale_b) for every matrix of the batch, full and symmetric.
///
/// S, W (n×n), S positive semidefinite; the lower triangle of S is read. Each pole is one Cholesky factorisation that
/// carries L⁻¹ and one product L⁻ᵀL⁻¹, error ε·κ(S/scale + t); a bad pivot sends the pole to double. On the host the
/// poles and matrices are spread over threads. @pre scale_b > 0. Cost: n³ flops a pole.
template <class Backend, ExecutionSpace Exec, class T, class Space>
void rational_function(const Exec& exec, const Rational& r, const BatchView<const T, Space>& s,
                       const NumberBatchView<double, Space>& scale, const NumberBatchView<double, Space>& factor,
                       const BatchView<T, Space>& w, Workspace<Space>& workspace) {
  backend::rational_function(Backend{}, exec, r, s, scale, factor, w, workspace);
}

}  // namespace schatten::linalg
