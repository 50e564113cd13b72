// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: use of deleted function|call to deleted function
#include <schatten/interop/eigen.hpp>

auto zero() {
#if defined(POSITIVE_CONTROL)
  static Eigen::MatrixXf matrix = Eigen::MatrixXf::Zero(3, 4);
  return schatten::view(matrix);
#else
  return schatten::view(Eigen::MatrixXf(3, 4));
#endif
}
