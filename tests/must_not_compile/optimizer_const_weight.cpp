// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: W is written and must not be const
// LINES: 15
#include <schatten/optim/optimizer.hpp>

#if defined(POSITIVE_CONTROL)
using Weight = float;
#else
using Weight = const float;
#endif

void add(schatten::Optimizer<float>& optimizer, schatten::GroupId group,
         const Kokkos::View<Weight**, Kokkos::LayoutRight, Kokkos::HostSpace>& w,
         const Kokkos::View<const float**, Kokkos::LayoutRight, Kokkos::HostSpace>& g) {
  optimizer.add(group, "w", w, g);
}
