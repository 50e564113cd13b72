// SPDX-License-Identifier: BSD-3-Clause
// Copies of Views in memory that the host reads.
#pragma once

#include <schatten/core/views.hpp>

#include <type_traits>
#include <vector>

namespace schatten {

/// Returns the View itself if the host can read it, otherwise a new View with the same extents on the host.
template <KokkosView V>
auto host_mirror(const V& view) {
  return Kokkos::create_mirror_view(Kokkos::HostSpace(), view);
}

/// Returns the contents of a View on the host. Fences `exec`.
template <ExecutionSpace Exec, KokkosView V>
auto copy_to_host(const Exec& exec, const V& view) {
  const auto host = host_mirror(view);
  Kokkos::deep_copy(exec, host, view);
  exec.fence();
  return host;
}

/// Returns the numbers of a batch on the host. Fences `exec`. Allocates no Kokkos memory.
template <ExecutionSpace Exec, class T, class Space>
std::vector<std::remove_const_t<T>> values_on_host(const Exec& exec, const NumberBatchView<T, Space>& numbers) {
  std::vector<std::remove_const_t<T>> values(numbers.extent(0));
  Kokkos::deep_copy(exec, NumberBatchView<std::remove_const_t<T>, Kokkos::HostSpace>(values.data(), values.size()),
                    numbers);
  exec.fence();
  return values;
}

}  // namespace schatten
