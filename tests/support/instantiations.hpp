// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What takes long to compile and many tests use: instantiations_float.cpp and instantiations_double.cpp hold it once.

#include "spaces.hpp"
#include <schatten/linalg/backend.hpp>
#include <schatten/linalg/backend/host_routines.hpp>
#include <schatten/spectral/exact.hpp>
#include <schatten/spectral/iterate_power.hpp>
#include <schatten/spectral/newton_schulz.hpp>
#include <schatten/spectral/quintic.hpp>
#include <schatten/spectral/rank_power.hpp>
#include <schatten/spectral/rational_power.hpp>
#include <schatten/spectral/streaming.hpp>

#include <cstddef>
#include <span>

/// X(EXTERN, execution space, scalar, backend) for the combinations of the typed tests that there are for a scalar.
#if defined(SCHATTEN_ENABLE_BLAS)
#define SCHATTEN_TEST_INSTANTIATE_BLAS(X, EXTERN, Exec, T) X(EXTERN, Exec, T, BlasBackend)
#else
#define SCHATTEN_TEST_INSTANTIATE_BLAS(X, EXTERN, Exec, T)
#endif
#define SCHATTEN_TEST_INSTANTIATE_ON(X, EXTERN, Exec, T) \
  X(EXTERN, Exec, T, EigenBackend)                       \
  X(EXTERN, Exec, T, PortableBackend)                    \
  SCHATTEN_TEST_INSTANTIATE_BLAS(X, EXTERN, Exec, T)
#if defined(KOKKOS_ENABLE_SERIAL) && defined(KOKKOS_ENABLE_OPENMP)
#define SCHATTEN_TEST_INSTANTIATE(X, EXTERN, T)                \
  SCHATTEN_TEST_INSTANTIATE_ON(X, EXTERN, test::SerialExec, T) \
  SCHATTEN_TEST_INSTANTIATE_ON(X, EXTERN, test::ThreadedExec, T)
#else
#define SCHATTEN_TEST_INSTANTIATE(X, EXTERN, T) SCHATTEN_TEST_INSTANTIATE_ON(X, EXTERN, test::ThreadedExec, T)
#endif

#define SCHATTEN_TEST_DECOMPOSITIONS(EXTERN, T)                                                                \
  EXTERN template bool linalg::backend::host_svd<T>(std::ptrdiff_t, std::ptrdiff_t, T*, T*, T*, T*, bool, T*); \
  EXTERN template bool linalg::backend::host_eigh<T>(std::ptrdiff_t, T*, T*, T*);                              \
  EXTERN template void linalg::backend::host_orthonormal_basis<T>(std::ptrdiff_t, std::ptrdiff_t, T*, T*);

#define SCHATTEN_TEST_IN(Exec, T) const BatchView<const T, Exec::memory_space>&
#define SCHATTEN_TEST_OUT(Exec, T) const BatchView<T, Exec::memory_space>&, Workspace<Exec::memory_space>&

#define SCHATTEN_TEST_MAPS(EXTERN, Exec, T, Backend)                                                                  \
  EXTERN template void linalg::backend::gemm(linalg::Backend, const Exec&, T, SCHATTEN_TEST_IN(Exec, T),              \
                                             SCHATTEN_TEST_IN(Exec, T), T, SCHATTEN_TEST_OUT(Exec, T));               \
  EXTERN template void spectral::svd_power<linalg::Backend>(const Exec&, double, SCHATTEN_TEST_IN(Exec, T),           \
                                                            SCHATTEN_TEST_OUT(Exec, T));                              \
  EXTERN template void spectral::eigh_power<double, linalg::Backend>(                                                 \
      const Exec&, double, double, SCHATTEN_TEST_IN(Exec, T), SCHATTEN_TEST_OUT(Exec, T));                            \
  EXTERN template void spectral::rank_power<linalg::Backend>(const Exec&, double, SCHATTEN_TEST_IN(Exec, T),          \
                                                             SCHATTEN_TEST_OUT(Exec, T));                             \
  EXTERN template void spectral::newton_schulz_power<linalg::Backend>(const Exec&, double, SCHATTEN_TEST_IN(Exec, T), \
                                                                      SCHATTEN_TEST_OUT(Exec, T));                    \
  EXTERN template void spectral::streaming_power<linalg::Backend>(const Exec&, double, SCHATTEN_TEST_IN(Exec, T),     \
                                                                  const BatchView<T, Exec::memory_space>&,            \
                                                                  SCHATTEN_TEST_OUT(Exec, T));                        \
  SCHATTEN_TEST_MAPS_IN(EXTERN, Exec, T, T, Backend)

/// Methods that work in precision Work.
#define SCHATTEN_TEST_MAPS_IN(EXTERN, Exec, T, Work, Backend)                                                          \
  EXTERN template void spectral::quintic_iteration<Work, linalg::Backend>(                                             \
      const Exec&, std::span<const spectral::Quintic>, SCHATTEN_TEST_IN(Exec, T), SCHATTEN_TEST_OUT(Exec, T), double); \
  EXTERN template void spectral::iterate_power<Work, linalg::Backend>(                                                 \
      const Exec&, const spectral::IterateFit&, spectral::IterateForm, double, SCHATTEN_TEST_IN(Exec, T),              \
      SCHATTEN_TEST_OUT(Exec, T));                                                                                     \
  EXTERN template void spectral::rational_power<Work, linalg::Backend>(const Exec&, const linalg::Rational&, double,   \
                                                                       SCHATTEN_TEST_IN(Exec, T),                      \
                                                                       SCHATTEN_TEST_OUT(Exec, T), std::size_t);

/// What float matrices have besides: the Gram matrix's eigenvalues in float, and precision double.
#define SCHATTEN_TEST_FLOAT_MAPS(EXTERN, Exec, T, Backend)                                                            \
  EXTERN template void spectral::eigh_power<T, linalg::Backend>(                                                      \
      const Exec&, double, double, SCHATTEN_TEST_IN(Exec, T), SCHATTEN_TEST_OUT(Exec, T));                            \
  EXTERN template void spectral::rational_power<T, linalg::Backend, double>(const Exec&, const linalg::Rational&,     \
                                                                            double, SCHATTEN_TEST_IN(Exec, T),        \
                                                                            SCHATTEN_TEST_OUT(Exec, T), std::size_t); \
  EXTERN template void spectral::rational_power<T, linalg::Backend, double>(                                          \
      const Exec&, const linalg::ComposedRational&, double, SCHATTEN_TEST_IN(Exec, T), SCHATTEN_TEST_OUT(Exec, T),    \
      std::size_t);                                                                                                   \
  SCHATTEN_TEST_MAPS_IN(EXTERN, Exec, T, double, Backend)

#if !defined(SCHATTEN_TEST_NOT_SHARED)
namespace schatten {

SCHATTEN_TEST_DECOMPOSITIONS(extern, float)
SCHATTEN_TEST_DECOMPOSITIONS(extern, double)
#if !defined(SCHATTEN_ENABLE_CUDA)  // those tests have loops of their own
SCHATTEN_TEST_INSTANTIATE(SCHATTEN_TEST_MAPS, extern, float)
SCHATTEN_TEST_INSTANTIATE(SCHATTEN_TEST_FLOAT_MAPS, extern, float)
SCHATTEN_TEST_INSTANTIATE(SCHATTEN_TEST_MAPS, extern, double)
#endif

}  // namespace schatten
#endif
