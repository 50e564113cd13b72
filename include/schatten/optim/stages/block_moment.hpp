// SPDX-License-Identifier: BSD-3-Clause
// Second moments that blocks of rows share.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/optim/elements.hpp>
#include <schatten/optim/stages/second_moment.hpp>

#include <array>
#include <cmath>
#include <cstddef>

namespace schatten::optim {

/// root(k, b) ← √(β₂·root² + (1−β₂)·norm(k, b)²/size).
template <Scalar T, class Space>
struct UpdateBlockRoot {
  BatchView<T, Space> root;
  VectorBatchView<const double, Space> norm;
  double inverse_root_size, gain2;
  FiniteFlags<Space> finite;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t b) const {
    if (!finite(k)) return;
    root(k, b, 0) = T(second_moment_root(double(root(k, b, 0)), norm(k, b) * inverse_root_size, gain2));
  }
};

/// Updates `slot`, which has one row per block. The matrix has `blocks` blocks of rows of equal size. Row b is the root
/// of the second moment of the gradient's elements in block b: their mean square, averaged by β₂. Cost: one pass over
/// the gradients.
template <class Bucket>
void update_block_roots(Bucket& bucket, std::size_t slot, std::size_t blocks, double beta2) {
  const std::size_t each = bucket.rows() / blocks;
  const auto norm = bucket.block_norms(OneFunctor<Same>{}, std::array<std::size_t, 0>{}, each);
  for_each_row(bucket.exec(), "schatten::step/block_roots", bucket.matrices(), blocks,
               UpdateBlockRoot<typename Bucket::Scalar, typename Bucket::Space>{
                   bucket.state(slot), norm, 1 / std::sqrt(double(each * bucket.cols())), 1 - beta2, bucket.finite()});
}

}  // namespace schatten::optim
