// SPDX-License-Identifier: BSD-3-Clause
// Scaling before any squaring, so that gradients may be of the size of 1e-30 or 1e+30.
#pragma once

#include <schatten/linalg/norms.hpp>

#include <cmath>

namespace schatten::spectral {

namespace detail {

/// The largest power of two that does not exceed the largest entry, times another power of two. 0 for a zero matrix,
/// NaN for a matrix that is not finite.
template <class Space>
struct PowerOfTwo {
  NumberBatchView<double, Space> scale;
  double times;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    if (scale(b) != 0.0) scale(b) = times * linalg::power_of_two_below(scale(b));
  }
};

/// The factor 1 of every matrix.
struct One {
  KOKKOS_FUNCTION double operator()(std::size_t) const { return 1.0; }
};

/// normalized ← factor·M / scale, with one rounding; NaN in all elements if the scale is NaN. The scale is a power of
/// two, so its reciprocal is exact. Factor: a View of factors, or One.
template <class T, class Work, class Space, class Factor>
struct Normalize {
  BatchView<const T, Space> m;
  NumberBatchView<double, Space> scale;
  BatchView<Work, Space> normalized;
  Factor factor;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const bool finite = linalg::is_finite(scale(b));  // comparing a NaN could trap
    const double unit = finite && scale(b) != 0.0 ? scale(b) : 1.0;
    // The reciprocal must not overflow, nor lose digits as a subnormal.
    const double lift = unit < 0x1p-1000 ? 0x1p1000 : (unit > 0x1p1000 ? 0x1p-1000 : 1.0);
    const double inverse = factor(b) / (lift * unit);
    normalized(b, i, j) = finite ? Work(double(m(b, i, j)) * lift * inverse) : Work(scale(b));
  }
};

/// For s a power of two: unit = 2^k with k the integer nearest to h·log₂ s, at most 1000 from zero, and rest^h·unit =
/// s^h. unit = 1 where s is zero or not finite.
template <class Space>
struct SplitScale {
  NumberBatchView<double, Space> scale;
  double degree;  ///< h
  NumberBatchView<double, Space> rest, unit;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    rest(b) = scale(b);
    unit(b) = 1;
    if (!linalg::is_finite(scale(b)) || scale(b) == 0.0) return;
    int exponent = 0;
    (void)std::frexp(scale(b), &exponent);
    constexpr double most = 1000;
    const double whole = double(exponent - 1), power = degree * whole;
    const double nearest = std::floor((power > most ? most : (power < -most ? -most : power)) + 0.5);
    if (nearest == 0.0) return;
    unit(b) = std::ldexp(1.0, int(nearest));
    rest(b) = std::exp2(whole - nearest / degree);
  }
};

}  // namespace detail

/// normalized_b ← factor(b)·M_b / scale_b, rounded once. @pre scale is a result of normalize.
template <ExecutionSpace Exec, class T, class Work, class Space, class Factor = detail::One>
void divide(const Exec& exec, const BatchView<const T, Space>& m, const NumberBatchView<double, Space>& scale,
            const BatchView<Work, Space>& normalized, const Factor& factor = {}) {
  if (m.stride(1) < m.stride(2)) return divide(exec, transpose(m), scale, transpose(normalized), factor);
  for_each_element(exec, "schatten::normalize", m.extent(0), m.extent(1), m.extent(2),
                   detail::Normalize<T, Work, Space, Factor>{m, scale, normalized, factor});
}

/// scale(b) ← s_b as in normalize, times `times`, a power of two.
template <ExecutionSpace Exec, class T, class Space>
void power_of_two_scale(const Exec& exec, const BatchView<const T, Space>& m,
                        const NumberBatchView<double, Space>& scale, Workspace<Space>& workspace, double times = 1) {
  linalg::max_abs(exec, m.stride(1) < m.stride(2) ? transpose(m) : m, scale, workspace);
  for_each_matrix(exec, "schatten::normalize/scale", m.extent(0), detail::PowerOfTwo<Space>{scale, times});
}

/// Splits s^degree of every matrix into rest^degree and a power of two by which results are multiplied last. So nothing
/// before overflows or loses digits in subnormal numbers if the results do not. @pre scale is a result of normalize.
template <ExecutionSpace Exec, class Space>
void split_scale(const Exec& exec, double degree, const NumberBatchView<double, Space>& scale,
                 const NumberBatchView<double, Space>& rest, const NumberBatchView<double, Space>& unit) {
  for_each_matrix(exec, "schatten::normalize/split", scale.extent(0),
                  detail::SplitScale<Space>{scale, degree, rest, unit});
}

/// normalized_b ← M_b / s_b, where s_b is a power of two (so the division is exact) and 1 <= max |normalized| < 2.
/// scale(b) ← s_b. The result for a zero matrix is zero, with s = 0; that for a matrix with a NaN or an infinity is NaN
/// in all elements.
template <ExecutionSpace Exec, class T, class Work, class Space>
void normalize(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<Work, Space>& normalized,
               const NumberBatchView<double, Space>& scale, Workspace<Space>& workspace) {
  power_of_two_scale(exec, m, scale, workspace);
  divide(exec, m, scale, normalized);
}

}  // namespace schatten::spectral
