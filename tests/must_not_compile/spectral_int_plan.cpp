// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: constraints not satisfied|does not satisfy
#include <schatten/spectral/spectral_power.hpp>

#if defined(POSITIVE_CONTROL)
using Value = float;
#else
using Value = int;
#endif

using Plan = schatten::SpectralPower<Value, Kokkos::DefaultHostExecutionSpace, schatten::linalg::PortableBackend>;
std::size_t size() { return sizeof(Plan); }
