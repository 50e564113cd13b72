// SPDX-License-Identifier: BSD-3-Clause
// Matrices in other bases: products from both sides, and storing the results as state.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/optim/bucket.hpp>

#include <cstddef>

namespace schatten::optim {

/// Whether the batch has no elements: two_sided_product then takes it as the identity.
template <class Batch>
bool is_identity(const Batch& q) {
  return q.extent(1) == 0;
}

/// out ← AXB for every matrix; A or B without elements is the identity.
///
/// X, out (R×C), A (R×R), B (C×C). @pre out overlaps none of the others. Cost: 2R²C flops for A and 2RC² for B.
template <class Bucket, class A, class X, class B>
void two_sided_product(Bucket& bucket, const A& a, const X& x, const B& b, const typename Bucket::Batch& out) {
  using T = typename Bucket::Scalar;
  using Backend = typename Bucket::Backend;
  const auto& exec = bucket.exec();
  auto& workspace = bucket.workspace();
  if (is_identity(a) && is_identity(b)) return copy_elements(exec, "schatten::step/copy", as_const(x), out);
  if (is_identity(a)) return linalg::gemm<Backend>(exec, T(1), x, b, T(0), out, workspace);
  if (is_identity(b)) return linalg::gemm<Backend>(exec, T(1), a, x, T(0), out, workspace);
  const typename Workspace<typename Bucket::Space>::Frame frame(workspace);
  const auto half = bucket.buffer();
  linalg::gemm<Backend>(exec, T(1), a, x, T(0), half, workspace);
  linalg::gemm<Backend>(exec, T(1), half, b, T(0), out, workspace);
}

/// out ← Q_LᵀXQ_R: X in the bases of the columns of Q_L and Q_R.
template <class Bucket, class X>
void rotate(Bucket& bucket, const X& x, const typename Bucket::Batch& left, const typename Bucket::Batch& right,
            const typename Bucket::Batch& out) {
  two_sided_product(bucket, transpose(left), x, right, out);
}

/// out ← Q_LXQ_Rᵀ: back from these bases.
template <class Bucket, class X>
void rotate_back(Bucket& bucket, const X& x, const typename Bucket::Batch& left, const typename Bucket::Batch& right,
                 const typename Bucket::Batch& out) {
  two_sided_product(bucket, left, x, transpose(right), out);
}

/// Returns scratch memory with the extents of `like`.
template <class Bucket>
typename Bucket::Batch batch_of(Bucket& bucket, const typename Bucket::Batch& like) {
  return bucket.workspace().template batch<typename Bucket::Scalar>(like.extent(0), like.extent(1), like.extent(2));
}

/// Which matrices of a bucket a kernel changes.
enum class Which {
  all,    ///< those that are not skipped
  fresh,  ///< those that are not skipped and in their first step
  old     ///< those that are not skipped and not in their first step
};

/// k ↦ whether matrix k is one of these. A matrix whose first step was skipped is old.
template <class Space>
struct Chosen {
  FiniteFlags<Space> finite;
  NumberBatchView<MatrixCounts, Space> counts;
  Which which;
  KOKKOS_FUNCTION bool operator()(std::size_t k) const {
    const bool fresh = counts(finite.records(k).number).attempted == 0;
    return finite(k) && (which == Which::all || (which == Which::fresh) == fresh);
  }
};

/// Returns the functor for a bucket. @pre the bucket has checked its gradients.
template <class Bucket>
Chosen<typename Bucket::Space> chosen(const Bucket& bucket, Which which) {
  return {bucket.finite(), bucket.counts(), which};
}

/// to(k, i, j) ← from(k, i, j) for chosen matrices.
template <class T, class Space>
struct StoreChosen {
  BatchView<const T, Space> from;
  BatchView<T, Space> to;
  Chosen<Space> chosen;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    if (chosen(k)) to(k, i, j) = from(k, i, j);
  }
};

/// Copies a result of a step to state, for chosen matrices. Cost: one pass.
template <class Bucket>
void store(Bucket& bucket, const typename Bucket::Batch& from, const typename Bucket::Batch& state,
           const Chosen<typename Bucket::Space>& chosen) {
  for_each_element(bucket.exec(), "schatten::step/store", state.extent(0), state.extent(1), state.extent(2),
                   StoreChosen<typename Bucket::Scalar, typename Bucket::Space>{from, state, chosen});
}

}  // namespace schatten::optim
