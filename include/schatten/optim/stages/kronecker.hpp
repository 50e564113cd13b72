// SPDX-License-Identifier: BSD-3-Clause
// The two factors of a Kronecker preconditioner, averages of GGᵀ and GᵀG, with their eigenvectors (Gupta et al.,
// Shampoo, arXiv 1802.09568).
#pragma once

#include <schatten/linalg/eigh.hpp>
#include <schatten/linalg/qr.hpp>
#include <schatten/optim/stages/gradient_unit.hpp>
#include <schatten/optim/stages/rotation.hpp>

#include <cstddef>
#include <vector>

namespace schatten::optim {

/// Returns the five slots of a rows×cols matrix. A side longer than max_side has no array, and a vector has none.
inline std::vector<StateSlot> kronecker_slots(std::size_t rows, std::size_t cols, std::size_t max_side) {
  const auto kept = [&](std::size_t side, Extent extent) {
    return rows > 1 && cols > 1 && side <= max_side ? extent : Extent::none;
  };
  const Extent left = kept(rows, Extent::left_square), right = kept(cols, Extent::right_square);
  const bool any = left != Extent::none || right != Extent::none;
  return {{.name = "left_factor", .extent = left},
          {.name = "left_vectors", .extent = left, .start = Start::identity},
          {.name = "right_factor", .extent = right},
          {.name = "right_vectors", .extent = right, .start = Start::identity},
          {.name = "factor_unit", .extent = any ? Extent::number : Extent::none}};
}

/// The arrays of these slots, which are `first` and the next four: L, Q_L (R×R), R, Q_R (C×C), and s. L and R are
/// stored in units of s² (gradient_unit.hpp).
template <class Bucket>
struct Kronecker {
  using Batch = typename Bucket::Batch;
  Batch left, left_vectors, right, right_vectors, unit;
  Kronecker(const Bucket& bucket, std::size_t first)
      : left(bucket.state(first)),
        left_vectors(bucket.state(first + 1)),
        right(bucket.state(first + 2)),
        right_vectors(bucket.state(first + 3)),
        unit(bucket.state(first + 4)) {}
};

/// L ← βL + (1−β)GGᵀ, R ← βR + (1−β)GᵀG, for matrices that are not skipped. g: the result of bucket.gradient().
///
/// Cost: 2 Gram matrices, RC(R + C) flops; three passes over G and two over each factor.
template <class Bucket>
void average_factors(Bucket& bucket, const typename Bucket::Batch& g, double beta, const Kronecker<Bucket>& k) {
  using Backend = typename Bucket::Backend;
  if (is_identity(k.left) && is_identity(k.right)) return;
  auto& workspace = bucket.workspace();
  const typename Workspace<typename Bucket::Space>::Frame frame(workspace);
  const auto scaled = bucket.buffer();
  const auto scale = workspace.template numbers<double>(bucket.matrices());
  const auto weights = average_unit(bucket, g, beta, k.unit, scaled, scale);
  const auto average = [&](const auto& x, const typename Bucket::Batch& factor) {
    if (is_identity(factor)) return;
    const typename Workspace<typename Bucket::Space>::Frame inner(workspace);
    const auto gram = workspace.template batch<typename Bucket::Scalar>(x.extent(0), x.extent(2), x.extent(2));
    linalg::gram<Backend>(bucket.exec(), x, gram, workspace);
    average_in_unit(bucket, gram, weights, factor);
  };
  average(transpose(scaled), k.left);
  average(scaled, k.right);
}

/// Copies the columns of `from` to `to` in reverse order, for chosen matrices.
template <class T, class Space>
struct StoreReversed {
  BatchView<const T, Space> from;
  BatchView<T, Space> to;
  Chosen<Space> chosen;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    if (chosen(k)) to(k, i, j) = from(k, i, to.extent(2) - 1 - j);
  }
};

/// Sets `vectors` to the eigenvectors of the factor, in descending order of the eigenvalues, for chosen matrices. Cost:
/// an eigh.
template <class Bucket>
void eigenvectors(Bucket& bucket, const typename Bucket::Batch& factor, const typename Bucket::Batch& vectors,
                  const Chosen<typename Bucket::Space>& chosen) {
  using T = typename Bucket::Scalar;
  if (is_identity(factor)) return;
  auto& workspace = bucket.workspace();
  const typename Workspace<typename Bucket::Space>::Frame frame(workspace);
  const std::size_t batch = factor.extent(0), n = factor.extent(1);
  const auto lambda = workspace.template vectors<T>(batch, n);
  const auto v = workspace.template batch<T>(batch, n, n);
  linalg::eigh<typename Bucket::Backend>(bucket.exec(), factor, lambda, v, workspace);
  for_each_element(bucket.exec(), "schatten::step/eigenvectors", batch, n, n,
                   StoreReversed<T, typename Bucket::Space>{v, vectors, chosen});
}

/// Q_L and Q_R ← eigenvectors of L and R, for chosen matrices.
template <class Bucket>
void eigenvectors(Bucket& bucket, const Kronecker<Bucket>& k, const Chosen<typename Bucket::Space>& chosen) {
  eigenvectors(bucket, k.left, k.left_vectors, chosen);
  eigenvectors(bucket, k.right, k.right_vectors, chosen);
}

/// Sets place(k, j) to the position of column j in descending order of the values. Equal values keep their order.
template <class Space>
struct PlaceOfColumn {
  VectorBatchView<double, Space> value;
  VectorBatchView<std::size_t, Space> place;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t j) const {
    std::size_t before = 0;
    for (std::size_t c = 0; c < value.extent(1); ++c) {
      before += value(k, c) > value(k, j) || (value(k, c) == value(k, j) && c < j) ? 1 : 0;
    }
    place(k, j) = before;
  }
};

/// value(k, j) ← q_jᵀx_j of column j.
template <class T, class Space>
struct DotOfColumn {
  BatchView<const T, Space> q, x;
  VectorBatchView<double, Space> value;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t j) const {
    double sum = 0;
    for (std::size_t i = 0; i < q.extent(1); ++i) sum += double(q(k, i, j)) * double(x(k, i, j));
    value(k, j) = sum;
  }
};

/// Column place(k, j) of `to` ← column j of `from`.
template <class T, class Space>
struct PlaceColumn {
  BatchView<const T, Space> from;
  VectorBatchView<std::size_t, Space> place;
  BatchView<T, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    to(k, i, place(k, j)) = from(k, i, j);
  }
};

/// The basis after a power iteration, and the positions of the old columns.
template <class Bucket>
struct NextBasis {
  typename Bucket::Batch vectors{};  ///< without elements: the identity
  VectorBatchView<std::size_t, typename Bucket::Space> place{};
};

/// Returns Q ← qr(LQ') in scratch memory, where Q' has the columns of Q sorted by q_jᵀLq_j, largest first. Cost: 2n³
/// flops and a qr.
template <class Bucket>
NextBasis<Bucket> power_iteration(Bucket& bucket, const typename Bucket::Batch& factor,
                                  const typename Bucket::Batch& vectors) {
  using T = typename Bucket::Scalar;
  using Space = typename Bucket::Space;
  using Backend = typename Bucket::Backend;
  if (is_identity(factor)) return {vectors, {}};
  auto& workspace = bucket.workspace();
  const auto& exec = bucket.exec();
  const std::size_t batch = factor.extent(0), n = factor.extent(1);
  const auto next = workspace.template batch<T>(batch, n, n);
  const auto place = workspace.template vectors<std::size_t>(batch, n);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto value = workspace.template vectors<double>(batch, n);
  const auto image = workspace.template batch<T>(batch, n, n), ordered = workspace.template batch<T>(batch, n, n);
  linalg::gemm<Backend>(exec, T(1), factor, vectors, T(0), image, workspace);
  for_each_row(exec, "schatten::step/column_values", batch, n, DotOfColumn<T, Space>{vectors, image, value});
  for_each_row(exec, "schatten::step/column_places", batch, n, PlaceOfColumn<Space>{value, place});
  for_each_element(exec, "schatten::step/order_columns", batch, n, n, PlaceColumn<T, Space>{image, place, ordered});
  linalg::orthonormal_basis<Backend>(exec, ordered, next, workspace);
  return {next, place};
}

/// to(k, p(i), q(j)) ← from(k, i, j) for chosen matrices. p and q are the positions of rows and columns; an empty one
/// is the identity.
template <class T, class Space>
struct StorePlaced {
  BatchView<const T, Space> from;
  VectorBatchView<std::size_t, Space> row_place, col_place;
  BatchView<T, Space> to;
  Chosen<Space> chosen;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    const std::size_t row = row_place.extent(1) > 0 ? row_place(k, i) : i;
    const std::size_t col = col_place.extent(1) > 0 ? col_place(k, j) : j;
    if (chosen(k)) to(k, row, col) = from(k, i, j);
  }
};

/// One power iteration of Q_L and Q_R (Vyas et al., SOAP, arXiv 2409.11321, Algorithm 4) for chosen matrices. m (R×C)
/// is rotated to the new bases; the rows and columns of v (R×C) are permuted as the columns of Q_L and Q_R.
///
/// Cost: 2 qr, 4 products and the 2 with the factors.
template <class Bucket>
void turn_bases(Bucket& bucket, const Kronecker<Bucket>& k, const typename Bucket::Batch& m,
                const typename Bucket::Batch& v, const Chosen<typename Bucket::Space>& chosen) {
  using T = typename Bucket::Scalar;
  using Space = typename Bucket::Space;
  if (is_identity(k.left) && is_identity(k.right)) return;
  const typename Workspace<Space>::Frame frame(bucket.workspace());
  const auto left = power_iteration(bucket, k.left, k.left_vectors);
  const auto right = power_iteration(bucket, k.right, k.right_vectors);
  const auto own = bucket.buffer(), turned = bucket.buffer();
  rotate_back(bucket, m, k.left_vectors, k.right_vectors, own);
  rotate(bucket, own, left.vectors, right.vectors, turned);
  store(bucket, turned, m, chosen);
  copy_elements(bucket.exec(), "schatten::step/copy", as_const(v), own);
  for_each_element(bucket.exec(), "schatten::step/order_moments", v.extent(0), v.extent(1), v.extent(2),
                   StorePlaced<T, Space>{own, left.place, right.place, v, chosen});
  store(bucket, left.vectors, k.left_vectors, chosen);
  store(bucket, right.vectors, k.right_vectors, chosen);
}

}  // namespace schatten::optim
