// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: steepest_descent takes one matrix, a View of rank 2
// LINES: 15
#include <schatten/spectral/steepest_descent.hpp>

#if defined(POSITIVE_CONTROL)
using View = Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>;
#else
using View = Kokkos::View<float***, Kokkos::LayoutRight, Kokkos::HostSpace>;
#endif

double descend(const View& g, const View& out) {
  return schatten::steepest_descent<schatten::linalg::PortableBackend>(Kokkos::DefaultHostExecutionSpace(), g, 9, out);
}
