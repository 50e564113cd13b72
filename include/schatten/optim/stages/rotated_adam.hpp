// SPDX-License-Identifier: BSD-3-Clause
// Adam's moments of a gradient in another basis.
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/stages/adam.hpp>

#include <array>
#include <cstddef>
#include <limits>
#include <string_view>

namespace schatten::optim {

/// (k) ↦ (g, m, r) ↦ m̂/(√v̂ + ε), m̂ = m/c₁, √v̂ = r/√c₂, r = √v, c = 1 − β^t, t the number of matrix k's step.
template <Scalar T, class Space>
struct AdamOfStep {
  AppliedSteps<Space> applied;
  double beta1, beta2, epsilon;
  bool before_correction = false;  ///< ε beside √v: m̂/((√v + ε)/√c₂)
  bool averages = true;            ///< m ← β₁m + (1−β₁)g; else m is what it is
  double ahead = 0;                ///< c₁ = 1 − β₁^(t + ahead)
  long long waits = 0;  ///< t counts from the step after these; in them m and v stay zero, and so does the direction

  KOKKOS_FUNCTION AdamElement<T> operator()(std::size_t k) const {
    const long long steps = applied(k) - waits;
    const bool moves = steps >= 0;
    const double t = moves ? double(steps + 1) : 1.0;
    const double first = bias_correction(beta1, t + ahead), second = math::sqrt(bias_correction(beta2, t));
    const double divisor = epsilon * first / (before_correction ? second : 1.0);
    const double least = double(std::numeric_limits<T>::denorm_min());
    return {averages && moves ? moving_average<T>(beta1) : Average<T>(1.0, T(0)), T(moves ? 1 - beta2 : 0.0),
            T(first / second), T(divisor > least ? divisor : least)};
  }
};

/// The same for a bucket's matrices.
template <class Bucket>
AdamOfStep<typename Bucket::Scalar, typename Bucket::Space> adam_of_step(const Bucket& bucket, double beta1,
                                                                         double beta2, double epsilon) {
  return {bucket.applied(), beta1, beta2, epsilon};
}

/// out ← f(x, s₁, s₂, …) with f = maker(k), for the elements of x in the gradient's place, whatever its shape; zero for
/// skipped matrices. out may be x; both row-major. @pre the bucket has looked at its gradients. One pass.
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

/// A row-major batch as loops over elements read it.
template <class T, class Space>
SlotMemory slot_of(const BatchView<T, Space>& x) {
  return {reinterpret_cast<char*>(x.data()), element_type_of<T>, x.extent(2), x.extent(1) * x.extent(2) * sizeof(T)};
}

/// x ← Adam's direction of x, with m and r = √v of its shape. One pass.
template <class Bucket>
void adam(Bucket& bucket, const typename Bucket::Batch& x, const typename Bucket::Batch& m,
          const typename Bucket::Batch& r, const AdamOfStep<typename Bucket::Scalar, typename Bucket::Space>& maker) {
  map_elements(bucket, "schatten::step/adam", x, maker, std::array{slot_of(m), slot_of(r)}, x);
}

}  // namespace schatten::optim
