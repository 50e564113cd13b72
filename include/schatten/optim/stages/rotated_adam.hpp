// SPDX-License-Identifier: BSD-3-Clause
// Adam's moments of a gradient in another basis.
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/stages/adam.hpp>

#include <array>
#include <cstddef>
#include <string_view>

namespace schatten::optim {

/// k ↦ AdamElement for the number of matrix k's step: (g, m, r) ↦ m̂/(√v̂ + ε).
template <Scalar T, class Space>
struct AdamOfStep {
  AppliedSteps<Space> applied;
  double beta1, beta2, epsilon;
  EpsilonPlacement placement = EpsilonPlacement::corrected;
  bool averages = true;  ///< whether m ← β₁m + (1−β₁)g; otherwise m does not change
  double ahead = 0;      ///< m's bias correction is that of the step t + ahead
  long long waits = 0;   ///< number of first steps in which m, v and the direction are zero; t counts from the next one

  KOKKOS_FUNCTION AdamElement<T> operator()(std::size_t k) const {
    const long long steps = applied(k) - waits;
    const double t = steps >= 0 ? double(steps + 1) : 1.0;
    AdamElement<T> element = adam_element<T>(beta1, beta2, epsilon, t, placement);
    if (!averages || steps < 0) element.first = Average<T>(1.0, T(0));
    if (steps < 0) element.gain2 = T(0);
    if (ahead == 0) return element;
    const double ratio = bias_correction(beta1, t + ahead) / bias_correction(beta1, t);
    element.correction = T(ratio * double(element.correction));
    element.epsilon = T(ratio * double(element.epsilon));
    return element;
  }
};

/// Returns AdamOfStep for a bucket's matrices.
template <class Bucket>
AdamOfStep<typename Bucket::Scalar, typename Bucket::Space> adam_of_step(const Bucket& bucket, double beta1,
                                                                         double beta2, double epsilon,
                                                                         EpsilonPlacement placement) {
  return {bucket.applied(), beta1, beta2, epsilon, placement};
}

/// out ← f(x, s₁, s₂, …) with f = maker(k), for the elements of an x of any shape instead of the gradient; zero for
/// skipped matrices. out may be x; both are row-major. Cost: one pass. @pre the bucket has checked its gradients.
template <class Bucket, class Maker, std::size_t n>
void map_elements(Bucket& bucket, std::string_view label, const typename Bucket::Batch& x, const Maker& maker,
                  const std::array<SlotMemory, n>& slots, const typename Bucket::Batch& out) {
  using T = typename Bucket::Scalar;
  using Space = typename Bucket::Space;
  using Source = BatchSource<T, Space>;
  using Sink = StoreSink<T, Space>;
  ElementLoop<T, Space, Source, Maker, Sink, n> loop{Source{x},       maker,       Sink{out, {}},
                                                     bucket.finite(), x.extent(1), x.extent(2)};
  for (std::size_t s = 0; s < n; ++s) loop.slot[s] = slots[s];
  run_elements(bucket.exec(), label, loop, 0, bucket.matrices());
}

/// Returns a row-major batch as a slot of loops over elements.
template <class T, class Space>
SlotMemory slot_of(const BatchView<T, Space>& x) {
  return {reinterpret_cast<char*>(x.data()), element_type_of<T>, x.extent(2), x.extent(1) * x.extent(2) * sizeof(T)};
}

/// x ← Adam's direction of x, with m and r = √v of the shape of x. Cost: one pass.
template <class Bucket>
void adam(Bucket& bucket, const typename Bucket::Batch& x, const typename Bucket::Batch& m,
          const typename Bucket::Batch& r, const AdamOfStep<typename Bucket::Scalar, typename Bucket::Space>& maker) {
  map_elements(bucket, "schatten::step/adam", x, maker, std::array{slot_of(m), slot_of(r)}, x);
}

}  // namespace schatten::optim
