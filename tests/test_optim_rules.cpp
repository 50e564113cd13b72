// SPDX-License-Identifier: BSD-3-Clause
// labels: threads portable
// What every rule must do, for all rules of support/rule_suite.hpp.

#include "support/fence_events.hpp"
#include "support/rule_suite.hpp"
#include "support/tool_events.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

#if defined(KOKKOS_ENABLE_OPENMP)
using ThreadedExec = Kokkos::OpenMP;
#else
using ThreadedExec = Kokkos::DefaultHostExecutionSpace;
#endif

constexpr Storage storages[] = {Storage::right, Storage::left, Storage::window, Storage::scattered};

/// Tall, wide, square, a batch, and a vector where the rule takes one.
std::vector<Shape> shapes_for(const RuleLine& line) {
  std::vector<Shape> shapes{{1, 9, 5}, {1, 5, 9}, {1, 6, 6}, {2, 4, 7}};
  if (takes_vectors(line)) shapes.push_back({1, 1, 11, true});
  return shapes;
}

/// f(line) for every rule, its name in the messages.
template <class F>
void for_each_rule(const F& f) {
  for (const RuleLine& line : rule_lines()) {
    CAPTURE(line.name);
    f(line);
  }
}

bool same_counts(const ParameterCounts& a, const ParameterCounts& b) {
  return a.attempted == b.attempted && a.applied == b.applied;
}

}  // namespace

TEST_CASE("twenty steps agree with the reference, in every shape and layout") {
  // Of the way that the weights have gone. Measured: 1e-15; a wrong digit anywhere is far above.
  constexpr double bound = 1e-13;
  for_each_rule([&](const RuleLine& line) {
    Training<double> training(line);
    std::vector<std::vector<reference::Parameter>> expected;
    std::vector<std::vector<unsigned char>> around;
    unsigned seed = 10;
    for (const Shape& shape : shapes_for(line)) {
      for (const Storage storage : storages) {
        const auto& p = training.add(std::to_string(seed), shape, storage, seed);
        around.push_back(p.w.surroundings());
        auto& matrices = expected.emplace_back();
        for (std::size_t b = 0; b < shape.batch; ++b) matrices.emplace_back(p.start(b));
        seed += 10;
      }
    }
    std::vector<double> worst(expected.size(), 0);
    for (unsigned number = 1; number <= 20; ++number) {
      training.set_gradients(number);
      std::vector<std::vector<unsigned char>> gradients;
      for (const auto& p : training.parameters) gradients.push_back(p.g.bytes());
      training.step();
      for (std::size_t k = 0; k < expected.size(); ++k) {
        const auto& p = training.parameters[k];
        CHECK(p.g.bytes() == gradients[k]);  // untouched
        for (std::size_t b = 0; b < p.shape.batch; ++b) {
          reference::Parameter& e = expected[k][b];
          e.step(p.gradient(b, number), reference_of(line, number));
          worst[k] = std::max(worst[k], max_abs(p.w.matrix(b) - e.w()) / e.travel());
        }
      }
    }
    double all = 0;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      const auto& p = training.parameters[k];
      CAPTURE(p.shape.rows);
      CAPTURE(p.shape.cols);
      CAPTURE(to_string(storages[k % 4]));
      CHECK(worst[k] <= bound);
      CHECK(p.w.surroundings() == around[k]);
      all = std::max(all, worst[k]);
    }
    MESSAGE(line.name << ": " << all);
  });
}

TEST_CASE("a gradient that is not finite leaves its matrix as it was, and no other") {
  for_each_rule([&](const RuleLine& line) {
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
      Training<double> training(line), without(line);
      training.add("w", {3, 7, 4}, Storage::right, 1);
      without.add("w", {3, 7, 4}, Storage::right, 1);
      training.steps(1, 4);
      without.steps(1, 5);
      const std::vector<Matrix> weights = training.weights("w");
      const std::vector<StateArray> state = training.state("w");
      training.set_gradients(5);
      training.at("w").g.at(1, 6, 2) = bad;
      training.step();
      CHECK(same_bits(training.weights("w")[1], weights[1]));
      const std::vector<StateArray> after = training.state("w"), free = without.state("w");
      for (std::size_t k = 0; k < state.size(); ++k) {
        CAPTURE(state[k].name);
        CHECK(same_bits(after[k].matrices[1], state[k].matrices[1]));
        CHECK(same_bits(after[k].matrices[0], free[k].matrices[0]));
        CHECK(same_bits(after[k].matrices[2], free[k].matrices[2]));
      }
      const ParameterCounts counts = training.counts("w");
      CHECK(counts.attempted == 5);
      CHECK(counts.applied == std::vector<long long>{5, 4, 5});
      CHECK(training.optimizer.skipped_steps(training.exec, "w") == 1);
      CHECK(same_bits(training.weights("w")[0], without.weights("w")[0]));
      CHECK(same_bits(training.weights("w")[2], without.weights("w")[2]));
      training.step(6);
      CHECK(training.counts("w").applied == std::vector<long long>{6, 5, 6});
      CHECK(!same_bits(training.weights("w")[1], weights[1]));
    }
  });
}

TEST_CASE("a paused parameter neither moves nor ages, and goes on as if nothing had been") {
  for_each_rule([&](const RuleLine& line) {
    // An interval is counted by the group's steps: the pause leaves their place in it as it was.
    const unsigned pause = 2 * period_of(line);
    Training<double> paused(line), straight(line);
    paused.add("other", {1, 7, 4}, Storage::right, 30);
    paused.add("w", {2, 7, 4}, Storage::left, 1);
    paused.add("third", {1, 7, 4}, Storage::left, 50);
    straight.add("w", {2, 7, 4}, Storage::left, 1);
    paused.steps(1, 3);
    straight.steps(1, 3);
    paused.optimizer.pause("w");
    const std::vector<Matrix> weights = paused.weights("w"), other = paused.weights("other");
    const std::vector<StateArray> state = paused.state("w");
    const ParameterCounts counts = paused.counts("w");
    paused.steps(4, 3 + pause);
    CHECK(same_bits(paused.weights("w"), weights));
    CHECK(same_bits(paused.state("w"), state));
    CHECK(same_counts(paused.counts("w"), counts));
    CHECK(!same_bits(paused.weights("other"), other));
    CHECK(paused.counts("other").attempted == 3 + pause);
    paused.optimizer.resume("w");
    paused.steps(4, 9);
    straight.steps(4, 9);
    CHECK(same_bits(paused.weights("w"), straight.weights("w")));
    CHECK(same_bits(paused.state("w"), straight.state("w")));
    CHECK(same_counts(paused.counts("w"), straight.counts("w")));
  });
}

TEST_CASE("state and counts, carried by name into an Optimizer of another order and layout, continue to the bit") {
  for_each_rule([&](const RuleLine& line) {
    // Where a rule commutes with transposes, a column-major matrix is stepped as its transpose, whose sums are formed
    // in another order. Those that are stepped alike have the same bits. "e", which turns from the one into the other,
    // agrees within rounding.
    const bool by_element = takes_vectors(line);
    const Storage other = by_element ? Storage::left : Storage::scattered;
    Training<double> before(line), after(line);
    before.add("a", {1, 7, 4}, Storage::right, 1);
    before.add("b", {3, 4, 7}, Storage::window, 10);
    before.add("c", {1, 7, 4}, Storage::left, 20);
    before.add("d", {1, 7, 4}, Storage::right, 30);
    before.add("e", {1, 7, 4}, Storage::right, 40);
    before.set_gradients(1);
    before.at("d").g.at(0, 1, 1) = std::numeric_limits<double>::quiet_NaN();  // so that counts differ
    before.step();
    before.steps(2, 5);
    after.add("d", {1, 7, 4}, Storage::window, 30);
    after.add("e", {1, 7, 4}, Storage::left, 40);
    after.add("c", {1, 7, 4}, Storage::left, 20);
    after.add("b", {3, 4, 7}, other, 10);
    after.add("a", {1, 7, 4}, other, 1);
    write_state<double>(after.exec, after.optimizer, state_of(before.exec, before.optimizer));
    after.optimizer.write_counts(after.exec, before.optimizer.read_counts(before.exec));
    for (auto& p : after.parameters) {
      for (std::size_t b = 0; b < p.shape.batch; ++b) p.w.assign(b, before.at(p.name).w.matrix(b));
    }
    before.steps(6, 10);
    after.steps(6, 10);
    for (const std::string name : {"a", "b", "c", "d"}) {
      CAPTURE(name);
      CHECK(same_bits(after.weights(name), before.weights(name)));
      CHECK(same_bits(after.state(name), before.state(name)));
      CHECK(same_counts(after.counts(name), before.counts(name)));
    }
    CHECK(max_abs(after.weights("e")[0] - before.weights("e")[0]) <= 1e-13 * max_abs(before.weights("e")[0]));
  });
}

TEST_CASE("a state array read from a column-major parameter has the user's rows and columns") {
  for_each_rule([&](const RuleLine& line) {
    Training<double> right(line), left(line);
    right.add("w", {1, 7, 4}, Storage::right, 1);
    left.add("w", {1, 7, 4}, Storage::left, 1);
    right.steps(1, 2);
    left.steps(1, 2);
    const std::vector<StateArray> a = right.state("w"), b = left.state("w");
    REQUIRE(a.size() == b.size());
    for (std::size_t k = 0; k < a.size(); ++k) {
      CAPTURE(a[k].name);
      REQUIRE(a[k].name == b[k].name);
      REQUIRE(a[k].matrices[0].rows() == b[k].matrices[0].rows());
      REQUIRE(a[k].matrices[0].cols() == b[k].matrices[0].cols());
      CHECK(max_abs(a[k].matrices[0] - b[k].matrices[0]) <= 1e-10 * max_abs(b[k].matrices[0]));
    }
  });
}

TEST_CASE("a steady step allocates no Kokkos memory and does not fence") {
  for_each_rule([&](const RuleLine& line) {
    Training<double> training(line);
    training.add("a", {2, 7, 4}, Storage::right, 1);
    training.add("b", {1, 4, 7}, Storage::left, 10);
    if (takes_vectors(line)) training.add("c", {1, 1, 11, true}, Storage::scattered, 20);
    training.steps(1, period_of(line) + 1);
    training.set_gradients(9);
    {
      const ToolEvents events;
      for (unsigned k = 0; k < 2 * period_of(line); ++k) training.optimizer.step(training.exec);
      CHECK(ToolEvents::allocations().empty());
      CHECK(!ToolEvents::kernels().empty());
      CHECK(foreign_labels(ToolEvents::kernels()).empty());
    }
    const FenceEvents fences;
    for (unsigned k = 0; k < 2 * period_of(line); ++k) training.optimizer.step(training.exec);
    CHECK(FenceEvents::fences().empty());
  });
}

TEST_CASE("threads change no bit") {
  for_each_rule([&](const RuleLine& line) {
    Training<double, SerialExec> serial(line);
    Training<double, ThreadedExec> threaded(line);
    const auto run = [&](auto& training) {
      training.add("a", {5, 7, 4}, Storage::right, 1);
      training.add("b", {1, 12, 31}, Storage::left, 10);
      if (takes_vectors(line)) training.add("c", {1, 1, 40000, true}, Storage::right, 20);
      training.steps(1, 4);
    };
    run(serial);
    run(threaded);
    for (const auto& p : serial.parameters) {
      CAPTURE(p.name);
      CHECK(same_bits(threaded.weights(p.name), serial.weights(p.name)));
      CHECK(same_bits(threaded.state(p.name), serial.state(p.name)));
    }
  });
}

TEST_CASE("batches, buckets, their largest size and the order of add change no bit") {
  for_each_rule([&](const RuleLine& line) {
    Training<double> together(line), apart(line), tiny(line, {.batch_bytes = 1});
    together.add("w", {3, 7, 4}, Storage::right, 1);
    tiny.add("w", {3, 7, 4}, Storage::right, 1);
    for (const unsigned b : {2U, 0U, 1U}) {  // and others between, of the same bucket and of another
      apart.add("between" + std::to_string(b), {1, 7, 4}, Storage::right, 100 + b);
      apart.add("w" + std::to_string(b), {1, 7, 4}, Storage::right, 1 + b);
      apart.add("another" + std::to_string(b), {1, 5, 4}, Storage::right, 200 + b);
    }
    together.steps(1, 6);
    tiny.steps(1, 6);
    apart.steps(1, 6);
    CHECK(same_bits(tiny.weights("w"), together.weights("w")));
    CHECK(same_bits(tiny.state("w"), together.state("w")));
    for (std::size_t b = 0; b < 3; ++b) {
      CAPTURE(b);
      const std::string name = "w" + std::to_string(b);
      CHECK(same_bits(apart.weights(name)[0], together.weights("w")[b]));
      const std::vector<StateArray> one = apart.state(name), all = together.state("w");
      REQUIRE(one.size() == all.size());
      for (std::size_t k = 0; k < one.size(); ++k) CHECK(same_bits(one[k].matrices[0], all[k].matrices[b]));
    }
  });
}

TEST_CASE("direction and apply are the two halves of a step, with telemetry or without") {
  for_each_rule([&](const RuleLine& line) {
    Training<double> whole(line), halves(line), measured(line);
    measured.optimizer.set_telemetry(true);
    for (Training<double>* const training : {&whole, &halves, &measured}) {
      training->add("a", {2, 7, 4}, Storage::right, 1);
      training->add("b", {1, 4, 7}, Storage::left, 10);
    }
    for (unsigned number = 1; number <= 5; ++number) {
      for (Training<double>* const training : {&whole, &halves, &measured}) {
        training->set_gradients(number);
        if (number == 3) training->at("a").g.at(1, 2, 2) = std::numeric_limits<double>::quiet_NaN();
      }
      whole.step();
      measured.step();
      halves.optimizer.direction(halves.exec);
      halves.optimizer.apply(halves.exec);
      halves.exec.fence();
    }
    CHECK(whole.counts("a").applied == std::vector<long long>{5, 4});
    for (const std::string name : {"a", "b"}) {
      for (Training<double>* const training : {&halves, &measured}) {
        CHECK(same_bits(training->weights(name), whole.weights(name)));
        CHECK(same_bits(training->state(name), whole.state(name)));
        CHECK(same_counts(training->counts(name), whole.counts(name)));
      }
    }
  });
}

TEST_CASE("parameters that come and go leave the others alone, and begin like any") {
  for_each_rule([&](const RuleLine& line) {
    const unsigned before = 2 * period_of(line);  // so that the newcomer's first step is the first of an interval
    Training<double> busy(line), quiet(line), fresh(line);
    busy.add("gone", {2, 7, 4}, Storage::right, 50);
    busy.add("w", {1, 7, 4}, Storage::right, 1);
    quiet.add("w", {1, 7, 4}, Storage::right, 1);
    fresh.add("late", {1, 7, 4}, Storage::window, 30);
    busy.steps(1, before);
    quiet.steps(1, before);
    busy.optimizer.remove("gone");
    busy.add("late", {1, 7, 4}, Storage::window, 30);
    busy.steps(7, 10);
    quiet.steps(7, 10);
    fresh.steps(7, 10);
    CHECK(same_bits(busy.weights("w"), quiet.weights("w")));
    CHECK(same_bits(busy.state("w"), quiet.state("w")));
    CHECK(same_counts(busy.counts("w"), quiet.counts("w")));
    CHECK(same_bits(busy.weights("late"), fresh.weights("late")));
    CHECK(same_bits(busy.state("late"), fresh.state("late")));
    CHECK(same_counts(busy.counts("late"), fresh.counts("late")));
  });
}
