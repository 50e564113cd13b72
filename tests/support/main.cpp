// SPDX-License-Identifier: BSD-3-Clause
// The main function of every test program: floating-point traps on, Kokkos alive around doctest.

#include "fp_traps.hpp"

#include <Kokkos_Core.hpp>
#include <doctest/doctest.h>

#include <cstdio>

int main(int argc, char** argv) {
#if defined(KOKKOS_ENABLE_CUDA)
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::fputs("no device: compiled and linked, not run\n", stderr);
    return 127;  // as where the driver's library is missing, and the loader gives up before main
  }
#endif
  const Kokkos::ScopeGuard kokkos(argc, argv);
  // After initialize: the OpenMP threads exist, and the start-up code of a backend may divide as it likes.
  schatten::test::set_fp_traps(schatten::test::fp_traps_wanted());

  doctest::Context context(argc, argv);
  const int failed = context.run();

  schatten::test::set_fp_traps(false);
  return failed;
}
