// SPDX-License-Identifier: BSD-3-Clause
// A moving average of the weights, which is evaluated in their place.
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <cstddef>

namespace schatten::optim {

/// average ← β·average + (1−β)·undecay·W.
template <Scalar T, class Space>
struct AverageWeight {
  WeightReader<T, Space> weights;
  Average<T> average;
  T undecay;
  BatchView<T, Space> mean;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    mean(k, i, j) = average(mean(k, i, j), undecay * weights(k, i, j));
  }
};

/// Slot k ← βslot + (1−β)W, W the weights before their decay where that came last and took the share `decay` of them. For
/// finish(). Divided by 1 − β^t the slot is the weights' mean. One pass.
template <class Bucket>
void average_weights(Bucket& bucket, double beta, double decay, std::size_t k) {
  using T = typename Bucket::Scalar;
  const double undecay = decay < 1 ? 1 / (1 - decay) : 1;
  bucket.elements(
      "schatten::step/average_weights",
      AverageWeight<T, typename Bucket::Space>{bucket.weights(), moving_average<T>(beta), T(undecay), bucket.state(k)});
}

}  // namespace schatten::optim
