// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: A, B and C must have the same scalar type
// LINES: 15
#include <schatten/linalg/gemm.hpp>

#if defined(POSITIVE_CONTROL)
using Other = float;
#else
using Other = double;
#endif

template <class T>
using View = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;

void product(const View<float>& a, const View<Other>& b, const View<float>& c) {
  schatten::Workspace<Kokkos::HostSpace> workspace;
  schatten::linalg::gemm(Kokkos::DefaultHostExecutionSpace(), 1.0F, a, b, 0.0F, c, workspace);
}
