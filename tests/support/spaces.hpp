// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The host execution spaces of the tests. A Kokkos may have OpenMP without Serial, or Serial alone.

#include <Kokkos_Core.hpp>

namespace schatten::test {

#if defined(KOKKOS_ENABLE_OPENMP)
using ThreadedExec = Kokkos::OpenMP;
#else
using ThreadedExec = Kokkos::DefaultHostExecutionSpace;
#endif

#if defined(KOKKOS_ENABLE_SERIAL)
using SerialExec = Kokkos::Serial;
#else
using SerialExec = ThreadedExec;
#endif

}  // namespace schatten::test
