// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: W and G must have the same rank
// LINES: 15
#include <schatten/optim/optimizer.hpp>

#if defined(POSITIVE_CONTROL)
using Gradient = Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>;
#else
using Gradient = Kokkos::View<float***, Kokkos::LayoutRight, Kokkos::HostSpace>;
#endif

void add(schatten::Optimizer<float>& optimizer, schatten::GroupId group,
         const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>& w, const Gradient& g) {
  optimizer.add(group, "w", w, g);
}
