// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: M and out must have the same rank
// LINES: 15
#include <schatten/spectral/spectral_power.hpp>

#if defined(POSITIVE_CONTROL)
using Out = Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>;
#else
using Out = Kokkos::View<float***, Kokkos::LayoutRight, Kokkos::HostSpace>;
#endif

using Exec = Kokkos::DefaultHostExecutionSpace;

void apply(schatten::SpectralPower<float, Exec, schatten::linalg::PortableBackend>& power,
           const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>& m, const Out& out) {
  power.apply(Exec(), m, out);
}
