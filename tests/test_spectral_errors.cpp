// SPDX-License-Identifier: BSD-3-Clause
// Bad input: the message names argument and value, and nothing is modified.

#include "support/errors.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/schatten_norm.hpp>
#include <schatten/spectral/steepest_descent.hpp>

#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;

using Plan = SpectralPower<float, SerialExec>;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

SpectralPowerOptions good() { return {.rows = 4, .cols = 3}; }

std::string message_for(const SpectralPowerOptions& options) {
  return message_of([&] { Plan plan(options); });
}

}  // namespace

TEST_CASE("a power outside (-0.5, 1] or NaN") {
  for (const double p : {-0.5, -1.0, 1.0000001, 7.0, infinity, -infinity}) {
    SpectralPowerOptions options = good();
    options.power = p;
    const std::string message = message_for(options);
    CHECK(contains(message, "schatten::SpectralPower: power = "));
    CHECK(contains(message, "must lie in (-0.5, 1]"));
  }
  SpectralPowerOptions options = good();
  options.power = 1.25;
  CHECK(message_for(options) == "schatten::SpectralPower: power = 1.25, but it must lie in (-0.5, 1]");
  options.power = not_a_number;
  CHECK(contains(message_for(options), "power = nan"));
}

TEST_CASE("a resolution outside (0, 1], a tolerance that is not positive and finite, an unknown method") {
  for (const double resolution : {0.0, -1.0, 1.5, infinity, not_a_number}) {
    SpectralPowerOptions options = good();
    options.resolution = resolution;
    CHECK(contains(message_for(options), "schatten::SpectralPower: resolution = "));
  }
  for (const double tolerance : {0.0, -1.0, infinity, not_a_number}) {
    SpectralPowerOptions options = good();
    options.tolerance = tolerance;
    CHECK(contains(message_for(options), "schatten::SpectralPower: tolerance = "));
  }
  SpectralPowerOptions options = good();
  options.method = static_cast<SpectralMethod>(17);
  CHECK(contains(message_for(options), "schatten::SpectralPower: method = SpectralMethod(17)"));
}

TEST_CASE("a matrix without elements has the plan of 0x0, whatever its other side is") {
  for (const SpectralMethod method : {SpectralMethod::automatic, SpectralMethod::svd, SpectralMethod::eigh,
                                      SpectralMethod::rational, SpectralMethod::iterates}) {
    const SpectralPowerOptions none{.power = 0.25, .resolution = 0.1, .method = method};
    SpectralPowerOptions tall = none, wide = none;
    tall.rows = std::size_t{1} << 40;
    wide.cols = std::size_t{1} << 62;
    const double bound = Plan(none).error_bound();
    CHECK(Plan(tall).error_bound() == bound);
    CHECK(Plan(wide).error_bound() == bound);
  }
}

TEST_CASE("a tolerance out of reach: the message says what would make it possible") {
  SpectralPowerOptions options = good();
  options.tolerance = 1e-9;
  const std::string message = message_for(options);
  CHECK(contains(message, "tolerance = 1e-09, but it is out of reach: method automatic promises "));
  CHECK(contains(message, " at resolution 0.001; ask for a coarser resolution, a larger tolerance, double"));
  options.method = SpectralMethod::svd;
  CHECK(contains(message_for(options), "method svd promises "));
  CHECK(contains(message_for(options), ", another method"));
  // Each of the ways out is one.
  options.method = SpectralMethod::automatic;
  CHECK_NOTHROW((SpectralPower<double, SerialExec>(options)));
  options.tolerance = 1e-2;
  CHECK_NOTHROW(Plan{options});
  // Below the floor of a Gram matrix nothing is promised.
  options = {.rows = 4, .cols = 3, .resolution = 1e-9, .tolerance = 1, .method = SpectralMethod::eigh};
  CHECK(contains(message_for(options), "method eigh promises nothing at resolution 1e-09"));
}

TEST_CASE("the quintic method serves p = 0 alone") {
  SpectralPowerOptions options = good();
  options.method = SpectralMethod::quintic;
  options.tolerance = 2;
  CHECK(message_for(options) == "schatten::SpectralPower: power = 0.125, but it must be 0 for the method quintic");
  options.power = 0;
  CHECK_NOTHROW(Plan{options});
}

TEST_CASE("a failed set_power keeps the plan") {
  SpectralPowerOptions options = good();
  options.method = SpectralMethod::quintic;
  options.tolerance = 2;
  options.power = 0;
  Plan plan(options);
  const double bound = plan.error_bound();
  for (const double p : {0.5, 2.0, not_a_number}) {
    CHECK_THROWS_AS(plan.set_power(p), InvalidArgument);
    CHECK(plan.options().power == 0);
    CHECK(plan.method() == SpectralMethod::quintic);
    CHECK(plan.error_bound() == bound);
  }
}

TEST_CASE("apply refuses shapes that differ and outputs that overlap, and writes nothing") {
  const SerialExec exec;
  Plan plan(good());
  const auto m = to_view<float>(gaussian(4, 3, 1)), out = to_view<float>(gaussian(4, 3, 2)),
             other = to_view<float>(gaussian(3, 4, 3));
  const Matrix m_before = to_matrix(m), out_before = to_matrix(out), other_before = to_matrix(other);
  CHECK(message_of([&] { plan.apply(exec, other, out); }) ==
        "schatten::SpectralPower::apply: m = 1x3x4, but it must have the extents 1x4x3 (batch x rows x cols)");
  CHECK(message_of([&] { plan.apply(exec, m, other); }) ==
        "schatten::SpectralPower::apply: out = 1x3x4, but it must have the extents 1x4x3 (batch x rows x cols)");
  CHECK(message_of([&] { plan.apply(exec, m, m); }) ==
        "schatten::SpectralPower::apply: out = 1x4x3, but it must not overlap m");
  const Batch<float, Storage::right> two(2, 4, 3), three(3, 4, 3);
  CHECK(contains(message_of([&] { plan.apply(exec, two.view(), three.view()); }), "out = 3x4x3"));
  CHECK(to_matrix(m) == m_before);
  CHECK(to_matrix(out) == out_before);
  CHECK(to_matrix(other) == other_before);
  CHECK(three.surroundings_intact());
}

TEST_CASE("parts of one array that share no element are legal") {
  const SerialExec exec;
  Plan plan(good());
  const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace> both("schatten::test::both", 4, 6);
  const auto left = Kokkos::subview(both, Kokkos::ALL, std::pair<int, int>(0, 3));
  const auto right = Kokkos::subview(both, Kokkos::ALL, std::pair<int, int>(3, 6));
  const auto shifted = Kokkos::subview(both, Kokkos::ALL, std::pair<int, int>(1, 4));
  assign(left, gaussian(4, 3, 1));
  const auto wanted = output_view<float>(4, 3);
  plan.apply(exec, to_view<float>(gaussian(4, 3, 1)), wanted);
  plan.apply(exec, left, right);
  CHECK(to_matrix(right) == to_matrix(wanted));
  CHECK_THROWS_AS(plan.apply(exec, left, shifted), InvalidArgument);
}

TEST_CASE("norms and steepest descent refuse exponents out of range") {
  const SerialExec exec;
  const auto g = to_view<float>(gaussian(4, 3, 1)), out = to_view<float>(gaussian(4, 3, 2));
  const Matrix before = to_matrix(out);
  for (const double q : {1.9, 1.0, 0.0, -3.0, -infinity, not_a_number}) {
    CHECK(contains(message_of([&] { steepest_descent(exec, g, q, out); }), "schatten::steepest_descent: q = "));
  }
  CHECK(message_of([&] { steepest_descent(exec, g, 1.5, out); }) ==
        "schatten::steepest_descent: q = 1.5, but it must lie in [2, infinity]");
  for (const double q : {0.99, 0.0, -infinity, not_a_number}) {
    CHECK(contains(message_of([&] { schatten_norm(exec, g, q); }), "schatten::schatten_norm: q = "));
    CHECK_THROWS_AS(dual_norm(exec, g, q), InvalidArgument);
    CHECK_THROWS_AS(dual_exponent(q), InvalidArgument);
  }
  CHECK(message_of([&] { steepest_descent(exec, g, 2, to_view<float>(gaussian(3, 4, 1))); }) ==
        "schatten::steepest_descent: out = 1x3x4, but it must have the extents 1x4x3 (batch x rows x cols)");
  CHECK(message_of([&] { steepest_descent(exec, g, 2, g); }) ==
        "schatten::steepest_descent: out = 1x4x3, but it must not overlap g");
  CHECK(to_matrix(out) == before);
}
