// SPDX-License-Identifier: BSD-3-Clause
// Steps and saves over ranks until one of them is killed: killed_rank INDEX SEED. Rank SEED mod N kills itself at a
// random moment after its first save. It begins with the save that is there, which must be whole. killed_rank INDEX
// looks at it and ends.

#define DOCTEST_CONFIG_IMPLEMENT  // owners.hpp checks
#include "distributed/owners.hpp"
#include <schatten/distributed/checkpoint.hpp>
#include <schatten/optim/rules/sgd.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

using namespace schatten;
using namespace schatten::test;
using Weights = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;

int run(const distributed::MpiCommunicator& all, const std::string& path, int seed) {
  const RankExec exec;
  const CountedRanks comm(all);
  RankOptimizer optimizer(comm);
  // Without decay and momentum, gradients of −1 at the rate 1 count the steps.
  const GroupId group = optimizer.add_group(SGD{.lr = 1, .momentum = {.beta = 0}});
  std::vector<Weights> weights;
  for (int k = 0; k < 8; ++k) {
    weights.emplace_back("w", 120, 100);
    const Weights g("g", 120, 100);
    Kokkos::deep_copy(exec, g, -1.0);
    optimizer.add(group, "w" + std::to_string(k), weights.back(), g);
  }
  if (std::filesystem::exists(path)) distributed::load(exec, optimizer, path);
  exec.fence();
  for (const Weights& w : weights) {
    for (std::size_t k = 0; k < w.size(); ++k) {
      if (w.data()[k] == weights[0](0, 0)) continue;
      std::printf("a save of two steps\n");
      return 1;
    }
  }
  if (all.rank() == 0) std::printf("step %g\n", weights[0](0, 0));
  std::fflush(stdout);
  if (seed < 0) return 0;
  std::thread killer;
  for (bool first = true;; first = false) {
    optimizer.step(exec);
    distributed::save(exec, optimizer, path);
    if (!first || seed % all.size() != all.rank()) continue;
    // In one of the next saves, or between.
    std::mt19937 random{unsigned(seed)};
    const int wait = std::uniform_int_distribution<int>(0, 300)(random);
    killer = std::thread([wait] {
      std::this_thread::sleep_for(std::chrono::milliseconds(wait));
      ::kill(::getpid(), SIGKILL);
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int status = 1;
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    const distributed::MpiCommunicator all(MPI_COMM_WORLD);
    try {
      if (argc > 1) status = run(all, argv[1], argc > 2 ? std::atoi(argv[2]) : -1);
    } catch (const std::exception& error) {
      std::printf("%s\n", error.what());
      MPI_Abort(MPI_COMM_WORLD, 1);
    }
  }
  MPI_Finalize();
  return status;
}
