// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: W and G must be of float, double, Half, BFloat16 or Kokkos' 16-bit types
// LINES: 15
#include <schatten/optim/optimizer.hpp>

#if defined(POSITIVE_CONTROL)
using Value = float;
#else
using Value = int;
#endif

void add(schatten::Optimizer<float>& optimizer, schatten::GroupId group,
         const Kokkos::View<Value**, Kokkos::LayoutRight, Kokkos::HostSpace>& w) {
  optimizer.add(group, "w", w, w);
}
