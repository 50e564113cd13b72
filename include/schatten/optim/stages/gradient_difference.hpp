// SPDX-License-Identifier: BSD-3-Clause
// MARS' variance reduction: gradients with a multiple of their change, clipped (Yuan et al., arXiv 2411.10438).
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/optim/elements.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

namespace schatten {

/// What stands for the gradient before a matrix's first one.
enum class FirstGradient {
  itself,  ///< the first gradient: c₁ = g₁, as the paper's x₁ = x₀ has it
  zero     ///< 0: c₁ = (1 + κ)g₁, as the authors' code has it
};

/// MARS' gradient c = g + κ(g − g⁻), κ = γβ/(1 − β), divided by max(1, ‖c‖_F). g⁻: the gradient before.
struct GradientDifference {
  double gamma = 0.025;
  FirstGradient first = FirstGradient::itself;
  bool exact = false;  ///< whether the caller supplies g⁻ of the present batch by Optimizer::observe; else g⁻ is the last g

  template <class Fields>
  static void fields(Fields& f) {
    f("gamma", &GradientDifference::gamma, optim::not_negative);
    f("first_gradient", &GradientDifference::first, optim::choice(2));
    f("exact", &GradientDifference::exact, optim::flag);
  }
};

namespace optim {

/// (g, g⁻) ↦ c before it is clipped.
template <Scalar T>
struct Difference {
  T kappa;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T before) const { return saturated(g + kappa * (g - before)); }
};

/// The functor in step `step`, counted from 1. beta: of the average that c goes into.
template <Scalar T>
KOKKOS_FUNCTION Difference<T> difference_of(const GradientDifference& options, double beta, double step) {
  const bool without = step == 1 && options.first == FirstGradient::itself;
  return {without ? T(0) : T(options.gamma * beta / (1 - beta))};
}

/// (g, m, g⁻, …) ↦ f(clip·c, m, …), then g⁻ ← g unless it is the caller's.
template <Scalar T, class F>
struct DifferenceElement {
  Difference<T> difference;
  T clip;
  bool exact;
  F f;
  template <class... States>
    requires std::is_invocable_v<const F&, T, T&, States&...>
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m, T& before, States&... more) const {
    const T c = clip * difference(g, before);
    before = exact ? before : g;
    return f(c, m, more...);
  }
  /// The same for the elements of a chunk. No two of the arrays overlap.
  template <std::size_t count, class... States>
  void run(const T* KOKKOS_RESTRICT g, T* KOKKOS_RESTRICT direction, T* KOKKOS_RESTRICT m, T* KOKKOS_RESTRICT before,
           States*... more) const {
    T c[count];
    for (std::size_t k = 0; k < count; ++k) c[k] = clip * difference(g[k], before[k]);
    if (!exact) std::copy_n(g, count, before);
    run_chunk(f, c, direction, m, more...);
  }
};

/// k ↦ the Difference of matrix k's step.
template <Scalar T, class Applied>
struct DifferenceOfStep {
  GradientDifference options;
  double beta;
  Applied applied;
  KOKKOS_FUNCTION Difference<T> operator()(std::size_t k) const {
    return difference_of<T>(options, beta, double(applied(k) + 1));
  }
};

/// x(k) ← 1/max(1, norm(k)).
template <class Space>
struct ClipFactor {
  NumberBatchView<const double, Space> norm;
  NumberBatchView<double, Space> x;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { x(k) = norm(k) > 1 ? 1 / norm(k) : 1.0; }
};

/// x(k) ← 1/max(1, ‖c‖_F) of matrix k, g⁻ being kept in `slot`. One pass over g and g⁻.
template <class Bucket>
void clip_factors(Bucket& bucket, const GradientDifference& options, double beta, std::size_t slot,
                  const typename Bucket::Numbers& x) {
  const auto applied = bucket.applied();
  const DifferenceOfStep<typename Bucket::Scalar, decltype(bucket.applied())> c{options, beta, applied};
  const auto norm = bucket.norms(c, std::array{slot});
  for_each_matrix(bucket.exec(), "schatten::step/clip", bucket.matrices(),
                  ClipFactor<typename Bucket::Space>{norm, x});
}

/// (g, g⁻) ↦ g and g⁻ ← g: what a rule that observes g⁻ does with the caller's.
struct KeepGradient {
  template <Scalar T>
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& before) const {
    before = g;
    return g;
  }
};

/// Takes g⁻ of the present batch from the caller into `slot`.
template <class Bucket>
void observe_gradient_before(Bucket& bucket, std::size_t slot) {
  bucket.transform(OneFunctor<KeepGradient>{}, std::array{slot}, bucket.buffer());
}

}  // namespace optim

}  // namespace schatten
