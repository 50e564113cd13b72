// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the View must have rank 2 .rows, cols. or rank 3 .batch, rows, cols.
// LINES: 15
#include <schatten/core/views.hpp>

#if defined(POSITIVE_CONTROL)
using View = Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>;
#else
using View = Kokkos::View<float*, Kokkos::LayoutRight, Kokkos::HostSpace>;
#endif

auto batch(const View& view) { return schatten::as_batch<Kokkos::DefaultHostExecutionSpace>(view); }
