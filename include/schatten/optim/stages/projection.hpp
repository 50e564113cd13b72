// SPDX-License-Identifier: BSD-3-Clause
// Moments of a projected gradient when the basis of the projection changes.
#pragma once

#include <schatten/optim/stages/rotation.hpp>
#include <schatten/optim/stages/tracked_basis.hpp>

#include <cstddef>

namespace schatten {

/// How the moments m, v of GP change with the basis P; T = P_oldᵀP_new.
enum class BasisChange {
  keep,   ///< they do not change, as published; each new vector has the sign that is closer to the old vector
  rotate  ///< m ← mT, v ← v(T⊙T), which does not depend on signs and order of the vectors
};

namespace optim {

/// The moments m and r = √v (n×r) of a gradient (n×c) projected to the basis P (c×r).
template <class Batch>
struct Projected {
  Batch m, r, basis;
};

/// Changes the sign of column j of `next` if its inner product with column j of `old` is negative.
template <class T, class Space>
struct AlignColumn {
  BatchView<const T, Space> old;
  BatchView<T, Space> next;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t j) const {
    const std::size_t n = old.extent(1);
    const double sum = team.sum(n, [&](std::size_t i) { return double(old(k, i, j)) * double(next(k, i, j)); });
    if (sum < 0) team.for_each(n, [&](std::size_t i) { next(k, i, j) = -next(k, i, j); });
  }
};

/// to(k, i, j) ← √(Σ_l (r_il·T_lj)²), with squares relative to the largest r of the row.
template <class T, class Space>
struct RotateRoots {
  BatchView<const T, Space> r, turn;
  BatchView<T, Space> to;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    const std::size_t n = r.extent(2);
    const T largest = team.template max<T>(n, [&](std::size_t l) { return r(k, i, l); });
    const math::Unit<T> unit(largest);
    team.for_each(n, [&](std::size_t j) {
      double sum = 0;
      for (std::size_t l = 0; l < n; ++l) {
        const double part = double(r(k, i, l) * unit.inverse) * double(turn(k, l, j));
        sum += part * part;
      }
      to(k, i, j) = T(double(unit.unit) * math::sqrt(sum));
    });
  }
};

/// Sets the basis to the first r right singular vectors of g and changes the moments as `change` says, for chosen
/// matrices. g (n×c, n >= c). Cost: an svd, and with `rotate` 2cr² + 4nr² flops.
template <class Bucket, class G>
void change_basis(Bucket& bucket, const G& g, BasisChange change, const Chosen<typename Bucket::Space>& chosen,
                  const Projected<typename Bucket::Batch>& kept) {
  using T = typename Bucket::Scalar;
  using Space = typename Bucket::Space;
  using Backend = typename Bucket::Backend;
  auto& workspace = bucket.workspace();
  const auto& exec = bucket.exec();
  const typename Workspace<Space>::Frame frame(workspace);
  const std::size_t batch = g.extent(0), rank = kept.basis.extent(2);
  const auto next = batch_of(bucket, kept.basis), m = batch_of(bucket, kept.m), r = batch_of(bucket, kept.r);
  const auto turn = workspace.template batch<T>(batch, rank, rank);
  copy_elements(exec, "schatten::step/copy", as_const(kept.basis), next);
  right_singular_vectors(bucket, g, next, chosen);
  if (change == BasisChange::keep) {
    for_each_row_by_team(exec, "schatten::step/align", batch, rank, AlignColumn<T, Space>{kept.basis, next});
  } else {
    linalg::gemm<Backend>(exec, T(1), transpose(kept.basis), next, T(0), turn, workspace);
    linalg::gemm<Backend>(exec, T(1), kept.m, turn, T(0), m, workspace);
    for_each_row_by_team(exec, "schatten::step/rotate_roots", batch, r.extent(1),
                         RotateRoots<T, Space>{kept.r, turn, r});
    store(bucket, m, kept.m, chosen);
    store(bucket, r, kept.r, chosen);
  }
  store(bucket, next, kept.basis, chosen);
}

}  // namespace optim

}  // namespace schatten
