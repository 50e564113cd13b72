// SPDX-License-Identifier: BSD-3-Clause
#include <schatten/version.hpp>

#include <Kokkos_Core.hpp>

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  return schatten::version_major == SCHATTEN_VERSION_MAJOR ? 0 : 1;
}
