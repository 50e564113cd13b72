// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: a parameter must have rank 1 to 4
// LINES: 15
#include <schatten/optim/optimizer.hpp>

#if defined(POSITIVE_CONTROL)
using Weight = Kokkos::View<float****, Kokkos::LayoutRight, Kokkos::HostSpace>;
#else
using Weight = Kokkos::View<float*****, Kokkos::LayoutRight, Kokkos::HostSpace>;
#endif

void add(schatten::Optimizer<float>& optimizer, schatten::GroupId group, const Weight& w, const Weight& g) {
  optimizer.add(group, "w", w, g);
}
