// SPDX-License-Identifier: BSD-3-Clause
// A checkpoint of something else: every difference is named, and nothing is changed.
// labels: portable

#include "support/errors.hpp"
#include "support/optimizer_state.hpp"
#include "support/temporary_folder.hpp"
#include "support/views.hpp"
#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/optim/function_rule.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using TestOptimizer = Optimizer<double, Exec, linalg::PortableBackend>;
using checkpoint::FileError;
using checkpoint::LoadOptions;
using checkpoint::Manifest;
using checkpoint::MismatchError;
using checkpoint::Tensor;
using Strings = std::vector<std::string>;

/// An Optimizer with parameters that live here.
struct Model {
  TestOptimizer optimizer;
  std::map<std::string, Kokkos::View<double**, Kokkos::LayoutRight, TestSpace>> weights, gradients;
  std::vector<Kokkos::View<BFloat16**, Kokkos::LayoutRight, TestSpace>> reduced;
  Exec exec{};

  explicit Model(std::uint64_t seed = 0) : optimizer(OptimizerOptions{.seed = seed}) {}

  void add(GroupId group, const std::string& name, std::size_t rows, std::size_t cols,
           const ParameterOptions& options = {}) {
    const unsigned seed = unsigned(weights.size());
    weights.emplace(name, to_view<double>(gaussian(rows, cols, seed)));
    gradients.emplace(name, to_view<double>(gaussian(rows, cols, 50 + seed)));
    optimizer.add(group, name, weights.at(name), gradients.at(name), options);
  }
  void add_reduced(GroupId group, const std::string& name, ReducedWeight how) {
    reduced.push_back(to_view<BFloat16>(gaussian(2, 2, 1)));
    gradients.emplace(name, to_view<double>(gaussian(2, 2, 2)));
    optimizer.add(group, name, reduced.back(), gradients.at(name), {.reduced_weight = how});
  }
  void step() {
    optimizer.step(exec);
    exec.fence();
  }

  /// All that a load could change.
  [[nodiscard]] std::string everything() {
    const TemporaryFolder folder;
    checkpoint::save(exec, optimizer, folder.file("a"));
    return contents_of(folder.file("a"));
  }
  Strings mismatches(const std::string& path, const LoadOptions& options = {}) {
    const std::string before = everything();
    try {
      checkpoint::load(exec, optimizer, path, options);
      FAIL("the load matches");
    } catch (const MismatchError& error) {
      CHECK(contains(error.what(), path + ": does not match the Optimizer\n  " + error.mismatches().at(0)));
      CHECK(everything() == before);
      return error.mismatches();
    }
    return {};
  }
};

/// A saved file, taken apart, changed and put together again.
struct Edited {
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> bytes;
  checkpoint::Metadata metadata;

  explicit Edited(const std::string& path) {
    const checkpoint::SafetensorsFile file(path);
    tensors = file.tensors();
    metadata = file.metadata();
    for (const Tensor& t : tensors) {
      bytes[t.name].resize(t.bytes());
      file.read(t, bytes[t.name].data());
    }
  }
  void write(const std::string& path) const {
    checkpoint::write_safetensors(path, tensors, metadata, [&](const Tensor& t, char* to) {
      std::string data = bytes.contains(t.name) ? bytes.at(t.name) : std::string();
      data.resize(t.bytes());
      std::memcpy(to, data.data(), data.size());
    });
  }
  Tensor& tensor(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& t) { return t.name == name; });
  }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const Tensor& t) { return t.name == name; });
  }
  void set_count(const std::string& name, std::size_t k, std::int64_t value) {
    std::memcpy(bytes.at(name).data() + 8 * k, &value, sizeof(value));
  }
};

void check_same(Strings found, Strings expected) {
  std::sort(found.begin(), found.end());
  std::sort(expected.begin(), expected.end());
  CHECK(found.size() == expected.size());
  for (std::size_t k = 0; k < std::min(found.size(), expected.size()); ++k) CHECK(found[k] == expected[k]);
}

/// A model of two groups after two steps, saved.
struct Saved {
  TemporaryFolder folder;
  std::string path = folder.file("run.safetensors"), edited = folder.file("edited.safetensors");
  Model model;
  GroupId hidden, other;
  Saved() {
    hidden = model.optimizer.add_group(HTMuon{});
    other = model.optimizer.add_group(AdamW{});
    model.add(hidden, "up", 4, 3);
    model.add(hidden, "down", 3, 4);
    model.add(other, "head", 2, 5);
    model.step();
    model.step();
    checkpoint::save(model.exec, model.optimizer, path);
    model.step();
  }
  /// What a load into the model says of the file after `edit`.
  Strings after(const std::function<void(Edited&)>& edit) {
    Edited file(path);
    edit(file);
    file.write(edited);
    return model.mismatches(edited);
  }
};

}  // namespace

TEST_CASE("every difference is named at once") {
  Saved saved;
  Model other;
  const GroupId a = other.optimizer.add_group(HTMuon{.interval = 2, .map = {.method = SpectralMethod::svd}});
  const GroupId b = other.optimizer.add_group(Lion{});
  other.add(a, "up", 3, 4);
  other.add(a, "new", 3, 4);
  other.add(b, "head", 2, 5);
  other.step();
  const Strings all = other.mismatches(saved.path);
  check_same(
      all,
      {"up: has the shape 4x3 in the file, 3x4 here", "new: is missing in the file (LoadOptions::allow_missing)",
       "down: is in the file, but not here (LoadOptions::allow_extra)",
       "group 1 (lion): has the rule adamw in the file; load it with adamw, then copy the state (docs/checkpoints.md)",
       "group 0 (htmuon): method is 0 in the file, 1 here, and fixed when the group is made"});
  CHECK(other.optimizer.get(a, "interval") == 2);
}

TEST_CASE("arrays of other types and shapes, missing and unknown ones") {
  Saved saved;
  Model other;
  const GroupId a = other.optimizer.add_group(HTMuon{.momentum = {.storage = StateStorage::bfloat16}});
  const GroupId b = other.optimizer.add_group(AdamW{});
  other.add(a, "up", 4, 3);
  other.add(a, "down", 3, 4);
  other.add(b, "head", 2, 5, {.row_blocks = 2});
  other.step();
  check_same(other.mismatches(saved.path),
             {"group 0 (htmuon): momentum_storage is 0 in the file, 1 here, and fixed when the group is made",
              "up: the array momentum is F64[1, 4, 3] in the file, BF16[1, 4, 3] here",
              "down: the array momentum is F64[1, 3, 4] in the file, BF16[1, 3, 4] here",
              "head: is cut into 1 block in the file, 2 row blocks here"});
  check_same(
      saved.after([](Edited& file) {
        file.remove("state/momentum/up");
        file.remove("weight/down");
        file.tensor("count/head").shape = {3};
        file.tensor("weight/up").type = "F32";
        file.tensor("state/momentum/head").shape = {1, 5, 2};
        file.tensors.push_back({.name = "state/velocity/up", .type = "U8", .shape = {1}});
        file.tensors.push_back({.name = "state/velocity/none", .type = "U8", .shape = {1}});
        file.tensors.push_back({.name = "weight/none", .type = "U8", .shape = {1}});
        file.tensors.push_back({.name = "state/", .type = "U8", .shape = {1}});
        file.tensors.push_back({.name = "up", .type = "U8", .shape = {1}});
      }),
      {"up: the array momentum is missing in the file", "down: the weight is missing in the file",
       "head: the count is I64[3] in the file, I64[2] here", "up: the weight is F32[4, 3] in the file, F64[4, 3] here",
       "head: the array momentum is F64[1, 5, 2] in the file, F64[1, 2, 5] here",
       "up: the file has an array velocity, which is not kept here",
       "state/velocity/none: is a tensor of no parameter in the file",
       "weight/none: is a tensor of no parameter in the file", "state/: is a tensor of no parameter in the file",
       "up: is a tensor of no parameter in the file"});
}

TEST_CASE("a spectral function is named, and its numbers are the group's") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  Model soft, clipped, by_power;
  const GroupId group = soft.optimizer.add_group(with_function(Muon{}, SoftSign{.tau = 0.25}));
  soft.add(group, "w", 4, 3);
  soft.step();
  checkpoint::save(soft.exec, soft.optimizer, path);
  soft.optimizer.set(group, "tau", 0.5);
  checkpoint::load(soft.exec, soft.optimizer, path);
  CHECK(soft.optimizer.get(group, "tau") == 0.25);
  clipped.add(clipped.optimizer.add_group(with_function(Muon{}, Clip{})), "w", 4, 3);
  check_same(clipped.mismatches(path), {"group 0 (muon/clip): has the rule muon/soft_sign in the file; load it with "
                                        "muon/soft_sign, then copy the state (docs/checkpoints.md)"});
  by_power.add(by_power.optimizer.add_group(Muon{}), "w", 4, 3);
  check_same(by_power.mismatches(path), {"group 0 (muon): has the rule muon/soft_sign in the file; load it with "
                                         "muon/soft_sign, then copy the state (docs/checkpoints.md)"});
}

TEST_CASE("parts of a parameter, and blocks that take turns, which are not those that are stacked") {
  const TemporaryFolder folder;
  const auto make = [](const ParameterOptions& options) {
    Model model;
    model.add(model.optimizer.add_group(HTMuon{}), "w", 4, 4, options);
    model.step();
    return model;
  };
  const ParameterOptions sizes{.row_sizes = {2, 1, 1}};
  Model parts = make(sizes), again = make(sizes);
  parts.optimizer.set_decay_factor("w", 0.5);
  parts.optimizer.pause("w");
  checkpoint::save(parts.exec, parts.optimizer, folder.file("parts"));
  again.step();
  checkpoint::load(again.exec, again.optimizer, folder.file("parts"));
  CHECK(again.everything() == parts.everything());
  CHECK(checkpoint::SafetensorsFile(folder.file("parts")).find("weight/w[0]")->shape ==
        std::vector<std::uint64_t>{2, 4});
  Model saved = make({.row_blocks = 2}), other = make({.row_blocks = 2, .interleaved = true});
  checkpoint::save(saved.exec, saved.optimizer, folder.file("a"));
  check_same(other.mismatches(folder.file("a")),
             {"w: is cut into 2 row blocks in the file, 2 interleaved row blocks here"});
}

TEST_CASE("counts and numbers that cannot be") {
  Saved saved;
  check_same(saved.after([](Edited& file) {
    file.set_count("count/up", 0, -1);
    file.set_count("count/down", 1, 3);
    file.set_count("count/head", 0, (std::int64_t{1} << 50) + 1);
    file.metadata["group/0/steps"] = "18446744073709551615";
  }),
             {"up: the counts hold -1 of -1 steps in the file", "down: the counts hold 3 of 2 steps in the file",
              "head: the counts hold 1125899906842625 of 1125899906842625 steps in the file",
              "group 0 (htmuon): has taken 18446744073709551615 steps in the file"});
  const Strings numbers = saved.after([](Edited& file) {
    file.metadata["group/0/number/lr"] = "-1";
    file.metadata["group/0/number/momentum"] = "1.5";
    file.metadata["group/0/number/power"] = "0.5";
    file.metadata["group/1/number/gamma"] = "1";
    file.metadata.erase("group/1/number/epsilon");
    file.metadata["group/1/number/beta2"] = "inf";
  });
  REQUIRE(numbers.size() == 5);
  CHECK(contains(numbers[0], "group 1 (adamw): epsilon is missing in the file"));
  CHECK(contains(numbers[1], "group 1 (adamw): the file has a number gamma, which the rule has not"));
  CHECK(contains(numbers[2], "lr = -1, but it must be finite and not negative"));
  CHECK(contains(numbers[3], "momentum = 1.5, but it must lie in [0, 1)"));
  CHECK(contains(numbers[4], "beta2 = inf, but it must lie in [0, 1)"));
  CHECK(saved.model.optimizer.get(saved.hidden, "power") == 0.125);
  const auto broken = [&](const std::string& key, const std::string& value) {
    const std::string before = saved.model.everything();
    Edited file(saved.path);
    file.metadata[key] = value;
    file.write(saved.edited);
    CHECK(contains(
        message_of<FileError>([&] { checkpoint::load(saved.model.exec, saved.model.optimizer, saved.edited); }),
        key + " = " + value));
    CHECK(saved.model.everything() == before);
  };
  broken("group/0/number/lr", "nan");
  broken("group/0/lr_factor", "inf");
}

TEST_CASE("numbers that the state goes by are back after a refusal, and so are the arrays") {
  Saved saved;
  saved.model.optimizer.set(saved.hidden, {{"momentum", 0.5}, {"lr", 0.25}});
  const Strings found = saved.after([](Edited& file) {
    file.metadata["group/0/number/momentum"] = "0";
    file.metadata["group/0/number/lr"] = "0.75";
  });
  // Without momentum there is no such array.
  check_same(found, {"up: the file has an array momentum, which is not kept here",
                     "down: the file has an array momentum, which is not kept here"});
  CHECK(saved.model.optimizer.get(saved.hidden, "momentum") == 0.5);
  CHECK(saved.model.optimizer.get(saved.hidden, "lr") == 0.25);
}

TEST_CASE("missing and extra parameters, where allowed") {
  Saved saved;
  Model other;
  const GroupId a = other.optimizer.add_group(HTMuon{}), b = other.optimizer.add_group(SGD{.lr = 0.5});
  other.add(a, "down", 3, 4);
  other.add(b, "new", 3, 3);
  other.step();
  check_same(other.mismatches(saved.path), {"new: is missing in the file (LoadOptions::allow_missing)",
                                            "head: is in the file, but not here (LoadOptions::allow_extra)",
                                            "up: is in the file, but not here (LoadOptions::allow_extra)"});
  CHECK(other.mismatches(saved.path, {.allow_missing = true}).size() == 2);
  CHECK(other.mismatches(saved.path, {.allow_extra = true}).size() == 1);
  const Matrix before = to_matrix(other.weights.at("new"));
  const std::vector<Matrix> momentum = state_of(other.exec, other.optimizer, "new/momentum");
  const checkpoint::LoadReport report =
      checkpoint::load(other.exec, other.optimizer, saved.path, {.allow_missing = true, .allow_extra = true});
  CHECK(report.missing == Strings{"new"});
  CHECK(report.extra == Strings{"head", "up"});
  CHECK(same_bits(to_matrix(other.weights.at("new")), before));
  CHECK(same_bits(state_of(other.exec, other.optimizer, "new/momentum"), momentum));
  Model whole;
  const GroupId c = whole.optimizer.add_group(HTMuon{});
  whole.add(c, "down", 3, 4);
  checkpoint::load(whole.exec, whole.optimizer, saved.path, {.allow_extra = true});
  CHECK(same_bits(to_matrix(whole.weights.at("down")), to_matrix(other.weights.at("down"))));
  CHECK(whole.optimizer.read_counts(whole.exec).at(0).group_steps == 2);
}

TEST_CASE("groups are found by their parameters") {
  Saved saved;
  Model other;  // the groups in the other order, one cut in two
  const GroupId head = other.optimizer.add_group(AdamW{.lr = 1});
  const GroupId up = other.optimizer.add_group(HTMuon{.lr = 1}), down = other.optimizer.add_group(HTMuon{.lr = 1});
  const GroupId empty = other.optimizer.add_group(SGD{.lr = 1});
  other.add(down, "down", 3, 4);
  other.add(head, "head", 2, 5);
  other.add(up, "up", 4, 3);
  checkpoint::load(other.exec, other.optimizer, saved.path);
  CHECK(other.optimizer.get(head, "lr") == AdamW{}.lr);
  CHECK(other.optimizer.get(up, "lr") == HTMuon{}.lr);
  CHECK(other.optimizer.get(down, "lr") == HTMuon{}.lr);
  CHECK(other.optimizer.get(empty, "lr") == 1);
  Model joined;
  const GroupId all = joined.optimizer.add_group(HTMuon{});
  joined.add(all, "up", 4, 3);
  joined.add(all, "down", 3, 4);
  joined.add(all, "head", 2, 5);
  check_same(joined.mismatches(saved.path),
             {"head: is in another group of the file than the other parameters of its group"});
}

TEST_CASE("weights of 16 bits: how they are rounded, and by which seed") {
  const TemporaryFolder folder;
  const auto make = [](std::uint64_t seed, ReducedWeight how) {
    Model model(seed);
    model.add_reduced(model.optimizer.add_group(SGD{}), "w", how);
    model.step();
    return model;
  };
  Model saved = make(3, ReducedWeight::stochastic_rounding);
  checkpoint::save(saved.exec, saved.optimizer, folder.file("a"));
  Model other = make(4, ReducedWeight::stochastic_rounding);
  check_same(other.mismatches(folder.file("a")), {"w: is rounded with the seed 3 in the file, 4 here"});
  Model nearest = make(4, ReducedWeight::nearest);
  check_same(nearest.mismatches(folder.file("a")), {"w: is rounded stochastically only in the file"});
  Model master = make(4, ReducedWeight::master_copy);
  check_same(master.mismatches(folder.file("a")),
             {"w: is rounded stochastically only in the file", "w: the array master is missing in the file"});
  CHECK(checkpoint::SafetensorsFile(folder.file("a")).find("weight/w")->type == "BF16");
  Model wide;
  wide.add(wide.optimizer.add_group(SGD{}), "w", 2, 2);
  check_same(wide.mismatches(folder.file("a")), {"w: is rounded stochastically only in the file",
                                                 "w: the weight is BF16[2, 2] in the file, F64[2, 2] here"});
}

TEST_CASE("files that are no checkpoints") {
  Saved saved;
  checkpoint::write_safetensors(saved.edited, {}, {{"format", "pt"}}, [](const Tensor&, char*) {});
  const std::string before = saved.model.everything();
  const auto load = [&](const std::string& path) {
    return message_of<FileError>([&] { checkpoint::load(saved.model.exec, saved.model.optimizer, path); });
  };
  CHECK(contains(load(saved.edited), "is a safetensors file, but no checkpoint of an Optimizer"));
  CHECK(contains(load(saved.folder.file("none")), "cannot be opened"));
  const std::string bytes = contents_of(saved.path);
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{100}, bytes.size() - 1}) {
    write_file(saved.edited, bytes.substr(0, size));
    CHECK(contains(load(saved.edited), "truncated"));
  }
  CHECK(saved.model.everything() == before);
}

TEST_CASE("names that a file cannot hold are refused by add, others are read as they were") {
  Model model, other;
  const TemporaryFolder folder;
  const GroupId group = model.optimizer.add_group(SGD{}), its = other.optimizer.add_group(SGD{});
  CHECK(message_of([&] { model.add(group, "w\xff\xc3\xa4\n", 2, 2); }) ==
        "schatten::Optimizer::add: name = w\\xff\xc3\xa4\\x0a, but it must be UTF-8, without NUL");
  CHECK(contains(message_of([&] { model.add(group, std::string("w\0", 2), 2, 2); }), "name = w\\x00, but"));
  for (const char* const name : {"__metadata__", "a/b", "\"\\\n", "\xc3\xa4"}) {
    model.add(group, name, 2, 2);
    other.add(its, name, 2, 2);
  }
  checkpoint::save(model.exec, model.optimizer, folder.file("a"));
  checkpoint::load(other.exec, other.optimizer, folder.file("a"));
  CHECK(other.everything() == model.everything());
}
