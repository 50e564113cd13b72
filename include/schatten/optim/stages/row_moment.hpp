// SPDX-License-Identifier: BSD-3-Clause
// Second moments of the rows of a direction.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/linalg/norms.hpp>

#include <cstddef>

namespace schatten::optim {

/// Row i of matrix k: v ← β₂v + (1 − β₂)mean_j O_ij², the row divided by √(v + ε).
template <Scalar T, class Space>
struct NormalizeRow {
  BatchView<T, Space> o;
  BatchView<T, Space> moment;  ///< rows×1
  double beta2, epsilon;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    T* const row = &o(k, i, 0);
    const double mean = team.dot(row, row, o.extent(2)) / double(o.extent(2));
    const double v = beta2 * double(moment(k, i, 0)) + (1 - beta2) * mean;
    const double factor = 1 / math::sqrt(v + epsilon);
    team.for_each(o.extent(2), [&](std::size_t j) { row[j] = T(factor * double(row[j])); });
    team.once([&] { moment(k, i, 0) = T(v); });
  }
};

/// factor(k) ← factor(k)·before(k)/(after(k) + ε): the norm that the matrix had before.
template <class Space, class Factors>
struct KeepNorm {
  NumberBatchView<const double, Space> before, after;
  double epsilon;
  Factors factor;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { factor(k).first *= before(k) / (after(k) + epsilon); }
};

/// Divides the rows of `o` by the roots of their second moments, which `slot` keeps (Extent::column), and puts the factor
/// that restores ‖o‖_F on the bucket. Passes over o: one, and two norms of two passes each.
template <class Bucket>
void normalize_rows(Bucket& bucket, const typename Bucket::Batch& o, std::size_t slot, double beta2, double epsilon) {
  using Space = typename Bucket::Space;
  using T = typename Bucket::Scalar;
  const auto before = bucket.workspace().template numbers<double>(bucket.matrices());
  const auto after = bucket.workspace().template numbers<double>(bucket.matrices());
  linalg::frobenius_norm(bucket.exec(), o, before, bucket.workspace());
  bucket.rows("normalize_rows", NormalizeRow<T, Space>{o, bucket.state(slot), beta2, epsilon});
  linalg::frobenius_norm(bucket.exec(), o, after, bucket.workspace());
  const auto factor = bucket.factor();
  for_each_matrix(bucket.exec(), "schatten::step/keep_norm", bucket.matrices(),
                  KeepNorm<Space, decltype(factor)>{before, after, epsilon, factor});
}

}  // namespace schatten::optim
