// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the View's value type must be float or double
#include <schatten/linalg/gemm.hpp>

#if defined(POSITIVE_CONTROL)
using Value = double;
#else
using Value = int;
#endif

using View = Kokkos::View<Value**, Kokkos::LayoutRight, Kokkos::HostSpace>;

void product(const View& a, const View& b, const View& c) {
  schatten::Workspace<Kokkos::HostSpace> workspace;
  schatten::linalg::gemm(Kokkos::DefaultHostExecutionSpace(), Value(1), a, b, Value(0), c, workspace);
}
