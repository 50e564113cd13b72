// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the Eigen expression has no memory of its own
// LINES: 15
#include <schatten/interop/eigen.hpp>

auto every_other_row(Eigen::MatrixXf& a) {
#if defined(POSITIVE_CONTROL)
  return schatten::view(a(Eigen::seqN(0, 2), Eigen::indexing::all));
#elif EIGEN_MAJOR_VERSION < 5
  return schatten::view(a(Eigen::seqN(0, 2, Eigen::fix<2>), Eigen::indexing::all));
#else  // those have an address in Eigen 5
  return schatten::view(a(Eigen::seqN(2, 2, Eigen::fix<-2>), Eigen::indexing::all));
#endif
}
