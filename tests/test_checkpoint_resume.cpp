// SPDX-License-Identifier: BSD-3-Clause
// A run that goes on from a checkpoint is the run that was never interrupted, to the last bit.

#include "support/errors.hpp"
#include "support/optimizer_state.hpp"
#include "support/temporary_folder.hpp"
#include "support/views.hpp"
#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using TestOptimizer = Optimizer<double, Exec, linalg::PortableBackend>;

/// A parameter of a run: how it is registered, and what of its Views the test reads and writes.
struct Tested {
  std::string name;
  std::function<void(TestOptimizer&, GroupId)> add;
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
  return {.name = name,
          .add = [=](TestOptimizer& optimizer, GroupId id) { optimizer.add(id, name, w->view(), g->view(), options); },
          .fill_weight = [=](unsigned seed) { fill(w, seed); },
          .fill_gradient = [=](unsigned seed) { fill(g, seed); },
          .spoil_gradient = [=] { g->view()(batch - 1, 0, 0) = std::numeric_limits<double>::quiet_NaN(); },
          .weight = [=] { return matrices_of(w->view()); }};
}

/// One run: an Optimizer and its parameters. Gradients follow from the step alone.
struct Run {
  TestOptimizer optimizer{OptimizerOptions{.seed = 5}};
  std::vector<Tested> parameters;
  std::vector<GroupId> groups;
  Exec exec{};

  void step(unsigned number) {
    for (std::size_t k = 0; k < parameters.size(); ++k) parameters[k].fill_gradient(100 * unsigned(k) + number);
    // The last matrices are skipped in step 2, one parameter stands still in steps 3 to 7.
    if (number == 2) {
      for (Tested& p : parameters) p.spoil_gradient();
    }
    if (number == 3) optimizer.pause("paused");
    if (number == 8) optimizer.resume("paused");
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

bool same_counts(Run& a, Run& b) {
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

bool same_runs(Run& a, Run& b) {
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

}  // namespace

TEST_CASE("resumed runs are the uninterrupted ones to the last bit") {
  check_resumed<HTMuon, Storage::left>(HTMuon{.interval = 3});
  check_resumed<HTMuon, Storage::left>(HTMuon{.momentum = {.storage = StateStorage::bfloat16}});
  check_resumed<HTMuon, Storage::left>(HTMuon{.map = {.method = SpectralMethod::streaming, .tolerance = 1, .rank = 2}});
  check_resumed(Muon{.momentum = {.storage = StateStorage::float16}});
  check_resumed(NorMuon{});
  check_resumed<AdamW, Storage::left>(AdamW{});
  check_resumed(Lion{});
  check_resumed(SGD{});
  check_resumed(SGD{.momentum = {.beta = 0}});
}

TEST_CASE("the numbers that a program has changed come back, and the arrays that go with them") {
  const auto change = [](Run& run, unsigned number) {
    if (number == 3) run.optimizer.set(run.groups[0], {{"momentum", 0.0}, {"lr", 0.1 / 3}, {"power", 1.0 / 7}});
    if (number == 9) run.optimizer.set(run.groups[1], "momentum_kind", int(MomentumKind::heavy_ball));
  };
  check_resumed<HTMuon, Storage::left>(HTMuon{.map = {.method = SpectralMethod::svd}}, change);
}

TEST_CASE("layouts and order do not matter, and equal states give equal files") {
  const TemporaryFolder folder;
  const auto right = make_run<AdamW, Storage::right>(AdamW{}, false, 1);
  const auto left = make_run<AdamW, Storage::left>(AdamW{}, true, 2);
  for (unsigned number = 0; number < 3; ++number) right->step(number);
  const checkpoint::SaveOptions options{.notes = {{"epoch", "3"}, {"text \"\\\n", "\xc3\xa9"}}};
  checkpoint::save(right->exec, right->optimizer, folder.file("right"), options);
  CHECK(checkpoint::load(left->exec, left->optimizer, folder.file("right")).notes == options.notes);
  CHECK(same_runs(*right, *left));
  for (unsigned number = 3; number < 9; ++number) {
    right->step(number);
    left->step(number);
  }
  CHECK(same_runs(*right, *left));

  const auto again = make_run<AdamW, Storage::right>(AdamW{}, false, 3);
  checkpoint::save(right->exec, right->optimizer, folder.file("right"));
  checkpoint::load(again->exec, again->optimizer, folder.file("right"));
  checkpoint::save(again->exec, again->optimizer, folder.file("again"));
  CHECK(contents_of(folder.file("right")) == contents_of(folder.file("again")));
}

TEST_CASE("without weights, and into groups that keep their numbers") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run");
  const auto run = make_run<Lion, Storage::right>(Lion{}, false, 1);
  for (unsigned number = 0; number < 3; ++number) run->step(number);
  checkpoint::save(run->exec, run->optimizer, path, {.weights = false});
  const auto other = make_run<Lion, Storage::right>(Lion{.lr = 0.25, .beta1 = 0.5}, false, 7);
  const std::vector<Matrix> before = other->parameters[0].weight();
  CHECK(contains(message_of<checkpoint::MismatchError>([&] { checkpoint::load(other->exec, other->optimizer, path); }),
                 "batch: the weight is missing in the file"));
  checkpoint::load(other->exec, other->optimizer, path, {.weights = false, .numbers = false});
  CHECK(other->optimizer.get(other->groups[0], "lr") == 0.25);
  CHECK(other->optimizer.lr_factor(other->groups[0]) == 1);
  CHECK(same_bits(other->parameters[0].weight(), before));
  CHECK(same_counts(*run, *other));
  CHECK(same_bits(state_of(run->exec, run->optimizer, "batch/momentum"),
                  state_of(other->exec, other->optimizer, "batch/momentum")));
  checkpoint::load(other->exec, other->optimizer, path, {.weights = false});
  CHECK(other->optimizer.get(other->groups[0], "lr") == Lion{}.lr);
  CHECK(other->optimizer.get(other->groups[1], "lr") == 0.5 * Lion{}.lr);
  CHECK(other->optimizer.get(other->groups[0], "beta1") == Lion{}.beta1);
  CHECK(other->optimizer.lr_factor(other->groups[0]) == run->optimizer.lr_factor(run->groups[0]));
}

TEST_CASE("shapes of every rank, empty ones, and gradients that do not exist yet") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run");
  const Exec exec;
  const auto make = [&](TestOptimizer& optimizer, float first) {
    const Kokkos::View<double[5], TestSpace> vector("vector");
    const Kokkos::View<float****, Kokkos::LayoutRight, TestSpace> convolution("convolution", 2, 3, 1, 2);
    const Kokkos::View<Half**, Kokkos::LayoutLeft, TestSpace> empty("empty", 0, 3);
    for (std::size_t k = 0; k < 12; ++k) convolution.data()[k] = first + float(k);
    Kokkos::deep_copy(vector, double(first));
    const GroupId group = optimizer.add_group(AdamW{});
    const Kokkos::View<double[5], TestSpace> gradient("gradient");
    optimizer.add(group, "vector", vector, gradient);
    optimizer.add(group, "convolution", convolution);
    optimizer.add(group, "empty", empty);
    return convolution;
  };
  TestOptimizer saved, other;
  const auto from = make(saved, 1), to = make(other, 7);
  saved.step(exec);
  checkpoint::save(exec, saved, path);
  checkpoint::load(exec, other, path);
  const checkpoint::SafetensorsFile file(path);
  using Shape = std::vector<std::uint64_t>;
  CHECK(file.find("weight/vector")->shape == Shape{5});
  CHECK(file.find("weight/convolution")->shape == Shape{2, 3, 1, 2});
  CHECK(file.find("weight/empty")->shape == Shape{0, 3});
  CHECK(file.find("state/momentum/vector")->shape == Shape{1, 1, 5});
  CHECK(file.find("state/momentum/convolution")->shape == Shape{1, 2, 6});
  for (std::size_t k = 0; k < 12; ++k) CHECK(to.data()[k] == from.data()[k]);
  checkpoint::save(exec, other, folder.file("again"));
  CHECK(contents_of(path) == contents_of(folder.file("again")));
}

TEST_CASE("neither between direction and apply") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run");
  const auto run = make_run<SGD, Storage::right>(SGD{}, false, 1);
  run->step(0);
  checkpoint::save(run->exec, run->optimizer, path);
  const std::string bytes = contents_of(path);
  run->optimizer.direction(run->exec);
  CHECK(contains(message_of([&] { checkpoint::save(run->exec, run->optimizer, path); }),
                 "checkpoint::save: direction = pending"));
  CHECK(contains(message_of([&] { checkpoint::load(run->exec, run->optimizer, path); }),
                 "checkpoint::load: direction = pending"));
  run->optimizer.apply(run->exec);
  CHECK(contents_of(path) == bytes);
}
