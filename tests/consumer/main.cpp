// SPDX-License-Identifier: BSD-3-Clause
// What a training code does with Schatten, as small as it gets: one HTMuon step.
#include <schatten/schatten.hpp>

#include <Kokkos_Core.hpp>

using Exec = Kokkos::DefaultExecutionSpace;
#if defined(CONSUMER_OF_THE_PORTABLE_BACKEND)  // compiles in a few seconds; the default one takes half a minute
using Optimizer = schatten::Optimizer<float, Exec, schatten::linalg::PortableBackend>;
#else
using Optimizer = schatten::Optimizer<float>;
#endif

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  const Kokkos::View<float**, Kokkos::LayoutRight> W("W", 8, 6), G("dW", 8, 6);
  Kokkos::deep_copy(G, 1.0F);

  Optimizer opt;
  const auto hidden = opt.add_group(schatten::HTMuonOptions{.lr = 0.03, .power = 0.125});
  opt.add(hidden, "up", W, G);
  opt.step(Exec());
  Kokkos::fence();

  // W was zero; a step against a positive gradient makes it negative.
  const auto w = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), W);
  return w(0, 0) < 0.0F && w(7, 5) < 0.0F ? 0 : 1;
}
