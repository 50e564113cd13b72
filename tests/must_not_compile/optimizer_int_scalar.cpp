// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: an Optimizer computes in float or double
// LINES: 15
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules/sgd.hpp>

#if defined(POSITIVE_CONTROL)
using Value = float;
#else
using Value = int;
#endif

void train(const Kokkos::View<float**, Kokkos::HostSpace>& w) {
  schatten::Optimizer<Value> optimizer;
  optimizer.add(optimizer.add_group(schatten::SGD{}), "w", w, w);
  optimizer.step(Kokkos::DefaultExecutionSpace());
}
