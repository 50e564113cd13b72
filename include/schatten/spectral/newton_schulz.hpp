// SPDX-License-Identifier: BSD-3-Clause
// HTMuon_NS, the published approximation of UΣ^pVᵀ by matrix products only.
#pragma once

#include <schatten/linalg/gemm.hpp>
#include <schatten/spectral/quintic.hpp>

#include <array>
#include <cmath>
#include <span>
#include <utility>

namespace schatten::spectral {

/// The numbers that the published method adds to the norm of M, to the Gram matrix and to every square root, and its
/// numbers of steps.
inline constexpr double newton_schulz_added_norm = 1e-7;
inline constexpr double newton_schulz_ridge = 1e-6;
inline constexpr int newton_schulz_steps = 5;

namespace detail {

/// Returns the k >= 0 with power = 2^{−k}; −1 for every other number.
inline int halvings(double power) {
  if (!std::isfinite(power) || power <= 0 || power > 1) return -1;
  int exponent = 0;
  return std::frexp(power, &exponent) == 0.5 ? 1 - exponent : -1;
}

/// scale ← max(scale, 1), exponent ← log2(scale²). M is divided if its largest entry is 2 or more, so that
/// its squares do not overflow.
template <class Space>
struct ScaleAboveOne {
  NumberBatchView<double, Space> scale, exponent;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    exponent(b) = 0;
    if (!linalg::is_finite(scale(b))) return;
    if (scale(b) < 1.0) scale(b) = 1.0;
    int binary = 0;
    (void)std::frexp(scale(b), &binary);
    exponent(b) = 2.0 * (binary - 1);
  }
};

/// norm ← √max(norm, ridge), exponent ← exponent/2, as in the square root of the matrix 2^exponent·s.
template <class Space>
struct RootOfNorm {
  NumberBatchView<double, Space> norm, exponent;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    const double smallest = newton_schulz_ridge * math::pow(2.0, -exponent(b));
    if (linalg::is_finite(norm(b)) && norm(b) < smallest) norm(b) = smallest;
    norm(b) = math::sqrt(norm(b));
    exponent(b) *= 0.5;
  }
};

/// a ← a + value·2^−exponent_b·I; an empty `exponent` counts as zero.
template <class T, class Space>
struct AddToDiagonal {
  double value;
  NumberBatchView<double, Space> exponent;
  BatchView<T, Space> a;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    a(b, i, i) += T(exponent.extent(0) == 0 ? value : value * math::pow(2.0, -exponent(b)));
  }
};

/// y ← s/α, z ← I.
template <class T, class Space>
struct StartSquareRoot {
  BatchView<const T, Space> s;
  NumberBatchView<double, Space> alpha;
  BatchView<T, Space> y, z;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    y(b, i, j) = T(double(s(b, i, j)) / alpha(b));
    z(b, i, j) = T(i == j);
  }
};

/// s ← f (y + yᵀ)/2.
template <class T, class Space>
struct Symmetrize {
  BatchView<const T, Space> y;
  NumberBatchView<double, Space> factor;
  BatchView<T, Space> s;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    s(b, i, j) = T(0.5 * factor(b) * (double(y(b, i, j)) + double(y(b, j, i))));
  }
};

/// a ← 2^exponent_b·a.
template <class T, class Space>
struct MultiplyByPowerOfTwo {
  NumberBatchView<double, Space> exponent;
  BatchView<T, Space> a;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    if (exponent(b) != 0.0) a(b, i, j) = T(math::pow(2.0, exponent(b)) * double(a(b, i, j)));
  }
};

/// Replaces the matrix 2^exponent·s by its square root + ridge·I, by Y ← Y(3I − ZY)/2, Z ← (3I − ZY)Z/2 from Y =
/// s/‖s‖_F, Z = I. Because of rounding Y and Z do not commute, so the products are not symmetric and are computed
/// completely.
template <class Backend, ExecutionSpace Exec, class T, class Space>
void newton_schulz_square_root(const Exec& exec, const NumberBatchView<double, Space>& exponent,
                               const BatchView<T, Space>& s, Workspace<Space>& workspace) {
  const std::size_t batch = s.extent(0), n = s.extent(1);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto norm = workspace.template numbers<double>(batch);
  auto y = workspace.template batch<T>(batch, n, n), z = workspace.template batch<T>(batch, n, n);
  auto next_y = workspace.template batch<T>(batch, n, n), next_z = workspace.template batch<T>(batch, n, n);
  const auto t = workspace.template batch<T>(batch, n, n);
  const NumberBatchView<double, Space> zero;
  linalg::frobenius_norm(exec, s, norm, workspace);
  for_each_element(exec, "schatten::newton_schulz/start", batch, n, n, StartSquareRoot<T, Space>{s, norm, y, z});
  for (int step = 0; step < newton_schulz_steps; ++step) {
    linalg::gemm<Backend>(exec, T(-1), z, y, T(0), t, workspace);
    for_each_row(exec, "schatten::newton_schulz/diagonal", batch, n, AddToDiagonal<T, Space>{3.0, zero, t});
    linalg::gemm<Backend>(exec, T(0.5), y, t, T(0), next_y, workspace);
    linalg::gemm<Backend>(exec, T(0.5), t, z, T(0), next_z, workspace);
    std::swap(y, next_y);
    std::swap(z, next_z);
  }
  for_each_matrix(exec, "schatten::newton_schulz/norm", batch, RootOfNorm<Space>{norm, exponent});
  for_each_element(exec, "schatten::newton_schulz/symmetrize", batch, n, n, Symmetrize<T, Space>{y, norm, s});
  for_each_row(exec, "schatten::newton_schulz/ridge", batch, n,
               AddToDiagonal<T, Space>{newton_schulz_ridge, exponent, s});
}

}  // namespace detail

/// HTMuon_NS: out ← X·R with X ≈ UVᵀ by Muon's five quintics and R ≈ (MᵀM)^{p/2} by k + 1 square roots, p = 2^{−k}.
///
/// M, out (m×n); R is n×n for all shapes. As published: quintics (3.4445, −4.7750, 2.0315) from M/(‖M‖_F + 1e-7), A =
/// MᵀM + 1e-6 I; each root has five coupled Newton–Schulz steps from A/‖A‖_F, is symmetrized, and 1e-6 I is added. The
/// ridges are absolute, so the error depends on the scale of M (docs/published.md has a table). The results for M and
/// Mᵀ are not transposes of each other. All is computed in T (published: quintics in bfloat16, roots in float). If
/// max|M| >= 2, M and the ridges are divided by powers of two, which only prevents overflow. The result for a zero
/// matrix is zero, that for a matrix with a NaN or an infinity is NaN in all elements; other matrices of the batch are
/// not affected. Throws InvalidArgument for a power that is not 1, 1/2, 1/4, ... Cost: 5 quintics, n²m + 30(k + 1)n³ +
/// 2n²m flops; only the quintics and MᵀM use symmetry. Source: Pang et al., arXiv 2603.10067, and its reference
/// implementation.
template <class Backend, ExecutionSpace Exec, class T, class Space>
void newton_schulz_power(const Exec& exec, double power, const BatchView<const T, Space>& m,
                         const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  const int halvings = detail::halvings(power);
  require(halvings >= 0, "spectral::newton_schulz_power", "power", power,
          "must be 1, 1/2, 1/4 or another power of one half");
  std::array<Quintic, muon_steps> quintics;
  quintics.fill(muon_quintic);
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch), exponent = workspace.template numbers<double>(batch);
  const auto polar = workspace.template batch<T>(batch, rows, cols);
  const auto root = workspace.template batch<T>(batch, cols, cols);
  power_of_two_scale(exec, m, scale, workspace);
  for_each_matrix(exec, "schatten::newton_schulz/scale", batch, detail::ScaleAboveOne<Space>{scale, exponent});
  divide(exec, m, scale, polar);
  linalg::gram<Backend>(exec, polar, root, workspace);
  for_each_row(exec, "schatten::newton_schulz/ridge", batch, cols,
               detail::AddToDiagonal<T, Space>{newton_schulz_ridge, exponent, root});
  for (int k = 0; k <= halvings; ++k) detail::newton_schulz_square_root<Backend>(exec, exponent, root, workspace);
  quintic_iteration<T, Backend>(exec, std::span<const Quintic>(quintics), m, polar, workspace,
                                newton_schulz_added_norm);
  linalg::gemm<Backend>(exec, T(1), polar, root, T(0), out, workspace);
  for_each_element(exec, "schatten::newton_schulz/store", batch, rows, cols,
                   detail::MultiplyByPowerOfTwo<T, Space>{exponent, out});
}

}  // namespace schatten::spectral
