// SPDX-License-Identifier: BSD-3-Clause

#include "instantiations.hpp"

namespace schatten {

SCHATTEN_TEST_DECOMPOSITIONS(, float)
#if !defined(SCHATTEN_ENABLE_CUDA)
SCHATTEN_TEST_INSTANTIATE(SCHATTEN_TEST_MAPS, , float)
SCHATTEN_TEST_INSTANTIATE(SCHATTEN_TEST_FLOAT_MAPS, , float)
#endif

}  // namespace schatten
