// SPDX-License-Identifier: BSD-3-Clause
// A moving average of the weights, for evaluation.
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <cstddef>

namespace schatten::optim {

/// mean ← β·mean + (1−β)·W/(1 − share), with share = decay·decay factor of the parameter. If share >= 1, W is not
/// divided.
template <Scalar T, class Space>
struct AverageWeight {
  WeightReader<T, Space> weights;
  Average<T> average;
  StepRates rates;
  BatchView<T, Space> mean;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    const double share = rates.decay() * weights.records(k).decay;
    const T undecay = T(share < 1 ? 1 / (1 - share) : 1);
    mean(k, i, j) = average(mean(k, i, j), undecay * weights(k, i, j));
  }
};

/// Slot k ← β·slot + (1−β)W, for a rule's finish(). W are the weights before their decay, if the decay of `rates` comes
/// last and has multiplied them by 1 − decay·(the parameter's decay factor). The slot divided by 1 − β^t is the mean of
/// the weights. Cost: one pass.
template <class Bucket>
void average_weights(Bucket& bucket, double beta, const StepRates& rates, std::size_t k) {
  using T = typename Bucket::Scalar;
  bucket.elements(
      "schatten::step/average_weights",
      AverageWeight<T, typename Bucket::Space>{bucket.weights(), moving_average<T>(beta), rates, bucket.state(k)});
}

}  // namespace schatten::optim
