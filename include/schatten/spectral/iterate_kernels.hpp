// Kernels of the iterate method. W is what matrices are stored as, Sum<W> what is computed in.
#pragma once

#include <schatten/core/reduced_float.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/spectral/iterate_fit.hpp>

#include <cstddef>

namespace schatten::spectral {

/// Iterates whose weighted sum is formed at once: more steps than any shipped schedule has.
inline constexpr std::size_t most_iterates = 8;

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
    const double s = iterate_margin * math::sqrt(scale(b));
    scale(b) = 1 / s;
    square(b) = scale(b) * scale(b);
    factor(b) = math::pow(s, power) * math::pow(unit(b), power);
  }
};

/// polynomial: A² → aI + bA + cA²; bracket ← [bracket +] vA + uA².
template <class W, class Space>
struct IteratePolynomial {
  Sum<W> a, b, c, v, u;
  bool first;
  BatchView<const W, Space> gram;
  BatchView<W, Space> polynomial;
  BatchView<Sum<W>, Space> bracket;
  KOKKOS_FUNCTION void operator()(std::size_t n, std::size_t i, std::size_t j) const {
    const auto one = Sum<W>(gram(n, i, j)), two = Sum<W>(polynomial(n, i, j));
    const Sum<W> before = first ? Sum<W>(0) : bracket(n, i, j);
    bracket(n, i, j) = before + (v * one + u * two);
    polynomial(n, i, j) = W((i == j ? a : Sum<W>(0)) + (b * one + c * two));
  }
};

/// sum ← Σ_k w_k X_k, k < count.
template <class W, class Space>
struct WeightedSum {
  Sum<W> w[most_iterates];
  BatchView<const W, Space> x[most_iterates];
  std::size_t count;
  BatchView<Sum<W>, Space> sum;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    Sum<W> total = w[0] * Sum<W>(x[0](b, i, j));
    for (std::size_t k = 1; k < count; ++k) total += w[k] * Sum<W>(x[k](b, i, j));
    sum(b, i, j) = total;
  }
};

/// sum ← sum + w·x.
template <class W, class Space>
struct AddMultiple {
  Sum<W> w;
  BatchView<const W, Space> x;
  BatchView<Sum<W>, Space> sum;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    sum(b, i, j) += w * Sum<W>(x(b, i, j));
  }
};

/// to ← [from +] w·I. May work in place.
template <class T, class W, class Space>
struct AddIdentity {
  Sum<T> w;
  bool first;
  BatchView<const T, Space> from;
  BatchView<W, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const Sum<T> before = first ? Sum<T>(0) : Sum<T>(from(b, i, j));
    to(b, i, j) = W(i == j ? before + w : before);
  }
};

/// out ← factor·x. May work in place.
template <class T, class U, class Space>
struct ScaleMatrix {
  NumberBatchView<double, Space> factor;
  BatchView<const U, Space> x;
  BatchView<T, Space> out;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    out(b, i, j) = T(factor(b) * double(x(b, i, j)));
  }
};

}  // namespace detail
}  // namespace schatten::spectral
