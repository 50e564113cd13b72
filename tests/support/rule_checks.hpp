// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What every rule must do, checked beside a reference of its own:
//
//   check_rule(MyRule{.lr = 0.1}, [](const MyRule& rule, const Matrix& start) { return MyReference(rule, start); });
//
// A reference is a class in double that shares no code with the library. It stands for one matrix:
//   Matrix step(const Matrix& w, const Matrix& g);   the weight after a step
//   void observe(const Matrix& input);               only where the rule is observed: RuleChecks::observed
// `start` is the weight before the first step.

#include "errors.hpp"
#include "fence_events.hpp"
#include "tool_events.hpp"
#include "training.hpp"
#include <schatten/optim/optimizer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace schatten::test {

/// What the checks of a rule are to know about it.
struct RuleChecks {
  /// Tall, wide, square, and a batch of two; vectors are {1, 1, n, true}.
  std::vector<Shape> shapes{{1, 9, 5}, {1, 5, 9}, {1, 6, 6}, {2, 4, 7}};
  /// The largest difference of a weight from the reference, of the way that the weights have gone.
  double bound = 1e-12;
  /// After how many steps the rule does the same again.
  unsigned period = 1;
  /// Whether the caller supplies inputs before step `number`, counted from 1.
  std::function<bool(unsigned number)> observed = [](unsigned) { return false; };
  /// Rows and columns of what is supplied for a matrix of that shape.
  std::function<Shape(const Shape&)> observed_shape = [](const Shape& shape) { return shape; };
  /// Largest difference between a matrix stored by rows and one stored by columns, of the way that the weights have
  /// gone.
  double layout_bound = 1e-12;
  /// Gradients times this and its inverse must leave finite weights; 1: not tried.
  double extreme = 1e200;
};

/// The four shapes and a vector.
inline std::vector<Shape> shapes_and_vector() {
  std::vector<Shape> shapes = RuleChecks().shapes;
  shapes.push_back({1, 1, 11, true});
  return shapes;
}

namespace detail {

/// What the caller supplies for matrix b of a parameter before step `number`.
template <class P>
Matrix input_of(const RuleChecks& checks, const P& p, std::size_t b, unsigned number) {
  const Shape shape = checks.observed_shape(p.shape);
  return gaussian(shape.rows, shape.cols, 5000 * number + p.seed + unsigned(b) + 77);
}

/// A Training that supplies inputs where the rule is observed.
template <class R>
class CheckedTraining : public Training<double> {
 public:
  CheckedTraining(const R& rule, const RuleChecks& its_checks, const OptimizerOptions& options = {})
      : Training<double>(rule, options), checks(its_checks) {}

  void observe(unsigned number) {
    if (!checks.observed(number)) return;
    for (const auto& p : this->parameters) {
      const Shape shape = checks.observed_shape(p.shape);
      const Strided<double> input({p.shape.batch, shape.rows, shape.cols, shape.vector}, Storage::right);
      for (std::size_t b = 0; b < p.shape.batch; ++b) input.assign(b, input_of(checks, p, b, number));
      supply(this->optimizer, p, shape, input);
    }
  }
  void step(unsigned number) {
    observe(number);
    this->set_gradients(number);
    Training<double>::step();
  }
  void steps(unsigned from, unsigned to) {
    for (unsigned number = from; number <= to; ++number) step(number);
  }

  const RuleChecks& checks;

 private:
  template <class Optimizer, class P>
  void supply(Optimizer& to, const P& p, const Shape& shape, const Strided<double>& input) {
    if constexpr (requires { to.observe(this->exec, p.name, input.view()); }) {
      if (shape.vector) {
        to.observe(this->exec, p.name, input.vector_view());
      } else {
        to.observe(this->exec, p.name, input.view());
      }
      this->exec.fence();
    }
  }
};

template <class R, class MakeReference>
void check_agreement(const R& rule, const MakeReference& make, const RuleChecks& checks) {
  using Reference = decltype(make(rule, Matrix()));
  struct Expected {
    Reference reference;
    Matrix w;
    double travel;
  };
  constexpr Storage storages[] = {Storage::right, Storage::left};
  CheckedTraining<R> training(rule, checks);
  std::vector<std::vector<Expected>> expected;
  unsigned seed = 10;
  for (const Shape& shape : checks.shapes) {
    for (const Storage storage : storages) {  // the same numbers in both
      const auto& p = training.add(std::to_string(seed) + to_string(storage), shape, storage, seed);
      auto& matrices = expected.emplace_back();
      for (std::size_t b = 0; b < shape.batch; ++b) {
        matrices.push_back({make(rule, p.start(b)), p.start(b), max_abs(p.start(b))});
      }
    }
    seed += 10;
  }
  double worst = 0, worst_layout = 0;
  for (unsigned number = 1; number <= 20; ++number) {
    training.observe(number);
    training.set_gradients(number);
    std::vector<std::vector<unsigned char>> gradients;
    for (const auto& p : training.parameters) gradients.push_back(p.g.bytes());
    static_cast<Training<double>&>(training).step();
    for (std::size_t k = 0; k < expected.size(); ++k) {
      const auto& p = training.parameters[k];
      CAPTURE(p.name);
      CAPTURE(number);
      CHECK(p.g.bytes() == gradients[k]);                                                            // untouched
      p.g.assign(0, Matrix::Constant(Eigen::Index(p.shape.rows), Eigen::Index(p.shape.cols), 1e9));  // and not kept
      for (std::size_t b = 0; b < p.shape.batch; ++b) {
        Expected& e = expected[k][b];
        if constexpr (requires { e.reference.observe(Matrix()); }) {
          if (checks.observed(number)) e.reference.observe(input_of(checks, p, b, number));
        }
        const Matrix next = e.reference.step(e.w, p.gradient(b, number));
        e.travel += max_abs(next - e.w);
        e.w = next;
        const double difference = max_abs(p.w.matrix(b) - e.w) / e.travel;
        CHECK(difference <= checks.bound);
        worst = std::max(worst, difference);
        if (k % 2 == 0) continue;
        const double layouts = max_abs(p.w.matrix(b) - training.parameters[k - 1].w.matrix(b)) / e.travel;
        CHECK(layouts <= checks.layout_bound);
        worst_layout = std::max(worst_layout, layouts);
      }
    }
  }
  MESSAGE(std::string(R::name) << ": reference " << worst << ", layouts " << worst_layout);
}

/// The shape of the other checks: the rule's first one in a batch of three.
inline Shape batch_of_three(const RuleChecks& checks) {
  Shape shape = checks.shapes.at(0);
  shape.batch = 3;
  return shape;
}

template <class R>
void check_skip(const R& rule, const RuleChecks& checks) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    CheckedTraining<R> training(rule, checks), without(rule, checks);
    training.add("w", batch_of_three(checks), Storage::right, 1);
    without.add("w", batch_of_three(checks), Storage::right, 1);
    training.steps(1, 4);
    without.steps(1, 5);
    training.observe(5);
    const std::vector<Matrix> weights = training.weights("w");
    const std::vector<StateArray> state = training.state("w");
    training.set_gradients(5);
    training.at("w").g.at(1, training.at("w").shape.rows - 1, 1) = bad;
    static_cast<Training<double>&>(training).step();
    CHECK(same_bits(training.weights("w")[1], weights[1]));
    CHECK(same_bits(training.weights("w")[0], without.weights("w")[0]));
    CHECK(same_bits(training.weights("w")[2], without.weights("w")[2]));
    const std::vector<StateArray> after = training.state("w"), free = without.state("w");
    for (std::size_t k = 0; k < state.size(); ++k) {
      CAPTURE(state[k].name);
      CHECK(same_bits(after[k].matrices[1], state[k].matrices[1]));
      CHECK(same_bits(after[k].matrices[0], free[k].matrices[0]));
      CHECK(same_bits(after[k].matrices[2], free[k].matrices[2]));
    }
    CHECK(training.counts("w").applied == std::vector<long long>{5, 4, 5});
    training.step(6);
    CHECK(!same_bits(training.weights("w")[1], weights[1]));
    for (const Matrix& w : training.weights("w")) CHECK(std::isfinite(max_abs(w)));
  }
}

template <class R>
void check_resume(const R& rule, const RuleChecks& checks) {
  CheckedTraining<R> before(rule, checks), after(rule, checks);
  const unsigned half = 5 + checks.period;
  for (CheckedTraining<R>* const training : {&before, &after}) {
    unsigned seed = 10;
    for (const Shape& shape : checks.shapes) {
      training->add(std::to_string(seed), shape, seed % 20 == 0 ? Storage::left : Storage::right, seed);
      seed += 10;
    }
  }
  before.set_gradients(1);
  before.parameters[0].g.at(0, 0, 1) = std::numeric_limits<double>::quiet_NaN();  // so that counts differ
  static_cast<Training<double>&>(before).step();
  before.steps(2, half);
  write_state<double>(after.exec, after.optimizer, state_of(before.exec, before.optimizer));
  after.optimizer.write_counts(after.exec, before.optimizer.read_counts(before.exec));
  for (auto& p : after.parameters) {
    for (std::size_t b = 0; b < p.shape.batch; ++b) p.w.assign(b, before.at(p.name).w.matrix(b));
  }
  before.steps(half + 1, 2 * half);
  after.steps(half + 1, 2 * half);
  for (const auto& p : before.parameters) {
    CAPTURE(p.name);
    CHECK(same_bits(after.weights(p.name), before.weights(p.name)));
    CHECK(same_bits(after.state(p.name), before.state(p.name)));
  }
}

/// Batches, the largest size of a bucket and the order of `add` change no bit; direction and apply are a step.
template <class R>
void check_grouping(const R& rule, const RuleChecks& checks) {
  const Shape three = batch_of_three(checks);
  CheckedTraining<R> together(rule, checks), apart(rule, checks), tiny(rule, checks, {.batch_bytes = 1});
  CheckedTraining<R> halves(rule, checks);
  for (CheckedTraining<R>* const training : {&together, &tiny, &halves}) training->add("w", three, Storage::right, 1);
  for (const unsigned b : {2U, 0U, 1U}) {
    Shape one = three;
    one.batch = 1;
    apart.add("between" + std::to_string(b), one, Storage::right, 100 + b);
    apart.add("w" + std::to_string(b), one, Storage::right, 1 + b);
  }
  together.steps(1, 6);
  tiny.steps(1, 6);
  apart.steps(1, 6);
  for (unsigned number = 1; number <= 6; ++number) {
    halves.observe(number);
    halves.set_gradients(number);
    halves.optimizer.direction(halves.exec);
    halves.optimizer.apply(halves.exec);
    halves.exec.fence();
  }
  CHECK(same_bits(tiny.weights("w"), together.weights("w")));
  CHECK(same_bits(tiny.state("w"), together.state("w")));
  CHECK(same_bits(halves.state("w"), together.state("w")));
  for (std::size_t b = 0; b < 3; ++b) {
    CHECK(same_bits(apart.weights("w" + std::to_string(b))[0], together.weights("w")[b]));
    // Within rounding: the direction is rounded before it is applied.
    CHECK(max_abs(halves.weights("w")[b] - together.weights("w")[b]) <= 1e-13 * max_abs(together.weights("w")[b]));
  }
}

template <class R>
void check_steady(const R& rule, const RuleChecks& checks) {
  CheckedTraining<R> training(rule, checks);
  unsigned seed = 10;
  for (const Shape& shape : checks.shapes) training.add(std::to_string(seed), shape, Storage::right, seed), seed += 10;
  training.steps(1, checks.period + 1);
  {
    const ToolEvents events;
    for (unsigned k = 0; k < 2 * checks.period; ++k) training.optimizer.step(training.exec);
    CHECK(ToolEvents::allocations().empty());
    CHECK(!ToolEvents::kernels().empty());
    CHECK(foreign_labels(ToolEvents::kernels()).empty());
  }
  const FenceEvents fences;
  for (unsigned k = 0; k < 2 * checks.period; ++k) training.optimizer.step(training.exec);
  CHECK(FenceEvents::fences().empty());
}

/// Every number is refused out of its range, in the words that fields() has for it, and nothing changes.
template <class R>
void check_ranges(const R& rule) {
  Training<double> training(rule);
  const auto values = [&] {
    std::vector<double> all;
    for (const FieldInfo& field : training.optimizer.fields(training.group)) all.push_back(field.value);
    return all;
  };
  const std::vector<double> before = values();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<std::string> names;
  for (const FieldInfo& field : training.optimizer.fields(training.group)) {
    CAPTURE(field.name);
    CAPTURE(field.range);
    CHECK(std::count(names.begin(), names.end(), field.name) == 0);
    names.push_back(field.name);
    std::vector<double> refused{std::numeric_limits<double>::quiet_NaN()};
    const auto says = [&](const char* words) { return contains(field.range, words); };
    if (says("[0, 1)")) refused.insert(refused.end(), {-0.1, 1.0, infinity});
    if (says("finite and positive")) refused.insert(refused.end(), {0.0, -1.0, infinity});
    if (says("finite and not negative")) refused.insert(refused.end(), {-1.0, infinity});
    if (says("must be 0 or 1")) refused.insert(refused.end(), {0.5, 2.0, -1.0});
    if (says("at least 1")) refused.insert(refused.end(), {0.0, 1.5, -1.0});
    if (says("enumerator")) refused.insert(refused.end(), {0.5, 99.0, -1.0});
    for (const double value : refused) {
      CAPTURE(value);
      const std::string message =
          message_of<InvalidArgument>([&] { training.optimizer.set(training.group, field.name, value); });
      CHECK(contains(message, field.name));
      CHECK(values() == before);
    }
  }
}

template <class R>
void check_extremes(const R& rule, const RuleChecks& checks) {
  if (checks.extreme == 1) return;
  for (const double factor : {checks.extreme, 1 / checks.extreme}) {
    CAPTURE(factor);
    CheckedTraining<R> training(rule, checks);
    unsigned seed = 10;
    for (const Shape& shape : checks.shapes)
      training.add(std::to_string(seed), shape, Storage::right, seed), seed += 10;
    for (unsigned number = 1; number <= 3; ++number) {
      training.observe(number);
      for (const auto& p : training.parameters) {
        for (std::size_t b = 0; b < p.shape.batch; ++b) p.g.assign(b, factor * p.gradient(b, number));
      }
      static_cast<Training<double>&>(training).step();
    }
    for (const auto& p : training.parameters) {
      for (const Matrix& w : p.w.matrices()) CHECK(std::isfinite(max_abs(w)));
    }
  }
}

}  // namespace detail

/// All checks: twenty steps beside the reference in the shapes given, stored by rows and by columns, the gradients'
/// memory overwritten after each; a gradient that is not finite; state carried into another Optimizer; groupings;
/// steady steps; ranges of numbers; extreme gradients.
template <Rule R, class MakeReference>
void check_rule(const R& rule, const MakeReference& make, const RuleChecks& checks = {}) {
  CAPTURE(std::string(R::name));
  detail::check_agreement(rule, make, checks);
  detail::check_skip(rule, checks);
  detail::check_resume(rule, checks);
  detail::check_grouping(rule, checks);
  detail::check_steady(rule, checks);
  detail::check_ranges(rule);
  detail::check_extremes(rule, checks);
}

/// The agreement alone: for further options of a rule that check_rule has had.
template <Rule R, class MakeReference>
void check_agreement(const R& rule, const MakeReference& make, const RuleChecks& checks = {}) {
  detail::check_agreement(rule, make, checks);
}

}  // namespace schatten::test
