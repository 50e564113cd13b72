// SPDX-License-Identifier: BSD-3-Clause

#include "optimizer_instantiations.hpp"

#if defined(KOKKOS_ENABLE_OPENMP) && !defined(SCHATTEN_ENABLE_CUDA)
namespace schatten {

SCHATTEN_TEST_OPTIMIZERS_DOUBLE()

}  // namespace schatten
#endif
