// SPDX-License-Identifier: BSD-3-Clause
// MARS' variance-reduced gradient c = g + κ(g − g⁻), κ = γβ/(1 − β), at most of norm one (Yuan et al., arXiv
// 2411.10438).
#pragma once

#include <schatten/optim/elements.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

namespace schatten::optim {

/// κ = γβ/(1 − β).
template <Scalar T>
KOKKOS_FUNCTION T correction_gain(double gamma, double beta) {
  return saturated_as<T>(gamma * beta / (1 - beta));
}

/// (g, g⁻) ↦ g + κ(g − g⁻), then g⁻ ← g if `stores` is set.
template <Scalar T>
struct CorrectedGradient {
  T kappa;
  bool stores;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& previous) const {
    const T corrected = g + kappa * saturated(g - previous);  // κ = 0 times infinity would be NaN
    previous = stores ? g : previous;
    return saturated(corrected);
  }
};

/// CorrectedGradient of matrix k; κ = 0 in its first step unless `corrects_first` is set.
template <Scalar T, class Applied>
struct CorrectedGradientOfStep {
  T kappa;
  bool stores, corrects_first;
  Applied applied;
  KOKKOS_FUNCTION CorrectedGradient<T> operator()(std::size_t k) const {
    return {corrects_first || applied(k) > 0 ? kappa : T(0), stores};
  }
};

/// Returns the CorrectedGradient of each matrix of a bucket for a rule's numbers gamma, corrects_first and exact and an
/// average with `beta`.
template <class Bucket, class Rule>
auto corrected_gradients(const Bucket& bucket, const Rule& rule, double beta) {
  using T = typename Bucket::Scalar;
  const auto applied = bucket.applied();
  return CorrectedGradientOfStep<T, std::remove_cv_t<decltype(applied)>>{correction_gain<T>(rule.gamma, beta),
                                                                         !rule.exact, rule.corrects_first, applied};
}

/// Lists the numbers of MARS' gradient by name.
template <class Rule, class Fields>
void mars_fields(Fields& f) {
  f("gamma", &Rule::gamma, not_negative);
  f("corrects_first", &Rule::corrects_first, flag);
  f("exact", &Rule::exact, flag);
}

/// (g, m, g⁻, …) ↦ f(clip·c, m, …).
template <Scalar T, class F>
struct MarsElement {
  CorrectedGradient<T> corrected;
  T clip;
  F f;
  template <class... States>
  requires std::is_invocable_v<const F&, T, T&, States&...> KOKKOS_FORCEINLINE_FUNCTION T
  operator()(T g, T& m, T& previous, States&... more) const {
    return f(clip * corrected(g, previous), m, more...);
  }
  /// The same for the elements of a chunk. No two of the arrays overlap.
  template <std::size_t count, class... States>
  void run(const T* KOKKOS_RESTRICT g, T* KOKKOS_RESTRICT direction, T* KOKKOS_RESTRICT m, T* KOKKOS_RESTRICT previous,
           States*... more) const {
    T c[count];
    for (std::size_t k = 0; k < count; ++k) c[k] = clip * corrected(g[k], previous[k]);
    run_chunk(f, c, direction, m, more...);
  }
};

/// k ↦ f of clip·c for matrix k; with an empty x without the clip. Corrected: k ↦ CorrectedGradient.
template <Scalar T, class Space, class Corrected, class F>
struct MarsElementOfStep {
  Corrected corrected;
  NumberBatchView<const double, Space> x;
  F f;
  KOKKOS_FUNCTION MarsElement<T, F> operator()(std::size_t k) const {
    return {corrected(k), x.extent(0) > 0 ? T(x(k)) : T(1), f};
  }
};

/// Returns the functor of a rule with the numbers gamma, beta1, corrects_first and exact in step `step`.
template <Scalar T, class Rule, class F>
KOKKOS_FUNCTION MarsElement<T, F> mars_element(const Rule& rule, double step, double clip, const F& f) {
  const bool corrects = step > 1 || rule.corrects_first;
  return {{corrects ? correction_gain<T>(rule.gamma, rule.beta1) : T(0), !rule.exact}, T(clip), f};
}

/// x(k) ← 1/max(1, norm(k)).
template <class Space>
struct ClipFactor {
  NumberBatchView<const double, Space> norm;
  NumberBatchView<double, Space> x;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { x(k) = norm(k) > 1 ? 1 / norm(k) : 1.0; }
};

/// x(k) ← 1/max(1, ‖c‖_F) of matrix k, with g⁻ in `slot`. Cost: one pass over g and g⁻.
template <class Bucket, class Rule>
void clip_factors(Bucket& bucket, const Rule& rule, double beta, std::size_t slot, const typename Bucket::Numbers& x) {
  const auto norm = bucket.norms(corrected_gradients(bucket, rule, beta), std::array{slot});
  for_each_matrix(bucket.exec(), "schatten::step/clip", bucket.matrices(), ClipFactor<typename Bucket::Space>{norm, x});
}

/// (g, g⁻) ↦ g⁻ ← g.
struct KeepGradient {
  template <Scalar T>
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& previous) const {
    return previous = g;
  }
};

/// Copies the gradient of the previous weights, the argument of Optimizer::observe, to `slot`. Cost: one pass.
template <class Bucket>
void keep_observed(Bucket& bucket, std::size_t slot) {
  bucket.update(OneFunctor<KeepGradient>{}, std::array{slot});
}

/// out ← f(c, m) of the gradients, with m in `slots`[0] and g⁻ in `slots`[1]. c is clipped if `clips` is set. Cost: one
/// pass over g and both slots; with the clip one more pass over g and g⁻.
template <class Bucket, class Rule, class F>
void mars_average(Bucket& bucket, const Rule& rule, double beta, bool clips, const std::array<std::size_t, 2>& slots,
                  const F& f, const typename Bucket::Batch& out) {
  typename Bucket::Numbers x;
  if (clips) {
    x = bucket.workspace().template numbers<double>(bucket.matrices());
    clip_factors(bucket, rule, beta, slots[1], x);
  }
  const auto corrected = corrected_gradients(bucket, rule, beta);
  using Corrected = std::remove_cv_t<decltype(corrected)>;
  bucket.average_each(MarsElementOfStep<typename Bucket::Scalar, typename Bucket::Space, Corrected, F>{corrected, x, f},
                      slots, beta, out);
}

}  // namespace schatten::optim
