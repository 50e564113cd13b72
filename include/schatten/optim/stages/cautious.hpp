// SPDX-License-Identifier: BSD-3-Clause
// The mask of cautious rules: elements whose direction differs from the gradient in sign are not updated (Liang et al.,
// arXiv 2411.16085).
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/optim/elements.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

namespace schatten {

/// The factor of the elements that a cautious rule updates: n of N elements.
enum class MaskScale {
  count,  ///< N/(n + 1): the paper's
  mean    ///< 1/max(n/N, 0.001): C-Optim's code for AdamW and Muon
};

namespace optim {

/// Whether u and g have the same sign and neither is zero.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION bool agrees(T u, T g) {
  return (u > T(0) && g > T(0)) || (u < T(0) && g < T(0));
}

/// (g, m) ↦ 1 if the average of m and g has the sign of g, otherwise 0.
template <Scalar T>
struct Agreement {
  Average<T> average;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, const T& m) const { return T(agrees(average(m, g), g)); }
};

/// (g, m, …) ↦ factor·f(g, m, …) if the average of the old m and g has the sign of g, otherwise 0.
template <Scalar T, class F>
struct MaskedElement {
  Average<T> average;
  F f;
  T factor;
  template <class... States>
  requires std::is_invocable_v<const F&, T, T&, States&...> KOKKOS_FORCEINLINE_FUNCTION T
  operator()(T g, T& m, States&... more) const {
    const T u = average(m, g), d = f(g, m, more...);
    return agrees(u, g) ? factor * d : T(0);
  }
  /// The same for the elements of a chunk. No two of the arrays overlap.
  template <std::size_t count, class... States>
  void run(const T* KOKKOS_RESTRICT g, T* KOKKOS_RESTRICT direction, T* KOKKOS_RESTRICT m, States*... more) const {
    T keep[count];
    for (std::size_t k = 0; k < count; ++k) keep[k] = agrees(average(m[k], g[k]), g[k]) ? factor : T(0);
    run_chunk(f, g, direction, m, more...);
    for (std::size_t k = 0; k < count; ++k) direction[k] *= keep[k];
  }
};

/// Sets x(k) to the factor of the mask, from x(k)² = n of `size` elements.
template <class Space>
struct MaskFactor {
  NumberBatchView<const double, Space> root;
  double size;
  MaskScale scale;
  NumberBatchView<double, Space> x;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const double n = double(static_cast<long long>(root(k) * root(k) + 0.5)), mean = n / size;
    x(k) = scale == MaskScale::count ? size / (n + 1) : 1 / (mean > 1e-3 ? mean : 1e-3);
  }
};

/// Returns the number of elements of a whole matrix of the bucket.
template <class Bucket>
double elements_of(const Bucket& bucket) {
  const auto [rows, cols] = bucket.whole_shape();
  return double(rows) * double(cols);
}

/// Sets x(k) to the factor of matrix k's mask, from the gradients and the momentum, slot 0. The average of both has the
/// direction's sign. Cost: one pass over both.
template <class Bucket>
void mask_factors(Bucket& bucket, const Average<typename Bucket::Scalar>& average, MaskScale scale,
                  const typename Bucket::Numbers& x) {
  using Counted = Agreement<typename Bucket::Scalar>;
  const auto root = bucket.norms(OneFunctor<Counted>{{average}}, std::array<std::size_t, 1>{0});
  for_each_matrix(bucket.exec(), "schatten::step/mask", bucket.matrices(),
                  MaskFactor<typename Bucket::Space>{root, elements_of(bucket), scale, x});
}

}  // namespace optim

}  // namespace schatten
