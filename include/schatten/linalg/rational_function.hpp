// SPDX-License-Identifier: BSD-3-Clause
// Rational functions of symmetric positive semidefinite matrices.
#pragma once

#include <schatten/linalg/backend.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/host/composed_function.hpp>
#include <schatten/linalg/host/gram.hpp>
#include <schatten/linalg/host/rational_function.hpp>
#include <schatten/linalg/rational.hpp>

#include <cstddef>

namespace schatten::linalg {

/// Numbers of terms in the sums of gram_with_diagonal for a matrix of T and a Gram matrix of S: of a chunk, and of a
/// pass. The chunks of a pass are added up first.
template <class T, class S>
inline constexpr std::ptrdiff_t gram_chunk = backend::kernel::chunk<T, S>;
template <class S>
inline constexpr std::ptrdiff_t gram_pass = backend::kernel::depth<S>;

/// S ← XᵀX, summed in chunks, and its diagonal in double. Poles close to the rounding level of S amplify its errors,
/// those of the diagonal most.
///
/// X (m×n), S (n×n), rows contiguous; diagonal (n); host execution spaces. In the precision of S, which may exceed X's:
/// X is converted as it is packed. Rounding of an entry: about ε/3·√(m/chunk)·(its partial sums), where one long sum
/// would have √m. Cost: n²m flops.
template <ExecutionSpace Exec, class T, class S, class Space>
void gram_with_diagonal(const Exec& exec, const BatchView<const T, Space>& x, const BatchView<S, Space>& s,
                        const VectorBatchView<double, Space>& diagonal) {
  backend::host_gram(exec, x, s, diagonal);
}

/// C ← XW, W symmetric, by the register-tiled product.
///
/// X, C (m×n), W (n×n) with contiguous rows; host execution spaces. Cost: 2n²m flops.
template <ExecutionSpace Exec, class T, class Space>
void times_symmetric(const Exec& exec, const BatchView<const T, Space>& x, const BatchView<const T, Space>& w,
                     const BatchView<T, Space>& c) {
  const bool by_columns = c.stride(1) < c.stride(2);  // W is read along memory either way
  backend::gemm_each<backend::KernelGemm>(exec, T(1), x, by_columns ? transpose(w) : w, T(0), c);
}

/// C ← XW. X, C (m×n), W (n×n) with contiguous rows; host execution spaces. Cost: 2n²m flops.
template <ExecutionSpace Exec, class T, class Space>
void times_square(const Exec& exec, const BatchView<const T, Space>& x, const BatchView<const T, Space>& w,
                  const BatchView<T, Space>& c) {
  backend::gemm_each<backend::KernelGemm>(exec, T(1), x, w, T(0), c);
}

/// W_b ← factor_b · r(S_b/scale_b) for every matrix of the batch, full and symmetric.
///
/// S, W (n×n), S positive semidefinite and symmetric, its diagonal (n) once more in double. Per pole: one Cholesky
/// factorisation, which also makes L⁻¹, and one product L⁻ᵀL⁻¹, in W's precision, error ε·κ(S/scale + t). Where S's
/// precision exceeds W's, the first `fine` poles are factored and inverted in S's; rounding L⁻¹ to W's adds ε·√κ. A
/// pole with a bad pivot is computed in double. On the host the poles and matrices are spread over threads. @pre
/// scale_b > 0. Cost: n³ flops per pole.
template <class Backend, ExecutionSpace Exec, class S, class T, class Space>
void rational_function(const Exec& exec, const Rational& r, std::size_t fine, const BatchView<const S, Space>& s,
                       const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& scale,
                       const NumberBatchView<double, Space>& factor, const BatchView<T, Space>& w,
                       Workspace<Space>& workspace) {
  backend::rational_function(Backend{}, exec, r, fine, s, diagonal, scale, factor, w, workspace);
}

/// The same for a function composed with another, T from one factorisation in S's precision, all else in W's. W = r(S)
/// up to rounding, because of which W is not exactly symmetric: the rounding of T is on the side on which the small
/// singular values of M damp it in MW.
///
/// Cost, K poles: in S's precision 2n³/3 flops; in W's (K + 7/3)n³, of which 2n³ for T's product.
template <class Backend, ExecutionSpace Exec, class S, class T, class Space>
void rational_function(const Exec& exec, const ComposedRational& r, const BatchView<const S, Space>& s,
                       const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& scale,
                       const NumberBatchView<double, Space>& factor, const BatchView<T, Space>& w,
                       Workspace<Space>& workspace) {
  backend::host_composed_function(exec, r, s, diagonal, scale, factor, w, workspace);
}

}  // namespace schatten::linalg
