// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: W and G must be of float, double, Half, BFloat16 or Kokkos' 16-bit types
#include <schatten/optim/optimizer.hpp>

#if defined(POSITIVE_CONTROL)
using Gradient = float;
#else
using Gradient = int;
#endif

void add(schatten::Optimizer<float>& optimizer, schatten::GroupId group,
         const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>& w,
         const Kokkos::View<Gradient**, Kokkos::LayoutRight, Kokkos::HostSpace>& g) {
  optimizer.add(group, "w", w, g);
}
