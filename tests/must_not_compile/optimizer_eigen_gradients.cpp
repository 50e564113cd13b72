// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the array must be a Kokkos View; schatten::view.matrix. makes one of an Eigen matrix
// LINES: 15
#include <schatten/interop/eigen.hpp>
#include <schatten/optim/optimizer.hpp>

#include <map>
#include <string>

void set(schatten::Optimizer<float, Kokkos::DefaultHostExecutionSpace>& optimizer, Eigen::MatrixXf& g) {
#if defined(POSITIVE_CONTROL)
  using View = decltype(schatten::view(g));
  optimizer.set_gradients(std::map<std::string, View>{{"w", schatten::view(g)}});
#else
  optimizer.set_gradients(std::map<std::string, Eigen::MatrixXf>{{"w", g}});
#endif
}
