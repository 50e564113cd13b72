// SPDX-License-Identifier: BSD-3-Clause
// A run that goes on from a checkpoint is the run that was never interrupted, to the last bit.
// labels: portable

#include "support/errors.hpp"
#include "support/resumed_runs.hpp"
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using TestOptimizer = ResumedOptimizer;

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
