// SPDX-License-Identifier: BSD-3-Clause
// Counter-based random bits, and stochastic rounding: with it a 16-bit weight moves on average by less than its
// spacing.
//
// The bits are a function of (seed, step, name, element) only. They do not depend on threads, devices, buckets or the
// order of calls, and nothing but the seed has to be stored between steps.
#pragma once

#include <schatten/core/reduced_float.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace schatten {

/// 128 bits: a counter, or a block of random bits. Word 0 holds the lowest.
struct RandomBlock {
  std::uint32_t word[4];
};

namespace detail {

/// One round of Philox4x32 on four words, with the round's key.
KOKKOS_FUNCTION constexpr void philox_round(std::uint32_t& w0, std::uint32_t& w1, std::uint32_t& w2, std::uint32_t& w3,
                                            std::uint32_t key_low, std::uint32_t key_high) {
  const std::uint64_t first = 0xd2511f53ULL * w0, third = 0xcd9e8d57ULL * w2;
  w0 = static_cast<std::uint32_t>(third >> 32) ^ w1 ^ key_low;
  w1 = static_cast<std::uint32_t>(third);
  w2 = static_cast<std::uint32_t>(first >> 32) ^ w3 ^ key_high;
  w3 = static_cast<std::uint32_t>(first);
}

/// Increments of the two halves of the key from round to round.
inline constexpr std::uint32_t philox_low_step = 0x9e3779b9U, philox_high_step = 0xbb67ae85U;

}  // namespace detail

/// Philox4x32-10 of a counter under a key: ten rounds of two products of 32 bits each, a bijection of the counters.
/// Cost: some 80 instructions. Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
KOKKOS_FUNCTION constexpr RandomBlock philox(RandomBlock counter, std::uint64_t key) {
  auto low = static_cast<std::uint32_t>(key), high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, low += detail::philox_low_step, high += detail::philox_high_step) {
    detail::philox_round(counter.word[0], counter.word[1], counter.word[2], counter.word[3], low, high);
  }
  return counter;
}

namespace detail {

/// A bijection of 64 bits, each of which depends on all. Source: Steele et al., Fast splittable pseudorandom number
/// generators (OOPSLA 2014), with the constants of Stafford's thirteenth variant.
constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace detail

/// A key for the parameter `name`: the FNV-1a hash of its bytes, started from `seed`, and mixed once more. The same on
/// every platform. Two of n names share a key with probability n²·2^-65.
constexpr std::uint64_t random_key(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ detail::mixed(seed + 0x9e3779b97f4a7c15ULL);
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x00000100000001b3ULL;
  return detail::mixed(hash);
}

/// The random bits of one parameter in one step: 16 for each element.
///
/// Element e has the part e mod 8 of the Philox block whose counter is (e div 8, step), 64 bits each. Elements are
/// numbered in the user's row-major order.
struct RandomBits {
  std::uint64_t key;   ///< by random_key
  std::uint64_t step;  ///< number of the step

  /// The bits of elements 8·number to 8·number + 7, lowest first.
  [[nodiscard]] KOKKOS_FUNCTION constexpr RandomBlock block(std::uint64_t number) const {
    return philox({{static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32),
                    static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32)}},
                  key);
  }

  /// The bits of one element, below 2^16. Cost: that of a whole block.
  [[nodiscard]] KOKKOS_FUNCTION constexpr std::uint32_t sixteen(std::uint64_t element) const {
    return part(block(element / 8), element % 8);
  }

  /// to[k] ← sixteen(element[k]), for a fixed number of elements in a kernel. Cost: one block for neighbours in it.
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void each(const std::uint64_t* element, std::uint32_t* to) const {
    std::uint64_t number = element[0] / 8;
    RandomBlock bits = block(number);
    for (std::size_t k = 0; k < count; ++k) {
      if (element[k] / 8 != number) bits = block(number = element[k] / 8);
      const std::uint64_t at = element[k] % 8;  // no index at run time, so that the words stay in registers
      const std::uint32_t low = at < 2 ? bits.word[0] : bits.word[1], high = at < 6 ? bits.word[2] : bits.word[3];
      to[k] = ((at < 4 ? low : high) >> (at % 2 * 16)) & 0xffffU;
    }
  }

  /// to[k] ← sixteen(first + k) for k < count. Cost: one block for eight elements, vectorised.
  void fill(std::uint64_t first, std::size_t count, std::uint16_t* to) const {
    constexpr std::size_t blocks = 16;
    std::size_t done = 0;
    while (done < count) {
      const std::uint64_t element = first + done, number = element / 8;
      if (element % 8 == 0 && count - done >= 8 * blocks) {
        fill_blocks<blocks>(number, to + done);
        done += 8 * blocks;
        continue;
      }
      const RandomBlock bits = block(number);
      for (std::uint64_t k = element % 8; k < 8 && done < count; ++k) {
        to[done++] = static_cast<std::uint16_t>(part(bits, k));
      }
    }
  }

 private:
  KOKKOS_FUNCTION static constexpr std::uint32_t part(const RandomBlock& bits, std::uint64_t k) {
    return (bits.word[k / 2] >> (k % 2 * 16)) & 0xffffU;
  }

  /// The bits of several consecutive blocks, computed together.
  template <std::size_t blocks>
  void fill_blocks(std::uint64_t number, std::uint16_t* to) const {
    std::uint32_t w0[blocks], w1[blocks], w2[blocks], w3[blocks];
    for (std::size_t b = 0; b < blocks; ++b) {
      w0[b] = static_cast<std::uint32_t>(number + b);
      w1[b] = static_cast<std::uint32_t>((number + b) >> 32);
      w2[b] = static_cast<std::uint32_t>(step);
      w3[b] = static_cast<std::uint32_t>(step >> 32);
    }
    auto low = static_cast<std::uint32_t>(key), high = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round, low += detail::philox_low_step, high += detail::philox_high_step) {
      for (std::size_t b = 0; b < blocks; ++b) detail::philox_round(w0[b], w1[b], w2[b], w3[b], low, high);
    }
    for (std::size_t b = 0; b < blocks; ++b) {
      const RandomBlock bits{{w0[b], w1[b], w2[b], w3[b]}};
      for (std::size_t k = 0; k < 8; ++k) to[8 * b + k] = static_cast<std::uint16_t>(part(bits, k));
    }
  }
};

namespace detail {

/// The nearest float; finite if x is finite.
KOKKOS_FUNCTION inline float nearest_finite(double x) {
  constexpr std::uint64_t sign = 1ULL << 63, infinity = 0x7ff0000000000000ULL;
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x));
  const bool too_large = (bits & ~float_sign) == float_infinity && (std::bit_cast<std::uint64_t>(x) & ~sign) < infinity;
  return std::bit_cast<float>(bits - (too_large ? 1U : 0U));
}

/// `rounded`, the bits of |x| after rounding, with the sign of x. A finite x gives at most the largest finite number.
/// Infinity stays, a NaN becomes quiet. `fraction` is the number of fraction bits of the format.
template <int fraction>
KOKKOS_FUNCTION constexpr std::uint16_t stochastic_result(float x, std::int32_t rounded) {
  constexpr std::int32_t infinite = (0x7fff >> fraction) << fraction, quiet = 1 << (fraction - 1);
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto size = static_cast<std::int32_t>(bits & ~float_sign), infinity = static_cast<std::int32_t>(float_infinity);
  const std::int32_t is_finite = (size - infinity) >> 31, is_nan = (infinity - size) >> 31;  // masks: vectorisable
  const std::int32_t number = (smaller(rounded, infinite - 1) & is_finite) | (infinite & ~is_finite) | (quiet & is_nan);
  return static_cast<std::uint16_t>(static_cast<std::uint32_t>(number) | ((bits & float_sign) >> 16));
}

}  // namespace detail

/// x rounded to one of its two neighbours lo ≤ x ≤ hi in bfloat16: to hi with probability (x − lo)/(hi − lo), if bits16
/// is uniform in [0, 2^16); exactly for float. A representable x and infinity stay; a NaN becomes quiet. A finite x
/// beyond the largest number becomes the largest number. The result for −x is the negative of that for x.
KOKKOS_FUNCTION constexpr BFloat16 stochastic_bfloat16(float x, std::uint32_t bits16) {
  const std::uint32_t size = std::bit_cast<std::uint32_t>(x) & ~detail::float_sign;
  const auto rounded = static_cast<std::int32_t>((size + bits16) >> 16);
  return std::bit_cast<BFloat16>(detail::stochastic_result<7>(x, rounded));
}

/// The same in binary16. The probability is that of x truncated to 2^-16 of the spacing, which is exact for normal
/// numbers.
KOKKOS_FUNCTION constexpr Half stochastic_half(float x, std::uint32_t bits16) {
  constexpr std::int32_t smallest_normal = 0x38800000;  // 2^-14
  const auto size = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x) & ~detail::float_sign);
  const auto random = static_cast<std::int32_t>(bits16);
  // Below, the spacing is 2^-24: x in units of 2^-40 has 16 bits below the last one kept.
  const float lower = std::bit_cast<float>(detail::smaller(size, smallest_normal));
  const std::int32_t below = (static_cast<std::int32_t>(lower * 0x1p40F) + random) >> 16;
  const std::int32_t normal = (size - smallest_normal + (random >> 3) + (1 << 23)) >> 13;
  const std::int32_t is_below = (size - smallest_normal) >> 31;
  return std::bit_cast<Half>(detail::stochastic_result<10>(x, (below & is_below) | (normal & ~is_below)));
}

/// The same of a double, which is first rounded to the nearest finite float: the mean of the result.
KOKKOS_FUNCTION inline BFloat16 stochastic_bfloat16(double x, std::uint32_t bits16) {
  return stochastic_bfloat16(detail::nearest_finite(x), bits16);
}
KOKKOS_FUNCTION inline Half stochastic_half(double x, std::uint32_t bits16) {
  return stochastic_half(detail::nearest_finite(x), bits16);
}

}  // namespace schatten
