// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints from N ranks go on, to the last bit, on any number of ranks M, and gathered into one file.

#include "distributed/owners.hpp"
#include "distributed/shards.hpp"
#include "support/temporary_folder.hpp"
#include <schatten/distributed/assembled_optimizer.hpp>
#include <schatten/distributed/checkpoint.hpp>
#include <schatten/distributed/sharded_checkpoint.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/normuon.hpp>

#include <filesystem>
#include <fstream>
#include <memory>

namespace {

using namespace schatten;
using namespace schatten::test;

/// A folder that all ranks see, rank 0's.
class SharedFolder {
 public:
  SharedFolder() {
    char name[256] = {};
    if (ranks().rank() == 0) {
      mine_ = std::make_unique<TemporaryFolder>();
      mine_->path().copy(name, sizeof(name) - 1);
    }
    ranks().broadcast(RankExec(), name, sizeof(name), 0);
    path_ = name;
  }
  ~SharedFolder() { barrier(); }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;
  static void barrier() {
    (void)distributed::agree(ranks(), "barrier", [] { return std::string(); });
  }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::size_t files() const {
    return std::size_t(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::unique_ptr<TemporaryFolder> mine_;
  std::string path_;
};

/// Arrays under an Optimizer over some ranks.
template <class R>
struct Run {
  explicit Run(const distributed::MpiCommunicator& some, const R& rule = {})
      : comm(some), optimizer(comm, OptimizerOptions{.seed = 3}, {.piece_elements = 60}) {
    arrays.add_to(optimizer, optimizer.add_group(rule), optim::takes_vectors<R>());
  }
  void steps(unsigned from, unsigned to) {
    for (unsigned step = from; step <= to; ++step) {
      arrays.draw_gradients(step);
      optimizer.step(exec);
      exec.fence();
    }
  }
  RankExec exec{};
  Arrays arrays{};
  CountedRanks comm;
  RankOptimizer optimizer;
};

/// f(communicator) on the ranks below m, for m = 1 to N.
template <class F>
void on_fewer(const F& f) {
  for (int m = 1; m <= ranks().size(); ++m) {
    MPI_Comm some = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, ranks().rank() < m ? 0 : MPI_UNDEFINED, 0, &some);
    if (some == MPI_COMM_NULL) continue;
    f(distributed::MpiCommunicator(some));
    MPI_Comm_free(&some);
  }
}

template <class R>
void check_resumed() {
  CAPTURE(R::name);
  const SharedFolder folder;
  const std::string path = folder.file("run.json"), one_file = folder.file("one.safetensors");
  Run<R> whole(ranks());
  whole.steps(1, 2);
  distributed::save(whole.exec, whole.optimizer, path);
  whole.steps(3, 3);
  distributed::save(whole.exec, whole.optimizer, path, {.notes = {{"step", "3"}}});
  CHECK(folder.files() == std::size_t(ranks().size()) + 1);  // the first save's are gone
  SharedFolder::barrier();
  if (ranks().rank() == 0) distributed::gather_files(path, one_file);
  SharedFolder::barrier();
  whole.steps(4, 6);
  on_fewer([&](const distributed::MpiCommunicator& fewer) {
    for (const std::string& from : {path, one_file}) {
      Run<R> resumed(fewer);
      resumed.arrays.draw_gradients(99);  // into the weights: what is loaded must replace them
      const checkpoint::LoadReport report = distributed::load(resumed.exec, resumed.optimizer, from);
      CHECK(report.missing.empty());
      CHECK(report.extra.empty());
      CHECK(report.notes.at("step") == "3");
      resumed.steps(4, 6);
      CHECK(resumed.arrays.bytes() == whole.arrays.bytes());
    }
  });
}

/// Steps of whole matrices, and of parts where they are given.
void step_shards(const Whole& whole, unsigned from, unsigned to, OneOptimizer* one, Parts* parts) {
  const RankExec exec;
  for (unsigned step = from; step <= to; ++step) {
    whole.draw(step);
    if (step == 2) whole.g[1](13, 8) = std::numeric_limits<double>::infinity();
    if (parts != nullptr) parts->take_gradients(whole);
    if (one != nullptr) one->step(exec);
    if (parts != nullptr) parts->optimizer.step(exec);
    exec.fence();
  }
}

/// A save of parts goes on as the whole matrices do, within `most`, with other parts, and in one process.
template <class R>
void check_shards_resumed(const R& rule, distributed::Side side, double most) {
  CAPTURE(R::name);
  CAPTURE(to_string(side));
  const RankExec exec;
  const SharedFolder folder;
  const std::string path = folder.file("run.json"), one_file = folder.file("one.safetensors"),
                    back = folder.file("back.json");
  const std::vector<std::pair<std::size_t, std::size_t>> shapes{{14, 9}, {14, 9}, {5, 12}, {1, 6}};
  const distributed::ShardedOptions in_order{.order = distributed::SumOrder::ranks};
  Whole whole(rule, shapes);
  Parts parts(rule, whole, side, Split::uneven, in_order);
  parts.optimizer.set_lr_factor(parts.id, 0.5);
  whole.optimizer.set_lr_factor(whole.id, 0.5);
  step_shards(whole, 1, 3, &whole.optimizer, &parts);
  distributed::save(exec, parts.optimizer, path, {.notes = {{"step", "3"}}});
  CHECK(folder.files() == std::size_t(ranks().size()) + 1);
  SharedFolder::barrier();
  if (ranks().rank() == 0) distributed::gather_files(path, one_file);
  SharedFolder::barrier();
  step_shards(whole, 4, 6, &whole.optimizer, &parts);
  const auto check = [&](const Parts& some, double bound) {
    for (std::size_t k = 0; k < some.w.size(); ++k) {
      CAPTURE(k);
      CHECK(some.error(whole, k) <= bound);
    }
  };
  on_fewer([&](const distributed::MpiCommunicator& fewer) {
    for (const bool alike : {true, false}) {
      const distributed::Side other =
          side == distributed::Side::rows ? distributed::Side::columns : distributed::Side::rows;
      const Whole start(rule, shapes);
      Parts resumed(rule, start, alike ? side : other, alike ? Split::uneven : Split::on_last, in_order, fewer);
      const auto report = distributed::load(exec, resumed.optimizer, alike ? path : one_file);
      CHECK(report.missing.empty());
      CHECK(report.extra.empty());
      CHECK(report.notes.at("step") == "3");
      step_shards(start, 4, 6, nullptr, &resumed);
      check(resumed, most);
      if (alike && fewer.size() == ranks().size()) {
        for (std::size_t k = 0; k < parts.w.size(); ++k) {
          CHECK(std::equal(parts.w[k].data(), parts.w[k].data() + parts.w[k].size(), resumed.w[k].data()));
        }
      }
      if (fewer.size() == 1) distributed::save(exec, resumed.optimizer, back);
    }
  });
  SharedFolder::barrier();
  Whole one(rule, shapes);
  checkpoint::load(exec, one.optimizer, one_file);
  step_shards(one, 4, 6, &one.optimizer, nullptr);
  const Whole start(rule, shapes);
  Parts more(rule, start, side, Split::even, in_order);
  distributed::load(exec, more.optimizer, back);
  check(more, most);
  for (std::size_t k = 0; k < one.w.size(); ++k) CHECK(difference(one.w[k], whole.w[k], 0, 0) <= most);
}

}  // namespace

TEST_CASE("shards of N ranks go on on 1 to N ranks with other cuts, in one process, and from one rank on N") {
  for (const distributed::Side side : {distributed::Side::rows, distributed::Side::columns}) {
    check_shards_resumed(AdamW{}, side, 0);
    check_shards_resumed(NorMuon{}, side, 1e-10);
  }
}

TEST_CASE("master copies of shards are saved, also where a rank has no row") {
  using Weights = Kokkos::View<BFloat16**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  const RankExec exec;
  const SharedFolder folder;
  const std::size_t n = 4, rows = ranks().rank() == ranks().size() - 1 ? n : 0;  // all on the last rank
  const CountedRanks comm(ranks());
  std::vector<Weights> w;
  const auto run = [&](Sharded& optimizer, bool resumes, int steps) {
    w.emplace_back("w", rows, 3);
    const Weights g("g", rows, 3);
    Kokkos::deep_copy(exec, w.back(), BFloat16(1.0F));
    Kokkos::deep_copy(exec, g, BFloat16(1.0F));
    optimizer.add(optimizer.add_group(AdamW{.lr = 0x1p-11}), "w", w.back(), g, {n, 3, distributed::Side::rows});
    if (resumes) distributed::load(exec, optimizer, folder.file("run.json"));
    for (int k = 0; k < steps; ++k) optimizer.step(exec);
    exec.fence();
  };
  Sharded first(comm), second(comm);
  run(first, false, 3);  // less than the spacing of the weights: only the copies move
  distributed::save(exec, first, folder.file("run.json"));
  for (int k = 0; k < 5; ++k) first.step(exec);
  run(second, true, 5);
  for (std::size_t k = 0; k < w[0].size(); ++k) {
    CHECK(float(w[0].data()[k]) == float(w[1].data()[k]));
    CHECK(float(w[0].data()[k]) < 1);
  }
}

TEST_CASE("a flat buffer cut over N ranks goes on on 1 to N ranks with other cuts") {
  using Numbers = Kokkos::View<double*, Kokkos::LayoutRight, Kokkos::HostSpace>;
  using Assembled = distributed::AssembledOptimizer<double, RankExec, linalg::PortableBackend, CountedRanks>;
  const RankExec exec;
  const SharedFolder folder;
  const std::string path = folder.file("run.json");
  const std::size_t size = 5 * 3 + 4 * 4 + 7;
  const auto run = [&](const distributed::MpiCommunicator& some, Split split, bool resumes) {
    const CountedRanks comm(some);
    Assembled optimizer(comm);
    const GroupId id = optimizer.add_group(AdamW{});
    const auto begins = splits(size, some.size(), split);
    const auto me = std::size_t(some.rank());
    const Numbers w("w", begins[me + 1] - begins[me]), g("g", w.size());
    optimizer.add_flat({{"a", 5, 3, id}, {"b", 4, 4, id}, {"c", 1, 7, id}}, begins[me], w, g);
    for (std::size_t step = resumes ? 3 : 1; step <= 5; ++step) {
      if (step == 3 && resumes) distributed::load(exec, optimizer, path);
      if (step == 3 && !resumes) distributed::save(exec, optimizer, path);
      for (std::size_t k = 0; k < w.size(); ++k) g(k) = double((step * (begins[me] + k) * 7919) % 101) - 50;
      optimizer.step(exec);
      exec.fence();
    }
    std::vector<double> all(size);
    std::vector<std::size_t> bytes;
    for (std::size_t k = 0; k + 1 < begins.size(); ++k) bytes.push_back(8 * (begins[k + 1] - begins[k]));
    some.all_gather(exec, w.data(), all.data(), bytes);
    return all;
  };
  const std::vector<double> whole = run(ranks(), Split::uneven, false);
  CHECK(whole[1] != 0);
  on_fewer([&](const distributed::MpiCommunicator& fewer) { CHECK(run(fewer, Split::even, true) == whole); });
}

TEST_CASE("what does not match a save of shards is refused on all ranks") {
  const RankExec exec;
  const SharedFolder folder;
  const Whole whole(AdamW{}, {{6, 4}}), other(AdamW{}, {{6, 5}});
  Parts parts(AdamW{}, whole, distributed::Side::rows, Split::even);
  distributed::save(exec, parts.optimizer, folder.file("run.json"));
  Parts wrong(AdamW{}, other, distributed::Side::rows, Split::even);
  CHECK_THROWS_WITH_AS(distributed::load(exec, wrong.optimizer, folder.file("run.json")),
                       doctest::Contains("has the shape 6x4 in the file, 6x5 here"), checkpoint::MismatchError);
  CHECK_THROWS_WITH_AS(distributed::save(exec, parts.optimizer, folder.file("run.safetensors")),
                       doctest::Contains("must not end with .safetensors"), InvalidArgument);
  // What every rank has whole is no shard.
  auto& local = parts.optimizer.local();
  const Kokkos::View<double*, Kokkos::LayoutRight, Kokkos::HostSpace> bias("bias", 3), its_gradient("g", 3);
  local.add(local.add_group(AdamW{}), "bias", bias, its_gradient);
  CHECK_THROWS_WITH_AS(distributed::save(exec, parts.optimizer, folder.file("run.json")),
                       doctest::Contains("parameter = bias"), InvalidArgument);
}

TEST_CASE("a rank that owns nothing gets the notes too") {
  const RankExec exec;
  const SharedFolder folder;
  const CountedRanks comm(ranks());
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> w("w", 2, 2), g("g", 2, 2);
  RankOptimizer optimizer(comm);
  optimizer.add(optimizer.add_group(HTMuon{}), "w", w, g);
  optimizer.step(exec);
  distributed::save(exec, optimizer, folder.file("run.json"), {.notes = {{"step", "1"}}});
  CHECK(distributed::load(exec, optimizer, folder.file("run.json")).notes.at("step") == "1");
}

TEST_CASE("a group goes on where it was on the ranks that had none of its pieces") {
  const RankExec exec;
  const SharedFolder folder;
  const CountedRanks comm(ranks());
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> w("w", 2, 2), g("g", 2, 2);
  RankOptimizer optimizer(comm), resumed(comm);
  const GroupId id = optimizer.add_group(HTMuon{});
  optimizer.add(id, "w", w, g);
  optimizer.set_lr(id, 0.125);
  optimizer.set_lr_factor(id, 0.5);
  for (int step = 0; step < 3; ++step) optimizer.step(exec);
  distributed::save(exec, optimizer, folder.file("run.json"));
  resumed.add(resumed.add_group(HTMuon{}), "w", w, g);
  distributed::load(exec, resumed, folder.file("run.json"));
  RankOptimizer none(comm);
  distributed::save(exec, none, folder.file("run"));  // files beside those of run.json
  distributed::load(exec, resumed, folder.file("run.json"));
  const GroupInfo group = resumed.local().inventory().group(0);
  CHECK(group.steps == 3);
  CHECK(group.lr_factor == 0.5);
  CHECK(group.fields[0].value == 0.125);  // lr
}

TEST_CASE("shards go back to an earlier save, with its number of steps") {
  const RankExec exec;
  const SharedFolder folder;
  const Whole whole(AdamW{}, {{6, 4}});
  Parts parts(AdamW{}, whole, distributed::Side::rows, Split::even);
  for (int step = 1; step <= 5; ++step) {
    if (step == 3) distributed::save(exec, parts.optimizer, folder.file("run.json"));
    parts.optimizer.step(exec);
  }
  distributed::load(exec, parts.optimizer, folder.file("run.json"));
  CHECK(parts.optimizer.local().inventory().group(0).steps == 2);
}

TEST_CASE("options of a save or load that differ between ranks are refused on all") {
  if (ranks().size() == 1) return;
  const RankExec exec;
  const SharedFolder folder;
  const std::string path = folder.file("run.json");
  const bool mine = ranks().rank() == 0;
  const Whole whole(AdamW{}, {{6, 4}});
  Parts parts(AdamW{}, whole, distributed::Side::rows, Split::even);
  Run<AdamW> run(ranks());
  const auto refused = [&](const auto& call) {
    CHECK_THROWS_WITH_AS(call(), doctest::Contains("must be the same on all ranks"), InvalidArgument);
  };
  refused([&] { distributed::save(exec, parts.optimizer, path, {.weights = mine}); });
  refused([&] { distributed::save(exec, run.optimizer, path, {.weights = mine}); });
  CHECK(folder.files() == 0);
  SharedFolder::barrier();
  distributed::save(exec, run.optimizer, path);
  refused([&] { distributed::load(exec, run.optimizer, path, {.weights = mine}); });
  refused([&] { distributed::load(exec, run.optimizer, path, {.numbers = mine}); });
}

TEST_CASE("an index that is damaged is refused on all ranks, and no save replaces it") {
  const SharedFolder folder;
  Run<AdamW> run(ranks());
  run.steps(1, 1);
  const std::string path = folder.file("run.json");
  const auto refused = [&](const std::string& text, const char* words) {
    CAPTURE(text);
    SharedFolder::barrier();
    if (ranks().rank() == 0) std::ofstream(path) << text;
    SharedFolder::barrier();
    CHECK_THROWS_WITH_AS(distributed::load(run.exec, run.optimizer, path), doctest::Contains(words),
                         checkpoint::FileError);
    if (ranks().rank() == 0) {
      CHECK_THROWS_WITH_AS(distributed::save(run.exec, run.optimizer, path), doctest::Contains(words),
                           checkpoint::FileError);
    } else {
      CHECK_THROWS_AS(distributed::save(run.exec, run.optimizer, path), distributed::RefusedByRank);
    }
  };
  const std::string ranks_and_save = R"("metadata": {"save": "1", "ranks": "2"})";
  refused("", "expected {");
  refused("{" + ranks_and_save + "}", "is no index");
  refused(R"({"metadata": {"save": "1"}, "weight_map": {}})", "is no index");
  refused(R"({"metadata": {"save": "1", "ranks": "18446744073709551615"}, "weight_map": {}})", "a number from 1 to");
  refused(R"({"metadata": {"save": "0", "ranks": "2"}, "weight_map": {}})", "a number from 1 to");
  refused(R"({"metadata": {"save": "1", "ranks": "2", "total_size": "3"}, "weight_map": {}})", "unknown member");
  refused("{" + ranks_and_save + ", " + ranks_and_save + R"(, "weight_map": {}})", "two members");
  refused("{" + ranks_and_save + R"(, "weight_map": {"a": "x", "a": "y"}})", "two tensors are called a");
  refused("{" + ranks_and_save + R"(, "weight_map": {"a": "../x"}})", "in another folder");
  refused("{" + ranks_and_save + R"(, "weight_map": {}, "more": {"a": "x"}})", "unknown member");
}

TEST_CASE("a checkpoint from N ranks goes on, to the last bit, on 1 to N ranks, from its files or from one") {
  check_resumed<HTMuon>();
  check_resumed<AdamW>();
}

TEST_CASE("what does not match is refused on all ranks, and nothing has changed") {
  const SharedFolder folder;
  Run<HTMuon> run(ranks());
  run.steps(1, 1);
  distributed::save(run.exec, run.optimizer, folder.file("run.json"));
  Run<HTMuon> other(ranks());
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> w("w", 2, 2), g("g", 2, 2);
  other.optimizer.add(other.optimizer.add_group(HTMuon{}), "new", w, g);
  const std::string before = other.arrays.bytes();
  CHECK_THROWS_WITH_AS(distributed::load(other.exec, other.optimizer, folder.file("run.json")),
                       doctest::Contains("new: is missing in the files"), checkpoint::MismatchError);
  CHECK_THROWS_AS(distributed::load(other.exec, other.optimizer, folder.file("none.json")), checkpoint::FileError);
  CHECK(other.arrays.bytes() == before);
  // A folder that one rank cannot write to ends the save on all, and the old one stays.
  const std::string nowhere =
      ranks().rank() == ranks().size() - 1 ? folder.file("missing/run.json") : folder.file("run.json");
  if (ranks().size() > 1) {
    CHECK_THROWS(distributed::save(run.exec, run.optimizer, nowhere));
  } else {
    CHECK_THROWS_AS(distributed::save(run.exec, run.optimizer, nowhere), checkpoint::FileError);
  }
  Run<HTMuon> again(ranks());
  distributed::load(again.exec, again.optimizer, folder.file("run.json"));
  CHECK(again.arrays.bytes() == run.arrays.bytes());
}
