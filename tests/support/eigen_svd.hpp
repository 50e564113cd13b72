// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What takes long to compile and many tests use: eigen_svd.cpp instantiates it once.

#include <schatten/linalg/backend/eigen_decomposition.hpp>
#include <schatten/spectral/exact.hpp>
#include <schatten/spectral/quintic.hpp>

#include <cstddef>
#include <span>

/// X(execution space, scalar, backend) for the combinations of the typed tests.
#define SCHATTEN_TEST_INSTANTIATE_BACKENDS(X, Exec) \
  X(Exec, float, EigenBackend)                      \
  X(Exec, double, EigenBackend)                     \
  X(Exec, float, PortableBackend)                   \
  X(Exec, double, PortableBackend)
#if defined(KOKKOS_ENABLE_OPENMP)
#define SCHATTEN_TEST_INSTANTIATE(X)                    \
  SCHATTEN_TEST_INSTANTIATE_BACKENDS(X, Kokkos::Serial) \
  SCHATTEN_TEST_INSTANTIATE_BACKENDS(X, Kokkos::OpenMP)
#else
#define SCHATTEN_TEST_INSTANTIATE(X) SCHATTEN_TEST_INSTANTIATE_BACKENDS(X, Kokkos::Serial)
#endif

#define SCHATTEN_TEST_DECOMPOSITIONS(EXTERN, T)                                                             \
  EXTERN template bool linalg::backend::eigen_svd<T>(std::ptrdiff_t, std::ptrdiff_t, T*, T*, T*, T*, bool); \
  EXTERN template bool linalg::backend::eigen_eigh<T>(std::ptrdiff_t, T*, T*);

#define SCHATTEN_TEST_MAPS(EXTERN, Exec, T, Backend)                                                               \
  EXTERN template void spectral::svd_power<linalg::Backend>(                                                       \
      const Exec&, const BatchView<const T, Exec::memory_space>&, double, const BatchView<T, Exec::memory_space>&, \
      Workspace<Exec::memory_space>&);                                                                             \
  EXTERN template void spectral::eigh_power<double, linalg::Backend>(                                              \
      const Exec&, const BatchView<const T, Exec::memory_space>&, double, const BatchView<T, Exec::memory_space>&, \
      Workspace<Exec::memory_space>&);                                                                             \
  EXTERN template void spectral::quintic_iteration<T, linalg::Backend>(                                            \
      const Exec&, std::span<const spectral::Quintic>, const BatchView<const T, Exec::memory_space>&,              \
      const BatchView<T, Exec::memory_space>&, Workspace<Exec::memory_space>&);

#define SCHATTEN_TEST_FLOAT_GRAM(EXTERN, Exec, Backend)                       \
  EXTERN template void spectral::eigh_power<float, linalg::Backend>(          \
      const Exec&, const BatchView<const float, Exec::memory_space>&, double, \
      const BatchView<float, Exec::memory_space>&, Workspace<Exec::memory_space>&);

#define SCHATTEN_TEST_EXTERN_MAPS(Exec, T, Backend) SCHATTEN_TEST_MAPS(extern, Exec, T, Backend)

namespace schatten {

SCHATTEN_TEST_DECOMPOSITIONS(extern, float)
SCHATTEN_TEST_DECOMPOSITIONS(extern, double)
SCHATTEN_TEST_INSTANTIATE(SCHATTEN_TEST_EXTERN_MAPS)
SCHATTEN_TEST_FLOAT_GRAM(extern, Kokkos::Serial, EigenBackend)
SCHATTEN_TEST_FLOAT_GRAM(extern, Kokkos::Serial, PortableBackend)
#if defined(KOKKOS_ENABLE_OPENMP)
SCHATTEN_TEST_FLOAT_GRAM(extern, Kokkos::OpenMP, EigenBackend)
SCHATTEN_TEST_FLOAT_GRAM(extern, Kokkos::OpenMP, PortableBackend)
#endif

}  // namespace schatten
