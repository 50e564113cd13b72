// SPDX-License-Identifier: BSD-3-Clause
// Averages of products of gradients, such as GᵀG, in units of a square. Products of numbers of 1e+30 or 1e-30 exceed
// the range of float.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/optim/bucket.hpp>
#include <schatten/spectral/normalization.hpp>

#include <cstddef>
#include <limits>

namespace schatten::optim {

/// The weights of the old and new terms in an average: A ← keep·A + gain·X.
struct UnitWeights {
  double keep = 1, gain = 0;
};

/// s ← max(√β s, scale). Sets keep and gain so that s²A ← βs²A + (1−β)scale²X. For a skipped matrix s and A do not
/// change.
template <class T, class Space>
struct AverageUnit {
  NumberBatchView<double, Space> scale;  ///< powers of two near max|G|; zero for G = 0
  double beta;
  BatchView<T, Space> unit;
  FiniteFlags<Space> finite;
  NumberBatchView<UnitWeights, Space> weights;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    weights(k) = UnitWeights{};
    if (!finite(k)) return;
    const double old = double(unit(k, 0, 0)), least = double((std::numeric_limits<T>::min)());
    const double kept = math::sqrt(beta) * old, larger = kept > scale(k) ? kept : scale(k);
    const T next = T(larger > least ? larger : least);
    const double old_part = old / double(next), new_part = scale(k) / double(next);
    weights(k) = {beta * old_part * old_part, (1 - beta) * new_part * new_part};
    unit(k, 0, 0) = next;
  }
};

/// a ← keep·a + gain·x.
template <class T, class Space>
struct AverageInUnit {
  BatchView<const T, Space> x;
  NumberBatchView<UnitWeights, Space> weights;
  BatchView<T, Space> a;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    const UnitWeights& w = weights(k);
    if (w.keep == 1 && w.gain == 0) return;
    a(k, i, j) = T(w.keep * double(a(k, i, j)) + w.gain * double(x(k, i, j)));
  }
};

/// Returns the weights of averages of products of two `scaled` that are stored in units of s², valid as long as the
/// caller's frame of the workspace. scaled ← g divided by a power of two, with entries below 2. The number `unit` (1×1)
/// ← the s of this step.
template <class Bucket>
NumberBatchView<UnitWeights, typename Bucket::Space> average_unit(
    Bucket& bucket, const typename Bucket::Batch& g, double beta, const typename Bucket::Batch& unit,
    const typename Bucket::Batch& scaled, NumberBatchView<double, typename Bucket::Space> scale) {
  using Space = typename Bucket::Space;
  using T = typename Bucket::Scalar;
  const auto weights = bucket.workspace().template numbers<UnitWeights>(bucket.matrices());
  spectral::normalize(bucket.exec(), as_const(g), scaled, scale, bucket.workspace());
  for_each_matrix(bucket.exec(), "schatten::step/unit", bucket.matrices(),
                  AverageUnit<T, Space>{scale, beta, unit, bucket.finite(), weights});
  return weights;
}

/// average ← keep·average + gain·x. Cost: one pass over x, and one that reads and writes the average.
template <class Bucket>
void average_in_unit(Bucket& bucket, const typename Bucket::Batch& x,
                     const NumberBatchView<UnitWeights, typename Bucket::Space>& weights,
                     const typename Bucket::Batch& average) {
  for_each_element(bucket.exec(), "schatten::step/average", x.extent(0), x.extent(1), x.extent(2),
                   AverageInUnit<typename Bucket::Scalar, typename Bucket::Space>{x, weights, average});
}

}  // namespace schatten::optim
