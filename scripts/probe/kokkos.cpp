// SPDX-License-Identifier: BSD-3-Clause
// Builds against a Kokkos that Schatten can use; never run.
#include <Kokkos_Core.hpp>

#include <concepts>

template <std::floating_point T>
T sum(const Kokkos::View<T*, Kokkos::LayoutRight, Kokkos::OpenMP>& x, const Kokkos::OpenMP& exec) {
  Kokkos::View<T, Kokkos::OpenMP> total("schatten::probe::total");
  Kokkos::parallel_reduce(
      "schatten::probe::sum", Kokkos::RangePolicy<Kokkos::OpenMP>(exec, 0, static_cast<int>(x.extent(0))),
      KOKKOS_LAMBDA(const int i, T& partial) { partial += x(i); }, total);
  exec.fence();
  return total();
}

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  const Kokkos::View<float*, Kokkos::LayoutRight, Kokkos::OpenMP> x("schatten::probe::x", 8);
  return sum(x, Kokkos::OpenMP()) == 0.0F ? 0 : 1;
}
