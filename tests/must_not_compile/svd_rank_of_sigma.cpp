// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the View must have rank 1 .length. or rank 2 .batch, length.
#include <schatten/linalg/svd.hpp>

#if defined(POSITIVE_CONTROL)
using Sigma = Kokkos::View<double*, Kokkos::LayoutRight, Kokkos::HostSpace>;
#else
using Sigma = Kokkos::View<double***, Kokkos::LayoutRight, Kokkos::HostSpace>;
#endif

using View = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;
using Exec = Kokkos::DefaultHostExecutionSpace;

void values(const View& a, const Sigma& sigma, schatten::Workspace<Exec::memory_space>& workspace) {
  schatten::linalg::singular_values<schatten::linalg::PortableBackend>(Exec(), a, sigma, workspace);
}
