// SPDX-License-Identifier: BSD-3-Clause
// Norms of rows and columns, and what rules compute from them: factors of rows and columns, norms of matrices.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/root.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/optim/apply.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <type_traits>

namespace schatten::optim {

/// norm ↦ norm.
struct Norm {
  KOKKOS_FUNCTION double operator()(double norm) const { return norm; }
};
/// norm ↦ norm, for the parts of rows and columns that this rank has.
struct PartNorm : Norm {};
/// norm ↦ 1/(weight·norm + ε).
struct InverseNorm {
  double weight, epsilon;
  KOKKOS_FUNCTION double operator()(double norm) const { return 1 / (weight * norm + epsilon); }
};
/// norm ↦ (target/max(norm, ε))^exponent.
struct PowerOfInverse {
  double target, epsilon, exponent;
  KOKKOS_FUNCTION double operator()(double norm) const {
    return math::pow(target / (norm > epsilon ? norm : epsilon), exponent);
  }
};
/// norm ↦ (norm² + ε)^(−exponent). @pre ε > 0.
struct PowerOfSquare {
  double epsilon, exponent;
  KOKKOS_FUNCTION double operator()(double norm) const {
    const double root = math::sqrt(epsilon), larger = norm > root ? norm : root;
    const double ratio = (norm > root ? root : norm) / larger;
    return math::pow(larger * math::sqrt(1 + ratio * ratio), -2 * exponent);
  }
};

/// Returns √Σ_j row_j² without over- or underflow.
template <class Team, Scalar T>
KOKKOS_FUNCTION double norm_of_row(const Team& team, const T* row, std::size_t n) {
  using Bits = decltype(linalg::detail::magnitude_bits(T(0)));
  const auto largest = std::bit_cast<T>(
      team.template max<Bits>(n, [&](std::size_t j) { return linalg::detail::magnitude_bits(row[j]); }));
  if (largest > T(1e-12) && largest < T(1e12)) return math::sqrt(team.dot(row, row, n));
  const math::Unit<T> unit(largest);
  const double squares = team.sum(n, [&](std::size_t j) {
    const double x = double(row[j] * unit.inverse);
    return x * x;
  });
  return double(unit.unit) * math::sqrt(squares);
}

/// factor(k, i, 0) ← f(‖row i‖), times its old value if `multiply` is set. The result is limited to finite numbers,
/// because infinity times a row of zeros would be NaN.
template <Scalar T, class Space, class F>
struct RowFactors {
  BatchView<const T, Space> u;
  F f;
  bool multiply;
  BatchView<double, Space> factor;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    const double value = saturated(f(norm_of_row(team, &u(k, i, 0), u.extent(2))));
    team.once([&] { factor(k, i, 0) = saturated(multiply ? factor(k, i, 0) * value : value); });
  }
};

/// factor(k, 0, j) ← f(‖column j‖) likewise, `width` columns at a time, so that the host reads contiguous memory.
template <Scalar T, class Space, class F, std::size_t width>
struct ColumnFactors {
  BatchView<const T, Space> u;
  F f;
  bool multiply;
  BatchView<double, Space> factor;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t block) const {
    const std::size_t first = block * width, left = u.extent(2) - first, count = left < width ? left : width;
    double unit[width], sum[width] = {};
    for (std::size_t c = 0; c < count; ++c) unit[c] = 0;
    for (std::size_t i = 0; i < u.extent(1); ++i) {
      for (std::size_t c = 0; c < count; ++c) {
        const double x = double(u(k, i, first + c)), size = x < 0 ? -x : x;
        unit[c] = unit[c] > size ? unit[c] : size;
      }
    }
    double inverse[width];
    for (std::size_t c = 0; c < count; ++c) {
      const math::Unit<double> scale(unit[c]);
      unit[c] = scale.unit;
      inverse[c] = scale.inverse;
    }
    for (std::size_t i = 0; i < u.extent(1); ++i) {
      for (std::size_t c = 0; c < count; ++c) {
        const double x = double(u(k, i, first + c)) * inverse[c];
        sum[c] += x * x;
      }
    }
    for (std::size_t c = 0; c < count; ++c) {
      double& to = factor(k, 0, first + c);
      const double value = saturated(f(unit[c] * math::sqrt(sum[c])));
      to = saturated(multiply ? to * value : value);
    }
  }
};

/// out_ij ← rows_i·columns_j·u_ij, limited to finite numbers. An empty batch of factors counts as ones. out may be u.
template <Scalar T, class Space>
struct ScaleLines {
  BatchView<const double, Space> rows, columns;
  BatchView<const T, Space> u;
  BatchView<T, Space> out;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    const double row = rows.extent(0) > 0 ? rows(k, i, 0) : 1.0,
                 column = columns.extent(0) > 0 ? columns(k, 0, j) : 1.0;
    out(k, i, j) = saturated_as<T>(saturated(double(u(k, i, j)) * row) * column);
  }
};

/// factor_i of matrix k ← f(norm_i), times its old value if `multiply` is set, limited to finite numbers.
template <class F>
struct FactorsOfNorms {
  F f;
  const double* norm;
  bool multiply;
  double* factor;
  std::size_t each;  ///< number of norms per matrix
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i) const {
    const double value = saturated(f(norm[k * each + i]));
    double& to = factor[k * each + i];
    to = saturated(multiply ? to * value : value);
  }
};

/// The type of factors of rows or columns: a batch of doubles.
template <class Bucket>
using LineFactors = BatchView<double, typename Bucket::Space>;

/// factors ← f of the norms of whole rows or columns. norms_of_parts(norms) writes the norms of the parts that this
/// rank has.
template <class Bucket, class F, class NormsOfParts>
void factors_over_ranks(Bucket& bucket, const F& f, const LineFactors<Bucket>& factors, bool multiply,
                        const NormsOfParts& norms_of_parts) {
  const std::size_t count = bucket.matrices(), each = factors.extent(1) * factors.extent(2);
  const auto norms = bucket.workspace().template batch<double>(factors.extent(0), factors.extent(1), factors.extent(2));
  norms_of_parts(norms);
  bucket.parts().norms(bucket.exec(), norms.data(), count, each);
  for_each_row(bucket.exec(), "schatten::step/line_factors", count, each,
               FactorsOfNorms<F>{f, norms.data(), multiply, factors.data(), each});
}

/// rows(k, i, 0) ← f(‖row i of u‖), times its old value if `multiply` is set. `rows` is memory of the caller. Cost: one
/// pass over u.
template <class Bucket, class F>
void row_factors(Bucket& bucket, const F& f, const typename Bucket::Batch& u, const LineFactors<Bucket>& rows,
                 bool multiply = false) {
  if constexpr (Bucket::over_ranks && !std::is_same_v<F, PartNorm>) {
    if (bucket.cuts_rows()) {
      return factors_over_ranks(bucket, f, rows, multiply,
                                [&](const auto& norms) { row_factors(bucket, PartNorm{}, u, norms); });
    }
  }
  using Kernel = RowFactors<typename Bucket::Scalar, typename Bucket::Space, F>;
  for_each_row_by_team(bucket.exec(), "schatten::step/row_norms", bucket.matrices(), u.extent(1),
                       Kernel{u, f, multiply, rows});
}
/// columns(k, 0, j) ← f(‖column j of u‖) likewise. Cost: two passes over u.
template <class Bucket, class F>
void column_factors(Bucket& bucket, const F& f, const typename Bucket::Batch& u, const LineFactors<Bucket>& columns,
                    bool multiply = false) {
  if constexpr (Bucket::over_ranks && !std::is_same_v<F, PartNorm>) {
    if (bucket.cuts_columns()) {
      return factors_over_ranks(bucket, f, columns, multiply,
                                [&](const auto& norms) { column_factors(bucket, PartNorm{}, u, norms); });
    }
  }
  constexpr std::size_t width = loops_as_on_device<std::remove_cvref_t<decltype(bucket.exec())>> ? 1 : 64;
  using Kernel = ColumnFactors<typename Bucket::Scalar, typename Bucket::Space, F, width>;
  for_each_row(bucket.exec(), "schatten::step/column_norms", bucket.matrices(), (u.extent(2) + width - 1) / width,
               Kernel{u, f, multiply, columns});
}
/// Returns scratch memory for a factor per row and per column, valid until `direction` returns.
template <class Bucket>
LineFactors<Bucket> row_numbers(Bucket& bucket) {
  return bucket.workspace().template batch<double>(bucket.matrices(), bucket.rows(), 1);
}
template <class Bucket>
LineFactors<Bucket> column_numbers(Bucket& bucket) {
  return bucket.workspace().template batch<double>(bucket.matrices(), 1, bucket.cols());
}

/// out ← diag(rows)·u·diag(columns). An empty batch counts as ones. out may be u. Cost: one pass.
template <class Bucket>
void scale_lines(Bucket& bucket, const LineFactors<Bucket>& rows, const LineFactors<Bucket>& columns,
                 const typename Bucket::Batch& u, const typename Bucket::Batch& out) {
  using Kernel = ScaleLines<typename Bucket::Scalar, typename Bucket::Space>;
  for_each_element(bucket.exec(), "schatten::step/scale_lines", bucket.matrices(), bucket.rows(), bucket.cols(),
                   Kernel{rows, columns, u, out});
}

/// factor(k) ← factor(k)·target·before(k)/(after(k) + ε); an empty `before` counts as ones.
template <class Space, class Factors>
struct FactorOverNorm {
  double target;
  NumberBatchView<const double, Space> before, after;
  double epsilon;
  Factors factor;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    factor(k).first *= target * (before.extent(0) > 0 ? before(k) : 1.0) / (after(k) + epsilon);
  }
};

/// Multiplies the bucket's factor by target·‖before‖/(‖after‖ + ε). Both matrices are given by the norms of the rows
/// that this rank has; an empty `before` counts as norm 1. Cost: no pass over a matrix.
template <class Bucket>
void factor_over_norm(Bucket& bucket, double target, const LineFactors<Bucket>& before,
                      const LineFactors<Bucket>& after, double epsilon) {
  using Numbers = NumberBatchView<double, typename Bucket::Space>;
  const auto norms = [&](const LineFactors<Bucket>& rows) {
    if (rows.extent(0) == 0) return Numbers{};
    const Numbers norm = bucket.workspace().template numbers<double>(bucket.matrices());
    linalg::frobenius_norm(bucket.exec(), rows, norm, bucket.workspace());
    bucket.parts().norms(bucket.exec(), norm.data(), bucket.matrices());
    return norm;
  };
  const Numbers had = norms(before), has = norms(after);
  const auto factor = bucket.factor();
  for_each_matrix(
      bucket.exec(), "schatten::step/norm_factor", bucket.matrices(),
      FactorOverNorm<typename Bucket::Space, std::remove_cv_t<decltype(factor)>>{target, had, has, epsilon, factor});
}

}  // namespace schatten::optim
