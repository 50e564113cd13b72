// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: M and out must have the scalar type of the SpectralPower
// LINES: 15
#include <schatten/spectral/spectral_power.hpp>

#if defined(POSITIVE_CONTROL)
using Other = float;
#else
using Other = double;
#endif

template <class T>
using View = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;
using Exec = Kokkos::DefaultHostExecutionSpace;

void apply(schatten::SpectralPower<float, Exec, schatten::linalg::PortableBackend>& power, const View<Other>& m,
           const View<float>& out) {
  power.apply(Exec(), m, out);
}
