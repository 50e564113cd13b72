// SPDX-License-Identifier: BSD-3-Clause
// Gram matrices and their functions as ranks send them, and the part of a function that one rank computes.
#pragma once

#include <schatten/core/views.hpp>
#include <schatten/distributed/rank_parts.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/linalg/rational.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace schatten::distributed::detail {

/// packed ← (unit/common)²·S, its lower triangle by rows, the diagonal as it is in double.
template <class Gram, class Space>
struct PackTriangle {
  BatchView<const Gram, Space> gram;
  VectorBatchView<double, Space> diagonal;
  NumberBatchView<double, Space> unit, common;  ///< common: may be empty, 1 then
  double* packed;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const double by = common.extent(0) == 0 || unit(b) == 0.0 ? unit(b) : unit(b) / common(b), square = by * by;
    double* const row = packed + b * triangle(gram.extent(1)) + triangle(i);
    for (std::size_t j = 0; j < i; ++j) row[j] = square * double(gram(b, i, j));
    row[i] = square * diagonal(b, i);
  }
};

/// unit ← the largest power of two with unit² <= the largest diagonal element; 0 for a zero matrix, NaN for one with a
/// NaN; total ← unit·common.
template <class Space>
struct UnitOfTriangle {
  const double* packed;
  std::size_t n;
  NumberBatchView<double, Space> common, unit, total;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    const double* const matrix = packed + b * triangle(n);
    std::uint64_t largest = 0;  // as bits, infinities and NaN are larger than every number
    for (std::size_t i = 0; i < n; ++i) {
      const auto bits = linalg::detail::magnitude_bits(matrix[triangle(i) + i]);
      largest = bits > largest ? bits : largest;
    }
    const auto d = std::bit_cast<double>(largest);
    int exponent = 0;
    if (linalg::is_finite(d)) (void)std::frexp(d, &exponent);
    unit(b) = !linalg::is_finite(d) ? std::numeric_limits<double>::quiet_NaN()
              : d == 0.0            ? 0.0
                                    : std::ldexp(1.0, (exponent - 1) >> 1);
    total(b) = common.extent(0) == 0 || d == 0.0 ? unit(b) : unit(b) * common(b);
  }
};

/// S ← packed/unit², both triangles, and its diagonal in double.
template <class Gram, class Space>
struct UnpackTriangle {
  const double* packed;
  NumberBatchView<double, Space> unit;
  BatchView<Gram, Space> gram;
  VectorBatchView<double, Space> diagonal;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const bool usable = linalg::is_finite(unit(b)) && unit(b) != 0.0;
    const double inverse = usable ? 1 / unit(b) : 1.0;
    const double* const row = packed + b * triangle(gram.extent(1)) + triangle(i);
    for (std::size_t j = 0; j <= i; ++j) {
      const double x = linalg::is_finite(unit(b)) ? row[j] * inverse * inverse : unit(b);
      gram(b, i, j) = Gram(x);
      gram(b, j, i) = Gram(x);
      if (i == j) diagonal(b, i) = x;
    }
  }
};

/// Numbers of the rows before row i: of a lower triangle, or of a square of n.
KOKKOS_INLINE_FUNCTION std::size_t rows_before(std::size_t i, std::size_t n, bool square) {
  return square ? i * n : triangle(i);
}

/// Copies W to a message of doubles, and back: the unit of the matrix, then W by rows; of a symmetric W the lower
/// triangle. Ranks that share functions send these messages.
template <class Work, class Space>
struct PackFunction {
  BatchView<const Work, Space> w;
  NumberBatchView<double, Space> unit;
  double* packed;
  bool square;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const std::size_t n = w.extent(1);
    double* const matrix = packed + b * (1 + rows_before(n, n, square));
    if (i == 0) matrix[0] = unit(b);
    for (std::size_t j = 0; j < (square ? n : i + 1); ++j) {
      matrix[1 + rows_before(i, n, square) + j] = double(w(b, i, j));
    }
  }
};
template <class Work, class Space>
struct UnpackFunction {
  const double* packed;
  BatchView<Work, Space> w;
  NumberBatchView<double, Space> unit;
  bool square;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const std::size_t n = w.extent(1);
    const double* const matrix = packed + b * (1 + rows_before(n, n, square));
    if (i == 0) unit(b) = matrix[0];
    for (std::size_t j = 0; j < (square ? n : i + 1); ++j) {
      w(b, i, j) = Work(matrix[1 + rows_before(i, n, square) + j]);
      if (!square) w(b, j, i) = Work(matrix[1 + rows_before(i, n, square) + j]);
    }
  }
};

/// The terms of r with the poles first, first + step, …; if first is 0, also the terms without a pole.
inline linalg::Rational part_of(const linalg::Rational& r, std::size_t first, std::size_t step) {
  linalg::Rational part;
  if (first == 0) {
    part.constant = r.constant;
    part.linear = r.linear;
  }
  for (std::size_t j = first; j < r.poles.size(); j += step) {
    part.poles.push_back(r.poles[j]);
    part.weights.push_back(r.weights[j]);
  }
  return part;
}
inline linalg::ComposedRational part_of(const linalg::ComposedRational& r, std::size_t first, std::size_t step) {
  linalg::ComposedRational part;
  part.shift = r.shift;
  part.rise = r.rise;
  if (first == 0) {
    part.constant = r.constant;
    part.linear = r.linear;
    part.once = r.once;
  }
  for (std::size_t j = first; j < r.poles.size(); j += step) {
    part.poles.push_back(r.poles[j]);
    part.weights.push_back(r.weights[j]);
    part.products.push_back(r.products[j]);
  }
  return part;
}

/// Whether squares of numbers near one of the units may leave the range of double.
inline bool has_extremes(const std::vector<double>& units) {
  return std::any_of(units.begin(), units.end(), [](double unit) {
    return linalg::is_finite(unit) && unit != 0.0 && (unit < 0x1p-300 || unit > 0x1p300);
  });
}

}  // namespace schatten::distributed::detail
