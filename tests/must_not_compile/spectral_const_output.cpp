// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: out is written and must not be const
// LINES: 15
#include <schatten/spectral/spectral_power.hpp>

#if defined(POSITIVE_CONTROL)
using Value = float;
#else
using Value = const float;
#endif

template <class T>
using View = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;
using Exec = Kokkos::DefaultHostExecutionSpace;

void apply(schatten::SpectralPower<float, Exec, schatten::linalg::PortableBackend>& power, const View<float>& m,
           const View<Value>& out) {
  power.apply(Exec(), m, out);
}
