// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: U, sigma and Vt are written and must not be const
// LINES: 15
#include <schatten/linalg/svd.hpp>

#if defined(POSITIVE_CONTROL)
using Value = double;
#else
using Value = const double;
#endif

template <class T>
using View = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;
using Exec = Kokkos::DefaultHostExecutionSpace;

void decompose(const View<double>& a, const View<Value>& u, const View<double>& sigma, const View<double>& vt,
               schatten::Workspace<Exec::memory_space>& workspace) {
  schatten::linalg::svd<schatten::linalg::PortableBackend>(Exec(), a, u, sigma, vt, workspace);
}
