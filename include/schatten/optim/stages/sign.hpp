// SPDX-License-Identifier: BSD-3-Clause
// Signs.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/views.hpp>

#include <cstddef>

namespace schatten::optim {

/// u_ij ← multiple·sign(u_ij); sign(0) = 0.
template <Scalar T, class Space>
struct TakeSign {
  BatchView<T, Space> u;
  T multiple;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    const T x = u(k, i, j);
    u(k, i, j) = multiple * T((x > T(0)) - (x < T(0)));
  }
};

/// u ← multiple·sign(u). Cost: one pass.
template <class Bucket>
void take_signs(Bucket& bucket, const typename Bucket::Batch& u, double multiple = 1) {
  using T = typename Bucket::Scalar;
  for_each_element(bucket.exec(), "schatten::step/sign", bucket.matrices(), bucket.rows(), bucket.cols(),
                   TakeSign<T, typename Bucket::Space>{u, T(multiple)});
}

}  // namespace schatten::optim
