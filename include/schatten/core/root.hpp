// SPDX-License-Identifier: BSD-3-Clause
// A square root for loops that compilers can vectorize.
#pragma once

#include <schatten/core/concepts.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace schatten::math {

namespace detail {

template <class T>
using BitsOf = std::conditional_t<std::is_same_v<T, float>, std::uint32_t, std::uint64_t>;

/// √x for normal x: an estimate of 1/√x by halving the exponent (error 0.04), Newton's steps, which square the error,
/// and one of √x itself.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION T root_of_normal(T x) {
  constexpr bool is_float = std::is_same_v<T, float>;
  using Bits = BitsOf<T>;
  constexpr Bits estimate = is_float ? Bits(0x5f375a86) : Bits(0x5fe6eb50c7b537a9ULL);
  T inverse = std::bit_cast<T>(Bits(estimate - (std::bit_cast<Bits>(x) >> 1)));
  const T half = T(0.5) * x;
  inverse *= T(1.5) - half * inverse * inverse;  // written out: an inner loop would keep the outer one scalar
  inverse *= T(1.5) - half * inverse * inverse;
  if constexpr (!is_float) inverse *= T(1.5) - half * inverse * inverse;
  const T root = x * inverse;
  return root + T(0.5) * inverse * (x - root * root);
}

}  // namespace detail

/// Returns √x, within one unit in the last place; 0 for 0, infinity for infinity. It does not set errno, so loops over
/// it can be vectorized with any compiler flags. @pre x is not NaN and not negative.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION T root(T x) {
#if defined(__NO_MATH_ERRNO__) || defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__)
  return math::sqrt(x);
#else
  constexpr bool is_float = std::is_same_v<T, float>;
  using Bits = detail::BitsOf<T>;
  // Masks instead of branches.
  constexpr Bits least_normal = std::bit_cast<Bits>(is_float ? T(0x1p-100) : T(0x1p-900));
  constexpr Bits infinity = is_float ? Bits(0x7f800000U) : Bits(0x7ff0000000000000ULL);
  const Bits bits = std::bit_cast<Bits>(x);
  // Subnormal numbers are multiplied by an even power of two: the estimate holds for normal numbers.
  const Bits is_small = Bits(0) - Bits(bits < least_normal), is_finite = Bits(0) - Bits(bits < infinity);
  const auto choose = [](Bits mask, T chosen) {
    constexpr Bits one = std::bit_cast<Bits>(T(1));
    return std::bit_cast<T>(Bits(one + (mask & (std::bit_cast<Bits>(chosen) - one))));
  };
  const T lift = choose(is_small, is_float ? T(0x1p64) : T(0x1p256));
  const T lower = choose(is_small, is_float ? T(0x1p-32) : T(0x1p-128));
  const T finite = std::bit_cast<T>(Bits(bits & is_finite));
  const Bits result = std::bit_cast<Bits>(detail::root_of_normal(finite * lift) * lower);
  return std::bit_cast<T>(Bits((result & is_finite) | (bits & ~is_finite)));
#endif
}

inline namespace SCHATTEN_HOST_CODE {

/// x_k ← √x_k for k < count, on the host. @pre count is a multiple of 64. It uses the processor's vector instruction,
/// which rounds correctly, if this header has it, otherwise `root`.
template <Scalar T>
void roots(T* x, std::size_t count) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    for (std::size_t k = 0; k < count; k += 16) _mm512_storeu_ps(x + k, _mm512_sqrt_ps(_mm512_loadu_ps(x + k)));
  } else {
    for (std::size_t k = 0; k < count; k += 8) _mm512_storeu_pd(x + k, _mm512_sqrt_pd(_mm512_loadu_pd(x + k)));
  }
#elif defined(__AVX__)
  if constexpr (std::is_same_v<T, float>) {
    for (std::size_t k = 0; k < count; k += 8) _mm256_storeu_ps(x + k, _mm256_sqrt_ps(_mm256_loadu_ps(x + k)));
  } else {
    for (std::size_t k = 0; k < count; k += 4) _mm256_storeu_pd(x + k, _mm256_sqrt_pd(_mm256_loadu_pd(x + k)));
  }
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<T, float>) {
    for (std::size_t k = 0; k < count; k += 4) _mm_storeu_ps(x + k, _mm_sqrt_ps(_mm_loadu_ps(x + k)));
  } else {
    for (std::size_t k = 0; k < count; k += 2) _mm_storeu_pd(x + k, _mm_sqrt_pd(_mm_loadu_pd(x + k)));
  }
#else
  for (std::size_t k = 0; k < count; ++k) x[k] = root(x[k]);
#endif
}

}  // namespace SCHATTEN_HOST_CODE

/// A power of two between x/4 and x, and its reciprocal, both normal. In this unit squares of numbers up to x neither
/// overflow nor underflow. @pre x is not NaN and not negative.
template <Scalar T>
struct Unit {
  T unit;     ///< a power of two
  T inverse;  ///< 1 / unit
  /// The unit for numbers up to x.
  KOKKOS_FORCEINLINE_FUNCTION explicit Unit(T x) {
    using Bits = detail::BitsOf<T>;
    constexpr bool is_float = std::is_same_v<T, float>;
    constexpr Bits exponents = is_float ? Bits(0x7f800000U) : Bits(0x7ff0000000000000ULL);
    constexpr Bits least = is_float ? Bits(0x00800000U) : Bits(0x0010000000000000ULL);
    constexpr Bits most = exponents - 2 * least;  // the reciprocal of anything larger is subnormal
    const Bits exponent = std::bit_cast<Bits>(x) & exponents, raised = exponent < least ? least : exponent;
    const Bits bounded = raised > most ? most : raised;
    unit = std::bit_cast<T>(bounded);
    inverse = std::bit_cast<T>(Bits(exponents - least - bounded));
  }
};

}  // namespace schatten::math
