// SPDX-License-Identifier: BSD-3-Clause
// labels: bare portable
// The types of 16 bits: every pattern to float and double and back, rounding at every midpoint, NaN without a trap.

#include <schatten/core/reduced_float.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace {

using namespace schatten;

constexpr int patterns = 1 << 16, sign = 1 << 15;

/// Bits of the fraction.
template <ReducedFloat T>
constexpr int fraction = std::numeric_limits<T>::digits - 1;

/// The pattern of infinity; those of NaN follow.
template <ReducedFloat T>
constexpr int infinite = (0x7fff >> fraction<T>) << fraction<T>;

template <ReducedFloat T>
T from_bits(int bits) {
  return std::bit_cast<T>(static_cast<std::uint16_t>(bits));
}

template <ReducedFloat T>
bool is_nan(int bits) {
  return (bits & ~sign) > infinite<T>;
}

/// A NaN that does not signal, and has the sign asked for.
template <ReducedFloat T>
bool is_quiet_nan(T x, bool negative) {
  const int quiet = std::numeric_limits<T>::quiet_NaN().bits;
  return (x.bits & quiet) == quiet && (x.bits & sign) == (negative ? sign : 0);
}

/// The number of a pattern by the definition of the format; that of infinity is the power of two it stands at.
template <ReducedFloat T>
double number(int bits) {
  const int size = bits & ~sign, exponent = size >> fraction<T>, leading = 1 << fraction<T>;
  const int significand = (size & (leading - 1)) + (exponent == 0 ? 0 : leading);
  const int unit = std::numeric_limits<T>::min_exponent - std::numeric_limits<T>::digits;  // 2^unit is the smallest
  return std::copysign(std::ldexp(significand, unit + (exponent == 0 ? 0 : exponent - 1)), (bits & sign) ? -1.0 : 1.0);
}

/// The first of the patterns in [0, end) for which `holds` is false; -1 if there is none.
template <class Holds>
int first_failure(int end, const Holds& holds) {
  for (int bits = 0; bits < end; ++bits) {
    if (!holds(bits)) return bits;
  }
  return -1;
}

/// As first_failure, over the patterns below infinity. holds(pattern, neighbour, midpoint, outward), either sign.
template <ReducedFloat T, class Holds>
int first_failure_at_midpoints(const Holds& holds) {
  return first_failure(infinite<T>, [&](int bits) {
    const double midpoint = (number<T>(bits) + number<T>(bits + 1)) / 2;
    return holds(bits, bits + 1, midpoint, std::numeric_limits<double>::infinity()) &&
           holds(sign | bits, sign | (bits + 1), -midpoint, -std::numeric_limits<double>::infinity());
  });
}

/// Positive NaN: each bit of the fraction alone, and all of them. Most signal.
template <class Real, class Bits>
std::vector<Real> nans() {
  constexpr int digits = std::numeric_limits<Real>::digits - 1;
  const Bits infinity = std::bit_cast<Bits>(std::numeric_limits<Real>::infinity());
  std::vector<Real> found = {std::bit_cast<Real>(infinity | ((Bits{1} << digits) - 1))};
  for (int bit = 0; bit < digits; ++bit) found.push_back(std::bit_cast<Real>(infinity | Bits{1} << bit));
  return found;
}

/// `from` into `to`, by conversion.
template <class From, class To, class Space>
struct Convert {
  Kokkos::View<const From*, Space> from;
  Kokkos::View<To*, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t i) const { to(i) = To(from(i)); }
};

/// `values`, converted by a kernel.
template <class To, class From>
std::vector<To> converted_in_kernel(const std::vector<From>& values) {
  using Exec = Kokkos::DefaultExecutionSpace;
  using Space = Exec::memory_space;
  const Kokkos::View<From*, Space> from("from", values.size());
  const Kokkos::View<To*, Space> to("to", values.size());
  std::vector<To> converted(values.size());
  Kokkos::deep_copy(from, Kokkos::View<const From*, Kokkos::HostSpace>(values.data(), values.size()));
  Kokkos::parallel_for("convert", Kokkos::RangePolicy<Exec>(0, values.size()), Convert<From, To, Space>{from, to});
  Kokkos::deep_copy(Kokkos::View<To*, Kokkos::HostSpace>(converted.data(), converted.size()), to);
  return converted;
}

static_assert(sizeof(Half) == 2 && alignof(Half) == 2);
static_assert(std::is_trivial_v<Half> && std::is_trivially_copyable_v<Half> && std::is_standard_layout_v<Half>);
static_assert(sizeof(BFloat16) == 2 && alignof(BFloat16) == 2);
static_assert(std::is_trivial_v<BFloat16> && std::is_trivially_copyable_v<BFloat16>);
static_assert(std::is_standard_layout_v<BFloat16>);

// Nothing converts unless asked.
static_assert(!std::is_convertible_v<float, Half> && !std::is_convertible_v<Half, float>);
static_assert(!std::is_convertible_v<double, BFloat16> && !std::is_convertible_v<BFloat16, double>);
static_assert(!std::is_constructible_v<Half, BFloat16> && !std::is_constructible_v<BFloat16, Half>);

static_assert(ReducedFloat<Half> && ReducedFloat<BFloat16> && !ReducedFloat<float> && !ReducedFloat<std::uint16_t>);
static_assert(Element<Half> && Element<BFloat16> && Element<float> && Element<double> && !Element<int>);
static_assert(!Scalar<Half> && !Scalar<BFloat16>);
static_assert(std::is_same_v<Sum<Half>, float> && std::is_same_v<Sum<BFloat16>, float>);
static_assert(std::is_same_v<Sum<float>, float> && std::is_same_v<Sum<double>, double>);

static_assert(Half(1.0F).bits == 0x3c00 && Half(-2.5).bits == 0xc100 && float(Half(0.1F)) == 0.0999755859375F);
static_assert(BFloat16(1.0F).bits == 0x3f80 && BFloat16(-2.5).bits == 0xc020 && double(BFloat16(0.1)) == 0.10009765625);

}  // namespace

TEST_CASE_TEMPLATE("every pattern is the number that the format says, and comes back", T, Half, BFloat16) {
  const auto right = [](int bits) {
    if (is_nan<T>(bits)) return true;
    const T x = from_bits<T>(bits);
    const auto single = float(x);
    const auto twice = double(x);
    const bool finite = (bits & ~sign) != infinite<T>;
    const double expected = finite ? number<T>(bits) : std::copysign(HUGE_VAL, number<T>(bits));
    return twice == expected && std::signbit(twice) == std::signbit(expected) && double(single) == twice &&
           std::signbit(single) == std::signbit(twice) && T(single).bits == bits && T(twice).bits == bits;
  };
  CHECK(first_failure(patterns, right) == -1);
}

TEST_CASE_TEMPLATE("NaN becomes a quiet NaN, and nothing is raised", T, Half, BFloat16) {
  std::feclearexcept(FE_ALL_EXCEPT);
  const auto right = [](int bits) {
    if (!is_nan<T>(bits)) return true;
    const T x = from_bits<T>(bits);
    const auto twice = double(x);
    return is_quiet_nan(T(float(x)), bits >= sign) && is_quiet_nan(T(twice), bits >= sign) && std::isnan(twice);
  };
  CHECK(first_failure(patterns, right) == -1);
  for (const float& x : nans<float, std::uint32_t>()) {
    CHECK(is_quiet_nan(T(x), false));
    CHECK(is_quiet_nan(T(-x), true));
  }
  for (const double& x : nans<double, std::uint64_t>()) {
    CHECK(is_quiet_nan(T(x), false));
    CHECK(is_quiet_nan(T(-x), true));
  }
  CHECK(std::fetestexcept(FE_INVALID) == 0);
}

TEST_CASE_TEMPLATE("from float: to the nearest, ties to even", T, Half, BFloat16) {
  const auto right = [](int bits, int neighbour, double midpoint, double outward) {
    const auto tie = static_cast<float>(midpoint);
    REQUIRE(double(tie) == midpoint);
    return T(tie).bits == (bits % 2 == 0 ? bits : neighbour) && T(std::nextafter(tie, 0.0F)).bits == bits &&
           T(std::nextafter(tie, static_cast<float>(outward))).bits == neighbour;
  };
  CHECK(first_failure_at_midpoints<T>(right) == -1);
}

TEST_CASE_TEMPLATE("from double: rounded once, not by way of float", T, Half, BFloat16) {
  const auto right = [](int bits, int neighbour, double midpoint, double outward) {
    const double below = std::nextafter(midpoint, 0.0), above = std::nextafter(midpoint, outward);
    REQUIRE(double(static_cast<float>(above)) == midpoint);  // float loses what decides
    REQUIRE(double(static_cast<float>(below)) == midpoint);
    return T(midpoint).bits == (bits % 2 == 0 ? bits : neighbour) && T(below).bits == bits &&
           T(above).bits == neighbour;
  };
  CHECK(first_failure_at_midpoints<T>(right) == -1);
}

TEST_CASE("Half is infinite from 65520 on, and zero up to half its smallest number") {
  const double smallest = std::ldexp(1.0, -24), largest = 65504;
  CHECK(double(Half(std::nextafter(65520.0F, 0.0F))) == largest);
  CHECK(double(Half(std::nextafter(65520.0, 0.0))) == largest);
  for (const double x : {65520.0, 65536.0, 1e6, 1e30, double(std::numeric_limits<float>::max()), HUGE_VAL}) {
    for (const double s : {1.0, -1.0}) {
      CHECK(double(Half(static_cast<float>(s * x))) == s * HUGE_VAL);
      CHECK(double(Half(s * x)) == s * HUGE_VAL);
    }
  }
  CHECK(double(Half(std::numeric_limits<double>::max())) == HUGE_VAL);
  CHECK(double(Half(std::nextafter(smallest / 2, 1.0))) == smallest);
  CHECK(double(Half(static_cast<float>(1.5 * smallest))) == 2 * smallest);
  for (const double x : {0.0, smallest / 2, 1e-30, 1e-39, std::numeric_limits<double>::denorm_min()}) {
    CHECK(Half(x).bits == 0);
    CHECK(Half(-x).bits == sign);
    CHECK(Half(static_cast<float>(x)).bits == 0);
    CHECK(Half(static_cast<float>(-x)).bits == sign);
  }
}

TEST_CASE("BFloat16 has the range of float") {
  const double smallest = std::ldexp(1.0, -133), infinite_from = std::ldexp(511.0, 119);
  CHECK(double(BFloat16(std::nextafter(static_cast<float>(infinite_from), 0.0F))) == std::ldexp(255.0, 120));
  CHECK(double(BFloat16(std::nextafter(infinite_from, 0.0))) == std::ldexp(255.0, 120));
  for (const double x : {infinite_from, double(std::numeric_limits<float>::max()), HUGE_VAL}) {
    for (const double s : {1.0, -1.0}) {
      CHECK(double(BFloat16(static_cast<float>(s * x))) == s * HUGE_VAL);
      CHECK(double(BFloat16(s * x)) == s * HUGE_VAL);
    }
  }
  CHECK(double(BFloat16(-1e300)) == -HUGE_VAL);
  CHECK(double(BFloat16(std::nextafter(smallest / 2, 1.0))) == smallest);
  CHECK(double(BFloat16(static_cast<float>(1.5 * smallest))) == 2 * smallest);
  for (const double x : {0.0, smallest / 2, 1e-44, 1e-300, std::numeric_limits<double>::denorm_min()}) {
    CHECK(BFloat16(x).bits == 0);
    CHECK(BFloat16(-x).bits == sign);
    CHECK(BFloat16(static_cast<float>(x)).bits == 0);
    CHECK(BFloat16(static_cast<float>(-x)).bits == sign);
  }
}

TEST_CASE_TEMPLATE("a kernel converts as a single conversion does", T, Half, BFloat16) {
  std::vector<T> stored;
  std::vector<float> singles = nans<float, std::uint32_t>();
  std::vector<double> doubles = nans<double, std::uint64_t>();
  for (int bits = 0; bits < patterns; ++bits) {
    stored.push_back(from_bits<T>(bits));
    if ((bits & ~sign) >= infinite<T>) continue;
    const double midpoint = (number<T>(bits) + number<T>(bits + 1)) / 2;
    for (const double x :
         {number<T>(bits), std::nextafter(midpoint, -HUGE_VAL), midpoint, std::nextafter(midpoint, HUGE_VAL)})
      doubles.push_back(x);
    const auto tie = static_cast<float>(midpoint);
    for (const float x : {std::nextafter(tie, -HUGE_VALF), tie, std::nextafter(tie, HUGE_VALF)}) singles.push_back(x);
  }
  const auto failures = [](const auto& values, const auto& converted, const auto& same) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < values.size(); ++i) count += same(values[i], converted[i]) ? 0 : 1;
    return count;
  };
  const auto rounds = [](const auto& x, T y) {
    return T(x).bits == y.bits || (is_nan<T>(T(x).bits) && is_nan<T>(y.bits));
  };
  const auto widens = [&](T x, const auto& y) {
    return is_nan<T>(x.bits) ? is_nan<T>(T(y).bits) : T(y).bits == x.bits;
  };
  CHECK(failures(singles, converted_in_kernel<T>(singles), rounds) == 0);
  CHECK(failures(doubles, converted_in_kernel<T>(doubles), rounds) == 0);
  CHECK(failures(stored, converted_in_kernel<float>(stored), widens) == 0);
  CHECK(failures(stored, converted_in_kernel<double>(stored), widens) == 0);
}

TEST_CASE("std::numeric_limits") {
  using H = std::numeric_limits<Half>;
  static_assert(H::is_specialized && H::is_signed && !H::is_integer && !H::is_exact && H::is_iec559 && H::radix == 2);
  static_assert(H::has_infinity && H::has_quiet_NaN && H::has_signaling_NaN && H::round_style == std::round_to_nearest);
  static_assert(H::digits == 11 && H::digits10 == 3 && H::max_digits10 == 5);
  static_assert(H::min_exponent == -13 && H::max_exponent == 16 && H::min_exponent10 == -4 && H::max_exponent10 == 4);
  static_assert(double(H::epsilon()) == 0x1p-10 && double(H::round_error()) == 0.5);
  static_assert(double(H::max()) == 65504 && double(H::lowest()) == -65504);
  static_assert(double(H::min()) == 0x1p-14 && double(H::denorm_min()) == 0x1p-24);
  static_assert(H::infinity().bits == 0x7c00 && H::quiet_NaN().bits == 0x7e00 && H::signaling_NaN().bits == 0x7d00);

  using B = std::numeric_limits<BFloat16>;
  static_assert(B::is_specialized && B::is_signed && !B::is_integer && !B::is_exact && !B::is_iec559 && B::radix == 2);
  static_assert(B::has_infinity && B::has_quiet_NaN && B::has_signaling_NaN && B::round_style == std::round_to_nearest);
  static_assert(B::digits == 8 && B::digits10 == 2 && B::max_digits10 == 4);
  static_assert(B::min_exponent == -125 && B::max_exponent == 128 && B::min_exponent10 == -37 &&
                B::max_exponent10 == 38);
  static_assert(double(B::epsilon()) == 0x1p-7 && double(B::round_error()) == 0.5);
  static_assert(double(B::max()) == 0x1.fep127 && double(B::lowest()) == -0x1.fep127);
  static_assert(double(B::min()) == 0x1p-126 && double(B::denorm_min()) == 0x1p-133);
  static_assert(B::infinity().bits == 0x7f80 && B::quiet_NaN().bits == 0x7fc0 && B::signaling_NaN().bits == 0x7fa0);

  CHECK(std::isinf(float(H::infinity())));
  CHECK(std::isinf(float(B::infinity())));
}

TEST_CASE("TensorFloat32 rounds to eleven bits, ties to even, and keeps float's range") {
  const auto rounded = [](float x) { return float(TensorFloat32(x)); };
  static_assert(sizeof(TensorFloat32) == sizeof(float) && std::is_trivially_copyable_v<TensorFloat32>);
  CHECK(rounded(1.0F) == 1.0F);
  CHECK(rounded(1.0F + 0x1p-10F) == 1.0F + 0x1p-10F);
  CHECK(rounded(1.0F + 0x1p-11F) == 1.0F);                                  // a tie, to even
  CHECK(rounded(1.0F + 3 * 0x1p-11F) == 1.0F + 0x1p-9F);                    // a tie, to even
  CHECK(rounded(1.0F + 0x1p-11F + 0x1p-23F) == 1.0F + 0x1p-10F);            // above it
  CHECK(float(TensorFloat32(1.0 + 0x1p-11 + 0x1p-50)) == 1.0F + 0x1p-10F);  // which float alone would not see
  CHECK(rounded(-0x1p-149F * 8192) == -0x1p-149F * 8192);
  CHECK(std::isinf(rounded(std::numeric_limits<float>::max())));
  CHECK(std::isinf(rounded(std::numeric_limits<float>::infinity())));
  CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::signbit(rounded(-0.0F)));
  CHECK(double(std::numeric_limits<TensorFloat32>::epsilon()) == 0x1p-10);
}
