// Scaling that comes before any squaring: gradients of 1e-30 and of 1e+30 are both legal.
#pragma once

#include <schatten/linalg/norms.hpp>

#include <cmath>

namespace schatten::spectral {

namespace detail {

/// Largest power of two that does not exceed the largest entry; 0 for a zero matrix, NaN for a non-finite one.
template <class Space>
struct PowerOfTwo {
  NumberBatchView<double, Space> scale;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    const double largest = scale(b);
    if (largest == 0.0 || !linalg::is_finite(largest)) return;
    int exponent = 0;
    (void)std::frexp(largest, &exponent);
    scale(b) = std::ldexp(1.0, exponent - 1);
  }
};

/// normalized ← M / scale; NaN throughout where the scale is NaN. The scale is a power of two, its reciprocal exact.
template <class T, class Work, class Space>
struct Normalize {
  BatchView<const T, Space> m;
  NumberBatchView<double, Space> scale;
  BatchView<Work, Space> normalized;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const bool finite = linalg::is_finite(scale(b));  // comparing a NaN could trap
    const double unit = finite && scale(b) != 0.0 ? scale(b) : 1.0;
    const double lift = unit < 0x1p-1000 ? 0x1p1000 : 1.0;  // the reciprocal must not overflow
    const double inverse = 1 / (lift * unit);
    normalized(b, i, j) = finite ? Work(double(m(b, i, j)) * lift * inverse) : Work(scale(b));
  }
};

/// out ← in, in another precision.
template <class T, class U, class Space>
struct Convert {
  BatchView<const T, Space> in;
  BatchView<U, Space> out;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const { out(b, i, j) = U(in(b, i, j)); }
};

}  // namespace detail

/// normalized_b ← M_b / s_b with s_b a power of two (so that no digit is lost) and 1 <= max |normalized| < 2.
/// scale(b) = s_b; a zero matrix stays zero with s = 0, a matrix with a NaN or an infinity becomes NaN throughout.
template <ExecutionSpace Exec, class T, class Work, class Space>
void normalize(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<Work, Space>& normalized,
               const NumberBatchView<double, Space>& scale, Workspace<Space>& workspace) {
  if (m.stride(1) < m.stride(2)) return normalize(exec, transpose(m), transpose(normalized), scale, workspace);
  linalg::max_abs(exec, m, scale, workspace);
  for_each_matrix(exec, "schatten::normalize/scale", m.extent(0), detail::PowerOfTwo<Space>{scale});
  for_each_element(exec, "schatten::normalize", m.extent(0), m.extent(1), m.extent(2),
                   detail::Normalize<T, Work, Space>{m, scale, normalized});
}

}  // namespace schatten::spectral
