// SPDX-License-Identifier: BSD-3-Clause
// A user's compiler flags. Flags with which the library does not work are refused here. Flags that change code of the
// host become part of its names.
#pragma once

#include <cstddef>

#if __cplusplus < 201709L  // g++ 10 has this number with -std=c++20
#error "Schatten needs C++20: compile with -std=c++20 or a later standard"
#define SCHATTEN_REFUSED
#endif
// Guards against NaN and infinity are comparisons that this flag removes.
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error \
    "Schatten skips gradients that are not finite, which -ffast-math, -Ofast and -ffinite-math-only make impossible: \
compile without them, or add -fno-finite-math-only -fno-associative-math -fno-reciprocal-math after them"
#define SCHATTEN_REFUSED
#elif defined(__ASSOCIATIVE_MATH__) && __ASSOCIATIVE_MATH__
#error "Schatten promises bounds of rounding that -fassociative-math breaks: add -fno-associative-math"
#define SCHATTEN_REFUSED
#endif
static_assert(0.1 < double(0.1F),
              "Schatten computes its bounds in double: compile without -fsingle-precision-constant");
#if !defined(__CUDA_ARCH__) && !defined(__HIP_DEVICE_COMPILE__)
#if !defined(__cpp_exceptions)
#error "Schatten reports errors by exceptions: compile without -fno-exceptions"
#define SCHATTEN_REFUSED
#elif !defined(__cpp_rtti)
#error "Schatten, as Kokkos, asks for the types of objects: compile without -fno-rtti"
#define SCHATTEN_REFUSED
#endif
#endif
#if defined(SCHATTEN_REFUSED)
#include <compile with the flags that the message above names>  // no file: errors by the thousand would follow
#endif

// Units of one program may be compiled with different -m flags, or some without OpenMP. What depends on either is in an
// inline namespace of this name, so that the linker takes no function of one unit for that of another.
#if defined(__AVX512F__)
#define SCHATTEN_REGISTER_BYTES 64
#elif defined(__AVX__)
#define SCHATTEN_REGISTER_BYTES 32
#else
#define SCHATTEN_REGISTER_BYTES 16
#endif
#if defined(__FMA__)
#define SCHATTEN_FMA _fma
#else
#define SCHATTEN_FMA
#endif
#if defined(_OPENMP)
#define SCHATTEN_OPENMP _openmp
#else
#define SCHATTEN_OPENMP
#endif
#define SCHATTEN_JOIN(a, b, c) registers_##a##b##c
#define SCHATTEN_EXPAND(a, b, c) SCHATTEN_JOIN(a, b, c)
#define SCHATTEN_HOST_CODE SCHATTEN_EXPAND(SCHATTEN_REGISTER_BYTES, SCHATTEN_FMA, SCHATTEN_OPENMP)

namespace schatten::inline SCHATTEN_HOST_CODE {

/// Bytes of a vector register of the processor that this unit is compiled for.
inline constexpr std::size_t register_bytes = SCHATTEN_REGISTER_BYTES;

}  // namespace schatten::inline SCHATTEN_HOST_CODE
