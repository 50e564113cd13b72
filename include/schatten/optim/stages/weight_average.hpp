// SPDX-License-Identifier: BSD-3-Clause
// A moving average of the weights, for evaluation in their place.
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <cstddef>

namespace schatten::optim {

/// mean ← β·mean + (1−β)·W/(1 − share), share = decay·decay factor of the parameter; W itself where that is 1 or more.
template <Scalar T, class Space>
struct AverageWeight {
  WeightReader<T, Space> weights;
  Average<T> average;
  double decay;
  BatchView<T, Space> mean;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    const double share = decay * weights.records(k).decay;
    const T undecay = T(share < 1 ? 1 / (1 - share) : 1);
    mean(k, i, j) = average(mean(k, i, j), undecay * weights(k, i, j));
  }
};

/// Slot k ← βslot + (1−β)W, W the weights before their decay where that came last and took the share `decay` of them,
/// times their parameter's decay factor. For finish(). Divided by 1 − β^t the slot is the weights' mean. One pass.
template <class Bucket>
void average_weights(Bucket& bucket, double beta, double decay, std::size_t k) {
  using T = typename Bucket::Scalar;
  bucket.elements(
      "schatten::step/average_weights",
      AverageWeight<T, typename Bucket::Space>{bucket.weights(), moving_average<T>(beta), decay, bucket.state(k)});
}

}  // namespace schatten::optim
