// SPDX-License-Identifier: BSD-3-Clause
// Storage types with fewer bits than float. Arithmetic is done in float or double, so there are conversions and no
// operators.
//
// Conversions to float and double are exact; those from them round once, to nearest, ties to even (the rounding
// mode is taken to be that). Numbers that are too large become infinite. A NaN becomes a quiet NaN, on the host of the
// same sign. No conversion raises FE_INVALID.
#pragma once

#include <schatten/core/concepts.hpp>

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace schatten {

namespace detail {

inline constexpr std::uint32_t float_sign = 0x80000000U, float_infinity = 0x7f800000U, float_quiet = 0x00400000U;

/// The bits of a float; a NaN is made quiet.
KOKKOS_FUNCTION constexpr std::uint32_t quieted(std::uint32_t bits) {
  return (bits & ~float_sign) > float_infinity ? bits | float_quiet : bits;
}

/// x in 24 bits, rounded to odd: truncated, and the last bit set if truncation lost anything. Rounding the result
/// again, to 22 bits or fewer, gives what rounding x once would give (no double rounding). Zero and infinity become the
/// smallest and the largest float, which round to zero and infinity.
KOKKOS_FUNCTION constexpr float rounded_to_odd(double x) {
  constexpr std::uint64_t infinity = 0x7ff0000000000000ULL;
  constexpr std::uint64_t smallest_normal = 0x3810000000000000ULL, largest = 0x47efffffffffffffULL;  // 2^-126, < 2^128
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t size = bits & ~(1ULL << 63);
  const auto sign = static_cast<std::uint32_t>(bits >> 32) & float_sign;
  if (size > infinity) return std::bit_cast<float>(sign | float_infinity | float_quiet);
  std::uint64_t kept = (size < largest ? size : largest) - ((1023ULL - 127ULL) << 52), shift = 52 - 23;
  if (size < smallest_normal) {  // a subnormal float: its last bit is worth 2^-149
    const std::uint64_t distance = 1023 - 149 + 52 - (size >> 52);
    kept = (size & ((1ULL << 52) - 1)) | 1ULL << 52;
    shift = distance < 63 ? distance : 63;
  }
  const std::uint64_t lost = kept & ((1ULL << shift) - 1);
  return std::bit_cast<float>(sign | static_cast<std::uint32_t>(kept >> shift) | (lost == 0 ? 0U : 1U));
}

/// The smaller and the larger of two, without a comparison: g++ would make a branch of it and not vectorise.
KOKKOS_FUNCTION constexpr std::int32_t smaller(std::int32_t a, std::int32_t b) {
  return a + ((b - a) & ((b - a) >> 31));
}
KOKKOS_FUNCTION constexpr std::int32_t larger(std::int32_t a, std::int32_t b) {
  return a - ((a - b) & ((a - b) >> 31));
}

/// The bits of x as binary16.
KOKKOS_FUNCTION constexpr std::uint16_t half_bits(float x) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) {
    std::uint16_t converted;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(converted) : "f"(x));
    return converted;
  }
#endif
  constexpr std::int32_t smallest_normal = 0x38800000, beyond = 0x47800000, infinity = 0x7f800000;  // 2^-14, 2^16, ∞
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto size = static_cast<std::int32_t>(bits & ~float_sign);
  const std::int32_t cut = smaller(size, beyond);
  // At 2^13 times the power of two below x, the last bit of a float is worth what that of binary16 is at x. So the
  // addition rounds, and increases the bits by the fraction of binary16 with its leading one.
  const std::int32_t exponent = larger(cut & infinity, smallest_normal), power = exponent + (13 << 23);
  const auto sum = std::bit_cast<std::int32_t>(std::bit_cast<float>(cut) + std::bit_cast<float>(power));
  const std::int32_t number = ((exponent - smallest_normal) >> 13) + (sum - power);
  const std::uint32_t quiet = size > infinity ? 0x0200U : 0U;
  return static_cast<std::uint16_t>(static_cast<std::uint32_t>(number) | quiet | ((bits & float_sign) >> 16));
}

/// The value of the bits of a binary16.
KOKKOS_FUNCTION constexpr float half_value(std::uint16_t bits) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) {
    float converted;
    asm("cvt.f32.f16 %0, %1;" : "=f"(converted) : "h"(bits));
    return converted;
  }
#endif
  constexpr std::int32_t smallest_normal = 0x38800000, rebiased = (127 - 15) << 23;  // 2^-14
  const std::int32_t size = bits & 0x7fff;
  // A subnormal number has no leading one: it is added, and subtracted again.
  const std::int32_t exponent = size < 0x0400 ? smallest_normal : rebiased;
  const std::int32_t excess = size < 0x0400 ? smallest_normal : 0;
  const float finite = std::bit_cast<float>((size << 13) + exponent) - std::bit_cast<float>(excess);
  const std::uint32_t beyond = size < 0x7c00 ? 0U : rebiased;  // to be added to the exponent of infinity and NaN
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  return std::bit_cast<float>(sign | quieted(std::bit_cast<std::uint32_t>(finite) + beyond));
}

/// The bits of x as bfloat16.
KOKKOS_FUNCTION constexpr std::uint16_t bfloat16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const bool nan = (bits & ~float_sign) > float_infinity;
  return static_cast<std::uint16_t>((nan ? bits | float_quiet : bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

/// The bits of x rounded to 10 bits of fraction.
KOKKOS_FUNCTION constexpr std::uint32_t tensor_float_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const bool nan = (bits & ~float_sign) > float_infinity;
  return (nan ? bits | float_quiet : bits + 0xfffU + ((bits >> 13) & 1U)) & ~0x1fffU;
}

}  // namespace detail

/// IEEE binary16: 5 bits of exponent, 10 of fraction. Has the memory of __half.
struct Half {
  std::uint16_t bits;  ///< as in memory

  Half() = default;
  /// Rounds to nearest, ties to even.
  KOKKOS_FUNCTION constexpr explicit Half(float x) : bits(detail::half_bits(x)) {}
  /// Rounds once, to nearest, ties to even.
  KOKKOS_FUNCTION constexpr explicit Half(double x) : bits(detail::half_bits(detail::rounded_to_odd(x))) {}
  /// Exact.
  KOKKOS_FUNCTION constexpr explicit operator float() const { return detail::half_value(bits); }
  /// Exact.
  KOKKOS_FUNCTION constexpr explicit operator double() const { return double(detail::half_value(bits)); }
};

/// The upper half of a float: 8 bits of exponent, 7 of fraction. Has the memory of __nv_bfloat16. The
/// conversion to float is a shift, so a signalling NaN, which only other programs can have written, stays signalling.
struct BFloat16 {
  std::uint16_t bits;  ///< as in memory

  BFloat16() = default;
  /// Rounds to nearest, ties to even.
  KOKKOS_FUNCTION constexpr explicit BFloat16(float x) : bits(detail::bfloat16_bits(x)) {}
  /// Rounds once, to nearest, ties to even.
  KOKKOS_FUNCTION constexpr explicit BFloat16(double x) : bits(detail::bfloat16_bits(detail::rounded_to_odd(x))) {}
  /// Exact.
  KOKKOS_FUNCTION constexpr explicit operator float() const { return std::bit_cast<float>(std::uint32_t(bits) << 16); }
  /// Exact.
  KOKKOS_FUNCTION constexpr explicit operator double() const {
    return double(std::bit_cast<float>(detail::quieted(std::uint32_t(bits) << 16)));
  }
};

/// A float with 10 bits of fraction, as tensor cores read float. Has the memory of float; a library may have written
/// more bits there, which are kept.
struct TensorFloat32 {
  std::uint32_t bits;  ///< as in memory

  TensorFloat32() = default;
  /// Rounds to nearest, ties to even.
  KOKKOS_FUNCTION constexpr explicit TensorFloat32(float x) : bits(detail::tensor_float_bits(x)) {}
  /// Rounds once, to nearest, ties to even.
  KOKKOS_FUNCTION constexpr explicit TensorFloat32(double x) : TensorFloat32(detail::rounded_to_odd(x)) {}
  /// Exact.
  KOKKOS_FUNCTION constexpr explicit operator float() const { return std::bit_cast<float>(bits); }
  /// Exact.
  KOKKOS_FUNCTION constexpr explicit operator double() const {
    return double(std::bit_cast<float>(detail::quieted(bits)));
  }
};

/// The types of this header.
template <class T>
concept ReducedFloat = std::same_as<T, Half> || std::same_as<T, BFloat16> || std::same_as<T, TensorFloat32>;

/// A type that matrices may be stored as.
template <class T>
concept Element = Scalar<T> || ReducedFloat<T>;

/// The type in which numbers stored as T are computed and summed.
template <Element T>
using Sum = std::conditional_t<ReducedFloat<T>, float, T>;

namespace detail {

/// std::numeric_limits of a 16-bit type with `fraction` fraction bits. Members that are not listed are those of float.
template <ReducedFloat T, int fraction>
struct Limits : std::numeric_limits<float> {
  static constexpr int digits = fraction + 1, digits10 = fraction * 301 / 1000, max_digits10 = 2 + digits * 301 / 1000;
  static constexpr int max_exponent = 1 << (14 - fraction), min_exponent = 3 - max_exponent;

  KOKKOS_FUNCTION static constexpr T(min)() noexcept { return number(1 << fraction); }
  KOKKOS_FUNCTION static constexpr T(max)() noexcept { return number(infinite - 1); }
  KOKKOS_FUNCTION static constexpr T lowest() noexcept { return number(0x8000 | (infinite - 1)); }
  KOKKOS_FUNCTION static constexpr T epsilon() noexcept { return number((max_exponent - digits) << fraction); }
  KOKKOS_FUNCTION static constexpr T round_error() noexcept { return number((max_exponent - 2) << fraction); }
  KOKKOS_FUNCTION static constexpr T infinity() noexcept { return number(infinite); }
  KOKKOS_FUNCTION static constexpr T quiet_NaN() noexcept { return number(infinite | 1 << (fraction - 1)); }
  KOKKOS_FUNCTION static constexpr T signaling_NaN() noexcept { return number(infinite | 1 << (fraction - 2)); }
  KOKKOS_FUNCTION static constexpr T denorm_min() noexcept { return number(1); }

 private:
  static constexpr int infinite = (0x7fff >> fraction) << fraction;
  KOKKOS_FUNCTION static constexpr T number(int bits) { return std::bit_cast<T>(static_cast<std::uint16_t>(bits)); }
};

}  // namespace detail

}  // namespace schatten

// The functions return the type itself: double(std::numeric_limits<schatten::Half>::epsilon()) is the number.

template <>
struct std::numeric_limits<schatten::Half> : schatten::detail::Limits<schatten::Half, 10> {
  static constexpr int min_exponent10 = -4, max_exponent10 = 4;
};

template <>
struct std::numeric_limits<schatten::BFloat16> : schatten::detail::Limits<schatten::BFloat16, 7> {
  static constexpr bool is_iec559 = false;
};

template <>
struct std::numeric_limits<schatten::TensorFloat32> : std::numeric_limits<float> {
  static constexpr bool is_iec559 = false;
  static constexpr int digits = 11, digits10 = 3, max_digits10 = 5;
  KOKKOS_FUNCTION static constexpr schatten::TensorFloat32 epsilon() noexcept {
    return schatten::TensorFloat32(0x1p-10F);
  }
};
