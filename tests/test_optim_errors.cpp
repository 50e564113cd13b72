// SPDX-License-Identifier: BSD-3-Clause
// Bad input: the message names the argument and its value, and nothing is modified. Floating-point traps stay on.

#include "support/errors.hpp"
#include "support/instantiations.hpp"
#include "support/optimizer_state.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <locale>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Range = std::pair<std::size_t, std::size_t>;
template <class D, class Layout = Kokkos::LayoutRight>
using HostView = Kokkos::View<D, Layout, Kokkos::HostSpace>;

constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// A number out of range, and how a message prints it.
struct Bad {
  double value;
  const char* printed;
};

void check_message(const std::string& message, const std::string& argument, const std::string& value) {
  CAPTURE(message);
  CHECK(contains(message, "schatten::Optimizer::"));
  CHECK(contains(message, argument + " = " + value + ", but it "));
}

/// A rule whose state array has a name that no checkpoint can hold.
struct SlashedState {
  double lr = 1, weight_decay = 0;
  static constexpr std::string_view name = "slashed_state";
  template <class Fields>
  static void fields(Fields&) {}
  [[nodiscard]] std::vector<StateSlot> state() const { return {{"a/b"}}; }
  template <class Bucket>
  void direction(Bucket&, const typename Bucket::Batch&) const {}
};

/// An Optimizer with a spectral and an elementwise group and one parameter.
struct Fixture {
  HostView<double**> w{"w", 4, 3}, g{"g", 4, 3};
  Optimizer<double, Exec> optimizer;
  GroupId spectral = optimizer.add_group(HTMuonOptions{});
  GroupId adamw = optimizer.add_group(AdamWOptions{});
  Fixture() {
    assign(w, gaussian(4, 3, 1));
    assign(g, gaussian(4, 3, 2));
    optimizer.add(spectral, "known", w, g);
  }

  /// add(...) throws that message, leaves the Optimizer as it was and the name free.
  template <class W, class G>
  void check_add(GroupId group, const std::string& name, const W& new_w, const G& new_g, const std::string& argument,
                 const std::string& value, const ParameterOptions& options = {}) {
    const auto before = state_of(Exec{}, optimizer);
    check_message(message_of([&] { optimizer.add(group, name, new_w, new_g, options); }), argument, value);
    CHECK(same_bits(state_of(Exec{}, optimizer), before));
    if (name.empty() || name == "known") return;
    const HostView<double**> right("right", 2, 2), right_g("right_g", 2, 2);
    optimizer.add(spectral, name, right, right_g);
    CHECK(state_of(Exec{}, optimizer).size() == before.size() + 3);  // momentum, recent_size, last_size
  }
};

}  // namespace

TEST_CASE("add refuses a name that is empty or known, and an unknown group") {
  Fixture f;
  const HostView<double**> v("v", 4, 3), h("h", 4, 3);
  f.check_add(f.spectral, "", v, h, "name", "");
  f.check_add(f.spectral, "known", v, h, "name", "known");
  f.check_add(f.adamw, "known", v, h, "name", "known");
  GroupId beyond = f.adamw;
  beyond.index = 7;
  f.check_add(beyond, "new", v, h, "group", "7");
  CHECK(contains(message_of([&] { (void)f.optimizer.fields(beyond); }), "group = 7"));
  CHECK(contains(message_of([&] { f.optimizer.set_lr(beyond, 1); }), "group = 7"));
  Fixture other;
  f.check_add(other.spectral, "new too", v, h, "group", "0");
  CHECK(contains(message_of([&] { f.optimizer.set_lr(other.spectral, 1); }), "is a group of another Optimizer"));
  CHECK(contains(message_of([&] { f.optimizer.set_lr(GroupId{}, 1); }), "is a group of another Optimizer"));
  CHECK(contains(message_of([&] { (void)f.optimizer.skipped_steps(Exec{}, "missing"); }), "name = missing"));
  CHECK(contains(message_of([&] { f.optimizer.set_gradient("missing", h); }), "name = missing"));
}

TEST_CASE("add and set_gradient refuse a gradient of other extents") {
  Fixture f;
  const HostView<double**> v("v", 4, 3);
  f.check_add(f.spectral, "a", v, HostView<double**>("h", 4, 2), "g of a", "4x2");
  f.check_add(f.adamw, "b", v, HostView<double**>("h", 3, 4), "g of b", "3x4");
  f.check_add(f.adamw, "c", HostView<double***>("v", 2, 4, 3), HostView<double***>("h", 3, 4, 3), "g of c", "3x4x3");
  const std::string message = message_of([&] { f.optimizer.set_gradient("known", HostView<double**>("h", 3, 4)); });
  check_message(message, "g of known", "3x4");
  CHECK(contains(message, "set_gradient"));
  CHECK(contains(message, "4x3"));
}

TEST_CASE("add and set_gradient refuse memory that the step would write and read") {
  Fixture f;
  const HostView<double**> big("big", 8, 6), h("h", 4, 3);
  const auto part = [&](std::size_t row, std::size_t col) {
    return Kokkos::subview(big, Range(row, row + 4), Range(col, col + 3));
  };
  f.check_add(f.spectral, "itself", h, h, "g", "itself");
  f.check_add(f.spectral, "shifted", part(0, 0), part(3, 2), "g", "shifted");
  f.check_add(f.spectral, "twice", f.w, h, "w", "twice");
  f.check_add(f.adamw, "other's gradient", f.g, h, "w", "other's gradient");
  f.check_add(f.adamw, "other's parameter", h, f.w, "g", "other's parameter");
  CHECK(contains(message_of([&] { f.optimizer.add(f.adamw, "x", f.w, h); }), "must not overlap the parameter known"));
  CHECK(contains(message_of([&] { f.optimizer.add(f.adamw, "x", f.g, h); }), "must not overlap the gradient of known"));
  check_message(message_of([&] { f.optimizer.set_gradient("known", f.w); }), "g", "known");
  f.optimizer.add(f.spectral, "corner", part(0, 0), part(4, 3));
  check_message(message_of([&] { f.optimizer.set_gradient("known", part(3, 2)); }), "g", "known");
  // What only interleaves is legal, and so is a gradient that two parameters share.
  f.optimizer.add(f.spectral, "other corner", part(0, 3), part(4, 3));
}

TEST_CASE("parts of one array are legal in every layout, orientation and cut") {
  Fixture f;
  const HostView<double**, Kokkos::LayoutLeft> left("left", 12, 4), left_g("left_g", 12, 4);
  const auto rows_of = [](const auto& v, std::size_t first, std::size_t last) {
    return Kokkos::subview(v, Range(first, last), Kokkos::ALL);
  };
  f.optimizer.add(f.spectral, "rows 0-3", rows_of(left, 0, 4), rows_of(left_g, 0, 4));
  f.optimizer.add(f.spectral, "rows 4-6", rows_of(left, 4, 7), rows_of(left_g, 4, 7));
  f.optimizer.add(f.spectral, "row 7", rows_of(left, 7, 8), rows_of(left_g, 7, 8));
  const GroupId fused = f.optimizer.add_group(MuonOptions{});
  f.optimizer.add(fused, "rows 8-11", rows_of(left, 8, 12), rows_of(left_g, 8, 12), {.row_blocks = 2});
  check_message(message_of([&] { f.optimizer.add(f.spectral, "x", rows_of(left, 6, 9), rows_of(left_g, 6, 9)); }), "w",
                "x");
  const HostView<double**> right("right", 6, 8), right_g("right_g", 6, 8);
  const auto cols_of = [](const auto& v, std::size_t first, std::size_t last) {
    return Kokkos::subview(v, Kokkos::ALL, Range(first, last));
  };
  f.optimizer.add(f.spectral, "cols 0-2", cols_of(right, 0, 3), cols_of(right_g, 0, 3));
  f.optimizer.add(fused, "cols 3-4", cols_of(right, 3, 5), cols_of(right_g, 3, 5), {.row_blocks = 2});
  f.optimizer.add(f.adamw, "cols 5-6", cols_of(right, 5, 7), cols_of(right_g, 5, 7));
  f.optimizer.add(f.adamw, "col 7", Kokkos::subview(right, Kokkos::ALL, 7), Kokkos::subview(right_g, Kokkos::ALL, 7));
  check_message(message_of([&] { f.optimizer.add(fused, "y", cols_of(right, 4, 6), cols_of(right_g, 4, 6)); }), "w",
                "y");
}

TEST_CASE("add refuses shapes that the group cannot serve") {
  Fixture f;
  const HostView<double*> v("v", 6), h("h", 6);
  f.check_add(f.spectral, "vector", v, h, "rank of vector", "1");
  const ParameterOptions thirds{.row_blocks = 3};
  f.check_add(f.spectral, "uneven", HostView<double**>("v", 7, 4), HostView<double**>("h", 7, 4), "w of uneven", "7x4",
              thirds);
  f.check_add(f.spectral, "none", HostView<double**>("v", 6, 4), HostView<double**>("h", 6, 4), "row_blocks of none",
              "0", {.row_blocks = 0});
  f.check_add(f.adamw, "cut vector", v, h, "w of cut vector", "6", thirds);
  // A tolerance that the quintics meet for small matrices but not for this one.
  const GroupId tight = f.optimizer.add_group(
      MuonOptions{.map = {.method = SpectralMethod::quintic, .resolution = 0.02, .tolerance = 0.5}});
  const std::string message = message_of(
      [&] { f.optimizer.add(tight, "large", HostView<double**>("v", 400, 400), HostView<double**>("h", 400, 400)); });
  CHECK(contains(message, "tolerance = 0.5, but it is out of reach"));
}

TEST_CASE("add_group refuses numbers out of range") {
  Optimizer<double, Exec> optimizer;
  const auto check = [&](const auto& options, const std::string& argument, const std::string& value) {
    const std::string message = message_of([&] { optimizer.add_group(options); });
    CAPTURE(message);
    CHECK(contains(message, argument + " = " + value + ", but it "));
  };
  for (const Bad& bad : {Bad{quiet_nan, "nan"}, Bad{infinity, "inf"}, Bad{-0.01, "-0.01"}}) {
    check(HTMuonOptions{.lr = bad.value}, "lr", bad.printed);
    check(MuonOptions{.lr = bad.value}, "lr", bad.printed);
    check(AdamWOptions{.lr = bad.value}, "lr", bad.printed);
    check(SGDOptions{.lr = bad.value}, "lr", bad.printed);
    check(HTMuonOptions{.weight_decay = bad.value}, "weight_decay", bad.printed);
    check(AdamWOptions{.weight_decay = bad.value}, "weight_decay", bad.printed);
  }
  for (const Bad& bad : {Bad{quiet_nan, "nan"}, Bad{1.0, "1"}, Bad{-0.1, "-0.1"}, Bad{infinity, "inf"}}) {
    check(HTMuonOptions{.momentum = {.beta = bad.value}}, "momentum", bad.printed);
    check(MuonOptions{.momentum = {.beta = bad.value}}, "momentum", bad.printed);
    check(SGDOptions{.momentum = {.beta = bad.value}}, "momentum", bad.printed);
    check(AdamWOptions{.beta1 = bad.value}, "beta1", bad.printed);
    check(AdamWOptions{.beta2 = bad.value}, "beta2", bad.printed);
  }
  for (const Bad& bad : {Bad{quiet_nan, "nan"}, Bad{0.0, "0"}, Bad{-1e-8, "-1e-08"}, Bad{infinity, "inf"}}) {
    check(AdamWOptions{.epsilon = bad.value}, "epsilon", bad.printed);
  }
  for (const Bad& bad : {Bad{quiet_nan, "nan"}, Bad{-0.5, "-0.5"}, Bad{1.01, "1.01"}, Bad{infinity, "inf"}}) {
    check(HTMuonOptions{.power = bad.value}, "power", bad.printed);
  }
  for (const Bad& bad : {Bad{quiet_nan, "nan"}, Bad{0.0, "0"}, Bad{2.0, "2"}}) {
    check(HTMuonOptions{.map = {.resolution = bad.value}}, "resolution", bad.printed);
  }
  for (const Bad& bad : {Bad{quiet_nan, "nan"}, Bad{0.0, "0"}, Bad{infinity, "inf"}}) {
    check(HTMuonOptions{.map = {.tolerance = bad.value}}, "tolerance", bad.printed);
  }
  check(HTMuonOptions{.power = -0.1, .scale = ScaleMode::unit_norm}, "power", "-0.1");
  check(HTMuonOptions{.power = -0.1, .scale = ScaleMode::dual_norm}, "power", "-0.1");
  check(HTMuonOptions{.map = {.method = SpectralMethod::quintic}}, "power", "0.125");
  check(MuonOptions{.map = {.method = SpectralMethod::svd, .rank = 3}}, "rank", "3");
  CHECK(optimizer.add_group(HTMuonOptions{.power = 1.0}).index == 0);  // none of the above left a group
}

TEST_CASE("numbers that the Optimizer's scalar cannot hold are refused") {
  Optimizer<float, Exec> optimizer;
  CHECK(contains(message_of([&] { optimizer.add_group(SGDOptions{.lr = 1e39}); }), "lr = 1e+39"));
  CHECK(contains(message_of([&] { optimizer.add_group(AdamWOptions{.epsilon = 1e-46}); }), "epsilon = 1e-46"));
  CHECK(contains(message_of([&] { optimizer.add_group(AdamWOptions{.epsilon = 1e39}); }), "epsilon = 1e+39"));
  Optimizer<double, Exec> precise;
  CHECK_NOTHROW(precise.add_group(SGDOptions{.lr = 1e39}));
  CHECK_NOTHROW(precise.add_group(AdamWOptions{.epsilon = 1e-46}));
}

TEST_CASE("set_lr, set_weight_decay and set_power refuse and keep the rule") {
  Fixture f;
  const auto values = [&] {
    std::vector<double> all;
    for (const FieldInfo& field : f.optimizer.fields(f.spectral)) all.push_back(field.value);
    return all;
  };
  const std::vector<double> before = values();
  const auto unchanged = [&] { return values() == before; };
  for (const Bad& bad : {Bad{quiet_nan, "nan"}, Bad{infinity, "inf"}, Bad{-1.0, "-1"}}) {
    check_message(message_of([&] { f.optimizer.set_lr(f.spectral, bad.value); }), "lr", bad.printed);
    check_message(message_of([&] { f.optimizer.set_weight_decay(f.spectral, bad.value); }), "weight_decay",
                  bad.printed);
    CHECK(contains(message_of([&] { f.optimizer.set_power(f.spectral, bad.value); }),
                   std::string("power = ") + bad.printed));
    CHECK(unchanged());
  }
  CHECK(contains(message_of([&] { f.optimizer.set_power(f.spectral, 1.5); }), "power = 1.5"));
  check_message(message_of([&] { f.optimizer.set_power(f.adamw, 0.5); }), "name", "power");
  CHECK(contains(message_of([&] { f.optimizer.set_power(f.adamw, 0.5); }), "decay beta1 beta2 epsilon"));
  CHECK(unchanged());
  const GroupId norm = f.optimizer.add_group(HTMuonOptions{.scale = ScaleMode::unit_norm});
  check_message(message_of([&] { f.optimizer.set_power(norm, -0.1); }), "power", "-0.1");
  CHECK(f.optimizer.get(norm, "power") == 0.125);
  const GroupId quintic = f.optimizer.add_group(MuonOptions{});
  CHECK(contains(message_of([&] { f.optimizer.set_power(quintic, 0.1); }), "name = power"));
  // What the svd method promises at p = 1 misses a tolerance that it meets at p = 0.1.
  const auto promised = [](double power) {
    return SpectralPower<double, Exec>(
               {.rows = 1, .cols = 1, .power = power, .tolerance = 1.0, .method = SpectralMethod::svd})
        .error_bound();
  };
  REQUIRE(promised(0.1) < 0.9 * promised(1.0));
  const GroupId tight = f.optimizer.add_group(HTMuonOptions{
      .power = 0.1, .map = {.method = SpectralMethod::svd, .tolerance = 0.5 * (promised(0.1) + promised(1.0))}});
  CHECK_NOTHROW(f.optimizer.set_power(tight, 0.09));
  CHECK(contains(message_of([&] { f.optimizer.set_power(tight, 1.0); }), "tolerance = "));
  CHECK(f.optimizer.get(tight, "power") == 0.09);

  Fixture twin;
  f.optimizer.step(Exec{});
  twin.optimizer.step(Exec{});
  Exec{}.fence();
  CHECK(same_bits(to_matrix(f.w), to_matrix(twin.w)));
}

TEST_CASE("messages print numbers alike in every locale of the program") {
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  Fixture f;
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Comma));
  const std::string message = message_of([&] { f.optimizer.set_power(f.spectral, 1234.5); });
  std::locale::global(before);
  CHECK(contains(message, "power = 1234.5"));
}

TEST_CASE("an array without elements makes a bounded number of matrices") {
  Fixture f;
  const HostView<double**> w("w", 0, 3);
  const std::string message =
      message_of([&] { f.optimizer.add(f.spectral, "none", w, ParameterOptions{.row_blocks = std::size_t{1} << 40}); });
  CHECK(contains(message, "w of none = 0x3"));
  CHECK(contains(message, "2^20 matrices"));
  CHECK_NOTHROW(f.optimizer.add(f.spectral, "none", w, ParameterOptions{.row_blocks = 3}));
}

TEST_CASE("sides of any length, in a matrix without elements, have no state and no message") {
  for (const std::size_t side : {std::size_t{1} << 40, std::size_t{1} << 61, std::size_t{1} << 63}) {
    const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>> tall(
        nullptr, side, 0),
        wide(nullptr, 0, side);
    Optimizer<double, Exec> optimizer;
    const GroupId group = optimizer.add_group(NorMuon{});
    optimizer.add(group, "tall", tall, tall);
    optimizer.add(group, "wide", wide, wide);
    optimizer.step(Exec{});
    CHECK(optimizer.state_names(Exec{}, "tall").empty());
    CHECK(optimizer.read_counts(Exec{}).at(0).applied.at(0) == 1);
  }
}

TEST_CASE("names: UTF-8 without NUL; a state array's without /") {
  Fixture f;
  const HostView<double**> v("v", 2, 2), h("h", 2, 2);
  const auto before = state_of(Exec{}, f.optimizer);
  check_message(message_of([&] { f.optimizer.add(f.spectral, "w\xff\xc3\xa4\n", v, h); }), "name",
                "w\\xff\xc3\xa4\\x0a");
  check_message(message_of([&] { f.optimizer.add(f.spectral, std::string("w\0", 2), v, h); }), "name", "w\\x00");
  CHECK(same_bits(state_of(Exec{}, f.optimizer), before));
  CHECK(message_of([&] { f.optimizer.add_group(SlashedState{}); }) ==
        "schatten::Optimizer::add_group: state = a/b, but it must have a name without /");
}
