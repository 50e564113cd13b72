// SPDX-License-Identifier: BSD-3-Clause
// Norms and inner products of the matrices of a batch: one number per matrix, in memory of the execution space. No
// function fences.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/workspace.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace schatten::linalg {

/// Whether x is neither NaN nor infinite, by its exponent bits (a comparison would raise FE_INVALID on NaN).
template <Scalar T>
KOKKOS_FUNCTION bool is_finite(T x) {
  if constexpr (std::is_same_v<T, float>) {
    return (std::bit_cast<std::uint32_t>(x) & 0x7f800000U) != 0x7f800000U;
  } else {
    return (std::bit_cast<std::uint64_t>(x) & 0x7ff0000000000000ULL) != 0x7ff0000000000000ULL;
  }
}

/// Returns the largest power of two that does not exceed x; 1 for zero, NaN for NaN and infinity. @pre x >= 0 or NaN
KOKKOS_FUNCTION inline double power_of_two_below(double x) {
  if (!is_finite(x)) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0.0) return 1.0;
  int exponent = 0;
  (void)std::frexp(x, &exponent);
  return std::ldexp(1.0, exponent - 1);
}

namespace detail {

/// The bits of |x|. Their order is that of |x|, with infinity and NaN last. Loops for their maximum can be vectorized,
/// unlike those for the maximum of floats.
template <Scalar T>
KOKKOS_FUNCTION auto magnitude_bits(T x) {
  using Bits = std::conditional_t<std::is_same_v<T, float>, std::uint32_t, std::uint64_t>;
  return std::bit_cast<Bits>(x) & (~Bits{0} >> 1);
}

/// partial(b, i) ← max_j |a(b, i, j)|; NaN if an entry is NaN or infinite.
template <class T, class Space>
struct RowMaxAbs {
  BatchView<const T, Space> a;
  VectorBatchView<double, Space> partial;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t i) const {
    using Bits = decltype(magnitude_bits(T(0)));
    const Bits largest =
        team.template max<Bits>(a.extent(2), [&](std::size_t j) { return magnitude_bits(a(b, i, j)); });
    const T value = std::bit_cast<T>(largest);
    team.once([&] { partial(b, i) = is_finite(value) ? double(value) : std::numeric_limits<double>::quiet_NaN(); });
  }
};

/// partial(b, i) ← Σ_j (a(b, i, j)/s_b)(c(b, i, j)/t_b), in double; scales of zero count as one, as no scales do.
template <class T, class U, class Space>
struct RowInnerProduct {
  BatchView<const T, Space> a;
  BatchView<const U, Space> c;
  NumberBatchView<const double, Space> scale_a, scale_c;
  VectorBatchView<double, Space> partial;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t i) const {
    double sum = 0;
    if (scale_a.extent(0) == 0) {
      sum = team.sum(a.extent(2), [&](std::size_t j) { return double(a(b, i, j)) * double(c(b, i, j)); });
    } else {
      const double unit_a = scale_a(b) == 0.0 ? 1.0 : scale_a(b), unit_c = scale_c(b) == 0.0 ? 1.0 : scale_c(b);
      sum = team.sum(a.extent(2),
                     [&](std::size_t j) { return (double(a(b, i, j)) / unit_a) * (double(c(b, i, j)) / unit_c); });
    }
    team.once([&] { partial(b, i) = sum; });
  }
};

/// result(b) ← max_i partial(b, i); NaN if one of them is NaN, because the bits of NaN are larger than those of any
/// number.
template <class Space>
struct MaxOfPartials {
  VectorBatchView<double, Space> partial;
  NumberBatchView<double, Space> result;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b) const {
    const auto largest = team.template max<std::uint64_t>(
        partial.extent(1), [&](std::size_t i) { return std::bit_cast<std::uint64_t>(partial(b, i)); });
    team.once([&] { result(b) = std::bit_cast<double>(largest); });
  }
};

/// result(b) ← s_b t_b Σ_i partial(b, i), or its square root, NaN if that is not finite; s = t = 1 without scales.
template <class Space>
struct SumOfPartials {
  VectorBatchView<double, Space> partial;
  NumberBatchView<const double, Space> scale_a, scale_c;
  bool square_root;
  NumberBatchView<double, Space> result;
  /// Returns s·t·sum, multiplied in an order in which only the result can over- or underflow.
  KOKKOS_FUNCTION static double product(double s, double t, double sum) {
    if (!is_finite(s) || !is_finite(t)) return s + t;
    const double smaller = s < t ? s : t, larger = s < t ? t : s;
    return sum >= 1 || sum <= -1 ? smaller * sum * larger : larger * sum * smaller;
  }
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b) const {
    const double sum = team.sum(partial.extent(1), [&](std::size_t i) { return partial(b, i); });
    const double s = scale_a.extent(0) == 0 ? 1.0 : scale_a(b), t = scale_c.extent(0) == 0 ? 1.0 : scale_c(b);
    const double root = is_finite(sum) ? math::sqrt(sum) : std::numeric_limits<double>::quiet_NaN();
    team.once([&] { result(b) = square_root ? s * root : product(s, t, sum); });
  }
};

/// Computes ⟨A/s, C/t⟩ or its square root; if `scaled` is set, times s·t or s. Without scales s = t = 1.
template <class Exec, class T, class U, class Space>
void scaled_inner_product(const Exec& exec, const BatchView<const T, Space>& a, const BatchView<const U, Space>& c,
                          const NumberBatchView<double, Space>& scale_a, const NumberBatchView<double, Space>& scale_c,
                          bool square_root, bool scaled, const NumberBatchView<double, Space>& result,
                          Workspace<Space>& workspace) {
  const typename Workspace<Space>::Frame frame(workspace);
  const auto partial = workspace.template vectors<double>(a.extent(0), a.extent(1));
  for_each_row_by_team(exec, "schatten::inner_product/rows", a.extent(0), a.extent(1),
                       RowInnerProduct<T, U, Space>{a, c, scale_a, scale_c, partial});
  const NumberBatchView<double, Space> none;
  for_each_matrix_by_team(
      exec, "schatten::inner_product", a.extent(0),
      SumOfPartials<Space>{partial, scaled ? scale_a : none, scaled ? scale_c : none, square_root, result});
}

}  // namespace detail

/// result(b) ← max_ij |A_ij| of matrix b; NaN if it has a NaN or an infinity, 0 if it is empty. A: rank 2 or 3, any
/// layout. Cost: one pass.
template <ExecutionSpace Exec, KokkosView V, class Space>
void max_abs(const Exec& exec, const V& view, const NumberBatchView<double, Space>& result,
             Workspace<Space>& workspace) {
  using T = scalar_of<V>;
  const BatchView<const T, Space> a = as_batch<Exec>(view);
  require(result.extent(0) >= a.extent(0), "linalg::max_abs", "result", result.extent(0),
          "must have a number for each matrix");
  const typename Workspace<Space>::Frame frame(workspace);
  const auto partial = workspace.template vectors<double>(a.extent(0), a.extent(1));
  for_each_row_by_team(exec, "schatten::max_abs/rows", a.extent(0), a.extent(1),
                       detail::RowMaxAbs<T, Space>{a, partial});
  for_each_matrix_by_team(exec, "schatten::max_abs", a.extent(0), detail::MaxOfPartials<Space>{partial, result});
}

/// result(b) ← ⟨A_b, C_b⟩ = Σ_ij A_ij C_ij. The sum is computed in double after division by the largest entries, so
/// that only the result can over- or underflow. It does not depend on the number of threads. Throws InvalidArgument for
/// extents that differ. Cost: three passes.
template <ExecutionSpace Exec, KokkosView VA, KokkosView VC, class Space>
void inner_product(const Exec& exec, const VA& view_a, const VC& view_c, const NumberBatchView<double, Space>& result,
                   Workspace<Space>& workspace) {
  const BatchView<const scalar_of<VA>, Space> a = as_batch<Exec>(view_a);
  const BatchView<const scalar_of<VC>, Space> c = as_batch<Exec>(view_c);
  require_shape(c, a.extent(0), a.extent(1), a.extent(2), "linalg::inner_product", "c");
  require(result.extent(0) >= a.extent(0), "linalg::inner_product", "result", result.extent(0),
          "must have a number for each matrix");
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale_a = workspace.template numbers<double>(a.extent(0));
  const auto scale_c = workspace.template numbers<double>(a.extent(0));
  max_abs(exec, a, scale_a, workspace);
  max_abs(exec, c, scale_c, workspace);
  detail::scaled_inner_product(exec, a, c, scale_a, scale_c, false, true, result, workspace);
}

/// result(b) ← ‖A_b‖_F, without over- or underflow of squares; NaN if A_b has a NaN or an infinity. Cost: one pass for
/// float, whose squares are in the range of double, two for double.
template <ExecutionSpace Exec, KokkosView V, class Space>
void frobenius_norm(const Exec& exec, const V& view, const NumberBatchView<double, Space>& result,
                    Workspace<Space>& workspace) {
  const BatchView<const scalar_of<V>, Space> a = as_batch<Exec>(view);
  require(result.extent(0) >= a.extent(0), "linalg::frobenius_norm", "result", result.extent(0),
          "must have a number for each matrix");
  const typename Workspace<Space>::Frame frame(workspace);
  NumberBatchView<double, Space> scale;
  if constexpr (std::is_same_v<scalar_of<V>, double>) {
    scale = workspace.template numbers<double>(a.extent(0));
    max_abs(exec, a, scale, workspace);
  }
  const BatchView<const scalar_of<V>, Space> along = a.stride(1) < a.stride(2) ? transpose(a) : a;
  detail::scaled_inner_product(exec, along, along, scale, scale, true, true, result, workspace);
}

/// result(b) ← ‖A_b/s_b‖_F for scales near A_b's largest entry. A scale of zero counts as one; for a scale of NaN the
/// result is NaN. Cost: one pass.
template <ExecutionSpace Exec, class T, class Space>
void relative_norm(const Exec& exec, const BatchView<const T, Space>& a, const NumberBatchView<double, Space>& scale,
                   const NumberBatchView<double, Space>& result, Workspace<Space>& workspace) {
  const BatchView<const T, Space> along = a.stride(1) < a.stride(2) ? transpose(a) : a;
  detail::scaled_inner_product(exec, along, along, scale, scale, true, false, result, workspace);
}

}  // namespace schatten::linalg
