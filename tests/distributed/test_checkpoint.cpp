// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints from N ranks go on, to the last bit, on any number of ranks M, and gathered into one file.

#include "distributed/owners.hpp"
#include "support/temporary_folder.hpp"
#include <schatten/distributed/checkpoint.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/htmuon.hpp>

#include <filesystem>
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
  for (int m = 1; m <= ranks().size(); ++m) {
    MPI_Comm some = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, ranks().rank() < m ? 0 : MPI_UNDEFINED, 0, &some);
    if (some == MPI_COMM_NULL) continue;
    const distributed::MpiCommunicator fewer(some);
    for (const std::string& from : {path, one_file}) {
      Run<R> resumed(fewer);
      resumed.arrays.draw_gradients(99);  // into the weights: what is loaded must replace them
      const checkpoint::LoadReport report = distributed::load(resumed.exec, resumed.optimizer, from);
      CHECK(report.missing.empty());
      CHECK(report.extra.empty());
      resumed.steps(4, 6);
      CHECK(resumed.arrays.bytes() == whole.arrays.bytes());
    }
    MPI_Comm_free(&some);
  }
}

}  // namespace

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
