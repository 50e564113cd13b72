// SPDX-License-Identifier: BSD-3-Clause
// Schedules against torch.optim.lr_scheduler's numbers, their ends, and what they refuse.
// labels: portable accuracy

#include "support/errors.hpp"
#include "support/optimizer_cases.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>
#include <schatten/optim/schedules.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

using Schedule = std::function<double(std::size_t)>;

/// Largest difference from numbers for t = 0, 1, ….
double difference(const Schedule& schedule, const std::vector<double>& expected) {
  double worst = 0;
  for (std::size_t t = 0; t < expected.size(); ++t) worst = std::max(worst, std::abs(schedule(t) - expected[t]));
  return worst;
}

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t late = std::numeric_limits<std::size_t>::max();

}  // namespace

// The numbers are those of torch 2's schedulers, printed in full.
TEST_CASE("learning rates are torch's where torch has the shape") {
  // LinearLR(1.0, 0.1, total_iters=10)
  CHECK(difference(LinearLr({.steps = 10, .end = 0.1}),
                   {1.0, 0.91, 0.8200000000000001, 0.7300000000000001, 0.64, 0.55, 0.4600000000000001,
                    0.37000000000000005, 0.28, 0.19000000000000003, 0.1, 0.1, 0.1}) < 1e-15);
  // CosineAnnealingLR(T_max=10, eta_min=0.1)
  CHECK(difference(CosineLr({.steps = 10, .end = 0.1}),
                   {1.0, 0.9779754323328191, 0.9140576474687263, 0.8145033635316129, 0.6890576474687263, 0.55,
                    0.41094235253127376, 0.2854966364683872, 0.18594235253127372, 0.12202456766718092, 0.1}) < 1e-15);
  // SequentialLR of LinearLR(1/5, 1, total_iters=4) and CosineAnnealingLR(T_max=8)
  CHECK(difference(CosineLr({.steps = 12, .warmup = 4}),
                   {0.2, 0.4, 0.6000000000000001, 0.8, 1.0, 0.9619397662556434, 0.8535533905932737, 0.6913417161825449,
                    0.5, 0.30865828381745514, 0.14644660940672627, 0.03806023374435664, 0.0}) < 1e-15);
  // SequentialLR of LinearLR(1/4, 1, total_iters=3), ConstantLR, LinearLR(1, 1/4, total_iters=4) from step 8 on
  CHECK(difference(WarmupStableDecayLr({.steps = 12, .warmup = 3, .decay = 4, .end = 0.25}),
                   {0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 0.8125, 0.625, 0.4375, 0.25, 0.25}) < 1e-15);
}

TEST_CASE("learning rates at their ends") {
  CHECK(ConstantLr()(0) == 1);
  CHECK(ConstantLr(3)(0) == 0.25);
  CHECK(ConstantLr(3)(2) == 0.75);
  CHECK(ConstantLr(3)(3) == 1);
  CHECK(ConstantLr(3)(late) == 1);
  for (const std::size_t warmup : {0U, 1U, 7U, 10U}) {
    CAPTURE(warmup);
    const LrScheduleOptions options{.steps = 10, .warmup = warmup, .end = 0.1};
    const WarmupStableDecayLr::Options stable{10, warmup, 10 - warmup, 0.1};
    for (const Schedule& schedule :
         {Schedule(LinearLr(options)), Schedule(CosineLr(options)), Schedule(WarmupStableDecayLr(stable))}) {
      CHECK(schedule(0) == 1 / double(warmup + 1));
      if (warmup < 10) CHECK(schedule(warmup) == 1);
      CHECK(schedule(10) == 0.1);
      CHECK(schedule(late) == 0.1);
      CHECK(schedule(9) > 0.1);
    }
  }
  const WarmupStableDecayLr no_decay({.steps = 10});
  CHECK(no_decay(9) == 1);
  CHECK(no_decay(10) == 0);
}

TEST_CASE("powers: constant, linear, logistic") {
  CHECK(ConstantPower(0.125)(late) == 0.125);
  const LinearPower linear({.steps = 4, .begin = 0.5, .end = -0.25});
  CHECK(difference(linear, {0.5, 0.3125, 0.125, -0.0625, -0.25, -0.25}) == 0);
  // p_min + (p_max − p_min)/(1 + exp((t/T − τ)/w)) in 30 digits.
  const LogisticPower published({.steps = 1000});
  CHECK(std::abs(published(0) - 0.45272062610724763) < 1e-15);
  CHECK(std::abs(published(20) - 0.375) < 1e-15);
  CHECK(std::abs(published(100) - 0.0861767767124939) < 1e-15);
  CHECK(std::abs(published(1000) - -0.24999401863188139) < 1e-15);
  CHECK(published(late) == -0.25);
  const LogisticPower upward({.steps = 10, .begin = 0, .end = 1, .middle = 0.5, .width = 1e-3});
  CHECK(upward(0) == doctest::Approx(0).epsilon(1e-15));
  CHECK(upward(5) == 0.5);
  CHECK(upward(10) == 1);
}

TEST_CASE("schedules refuse arguments out of range, by name and value") {
  const auto check = [](const std::string& message, const std::string& function, const std::string& argument) {
    CAPTURE(message);
    CHECK(contains(message, "schatten::" + function + ": " + argument + " = "));
  };
  const auto check_lr = [&](const LrScheduleOptions& options, const std::string& argument) {
    check(message_of([&] { LinearLr{options}; }), "LinearLr", argument);
    check(message_of([&] { CosineLr{options}; }), "CosineLr", argument);
    check(message_of([&] {
            WarmupStableDecayLr({options.steps, options.warmup, 0, options.end});
          }),
          "WarmupStableDecayLr", argument);
  };
  check_lr({.steps = 0}, "steps");
  check_lr({.steps = 4, .warmup = 5}, "warmup");
  check_lr({.end = -0.1}, "end");
  check_lr({.end = 1.5}, "end");
  check_lr({.end = not_a_number}, "end");
  check(message_of([] { WarmupStableDecayLr({.steps = 10, .warmup = 3, .decay = 8}); }), "WarmupStableDecayLr",
        "decay");
  check(message_of([] { ConstantPower{-0.5}; }), "ConstantPower", "power");
  check(message_of([] { ConstantPower{not_a_number}; }), "ConstantPower", "power");
  check(message_of([] { LinearPower({.steps = 0}); }), "LinearPower", "steps");
  check(message_of([] { LinearPower({.begin = 1.5}); }), "LinearPower", "begin");
  check(message_of([] { LinearPower({.end = -0.75}); }), "LinearPower", "end");
  check(message_of([] { LogisticPower({.steps = 0}); }), "LogisticPower", "steps");
  check(message_of([] { LogisticPower({.begin = 2}); }), "LogisticPower", "begin");
  check(message_of([] { LogisticPower({.middle = not_a_number}); }), "LogisticPower", "middle");
  check(message_of([] { LogisticPower({.width = 0}); }), "LogisticPower", "width");
}

TEST_CASE("an Optimizer takes their values step after step") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  Optimizer<double, Exec, linalg::PortableBackend> optimizer;
  HTMuon options{.lr = 0.1, .map = {.method = SpectralMethod::svd}};
  const GroupId group = optimizer.add_group(options);
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> w("w", 5, 3), g("g", 5, 3);
  assign(w, gaussian(5, 3, 1));
  optimizer.add(group, "w", w, g);
  reference::Parameter expected(to_matrix(w));
  const CosineLr lr({.steps = 8, .warmup = 2, .end = 0.1});
  const LogisticPower power({.steps = 8, .middle = 0.5, .width = 0.1});
  for (unsigned t = 0; t < 10; ++t) {
    const Matrix gradient = conditioned_gaussian(5, 3, 10 + t);
    assign(g, gradient);
    optimizer.set_lr_factor(group, lr(t));
    optimizer.set_power(group, power(t));
    optimizer.step(exec);
    exec.fence();
    options.power = power(t);
    reference::Options now = reference_of(options);
    now.lr *= lr(t);
    expected.step(gradient, now);
  }
  CHECK(distance<double>(to_matrix(w), expected) < 8);
}
