// SPDX-License-Identifier: BSD-3-Clause

#include "eigen_svd.hpp"

#define SCHATTEN_TEST_INSTANTIATE_MAPS(Exec, T, Backend) SCHATTEN_TEST_MAPS(, Exec, T, Backend)

namespace schatten {

SCHATTEN_TEST_DECOMPOSITIONS(, float)
SCHATTEN_TEST_DECOMPOSITIONS(, double)
SCHATTEN_TEST_INSTANTIATE(SCHATTEN_TEST_INSTANTIATE_MAPS)
SCHATTEN_TEST_FLOAT_GRAM(, Kokkos::Serial, EigenBackend)
SCHATTEN_TEST_FLOAT_GRAM(, Kokkos::Serial, PortableBackend)
#if defined(KOKKOS_ENABLE_OPENMP)
SCHATTEN_TEST_FLOAT_GRAM(, Kokkos::OpenMP, EigenBackend)
SCHATTEN_TEST_FLOAT_GRAM(, Kokkos::OpenMP, PortableBackend)
#endif

}  // namespace schatten
