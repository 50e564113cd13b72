// SPDX-License-Identifier: BSD-3-Clause
// QR decomposition of Views: an orthonormal basis of the columns.
#pragma once

#include <schatten/linalg/backend/portable_qr.hpp>
#include <schatten/linalg/svd.hpp>

namespace schatten::linalg {

/// Computes Q of the thin QR decomposition A = QR of every matrix of the batch: QᵀQ = I, R upper triangular, R_kk >= 0.
///
/// A (m×n, m >= n) does not change; Q (m×n). The first k columns of Q span those of A for every k up to the rank. For a
/// column of A that depends on the previous ones Q has some other orthonormal column, never zeros. For a zero matrix Q
/// is the first n columns of I. The result for a matrix with a NaN or an infinity is NaN in all elements.
/// @pre Q does not overlap A. Throws InvalidArgument for other extents. Host backends are complete on return; the
/// portable one is asynchronous. Method: Householder reflections. Error: backward stable, ‖δA‖ = O(ε)‖A‖. Cost: 4n²m −
/// 4n³/3 flops.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VQ>
void orthonormal_basis(const Exec& exec, const VA& a, const VQ& q, Workspace<typename Exec::memory_space>& workspace) {
  using T = scalar_of<VQ>;
  using Space = typename Exec::memory_space;
  using Chosen = ChosenBackend<Backend, Exec>;
  constexpr bool same = std::is_same_v<scalar_of<VA>, T>, writable = !std::is_const_v<typename VQ::value_type>;
  static_assert(same, "schatten: A and Q must have the same scalar type");
  static_assert(!same || writable, "schatten: Q is written and must not be const");
  if constexpr (same && writable) {
    const BatchView<const T, Space> batch_a = as_batch<Exec>(a);
    const BatchView<T, Space> batch_q = as_batch<Exec>(q);
    require(batch_a.extent(1) >= batch_a.extent(2), "linalg::orthonormal_basis", "a", shape_of(batch_a),
            "must not have more columns than rows (batch x rows x cols)");
    require_shape(batch_q, batch_a.extent(0), batch_a.extent(1), batch_a.extent(2), "linalg::orthonormal_basis", "q");
    require_own_elements(batch_q, "linalg::orthonormal_basis", "q");
    require(!overlap(batch_a, batch_q), "linalg::orthonormal_basis", "q", shape_of(batch_q), "must not overlap a");
    backend::orthonormal_basis(Chosen{}, exec, batch_a, batch_q, workspace);
  }
}

}  // namespace schatten::linalg
