// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: W and G must be Kokkos Views; schatten::view.matrix. makes one of an Eigen matrix
// LINES: 15
#include <schatten/interop/eigen.hpp>
#include <schatten/optim/optimizer.hpp>

void add(schatten::Optimizer<float, Kokkos::DefaultHostExecutionSpace>& optimizer, schatten::GroupId group,
         Eigen::MatrixXf& w, Eigen::MatrixXf& g) {
#if defined(POSITIVE_CONTROL)
  optimizer.add(group, "w", schatten::view(w), schatten::view(g));
#else
  optimizer.add(group, "w", w, g);
#endif
}
