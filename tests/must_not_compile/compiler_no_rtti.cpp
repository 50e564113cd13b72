// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: compile without -fno-rtti
#if !defined(POSITIVE_CONTROL)  // as the flag leaves it
#undef __cpp_rtti
#endif
#include <schatten/core/compiler.hpp>
