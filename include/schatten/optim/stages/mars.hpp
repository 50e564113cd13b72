// SPDX-License-Identifier: BSD-3-Clause
// MARS' variance-reduced gradient c = g + κ(g − g⁻), κ = γβ/(1 − β), at most of norm one (Yuan et al., arXiv 2411.10438).
#pragma once

#include <schatten/linalg/norms.hpp>
#include <schatten/optim/elements.hpp>
#include <schatten/optim/records.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <array>
#include <cstddef>

namespace schatten::optim {

/// (g, g⁻) ↦ g + κ(g − g⁻), then g⁻ ← g where `stores` is set.
template <Scalar T>
struct CorrectedGradient {
  T kappa;
  bool stores;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& previous) const {
    const T corrected = g + kappa * (g - previous);
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

/// (x, s₁, s₂, …) ↦ f(multiple·x, s₁, s₂, …).
template <Scalar T, class F>
struct OfMultiple {
  F f;
  T multiple;
  template <class... States>
  KOKKOS_FORCEINLINE_FUNCTION auto operator()(T x, States&... states) const -> decltype(f(x, states...)) {
    return f(multiple * x, states...);
  }
};

/// f of x/max(1, norm(k)) for matrix k; an empty `norm` clips nothing.
template <Scalar T, class Space, class F>
struct OfClipped {
  F f;
  NumberBatchView<const double, Space> norm;
  KOKKOS_FUNCTION OfMultiple<T, F> operator()(std::size_t k) const {
    const bool clips = norm.extent(0) > 0 && linalg::is_finite(norm(k)) && norm(k) > 1;
    return {f, clips ? T(1 / norm(k)) : T(1)};
  }
};

/// out ← c of the gradients, not clipped; g⁻ in `slot`, a T, which becomes g where `stores` is set, else the caller gives
/// it. corrects_first: whether the first step has c = (1 + κ)g, as published codes have it, or g. One pass.
template <class Bucket>
void corrected_gradient(Bucket& bucket, double kappa, bool stores, bool corrects_first, std::size_t slot,
                        const typename Bucket::Batch& out) {
  using T = typename Bucket::Scalar;
  const auto applied = bucket.applied();
  bucket.transform(
      CorrectedGradientOfStep<T, std::remove_cv_t<decltype(applied)>>{T(kappa), stores, corrects_first, applied},
      std::array<std::size_t, 1>{slot}, out);
}

/// What makes f see c/max(1, ‖c‖_F): for Bucket::average_of. Two passes over c; none, and f of c itself, without `clips`.
template <class Bucket, class F>
auto of_clipped(Bucket& bucket, const typename Bucket::Batch& c, bool clips, const F& f) {
  NumberBatchView<double, typename Bucket::Space> norm;
  if (clips) {
    norm = bucket.workspace().template numbers<double>(bucket.matrices());
    linalg::frobenius_norm(bucket.exec(), c, norm, bucket.workspace());
  }
  return OfClipped<typename Bucket::Scalar, typename Bucket::Space, F>{f, norm};
}

/// to(k, i, j) ← from(k, i, j).
template <Scalar T, class Space>
struct StoreElement {
  BatchView<const T, Space> from;
  BatchView<T, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const { to(k, i, j) = from(k, i, j); }
};

}  // namespace schatten::optim
