// SPDX-License-Identifier: BSD-3-Clause
// The main function of the tests over ranks: MPI around Kokkos around doctest. The rank that fails says so.

#define DOCTEST_CONFIG_IMPLEMENT
#include "distributed/ranks.hpp"
#include "support/fp_traps.hpp"

#include <Kokkos_Core.hpp>
#include <doctest/doctest.h>

#include <memory>

namespace {
std::unique_ptr<schatten::distributed::MpiCommunicator> all_ranks;
}  // namespace

const schatten::distributed::MpiCommunicator& schatten::test::ranks() { return *all_ranks; }

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int failed = 0;
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    all_ranks = std::make_unique<schatten::distributed::MpiCommunicator>(MPI_COMM_WORLD);
    schatten::test::set_fp_traps(schatten::test::fp_traps_wanted());
    doctest::Context context(argc, argv);
    if (all_ranks->rank() != 0) context.setOption("minimal", true);
    failed = context.run();
    schatten::test::set_fp_traps(false);
    all_ranks.reset();
  }
  MPI_Finalize();
  return failed;
}
