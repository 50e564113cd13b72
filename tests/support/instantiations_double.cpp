// SPDX-License-Identifier: BSD-3-Clause

#include "instantiations.hpp"

namespace schatten {

SCHATTEN_TEST_DECOMPOSITIONS(, double)
#if !defined(SCHATTEN_ENABLE_CUDA)
SCHATTEN_TEST_INSTANTIATE(SCHATTEN_TEST_MAPS, , double)
#endif

}  // namespace schatten
