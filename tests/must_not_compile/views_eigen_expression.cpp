// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the Eigen expression has no memory of its own
// LINES: 15
#include <schatten/interop/eigen.hpp>

auto sum(const Eigen::MatrixXf& a) {
#if defined(POSITIVE_CONTROL)
  return schatten::view(a);
#else
  return schatten::view(a + a);
#endif
}
