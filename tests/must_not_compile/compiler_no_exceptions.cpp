// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: compile without -fno-exceptions
#if !defined(POSITIVE_CONTROL)  // as the flag leaves it
#undef __cpp_exceptions
#endif
#include <schatten/core/compiler.hpp>
