// SPDX-License-Identifier: BSD-3-Clause
// Philox against its published answers, the bits of elements over any cut of them, stochastic rounding at every
// pattern.
// labels: portable

#include <schatten/core/random_bits.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace schatten;

constexpr bool gives(RandomBlock counter, std::uint64_t key, RandomBlock expected) {
  const RandomBlock block = philox(counter, key);
  return std::equal(block.word, block.word + 4, expected.word);
}

// Random123's file of known answers: zeros, ones, digits of π.
static_assert(gives({{0, 0, 0, 0}}, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
static_assert(gives({{~0U, ~0U, ~0U, ~0U}}, ~0ULL, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
static_assert(gives({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822,
                    {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));

// What a program in another language makes of the definitions: stored training runs depend on them.
constexpr RandomBits bits_of_a_step{random_key(1, "layers.0.weight"), 0x200000003};
static_assert(random_key(0, "") == 0xaebe53f85cdc3c4c);
static_assert(random_key(1, "layers.0.weight") == 0xe15ebb0947158fd8);
static_assert(random_key(~0ULL, "\xc3\xa9") == 0xcd89c0f347617577);
static_assert(bits_of_a_step.sixteen(0) == 0xd70b && bits_of_a_step.sixteen(1) == 0x042e);
static_assert(bits_of_a_step.sixteen(7) == 0xb151 && bits_of_a_step.sixteen(8) == 0x7b23);
static_assert(bits_of_a_step.sixteen((1ULL << 35) + 13) == 0x7be1);

constexpr int patterns = 1 << 16, sign = 1 << 15;

template <ReducedFloat T>
constexpr int infinite = std::numeric_limits<T>::infinity().bits;

template <ReducedFloat T>
T from_bits(int bits) {
  return std::bit_cast<T>(static_cast<std::uint16_t>(bits));
}

template <ReducedFloat T, class X>
T rounded(X x, int bits16) {
  if constexpr (std::same_as<T, Half>) {
    return stochastic_half(x, static_cast<std::uint32_t>(bits16));
  } else {
    return stochastic_bfloat16(x, static_cast<std::uint32_t>(bits16));
  }
}

/// The mean of x rounded, over all 2^16 bits; not a number if one result is neither neighbour of x or −x is not
/// opposite.
template <ReducedFloat T, class X>
double mean(X x) {
  const auto cut = [&] {  // the neighbour towards zero
    const int nearest = T(std::abs(x)).bits;
    return nearest > 0 && std::abs(double(from_bits<T>(nearest))) > std::abs(x) ? nearest - 1 : nearest;
  }();
  double sum = 0;
  bool right = true;
  for (int bits16 = 0; bits16 < patterns; ++bits16) {
    const int bits = rounded<T>(x, bits16).bits, size = bits & ~sign;
    right = right && (size == cut || size == cut + 1) && rounded<T>(-x, bits16).bits == (bits ^ sign);
    sum += double(from_bits<T>(bits));
  }
  return right ? sum / patterns : std::numeric_limits<double>::quiet_NaN();
}

struct Rounding {
  Kokkos::View<const float*> from;
  Kokkos::View<BFloat16*> bfloat16;
  Kokkos::View<Half*> half;
  RandomBits bits;
  KOKKOS_FUNCTION void operator()(std::size_t i) const {
    bfloat16(i) = stochastic_bfloat16(from(i), bits.sixteen(i));
    half(i) = stochastic_half(double(from(i)), bits.sixteen(i));
  }
};

}  // namespace

TEST_CASE("the bits of a range are those of its elements, however it is cut") {
  const RandomBits bits{random_key(3, "w"), 17};
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{5}, (std::uint64_t{1} << 35) - 300}) {
    std::vector<std::uint16_t> expected(700);
    for (std::size_t k = 0; k < expected.size(); ++k) {
      expected[k] = static_cast<std::uint16_t>(bits.sixteen(first + k));
    }
    for (const std::size_t length : {1U, 3U, 8U, 64U, 127U, 128U, 129U, 256U, 700U}) {
      std::vector<std::uint16_t> filled(expected.size() + 1, 0xabcd);
      for (std::size_t done = 0; done < expected.size(); done += length) {
        bits.fill(first + done, std::min(length, expected.size() - done), filled.data() + done);
      }
      CHECK(filled.back() == 0xabcd);
      filled.pop_back();
      CHECK(filled == expected);
    }
  }
}

TEST_CASE("keys differ by seed and by name") {
  std::set<std::uint64_t> keys;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (int layer = 0; layer < 500; ++layer) keys.insert(random_key(seed, "layers." + std::to_string(layer)));
  }
  CHECK(keys.size() == 10000);
}

TEST_CASE("bits are uniform over elements, steps and keys") {
  constexpr std::size_t count = 1 << 18;
  std::vector<std::uint16_t> values;
  const auto add = [&](std::uint64_t key, std::uint64_t step, std::size_t length) {
    values.resize(values.size() + length);
    RandomBits{key, step}.fill(0, length, values.data() + values.size() - length);
  };
  SUBCASE("elements") { add(random_key(1, "a"), 1, count); }
  SUBCASE("steps") {
    for (std::uint64_t step = 0; step < count / 8; ++step) add(random_key(1, "a"), step, 8);
  }
  SUBCASE("names") {
    for (std::size_t k = 0; k < count / 8; ++k) add(random_key(1, std::to_string(k)), 1, 8);
  }
  double sum = 0;
  int ones[16] = {};
  for (const std::uint16_t value : values) {
    sum += value;
    for (int bit = 0; bit < 16; ++bit) ones[bit] += (value >> bit) & 1;
  }
  CHECK(std::abs(sum / count - 32767.5) < 5 * 18918.0 / std::sqrt(count));  // five standard deviations
  for (const int number : ones) CHECK(std::abs(number - double(count) / 2) < 5 * 0.5 * std::sqrt(count));
}

TEST_CASE_TEMPLATE("what the format holds stays as it is, NaN becomes quiet, and nothing is raised", T, Half,
                   BFloat16) {
  std::feclearexcept(FE_ALL_EXCEPT);
  const int quiet = std::numeric_limits<T>::quiet_NaN().bits;
  int failures = 0;
  for (int bits = 0; bits < patterns; ++bits) {
    const auto single = float(from_bits<T>(bits));
    const bool nan = (bits & ~sign) > infinite<T>;
    for (const int bits16 : {0, 1, 0x1234, 0x8000, 0xffff}) {
      const int result = rounded<T>(single, bits16).bits;
      const bool right = nan ? (result & ~sign) > infinite<T> && (result & quiet) == quiet : result == bits;
      failures += right && ((result ^ bits) & sign) == 0 ? 0 : 1;
      if (!nan) failures += rounded<T>(double(single), bits16).bits == bits ? 0 : 1;
    }
  }
  CHECK(failures == 0);
  const int twice = rounded<T>(std::numeric_limits<double>::quiet_NaN(), 0xffff).bits;
  CHECK(((twice & ~sign) > infinite<T> && (twice & quiet) == quiet));
  const auto barely = std::bit_cast<float>(0x7f800001U);  // a NaN whose marks the format cuts off
  CHECK((rounded<T>(barely, 0).bits & ~sign) > infinite<T>);
  CHECK(std::fetestexcept(FE_INVALID) == 0);
}

TEST_CASE_TEMPLATE("the mean over all bits is x", T, Half, BFloat16) {
  using Limits = std::numeric_limits<T>;
  const double smallest = double(Limits::denorm_min()), normal = double(Limits::min());
  for (const float scale :
       {1.0F, 1.5F, 0x1p-3F, 0x1p7F, static_cast<float>(normal), static_cast<float>(40 * smallest)}) {
    for (const float excess : {0x1p-3F, 0x1p-9F, 0x1.8p-10F, 0x1.2345p-5F, 0x1.ffep-1F}) {
      const float x = scale * (1 + excess * float(Limits::epsilon()));
      CHECK(std::abs(mean<T>(x) - double(x)) <= (x < static_cast<float>(2 * normal) ? smallest / patterns : 0));
      CHECK(std::abs(mean<T>(double(x)) - double(x)) <= (x < static_cast<float>(2 * normal) ? smallest / patterns : 0));
    }
  }
  for (const double part : {0.0001, 0.25, 0.7, 0.99}) {  // between zero and the smallest number
    const auto x = static_cast<float>(part * smallest);
    CHECK(std::abs(mean<T>(x) - double(x)) <= smallest / patterns);
  }
  const double third = 1.0 / 3;  // of a double, the nearest float
  CHECK(mean<T>(third) == double(static_cast<float>(third)));
}

TEST_CASE_TEMPLATE("no finite number becomes infinite, no infinity finite", T, Half, BFloat16) {
  const double largest = double(std::numeric_limits<T>::max());
  for (const double x : {largest * (1 + 0x1p-20), 1.5 * largest, double(std::numeric_limits<float>::max()), 1e300}) {
    for (const int bits16 : {0, 0x7fff, 0xffff}) {
      CHECK(double(rounded<T>(x, bits16)) == largest);
      CHECK(double(rounded<T>(-x, bits16)) == -largest);
      if (x > double(std::numeric_limits<float>::max())) continue;
      CHECK(double(rounded<T>(static_cast<float>(x), bits16)) == largest);
      CHECK(double(rounded<T>(static_cast<float>(-x), bits16)) == -largest);
    }
  }
  CHECK(double(rounded<T>(HUGE_VAL, 0)) == HUGE_VAL);
  CHECK(double(rounded<T>(-HUGE_VALF, 0xffff)) == -HUGE_VAL);
  CHECK(rounded<T>(-0.0, 0xffff).bits == sign);
  CHECK(rounded<T>(std::numeric_limits<double>::denorm_min(), 0xffff).bits == 0);
}

TEST_CASE("a weight moves on the average as far as its steps say, though each is below half its spacing") {
  constexpr std::size_t count = 4096;
  constexpr int steps = 256;
  constexpr float move = 0x1p-10F;  // an eighth of the spacing
  std::vector<std::uint16_t> bits(count);
  std::vector<BFloat16> weights(count, BFloat16(1.0F));
  for (int step = 0; step < steps; ++step) {
    RandomBits{random_key(5, "w"), static_cast<std::uint64_t>(step)}.fill(0, count, bits.data());
    for (std::size_t k = 0; k < count; ++k) weights[k] = stochastic_bfloat16(float(weights[k]) + move, bits[k]);
  }
  double sum = 0;
  for (const BFloat16 weight : weights) sum += double(weight);
  const double deviation = 0x1p-7 * std::sqrt(steps * 0.125 * 0.875 / count);
  CHECK(std::abs(sum / count - (1 + double(move) * steps)) < 5 * deviation);
  CHECK(float(BFloat16(1.0F + move)) == 1.0F);  // to the nearest it would rest
}

TEST_CASE("a kernel makes the same bits and the same numbers") {
  constexpr std::size_t count = 10000;
  using Exec = Kokkos::DefaultExecutionSpace;
  const RandomBits bits{random_key(9, "kernel"), 2};
  const Kokkos::View<float*> from("from", count);
  const Rounding rounding{from, Kokkos::View<BFloat16*>("bfloat16", count), Kokkos::View<Half*>("half", count), bits};
  std::vector<float> values(count);
  for (std::size_t k = 0; k < count; ++k) {
    values[k] = static_cast<float>(std::ldexp(1 + double(bits.sixteen(k)) / 65000, int(k % 50) - 30));
  }
  Kokkos::deep_copy(from, Kokkos::View<const float*, Kokkos::HostSpace>(values.data(), count));
  Kokkos::parallel_for("round", Kokkos::RangePolicy<Exec>(0, count), rounding);
  std::vector<BFloat16> bfloat16(count);
  std::vector<Half> half(count);
  Kokkos::deep_copy(Kokkos::View<BFloat16*, Kokkos::HostSpace>(bfloat16.data(), count), rounding.bfloat16);
  Kokkos::deep_copy(Kokkos::View<Half*, Kokkos::HostSpace>(half.data(), count), rounding.half);
  int failures = 0;
  for (std::size_t k = 0; k < count; ++k) {
    failures += bfloat16[k].bits == stochastic_bfloat16(values[k], bits.sixteen(k)).bits ? 0 : 1;
    failures += half[k].bits == stochastic_half(values[k], bits.sixteen(k)).bits ? 0 : 1;
  }
  CHECK(failures == 0);
}
