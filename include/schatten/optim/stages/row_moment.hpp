// SPDX-License-Identifier: BSD-3-Clause
// Second moments of the rows, and of the elements, of a direction.
#pragma once

#include <schatten/optim/scale.hpp>
#include <schatten/optim/skip.hpp>
#include <schatten/optim/stages/line_norms.hpp>
#include <schatten/optim/stages/second_moment.hpp>

#include <bit>
#include <cmath>
#include <cstddef>

namespace schatten::optim {

/// Row i of matrix k: v ← β₂v + (1 − β₂)mean_j O_ij², and the row is divided by √(v + ε). √v is stored, which does not
/// over- or underflow where v would. before, after: the row's norms. whole: norms of whole rows of `cols` elements if
/// other ranks have parts of them, otherwise empty.
template <Scalar T, class Space>
struct NormalizeRow {
  BatchView<T, Space> o;
  BatchView<T, Space> root;    ///< √v, rows×1
  double gain2, root_epsilon;  ///< 1 − β₂, √ε
  double cols;
  BatchView<double, Space> whole, before, after;
  FiniteFlags<Space> finite;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    if (!finite(k)) return team.once([&] { before(k, i, 0) = after(k, i, 0) = 0; });
    T* const row = &o(k, i, 0);
    const std::size_t n = o.extent(2);
    using Bits = decltype(linalg::detail::magnitude_bits(T(0)));
    const Bits largest =
        team.template max<Bits>(n, [&](std::size_t j) { return linalg::detail::magnitude_bits(row[j]); });
    const math::Unit<T> unit(std::bit_cast<T>(largest));
    team.for_each(n, [&](std::size_t j) { row[j] *= unit.inverse; });
    const double relative = math::sqrt(team.dot(row, row, n)), norm = double(unit.unit) * relative;
    const double all = whole.extent(0) > 0 ? whole(k, i, 0) : norm;
    const double r = second_moment_root(double(root(k, i, 0)), all / math::sqrt(cols), gain2);
    const math::Unit<double> size(r > root_epsilon ? r : root_epsilon);
    const double x = r * size.inverse, y = root_epsilon * size.inverse;
    const double inverse = 1 / math::sqrt(x * x + y * y);
    team.for_each(n, [&](std::size_t j) { row[j] = T(double(row[j]) * double(unit.unit) * size.inverse * inverse); });
    team.once([&] {
      root(k, i, 0) = T(r);
      before(k, i, 0) = norm;
      after(k, i, 0) = norm * size.inverse * inverse;
    });
  }
};

/// Row i of matrix k: v ← β₂v + (1 − β₂)O⊙O, then O ← O/(√v + ε), element by element. √v is stored. after: the row's
/// norm.
template <Scalar T, class Space>
struct NormalizeElements {
  BatchView<T, Space> o;
  BatchView<T, Space> root;  ///< √v, rows×cols
  T gain2, epsilon;          ///< gain2: 1 − β₂
  BatchView<double, Space> after;
  FiniteFlags<Space> finite;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    if (!finite(k)) return team.once([&] { after(k, i, 0) = 0; });
    T *const row = &o(k, i, 0), *const r = &root(k, i, 0);
    const std::size_t cols = o.extent(2);
    team.for_each(cols, [&](std::size_t j) {
      r[j] = second_moment_root(r[j], row[j], gain2);
      row[j] /= r[j] + epsilon;
    });
    const double norm = norm_of_row(team, row, cols);
    team.once([&] { after(k, i, 0) = norm; });
  }
};

/// Divides the rows of `o` by the roots of their second moments, which are in `slot` (Extent::column). Multiplies the
/// bucket's factor by the factor that restores ‖o‖_F, or with a scale that fixes the root mean square by the factor
/// that gives it. Cost: one pass over o; both norms are computed from norms of rows.
template <class Bucket>
void normalize_rows(Bucket& bucket, const typename Bucket::Batch& o, std::size_t slot, double beta2, double epsilon,
                    ScaleMode scale) {
  using T = typename Bucket::Scalar;
  const auto before = row_numbers(bucket), after = row_numbers(bucket);
  LineFactors<Bucket> whole;
  if constexpr (Bucket::over_ranks) {
    if (bucket.cuts_rows()) row_factors(bucket, Norm{}, o, whole = row_numbers(bucket));
  }
  const auto [rows, cols] = bucket.whole_shape();
  for_each_row_by_team(bucket.exec(), "schatten::step/normalize_rows", bucket.matrices(), bucket.rows(),
                       NormalizeRow<T, typename Bucket::Space>{o, bucket.state(slot), 1 - beta2, std::sqrt(epsilon),
                                                               double(cols), whole, before, after, bucket.finite()});
  if (fixed_rms(scale) == 0) return factor_over_norm(bucket, 1, before, after, epsilon);
  factor_over_norm(bucket, fixed_rms(scale) * std::sqrt(double(rows * cols)), {}, after, epsilon);
}

/// Divides the elements of `o` by the roots of their second moments, which are in `slot` (Extent::matrix). With a scale
/// that fixes the root mean square it multiplies the bucket's factor by the factor that gives it. Cost: one pass over o
/// and the slot.
template <class Bucket>
void normalize_elements(Bucket& bucket, const typename Bucket::Batch& o, std::size_t slot, double beta2, double epsilon,
                        ScaleMode scale) {
  using T = typename Bucket::Scalar;
  const auto after = row_numbers(bucket);
  for_each_row_by_team(bucket.exec(), "schatten::step/normalize_elements", bucket.matrices(), bucket.rows(),
                       NormalizeElements<T, typename Bucket::Space>{o, bucket.state(slot), T(1 - beta2), T(epsilon),
                                                                    after, bucket.finite()});
  if (fixed_rms(scale) == 0) return;
  const auto [rows, cols] = bucket.whole_shape();
  factor_over_norm(bucket, fixed_rms(scale) * std::sqrt(double(rows * cols)), {}, after, epsilon);
}

}  // namespace schatten::optim
