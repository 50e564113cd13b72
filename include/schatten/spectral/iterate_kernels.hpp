// SPDX-License-Identifier: BSD-3-Clause
// Kernels of the iterate method. W is the type in which matrices are stored, Sum<W> that of the arithmetic.
#pragma once

#include <schatten/core/reduced_float.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/spectral/iterate_segments.hpp>
#include <schatten/spectral/quintic.hpp>
#include <schatten/spectral/weight_fit.hpp>

#include <cstddef>

namespace schatten::spectral {

namespace detail {

/// λ → scale = 1/s, s = margin·√λ, its square, and factor = (s·unit)^p, which undoes both scalings of M.
template <class Space>
struct IterateScale {
  NumberBatchView<double, Space> unit, scale, square, factor;
  double power;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    if (scale(b) == 0.0) {
      scale(b) = 1;
      square(b) = 1;
      factor(b) = 0;
      return;
    }
    const double s = scale_margin * math::sqrt(scale(b));
    scale(b) = 1 / s;
    square(b) = scale(b) * scale(b);
    factor(b) = math::pow(s, power) * math::pow(unit(b), power);
  }
};

/// sum ← diagonal·I + Σ_k w_k x_k, k < count; x_k are the consecutive batches in x.
template <class W, class Space>
struct WeightedSum {
  Sum<W> diagonal;
  Sum<W> w[2 * most_iterates];
  std::size_t count;
  BatchView<const W, Space> x;
  BatchView<W, Space> sum;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    Sum<W> total = i == j ? diagonal : Sum<W>(0);
    for (std::size_t k = 0; k < count; ++k) total += w[k] * Sum<W>(x(k * sum.extent(0) + b, i, j));
    sum(b, i, j) = W(total);
  }
};

/// polynomial ← factor·first_b·(aI + bA + cA²).
template <class W, class Space>
struct FirstPolynomial {
  QuinticPolynomial<W, Space> of;
  NumberBatchView<double, Space> first;
  double factor;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    of.polynomial(b, i, j) = W(Sum<W>(factor * first(b)) * of.value(b, i, j));
  }
};

/// The bracket of the last step, a WeightedSum of all A and A², and the step's polynomial in place of its A².
template <class W, class Space>
struct BracketAndPolynomial {
  WeightedSum<W, Space> bracket;
  QuinticPolynomial<W, Space> polynomial;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    bracket(b, i, j);  // the last to need A²
    polynomial(b, i, j);
  }
};

/// out ← factor_b·(sum + Σ_k w_k x_k), k < count, rounded once; x_k are the consecutive batches in x. `out` may be
/// `sum`. first: where it is not empty, a factor of x_0.
template <class W, class T, class Space>
struct IterateResult {
  NumberBatchView<double, Space> factor, first;
  Sum<W> w[most_iterates];
  std::size_t count;
  BatchView<const W, Space> x, sum;
  BatchView<T, Space> out;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    auto total = Sum<W>(sum(b, i, j));
    for (std::size_t k = 0; k < count; ++k) {
      const auto weight = k == 0 && first.extent(0) > 0 ? w[k] * Sum<W>(first(b)) : w[k];
      total += weight * Sum<W>(x(k * out.extent(0) + b, i, j));
    }
    out(b, i, j) = T(factor(b) * double(total));
  }
};

}  // namespace detail
}  // namespace schatten::spectral
