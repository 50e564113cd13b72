// SPDX-License-Identifier: BSD-3-Clause
// Second moments of the rows of a direction.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/optim/stages/second_moment.hpp>

#include <bit>
#include <cmath>
#include <cstddef>

namespace schatten::optim {

/// Row i of matrix k: v ← β₂v + (1 − β₂)mean_j O_ij², the row divided by √(v + ε). Kept is √v, which has the range of O
/// where v has not.
template <Scalar T, class Space>
struct NormalizeRow {
  BatchView<T, Space> o;
  BatchView<T, Space> root;    ///< √v, rows×1
  double gain2, root_epsilon;  ///< 1 − β₂, √ε
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    T* const row = &o(k, i, 0);
    const std::size_t cols = o.extent(2);
    using Bits = decltype(linalg::detail::magnitude_bits(T(0)));
    const Bits largest =
        team.template max<Bits>(cols, [&](std::size_t j) { return linalg::detail::magnitude_bits(row[j]); });
    const math::Unit<T> unit(std::bit_cast<T>(largest));
    team.for_each(cols, [&](std::size_t j) { row[j] *= unit.inverse; });
    const double mean_root = double(unit.unit) * math::sqrt(team.dot(row, row, cols) / double(cols));
    const double r = second_moment_root(double(root(k, i, 0)), mean_root, gain2);
    const math::Unit<double> size(r > root_epsilon ? r : root_epsilon);
    const double x = r * size.inverse, y = root_epsilon * size.inverse;
    const double inverse = 1 / math::sqrt(x * x + y * y);
    team.for_each(cols,
                  [&](std::size_t j) { row[j] = T(double(row[j]) * double(unit.unit) * size.inverse * inverse); });
    team.once([&] { root(k, i, 0) = T(r); });
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

/// Divides the rows of `o` by the roots of their second moments, which `slot` keeps as roots (Extent::column), and puts
/// the factor that restores ‖o‖_F on the bucket. Passes over o: one, and two norms of two passes each.
template <class Bucket>
void normalize_rows(Bucket& bucket, const typename Bucket::Batch& o, std::size_t slot, double beta2, double epsilon) {
  using Space = typename Bucket::Space;
  using T = typename Bucket::Scalar;
  const auto before = bucket.workspace().template numbers<double>(bucket.matrices());
  const auto after = bucket.workspace().template numbers<double>(bucket.matrices());
  linalg::frobenius_norm(bucket.exec(), o, before, bucket.workspace());
  bucket.rows("schatten::step/normalize_rows",
              NormalizeRow<T, Space>{o, bucket.state(slot), 1 - beta2, std::sqrt(epsilon)});
  linalg::frobenius_norm(bucket.exec(), o, after, bucket.workspace());
  const auto factor = bucket.factor();
  for_each_matrix(bucket.exec(), "schatten::step/keep_norm", bucket.matrices(),
                  KeepNorm<Space, decltype(factor)>{before, after, epsilon, factor});
}

}  // namespace schatten::optim
