// SPDX-License-Identifier: BSD-3-Clause
// HTMuonOptions::interval: the power every k-th step, counted from 1, Muon's quintics between.
// labels: accuracy

#include "support/errors.hpp"
#include "support/fence_events.hpp"
#include "support/instantiations.hpp"
#include "support/optimizer_cases.hpp"
#include "support/optimizer_state.hpp"
#include "support/tool_events.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using DoubleOptimizer = Optimizer<double, Exec>;

struct Sides {
  std::size_t rows, cols;
};
constexpr Sides shapes[] = {{12, 7}, {7, 12}, {8, 8}};

/// The reference's options for step `step`, counted from 0.
reference::Options reference_of_step(const HTMuonOptions& o, unsigned step) {
  if ((step + 1) % o.interval == 0) return reference_of(o);
  return reference_of(
      MuonOptions{.lr = o.lr, .momentum = o.momentum, .weight_decay = o.weight_decay, .scale = o.scale});
}

/// One 9×6 parameter after `count` steps with fixed gradients.
template <class Options>
Matrix weight_after(const Options& options, unsigned count) {
  const Exec exec;
  DoubleOptimizer optimizer;
  const GroupId group = optimizer.add_group(options);
  const auto w = to_view<double>(gaussian(9, 6, 1)), g = to_view<double>(gaussian(9, 6, 2));
  optimizer.add(group, "w", w, g);
  for (unsigned step = 0; step < count; ++step) {
    assign(g, gaussian(9, 6, 2 + step));
    optimizer.step(exec);
  }
  exec.fence();
  return to_matrix(w);
}

}  // namespace

TEST_CASE("ten steps agree with the reference for every interval, scale and shape") {
  double worst = 0;
  for (const std::size_t interval : {1U, 2U, 3U, 5U, 10U, 11U}) {
    for (const ScaleMode scale : {ScaleMode::none, ScaleMode::original, ScaleMode::match_rms_adamw, ScaleMode::unit_rms,
                                  ScaleMode::unit_norm, ScaleMode::dual_norm}) {
      for (const Sides shape : shapes) {
        const HTMuonOptions options{
            .power = 0.25, .interval = interval, .scale = scale, .map = {.method = SpectralMethod::svd}};
        const double distance = distance_after_steps<DoubleOptimizer, Storage::right, double>(
            Exec{}, options, shape.rows, shape.cols, 11,
            [&](auto&, GroupId, unsigned step) { return reference_of_step(options, step); });
        CAPTURE(interval);
        CAPTURE(int(scale));
        CAPTURE(shape.rows);
        CHECK(distance < 40);
        worst = std::max(worst, distance);
      }
    }
  }
  MESSAGE("largest distance from the reference: " << worst);
}

TEST_CASE("the power may change between, and be negative") {
  HTMuonOptions options{.interval = 2, .scale = ScaleMode::unit_rms, .map = {.method = SpectralMethod::svd}};
  const double distance = distance_after_steps<DoubleOptimizer, Storage::left, double>(
      Exec{}, options, 12, 7, 12, [&](auto& optimizer, GroupId group, unsigned step) {
        options.power = 0.5 - 0.08 * step;
        optimizer.set_power(group, options.power);
        return reference_of_step(options, step);
      });
  CHECK(distance < 40);
}

TEST_CASE("an interval of one is HTMuon, one that is never reached is Muon, to the last bit") {
  const HTMuonOptions always{.lr = 0.02, .map = {.method = SpectralMethod::svd}};
  HTMuonOptions never = always;
  never.interval = 100;
  CHECK(same_bits(weight_after(HTMuonOptions{.lr = 0.02, .interval = 1, .map = {.method = SpectralMethod::svd}}, 6),
                  weight_after(always, 6)));
  CHECK(same_bits(weight_after(never, 6), weight_after(MuonOptions{.lr = 0.02, .weight_decay = 0.1}, 6)));
  never.interval = std::numeric_limits<std::size_t>::max();
  CHECK(same_bits(weight_after(never, 6), weight_after(MuonOptions{.lr = 0.02, .weight_decay = 0.1}, 6)));
  HTMuonOptions fourth = always;
  fourth.interval = 4;
  CHECK(same_bits(weight_after(fourth, 3), weight_after(never, 3)));
  CHECK(!same_bits(weight_after(fourth, 4), weight_after(never, 4)));
}

TEST_CASE("groups count their own steps, skipped matrices included") {
  const Exec exec;
  DoubleOptimizer optimizer;
  const HTMuonOptions options{.interval = 3, .map = {.method = SpectralMethod::svd}};
  const GroupId early = optimizer.add_group(options);
  const auto w = to_view<double>(gaussian(9, 6, 1)), g = to_view<double>(gaussian(9, 6, 2)),
             other = to_view<double>(gaussian(9, 6, 1));
  optimizer.add(early, "w", w, g);
  for (unsigned step = 0; step < 2; ++step) {
    assign(g, gaussian(9, 6, 2 + step));
    optimizer.step(exec);
  }
  const GroupId late = optimizer.add_group(options);
  optimizer.add(late, "late", other, g);  // its third step is the optimizer's fifth
  for (unsigned step = 2; step < 5; ++step) {
    assign(g, gaussian(9, 6, step));
    optimizer.step(exec);
  }
  exec.fence();
  CHECK(same_bits(to_matrix(other), weight_after(options, 3)));
}

TEST_CASE("no fence at any step, no allocation after the first one with the power") {
  const Exec exec;
  DoubleOptimizer optimizer;
  const GroupId group = optimizer.add_group(HTMuonOptions{.interval = 3, .map = {.method = SpectralMethod::svd}});
  const auto w = to_view<double>(gaussian(20, 14, 1)), g = to_view<double>(gaussian(20, 14, 2));
  optimizer.add(group, "w", w, g);
  for (int step = 0; step < 3; ++step) optimizer.step(exec);
  {
    const ToolEvents events;
    for (int step = 0; step < 4; ++step) optimizer.step(exec);
    CHECK(events.allocations().empty());
    CHECK(foreign_labels(ToolEvents::kernels()).empty());
  }
  const FenceEvents fences;
  for (int step = 0; step < 3; ++step) optimizer.step(exec);
  CHECK(fences.fences().empty());
}

TEST_CASE("an interval of zero is refused") {
  DoubleOptimizer optimizer;
  CHECK(message_of([&] {
          (void)optimizer.add_group(HTMuonOptions{.interval = 0, .map = {.method = SpectralMethod::svd}});
        }) == "schatten::Optimizer::add_group: interval = 0, but it must be at least 1");
}
