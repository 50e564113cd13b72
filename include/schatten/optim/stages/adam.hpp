// SPDX-License-Identifier: BSD-3-Clause
// Adam's moments of a gradient in another basis.
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rules/adamw.hpp>

#include <array>
#include <cstddef>
#include <string_view>

namespace schatten::optim {

/// (k) ↦ (g, m, r) ↦ m/(√v + ε)·√c₂/c₁, r = √v, c = 1 − β^t at step t of matrix k without its first `waits` ones, in
/// which m and v stay zero and so does the direction. ε stands beside √v before it is corrected.
template <Scalar T, class Space>
struct AdamOfStep {
  AppliedSteps<Space> applied;
  double beta1, beta2, epsilon;
  long long waits = 0;
  KOKKOS_FUNCTION AdamElement<T> operator()(std::size_t k) const {
    const long long before = applied(k) - waits;
    const double t = double(before < 0 ? 1 : before + 1);
    AdamW adam;
    adam.beta1 = beta1;
    adam.beta2 = beta2;
    adam.epsilon = epsilon / math::sqrt(bias_correction(beta2, t));
    AdamElement<T> element = adam.element<T>(t);
    if (before >= 0) return element;
    element.first = Average<T>(1.0, T(0));
    element.gain2 = T(0);
    return element;
  }
};

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

/// out ← Adam's direction of x, the moments in the slots `momentum` and `momentum` + 1, of the shape of x. One pass.
template <class Bucket>
void adam(Bucket& bucket, const typename Bucket::Batch& x, std::size_t momentum,
          const AdamOfStep<typename Bucket::Scalar, typename Bucket::Space>& maker, const typename Bucket::Batch& out) {
  map_elements(bucket, "schatten::step/adam", x, maker, std::array{bucket.slot(momentum), bucket.slot(momentum + 1)},
               out);
}

}  // namespace schatten::optim
