// SPDX-License-Identifier: BSD-3-Clause
// Odd quintic iterations on the singular values: Muon's orthogonalization.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/spectral/normalization.hpp>
#include <schatten/spectral/whole_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace schatten::spectral {

/// One step X ← aX + bX(XᵀX) + cX(XᵀX)², that is σ ← aσ + bσ³ + cσ⁵.
struct Quintic {
  double a, b, c;
  /// The step on one singular value.
  [[nodiscard]] constexpr double operator()(double x) const {
    const double square = x * x;
    return x * (a + square * (b + square * c));
  }
};

/// Muon's coefficients, which were chosen for a large slope at zero, not for convergence: singular values end in about
/// [0.68, 1.13]. Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024).
inline constexpr Quintic muon_quintic{3.4445, -4.7750, 2.0315};
inline constexpr int muon_steps = 5;

/// Returns the flops of K steps on X (m×n), n <= m. A symmetric product n×k by k×n counts symmetric·n²k: symmetric is 1
/// if half of it is computed.
inline double quintic_flops(std::size_t steps, double m, double n, double symmetric = 1) {
  return double(steps) * n * n * ((2 + symmetric) * m + symmetric * n);
}

namespace detail {

/// Replaces ‖M/scale‖_F by the factor of M/scale that gives M/(‖M‖_F + added); 1 for a zero matrix. If `unscaled` is
/// set, the scale becomes 1, or NaN if the norm is.
template <class Space>
struct InverseOfNorm {
  NumberBatchView<double, Space> norm, scale;
  double added;
  bool unscaled;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    if (unscaled) scale(b) = linalg::is_finite(norm(b)) ? 1.0 : norm(b);
    norm(b) = norm(b) == 0.0 ? 1.0 : 1 / (norm(b) + added / scale(b));
  }
};

/// polynomial ← aI + bA + cA². May work in place.
template <class W, class Space>
struct QuinticPolynomial {
  Sum<W> a, b, c;
  BatchView<const W, Space> gram, square;
  BatchView<W, Space> polynomial;
  [[nodiscard]] KOKKOS_FUNCTION Sum<W> value(std::size_t n, std::size_t i, std::size_t j) const {
    const Sum<W> rest = b * Sum<W>(gram(n, i, j)) + c * Sum<W>(square(n, i, j));
    return i == j ? a + rest : rest;
  }
  KOKKOS_FUNCTION void operator()(std::size_t n, std::size_t i, std::size_t j) const {
    polynomial(n, i, j) = W(value(n, i, j));
  }
};

/// quintic_iteration from M/(‖M‖_F + added_to_norm), matrices stored as W. parts: of which ranks have rows
/// (whole_matrix.hpp).
template <class W, class Backend, ExecutionSpace Exec, class T, class Space, class Parts>
void quintic_steps(const Exec& exec, std::span<const Quintic> steps, double added_to_norm,
                   const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace,
                   const Parts& parts) {
  if (!Parts::cut && m.extent(1) < m.extent(2)) {
    return quintic_steps<W, Backend>(exec, steps, added_to_norm, transpose(m), transpose(out), workspace, parts);
  }
  const std::size_t batch = m.extent(0), cols = m.extent(2);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch), norm = workspace.template numbers<double>(batch);
  auto x = batch_like<W>(m, workspace), next = batch_like<W>(m, workspace);
  const auto gram = workspace.template aligned_batch<W>(batch, cols, cols);
  const auto polynomial = workspace.template aligned_batch<W>(batch, cols, cols);
  constexpr bool unscaled = std::is_same_v<T, float>;  // double has the squares of floats
  if constexpr (unscaled) {
    linalg::frobenius_norm(exec, m, norm, workspace);
  } else {
    power_of_two_scale(exec, m, scale, workspace);
    parts.largest(exec, scale);
    linalg::relative_norm(exec, m, scale, norm, workspace);
  }
  parts.norms(exec, norm.data(), batch);
  for_each_matrix(exec, "schatten::quintic/scale", batch, InverseOfNorm<Space>{norm, scale, added_to_norm, unscaled});
  divide(exec, m, scale, x, norm);
  using S = Sum<W>;
  if (steps.empty()) return copy_elements(exec, "schatten::quintic/store", as_const(x), out);
  for (const Quintic& step : steps) {  // X ← X(aI + bA + cA²), A = XᵀX
    parts.template gram<Backend>(exec, x, gram, workspace);
    linalg::symmetric_product<Backend>(exec, S(1), gram, gram, polynomial, workspace);
    for_each_element(exec, "schatten::quintic/polynomial", batch, cols, cols,
                     QuinticPolynomial<W, Space>{S(step.a), S(step.b), S(step.c), gram, polynomial, polynomial});
    if (&step == &steps.back()) break;
    linalg::gemm<Backend>(exec, S(1), x, polynomial, S(0), next, workspace);
    std::swap(x, next);
  }
  // The last X is not rounded to W if `out` may have the type of the products' sums.
  if constexpr (std::is_same_v<T, W> || std::is_same_v<T, S>) {
    linalg::gemm<Backend>(exec, S(1), x, polynomial, S(0), out, workspace);
  } else {
    linalg::gemm<Backend>(exec, S(1), x, polynomial, S(0), next, workspace);
    copy_elements(exec, "schatten::quintic/store", as_const(next), out);
  }
}

}  // namespace detail

/// out ← U q_K(...q_1(Σ/‖M‖_F)) Vᵀ for the quintics q_1..q_K: approximately the polar factor U Vᵀ.
///
/// M, out (m×n). The Gram matrices are those of the short side (n <= m). `added_to_norm` is added to ‖M‖_F: the
/// published 1e-7 makes the result for small matrices smaller; with 0 the matrix may have any scale. Matrices are
/// stored as W: T, Half or BFloat16 (published: bfloat16). Cost per step: n²m + n³ + 2n²m flops, with half of each
/// symmetric product.
template <class W, class Backend, ExecutionSpace Exec, class T, class Space>
void quintic_iteration(const Exec& exec, std::span<const Quintic> steps, const BatchView<const T, Space>& m,
                       const BatchView<T, Space>& out, Workspace<Space>& workspace, double added_to_norm = 0) {
  detail::quintic_steps<W, Backend>(exec, steps, added_to_norm, m, out, workspace, WholeMatrix{});
}
/// The same where other ranks have rows of M too: a sum of a Gram matrix over ranks for each step. All columns are
/// here.
template <class W, class Backend, ExecutionSpace Exec, class T, class Space, class Parts>
void quintic_iteration_of_rows(const Exec& exec, std::span<const Quintic> steps, const BatchView<const T, Space>& m,
                               const BatchView<T, Space>& out, Workspace<Space>& workspace, double added_to_norm,
                               const Parts& parts) {
  detail::quintic_steps<W, Backend>(exec, steps, added_to_norm, m, out, workspace, parts);
}

/// The interval [low, high].
struct Interval {
  double low, high;
};

/// Returns the image of an interval under a step: its ends are among the values at the ends and at the zeros of a +
/// 3bx² + 5cx⁴ inside.
inline Interval image_of(const Quintic& step, const Interval& x) {
  Interval image{(std::min)(step(x.low), step(x.high)), (std::max)(step(x.low), step(x.high))};
  const double root = 9 * step.b * step.b - 20 * step.a * step.c;
  if (root < 0 || step.c == 0) return image;
  for (const double sign : {-1.0, 1.0}) {
    const double square = (sign * std::sqrt(root) - 3 * step.b) / (10 * step.c);
    if (square < 0) continue;
    for (const double extremum : {-std::sqrt(square), std::sqrt(square)}) {
      if (extremum <= x.low || extremum >= x.high) continue;
      image.low = (std::min)(image.low, step(extremum));
      image.high = (std::max)(image.high, step(extremum));
    }
  }
  return image;
}

/// Returns the largest |q_K(...q_1(σ/s)) − 1| over σ in [resolution, 1] and every s = ‖M‖_F/σ_max in [1, √rank]. The
/// result is exact, plus 1e-10 for rounding: the image of an interval under a continuous function is an interval, so
/// the composition of images is exact.
inline double quintic_error(std::span<const Quintic> steps, double resolution, std::size_t rank) {
  constexpr double rounding = 1e-10;
  Interval x{resolution / std::sqrt(double(std::max<std::size_t>(rank, 1))), 1};
  for (const Quintic& step : steps) x = image_of(step, x);
  return (1 + rounding) * (std::max)(std::abs(x.low - 1), std::abs(x.high - 1));
}

}  // namespace schatten::spectral
