// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Runs that are cut by checkpoints, beside those that are not.

#include "optimizer_state.hpp"
#include "temporary_folder.hpp"
#include "views.hpp"
#include <schatten/checkpoint/checkpoint.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace schatten::test {

using ResumedOptimizer = Optimizer<double, Kokkos::DefaultHostExecutionSpace, linalg::PortableBackend>;

/// A parameter of a run: how it is registered, and what of its Views the test reads and writes.
struct Tested {
  std::string name;
  std::function<void(ResumedOptimizer&, GroupId)> add;
  std::function<void(unsigned seed)> fill_weight, fill_gradient;
  std::function<void()> spoil_gradient;  ///< of the last matrix
  std::function<std::vector<Matrix>()> weight;
};

template <class E, Storage storage>
Tested tested(const std::string& name, std::size_t batch, std::size_t rows, std::size_t cols,
              const ParameterOptions& options = {}) {
  const auto w = std::make_shared<Batch<E, storage>>(batch, rows, cols);
  const auto g = std::make_shared<Batch<double, Storage::window>>(batch, rows, cols);
  const auto fill = [=](const auto& array, unsigned seed) {
    for (std::size_t b = 0; b < batch; ++b) assign(array->matrix(b), gaussian(rows, cols, seed + 1000 * unsigned(b)));
  };
  return {
      .name = name,
      .add = [=](ResumedOptimizer& optimizer, GroupId id) { optimizer.add(id, name, w->view(), g->view(), options); },
      .fill_weight = [=](unsigned seed) { fill(w, seed); },
      .fill_gradient = [=](unsigned seed) { fill(g, seed); },
      .spoil_gradient = [=] { g->view()(batch - 1, 0, 0) = std::numeric_limits<double>::quiet_NaN(); },
      .weight = [=] { return matrices_of(w->view()); }};
}

/// One run: an Optimizer and its parameters. Gradients follow from the step alone.
struct Run {
  ResumedOptimizer optimizer{OptimizerOptions{.seed = 5}};
  std::vector<Tested> parameters;
  std::vector<GroupId> groups;
  Kokkos::DefaultHostExecutionSpace exec{};

  void step(unsigned number) {
    for (std::size_t k = 0; k < parameters.size(); ++k) parameters[k].fill_gradient(100 * unsigned(k) + number);
    // The last matrices are skipped in step 2, one parameter stands still in steps 3 to 7.
    if (number == 2) {
      for (Tested& p : parameters) p.spoil_gradient();
    }
    if (number == 3) optimizer.pause("paused");
    if (number == 8) optimizer.resume("paused");
    if (number == 4) optimizer.set_decay_factor("master", 0.5);
    optimizer.set_lr_factor(groups[0], 1.0 / (1 + number));
    optimizer.step(exec);
    exec.fence();
  }
};

/// The parameters of a run in this order or the other way round, their layouts fixed by `storage`.
template <class Rule, Storage storage>
std::unique_ptr<Run> make_run(const Rule& rule, bool reversed, unsigned seed) {
  auto run = std::make_unique<Run>();
  const ParameterOptions master{}, at_random{.reduced_weight = ReducedWeight::stochastic_rounding};
  run->parameters = {tested<double, storage>("batch", 2, 6, 4),
                     tested<float, storage>("paused", 1, 6, 4),
                     tested<BFloat16, storage>("master", 1, 3, 5, master),
                     tested<BFloat16, storage>("stochastic", 1, 5, 3, at_random),
                     tested<Half, Storage::scattered>("half", 1, 4, 4, at_random),
                     tested<double, Storage::right>("blocks", 1, 6, 4, ParameterOptions{.row_blocks = 3})};
  Rule second = rule;
  second.lr = 0.5 * rule.lr;
  run->groups = {run->optimizer.add_group(rule), run->optimizer.add_group(second)};
  for (std::size_t k = 0; k < run->parameters.size(); ++k) {
    Tested& p = run->parameters[reversed ? run->parameters.size() - 1 - k : k];
    p.fill_weight(seed);
    p.add(run->optimizer, run->groups[p.name == "half" ? 1 : 0]);
  }
  return run;
}

inline bool same_counts(Run& a, Run& b) {
  for (const ParameterCounts& x : a.optimizer.read_counts(a.exec)) {
    bool found = false;
    for (const ParameterCounts& y : b.optimizer.read_counts(b.exec)) {
      found = found || (x.name == y.name && x.group_steps == y.group_steps && x.attempted == y.attempted &&
                        x.applied == y.applied);
    }
    if (!found) return false;
  }
  return true;
}

inline bool same_runs(Run& a, Run& b) {
  bool same = same_counts(a, b);
  for (std::size_t k = 0; k < a.parameters.size(); ++k) {
    const std::string& name = a.parameters[k].name;
    same = same && same_bits(a.parameters[k].weight(), b.parameters[k].weight());
    for (const std::string& slot : a.optimizer.state_names(a.exec, name)) {
      same = same && same_bits(state_of(a.exec, a.optimizer, name + "/" + slot),
                               state_of(b.exec, b.optimizer, name + "/" + slot));
    }
  }
  return same;
}

/// Twelve steps, and the same with checkpoints after the first, the fifth and the tenth.
template <class Rule, Storage storage = Storage::right>
void check_resumed(const Rule& rule, const std::function<void(Run&, unsigned)>& before = {}) {
  CAPTURE(std::string(Rule::name));
  const TemporaryFolder folder;
  const std::string path = folder.file("run.safetensors");
  const auto go = [&](Run& run, unsigned number) {
    if (before) before(run, number);
    run.step(number);
  };
  const auto whole = make_run<Rule, storage>(rule, false, 1);
  auto cut = make_run<Rule, storage>(rule, true, 1);
  for (unsigned number = 0; number < 12; ++number) {
    go(*whole, number);
    go(*cut, number);
    if (number != 0 && number != 4 && number != 9) continue;
    checkpoint::save(cut->exec, cut->optimizer, path);
    auto next = make_run<Rule, storage>(rule, number == 4, 7);
    const checkpoint::LoadReport report = checkpoint::load(next->exec, next->optimizer, path);
    CHECK(report.missing.empty());
    CHECK(report.extra.empty());
    CHECK(same_runs(*cut, *next));
    if (number == 0) {
      CHECK(cut->optimizer.inventory().group(0).steps == next->optimizer.inventory().group(0).steps);
    }
    cut = std::move(next);
  }
  CHECK(same_runs(*whole, *cut));
  CHECK(folder.files() == 1);
}

}  // namespace schatten::test
