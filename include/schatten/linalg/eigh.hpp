// SPDX-License-Identifier: BSD-3-Clause
// Symmetric eigenvalue decomposition of Views.
#pragma once

#include <schatten/linalg/svd.hpp>

namespace schatten::linalg {

/// Computes A = V diag(λ) Vᵀ for every symmetric matrix of the batch.
///
/// A (n×n) does not change; one triangle or both may be read. lambda (batch, n), or (n) for one matrix: ascending. V
/// (n×n): eigenvectors in columns. The result for a matrix with a NaN or an infinity is NaN in all elements. Throws
/// InvalidArgument for other extents and for arguments that overlap, and NumericalError if a decomposition does not
/// converge. Error: backward stable, ‖δA‖ = O(ε)‖A‖. Cost: about 9n³ flops.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VL, KokkosView VV>
void eigh(const Exec& exec, const VA& a, const VL& lambda, const VV& v,
          Workspace<typename Exec::memory_space>& workspace) {
  using T = scalar_of<VL>;
  using Space = typename Exec::memory_space;
  using Chosen = ChosenBackend<Backend, Exec>;
  constexpr bool same = std::is_same_v<scalar_of<VA>, T> && std::is_same_v<scalar_of<VV>, T>;
  constexpr bool writable = !std::is_const_v<typename VL::value_type> && !std::is_const_v<typename VV::value_type>;
  static_assert(same, "schatten: A, lambda and V must have the same scalar type");
  static_assert(!same || writable, "schatten: lambda and V are written and must not be const");
  if constexpr (same && writable) {
    const BatchView<const T, Space> batch_a = as_batch<Exec>(a);
    const BatchView<T, Space> batch_v = as_batch<Exec>(v);
    const std::size_t batch = batch_a.extent(0), n = batch_a.extent(1);
    require_shape(batch_a, batch, n, n, "linalg::eigh", "a");
    require_shape(batch_v, batch, n, n, "linalg::eigh", "v");
    const VectorBatchView<T, Space> vectors = as_vectors<Exec>(lambda, "linalg::eigh", "lambda");
    detail::require_vectors(vectors, batch, n, "linalg::eigh", "lambda");
    require_own_elements(batch_v, "linalg::eigh", "v");
    require(!overlap(batch_a, batch_v), "linalg::eigh", "v", shape_of(batch_v), "must not overlap a");
    detail::require_apart(vectors, batch_a, "linalg::eigh", "lambda", "a");
    detail::require_apart(vectors, batch_v, "linalg::eigh", "lambda", "v");
    backend::eigh(Chosen{}, exec, batch_a, vectors, batch_v, workspace);
  }
}

}  // namespace schatten::linalg
