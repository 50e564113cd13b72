// Views copied to where the host reads them.
#pragma once

#include <schatten/core/concepts.hpp>

namespace schatten {

/// The View itself where the host reads it, else one of the same extents on the host.
template <KokkosView V>
auto host_mirror(const V& view) {
  return Kokkos::create_mirror_view(Kokkos::HostSpace(), view);
}

/// The contents of a View on the host. Fences `exec`.
template <ExecutionSpace Exec, KokkosView V>
auto copy_to_host(const Exec& exec, const V& view) {
  const auto host = host_mirror(view);
  Kokkos::deep_copy(exec, host, view);
  exec.fence();
  return host;
}

}  // namespace schatten
