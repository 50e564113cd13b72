// SPDX-License-Identifier: BSD-3-Clause
// Singular value decomposition of Views.
#pragma once

#include <schatten/core/workspace.hpp>
#include <schatten/linalg/backend.hpp>

#if defined(SCHATTEN_ENABLE_BLAS)
#include <schatten/linalg/backend/blas.hpp>
#else
#include <schatten/linalg/backend/host_routines.hpp>
#endif
#if defined(SCHATTEN_ENABLE_CUDA)
#include <schatten/linalg/backend/cuda_decomposition.hpp>
#endif

#include <algorithm>
#include <type_traits>

namespace schatten::linalg {

namespace detail {

template <class T, class Space>
void require_vectors(const VectorBatchView<T, Space>& v, std::size_t batch, std::size_t length,
                     std::string_view function, std::string_view argument) {
  require(v.extent(0) == batch && v.extent(1) == length, function, argument, {v.extent(0), "x", v.extent(1)},
          {"must hold ", batch, " vectors of length ", length});
}

/// Throws InvalidArgument if the vectors that a function writes share an element with the matrices.
template <class T, class U, class Space>
void require_apart(const VectorBatchView<T, Space>& v, const BatchView<U, Space>& a, std::string_view function,
                   std::string_view argument, std::string_view other) {
  require(!overlap(strided_array(v), strided_array(a)), function, argument, "View", {"must not overlap ", other});
}

}  // namespace detail

/// Computes the thin singular value decomposition A = U diag(σ) Vᵀ of every matrix of the batch.
///
/// A (m×n) does not change. With k = min(m, n): U (m×k), sigma (batch, k), or (k) for one matrix, descending, Vt (k×n).
/// The result for a matrix with a NaN or an infinity is NaN in all elements. On the long side, columns of U (rows of
/// Vt) that belong to σ = 0 may be zero. @pre no output overlaps A or another output. Throws InvalidArgument for other
/// extents, and NumericalError if a decomposition does not converge. Host backends are complete on return; the portable
/// one is asynchronous. Error: backward stable, ‖δA‖ = O(ε)‖A‖. Cost: about 20n²m flops for n <= m.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VU, KokkosView VS, KokkosView VT>
void svd(const Exec& exec, const VA& a, const VU& u, const VS& sigma, const VT& vt,
         Workspace<typename Exec::memory_space>& workspace) {
  using T = scalar_of<VS>;
  using Space = typename Exec::memory_space;
  using Chosen = ChosenBackend<Backend, Exec>;
  constexpr bool same =
      std::is_same_v<scalar_of<VA>, T> && std::is_same_v<scalar_of<VU>, T> && std::is_same_v<scalar_of<VT>, T>;
  constexpr bool writable = !std::is_const_v<typename VU::value_type> && !std::is_const_v<typename VS::value_type> &&
                            !std::is_const_v<typename VT::value_type>;
  static_assert(same, "schatten: A, U, sigma and Vt must have the same scalar type");
  static_assert(!same || writable, "schatten: U, sigma and Vt are written and must not be const");
  if constexpr (same && writable) {
    const BatchView<const T, Space> batch_a = as_batch<Exec>(a);
    const BatchView<T, Space> batch_u = as_batch<Exec>(u), batch_vt = as_batch<Exec>(vt);
    const std::size_t batch = batch_a.extent(0), m = batch_a.extent(1), n = batch_a.extent(2), k = (std::min)(m, n);
    require_shape(batch_u, batch, m, k, "linalg::svd", "u");
    require_shape(batch_vt, batch, k, n, "linalg::svd", "vt");
    const VectorBatchView<T, Space> vectors = as_vectors<Exec>(sigma, "linalg::svd", "sigma");
    detail::require_vectors(vectors, batch, k, "linalg::svd", "sigma");
    require_own_elements(batch_u, "linalg::svd", "u");
    require_own_elements(batch_vt, "linalg::svd", "vt");
    require(!overlap(batch_a, batch_u) && !overlap(batch_a, batch_vt) && !overlap(batch_u, batch_vt), "linalg::svd",
            "u", shape_of(batch_u), "must not overlap a or vt");
    detail::require_apart(vectors, batch_a, "linalg::svd", "sigma", "a");
    detail::require_apart(vectors, batch_u, "linalg::svd", "sigma", "u");
    detail::require_apart(vectors, batch_vt, "linalg::svd", "sigma", "vt");
    backend::svd(Chosen{}, exec, batch_a, batch_u, vectors, batch_vt, true, workspace);
  }
}

/// Computes only the singular values, descending: sigma (batch, min(m, n)), which shares no element with A. Otherwise
/// as svd.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VS>
void singular_values(const Exec& exec, const VA& a, const VS& sigma,
                     Workspace<typename Exec::memory_space>& workspace) {
  using T = scalar_of<VS>;
  using Space = typename Exec::memory_space;
  using Chosen = ChosenBackend<Backend, Exec>;
  constexpr bool same = std::is_same_v<scalar_of<VA>, T>, writable = !std::is_const_v<typename VS::value_type>;
  static_assert(same, "schatten: A and sigma must have the same scalar type");
  static_assert(!same || writable, "schatten: sigma is written and must not be const");
  if constexpr (same && writable) {
    const BatchView<const T, Space> batch_a = as_batch<Exec>(a);
    const VectorBatchView<T, Space> vectors = as_vectors<Exec>(sigma, "linalg::singular_values", "sigma");
    detail::require_vectors(vectors, batch_a.extent(0), (std::min)(batch_a.extent(1), batch_a.extent(2)),
                            "linalg::singular_values", "sigma");
    detail::require_apart(vectors, batch_a, "linalg::singular_values", "sigma", "a");
    const BatchView<T, Space> none;
    backend::svd(Chosen{}, exec, batch_a, none, vectors, none, false, workspace);
  }
}

}  // namespace schatten::linalg
