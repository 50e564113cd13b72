// SPDX-License-Identifier: BSD-3-Clause
// Over a LAPACK that counts in 64 bits each function of BlasBackend throws before it calls anything.
#include <schatten/linalg/backend/blas.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/qr.hpp>
#include <schatten/linalg/svd.hpp>

#include <Kokkos_Core.hpp>

#include <cstdio>
#include <string>

namespace {

using namespace schatten;
using linalg::BlasBackend;

int failures = 0;

template <class Body>
void refused(const char* what, const Body& body) {
  try {
    body();
    std::printf("%s: not refused\n", what);
  } catch (const InvalidArgument& error) {
    if (std::string(error.what()).find("64 bits, but it must have integers of 32 bits") != std::string::npos) return;
    std::printf("%s: %s\n", what, error.what());
  }
  ++failures;
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  const Kokkos::DefaultHostExecutionSpace exec;
  Workspace<Kokkos::HostSpace> workspace;
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> a("a", 4, 3), q("q", 4, 3), r("r", 3, 3),
      s("s", 3, 3);
  const Kokkos::View<double*, Kokkos::HostSpace> sigma("sigma", 3);
  refused("gemm", [&] { linalg::gemm<BlasBackend>(exec, 1.0, r, r, 0.0, s, workspace); });
  refused("svd", [&] { linalg::svd<BlasBackend>(exec, a, q, sigma, r, workspace); });
  refused("qr", [&] { linalg::orthonormal_basis<BlasBackend>(exec, a, q, workspace); });
  return failures == 0 ? 0 : 1;
}
