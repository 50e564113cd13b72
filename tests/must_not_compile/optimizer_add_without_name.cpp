// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the name, a std::string, comes before the View: add
// LINES: 15
#include <schatten/optim/optimizer.hpp>

void add(schatten::Optimizer<float>& optimizer, schatten::GroupId group,
         const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>& w) {
#if defined(POSITIVE_CONTROL)
  optimizer.add(group, "w", w, w);
#else
  optimizer.add(group, w, w);
#endif
}
