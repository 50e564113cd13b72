// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: C is written and must not be const
// LINES: 15
#include <schatten/linalg/gemm.hpp>

#if defined(POSITIVE_CONTROL)
using Value = float;
#else
using Value = const float;
#endif

template <class T>
using View = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;

void product(const View<const float>& a, const View<Value>& c) {
  schatten::Workspace<Kokkos::HostSpace> workspace;
  schatten::linalg::gemm(Kokkos::DefaultHostExecutionSpace(), 1.0F, a, a, 0.0F, c, workspace);
}
