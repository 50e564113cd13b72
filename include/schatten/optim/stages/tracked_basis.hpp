// SPDX-License-Identifier: BSD-3-Clause
// The leading right singular vectors of gradients: by a singular value decomposition, or tracked by one power iteration
// per step on the average of GᵀG.
#pragma once

#include <schatten/linalg/qr.hpp>
#include <schatten/linalg/svd.hpp>
#include <schatten/optim/stages/gradient_unit.hpp>
#include <schatten/optim/stages/rotation.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace schatten::optim {

/// to(k, i, j) ← from(k, j, i) for chosen matrices: copies the first rows to columns.
template <class T, class Space>
struct StoreRowsAsColumns {
  BatchView<const T, Space> from;
  BatchView<T, Space> to;
  Chosen<Space> chosen;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    if (chosen(k)) to(k, i, j) = from(k, j, i);
  }
};

/// basis ← the first r right singular vectors of x, for chosen matrices. x (m×n), basis (n×r), r <= min(m, n).
///
/// On the longer side the vectors of zero singular values may be zero. Cost: an svd.
template <class Bucket, class X>
void right_singular_vectors(Bucket& bucket, const X& x, const typename Bucket::Batch& basis,
                            const Chosen<typename Bucket::Space>& chosen) {
  using T = typename Bucket::Scalar;
  auto& workspace = bucket.workspace();
  const typename Workspace<typename Bucket::Space>::Frame frame(workspace);
  const std::size_t batch = x.extent(0), rows = x.extent(1), cols = x.extent(2), k = (std::min)(rows, cols);
  const auto u = workspace.template batch<T>(batch, rows, k), vt = workspace.template batch<T>(batch, k, cols);
  const auto sigma = workspace.template vectors<T>(batch, k);
  linalg::svd<typename Bucket::Backend>(bucket.exec(), x, u, sigma, vt, workspace);
  for_each_element(bucket.exec(), "schatten::step/singular_vectors", batch, cols, basis.extent(2),
                   StoreRowsAsColumns<T, typename Bucket::Space>{vt, basis, chosen});
}

/// Returns the slots of a basis of r columns for rows×cols matrices: √v of the projected gradient (rows×r), then the
/// three of TrackedBasis. For r = 0 √v is rows×cols and the others have no array.
inline std::vector<StateSlot> tracked_basis_slots(std::size_t rows, std::size_t cols, std::size_t r) {
  const std::size_t any = r > 0 ? 1 : 0;
  StateSlot root = given_slot("second_moment_root", rows, r);
  if (r == 0) root.extent = Extent::matrix;
  return {root, given_slot("basis", any * cols, r, Start::identity), given_slot("gram", r, r),
          given_slot("gram_unit", any, any)};
}

/// A basis that tracks the gradients, in three slots: P (C×r, orthonormal columns), S (r×r) such that PSPᵀ approximates
/// the average of GᵀG, and s. S is stored in units of s² (gradient_unit.hpp).
template <class Bucket>
struct TrackedBasis {
  typename Bucket::Batch vectors, gram, unit;
  TrackedBasis(const Bucket& bucket, std::size_t first)
      : vectors(bucket.state(first)), gram(bucket.state(first + 1)), unit(bucket.state(first + 2)) {}
};

/// P ← qr(βPS + (1−β)Gᵀ(GP)), S ← βTᵀST + (1−β)(GP)ᵀ(GP) with T = P_oldᵀP and the new P. In a matrix's first step P ←
/// the leading right singular vectors of G. low ← GP; zero for skipped matrices.
///
/// g: the result of bucket.gradient(). low (R×r). Cost: 6RCr flops, a qr of C×r, and an svd for matrices in their first
/// step. Source: Liu et al., COSMOS, arXiv 2502.17410, Algorithm 1.
template <class Bucket>
void track_basis(Bucket& bucket, const typename Bucket::Batch& g, double beta, const TrackedBasis<Bucket>& basis,
                 const typename Bucket::Batch& low) {
  using T = typename Bucket::Scalar;
  using Space = typename Bucket::Space;
  using Backend = typename Bucket::Backend;
  auto& workspace = bucket.workspace();
  const auto& exec = bucket.exec();
  const typename Workspace<Space>::Frame frame(workspace);
  const std::size_t batch = g.extent(0), cols = g.extent(2), rank = low.extent(2);
  const auto scaled = bucket.buffer();
  const auto scale = workspace.template numbers<double>(batch);
  const auto weights = average_unit(bucket, g, beta, basis.unit, scaled, scale);
  const auto image = workspace.template batch<T>(batch, cols, rank),
             sum = workspace.template batch<T>(batch, cols, rank);
  linalg::gemm<Backend>(exec, T(1), scaled, basis.vectors, T(0), low, workspace);
  linalg::gemm<Backend>(exec, T(1), transpose(scaled), low, T(0), image, workspace);
  linalg::gemm<Backend>(exec, T(1), basis.vectors, basis.gram, T(0), sum, workspace);
  average_in_unit(bucket, image, weights, sum);
  if (bucket.first_steps()) right_singular_vectors(bucket, scaled, sum, chosen(bucket, Which::fresh));
  const auto next = image;
  linalg::orthonormal_basis<Backend>(exec, sum, next, workspace);
  const auto turn = workspace.template batch<T>(batch, rank, rank),
             half = workspace.template batch<T>(batch, rank, rank);
  const auto gram = workspace.template batch<T>(batch, rank, rank),
             fresh = workspace.template batch<T>(batch, rank, rank);
  linalg::gemm<Backend>(exec, T(1), transpose(basis.vectors), next, T(0), turn, workspace);
  linalg::gemm<Backend>(exec, T(1), basis.gram, turn, T(0), half, workspace);
  linalg::gemm<Backend>(exec, T(1), transpose(turn), half, T(0), gram, workspace);
  linalg::gemm<Backend>(exec, T(1), scaled, next, T(0), low, workspace);
  linalg::gram<Backend>(exec, low, fresh, workspace);
  average_in_unit(bucket, fresh, weights, gram);
  store(bucket, gram, basis.gram, chosen(bucket, Which::all));
  store(bucket, next, basis.vectors, chosen(bucket, Which::all));
  scale_elements(exec, "schatten::step/low_rank", scale, as_const(low), low);
}

}  // namespace schatten::optim
