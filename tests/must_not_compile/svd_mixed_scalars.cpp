// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: A, U, sigma and Vt must have the same scalar type
// LINES: 15
#include <schatten/linalg/svd.hpp>

#if defined(POSITIVE_CONTROL)
using Other = double;
#else
using Other = float;
#endif

template <class T>
using View = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;
using Exec = Kokkos::DefaultHostExecutionSpace;

void decompose(const View<double>& a, const View<double>& u, const View<double>& sigma, const View<Other>& vt,
               schatten::Workspace<Exec::memory_space>& workspace) {
  schatten::linalg::svd<schatten::linalg::PortableBackend>(Exec(), a, u, sigma, vt, workspace);
}
