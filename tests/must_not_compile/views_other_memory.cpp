// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the View's memory space is not accessible from the execution space
//
// An execution space that no host memory is accessible from, as a device is: only its types are needed.
#include <schatten/core/views.hpp>

#if defined(POSITIVE_CONTROL)
using Exec = Kokkos::DefaultHostExecutionSpace;
#else
struct FarSpace {
  using memory_space = FarSpace;
  using execution_space = Kokkos::DefaultHostExecutionSpace;
  using device_type = Kokkos::Device<execution_space, memory_space>;
  using size_type = std::size_t;
};
struct Exec {
  using execution_space = Exec;
  using memory_space = FarSpace;
  using device_type = Kokkos::Device<Kokkos::DefaultHostExecutionSpace, FarSpace>;
  using array_layout = Kokkos::LayoutLeft;
  using size_type = std::size_t;
  using scratch_memory_space = Kokkos::ScratchMemorySpace<Kokkos::DefaultHostExecutionSpace>;
};
#endif

auto batch(const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace>& view) {
  return schatten::as_batch<Exec>(view);
}
