// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: -ffast-math, -Ofast and -ffinite-math-only make impossible
#if !defined(POSITIVE_CONTROL)  // as the flags define it
#undef __FINITE_MATH_ONLY__
#define __FINITE_MATH_ONLY__ 1
#endif
#include <schatten/core/compiler.hpp>
