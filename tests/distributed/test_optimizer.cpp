// SPDX-License-Identifier: BSD-3-Clause
// Parameters over ranks: rules by elements, sums of gradients, what is sent, who owns what, what a rank keeps.

#include "distributed/owners.hpp"
#include <schatten/optim/rules/adam.hpp>
#include <schatten/optim/rules/adam_mini.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/ademamix.hpp>
#include <schatten/optim/rules/cautious_adamw.hpp>
#include <schatten/optim/rules/cautious_lion.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/lion.hpp>
#include <schatten/optim/rules/mars.hpp>
#include <schatten/optim/rules/mars_lion.hpp>
#include <schatten/optim/rules/sgd.hpp>
#include <schatten/optim/rules/sophia_g.hpp>

#include <algorithm>
#include <functional>
#include <numeric>

namespace {

using namespace schatten;
using namespace schatten::test;
using distributed::Gradients;

/// `count` matrices n×n and their gradients.
struct Layers {
  std::vector<Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>> w, g;
  Layers(std::size_t count, std::size_t n) {
    for (std::size_t k = 0; k < count; ++k) {
      w.emplace_back("w", n, n);
      g.emplace_back("g", n, n);
      Arrays::draw(w.back(), unsigned(k));
      Arrays::draw(g.back(), 50 + unsigned(k));
    }
  }
  void add_to(RankOptimizer& optimizer, GroupId id) const {
    for (std::size_t k = 0; k < w.size(); ++k) optimizer.add(id, "layer" + std::to_string(k), w[k], g[k]);
  }
};

/// A communicator that calls a function where a gather begins.
struct Watched : CountedRanks {
  using CountedRanks::CountedRanks;
  std::function<void()> begins = [] {};
  auto start_all_gather(const RankExec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    begins();
    return CountedRanks::start_all_gather(exec, mine, all, bytes);
  }
};

}  // namespace

TEST_CASE("every rule by elements gives the bits of one process on any number of ranks") {
  check_same_bits(AdamW{});
  check_same_bits(Adam{});
  check_same_bits(CautiousAdamW{});
  check_same_bits(MARS{});
  check_same_bits(AdEMAMix{});
  check_same_bits(AdamMini{});
  check_same_bits(SophiaG{});
  check_same_bits(Lion{});
  check_same_bits(CautiousLion{});
  check_same_bits(MARSLion{});
  check_same_bits(SGD{});
}

TEST_CASE("summed gradients: as one process with the sum in the order of ranks") {
  const RankExec exec;
  const Arrays one, many;
  const CountedRanks comm(ranks());
  OneOptimizer expected;
  RankOptimizer optimizer(comm, {}, {.gradients = Gradients::summed, .piece_elements = 60, .message_bytes = 2000});
  one.add_to(expected, expected.add_group(AdamW{}), true);
  many.add_to(optimizer, optimizer.add_group(AdamW{}), true);
  for (unsigned step = 1; step <= 3; ++step) {
    std::vector<Arrays> of_rank(std::size_t(ranks().size()));
    for (std::size_t k = 0; k < of_rank.size(); ++k) of_rank[k].draw_gradients(10 * step + unsigned(k));
    std::vector<std::vector<double>> sums;
    for (const Arrays& arrays : of_rank) {
      std::size_t at = 0;
      arrays.each([&](const auto&, const auto& g) {
        if (at == sums.size()) sums.emplace_back(g.size(), 0.0);
        for (std::size_t k = 0; k < g.size(); ++k) sums[at][k] += double(g.data()[k]);
        ++at;
      });
    }
    std::size_t at = 0;
    one.each([&](const auto&, const auto& g) {
      using E = typename std::remove_cvref_t<decltype(g)>::value_type;
      for (std::size_t k = 0; k < g.size(); ++k) g.data()[k] = E(sums[at][k]);
      ++at;
    });
    many.draw_gradients(10 * step + unsigned(ranks().rank()));
    expected.step(exec);
    optimizer.step(exec);
    exec.fence();
  }
  CHECK(many.bytes() == one.bytes());
}

TEST_CASE("weights are sent while others are computed, and the bits are those of sending them afterwards") {
  using WatchedOptimizer = distributed::Optimizer<double, RankExec, linalg::PortableBackend, Watched>;
  const RankExec exec;
  std::string bytes[2];
  for (const bool overlap : {false, true}) {
    const Layers square(4, 9), larger(4, 10), largest(4, 12);
    Watched comm(ranks());
    WatchedOptimizer optimizer(comm, {}, {.message_bytes = 100, .overlap = overlap});
    const GroupId id = optimizer.add_group(HTMuon{});
    for (const Layers* layers : {&square, &larger, &largest}) {
      for (std::size_t k = 0; k < 4; ++k) {
        optimizer.add(id, std::to_string(layers->w[0].extent(0)) + "." + std::to_string(k), layers->w[k], layers->g[k]);
      }
    }
    optimizer.find_owners();
    std::size_t early = 0;
    for (std::size_t step = 1; step <= 3; ++step) {
      std::vector<double> before;
      for (const auto& w : largest.w) before.push_back(w(0, 0));
      comm.begins = [&] {  // of the weights that are stepped last
        for (std::size_t k = 0; k < 4; ++k) {
          if (optimizer.owner("12." + std::to_string(k)) != std::size_t(ranks().rank())) continue;
          early += largest.w[k](0, 0) == before[k];
        }
      };
      optimizer.step(exec);
      exec.fence();
    }
    CHECK((early > 0) == (overlap && ranks().size() > 1));  // a rank has one of the four at least
    for (const Layers* layers : {&square, &larger, &largest}) {
      for (const auto& w : layers->w) {
        bytes[overlap].append(reinterpret_cast<const char*>(w.data()), w.size() * sizeof(double));
      }
    }
  }
  CHECK(bytes[0] == bytes[1]);
}

TEST_CASE("a rank sends (N-1)/N of the weights, and of the gradients as much where they are summed") {
  const RankExec exec;
  const std::size_t n = 16, count = 12, bytes = count * n * n * sizeof(double),
                    others = std::size_t(ranks().size()) - 1;
  const Layers layers(count, n);
  const CountedRanks comm(ranks());
  RankOptimizer optimizer(comm, {}, {.gradients = Gradients::summed});
  layers.add_to(optimizer, optimizer.add_group(HTMuon{}));
  optimizer.find_owners();
  (void)comm.take();
  optimizer.step(exec);
  const distributed::Traffic traffic = comm.take();
  CHECK(traffic.exchanges == 2);
  CHECK(traffic.gathers == 1);
  CHECK(traffic.sums == 0);
  const auto N = std::size_t(ranks().size());
  CHECK(traffic.gather_bytes * N == bytes * others);  // 12 matrices divide by 1, 2, 3 and 4 ranks
  CHECK(traffic.all_to_all_bytes * N == bytes * others);
}

TEST_CASE("owners are balanced by what a step costs, state is the owner's alone") {
  const RankExec exec;
  const CountedRanks comm(ranks());
  const std::size_t n = 8, count = 24;
  const Layers layers(count, n);
  RankOptimizer optimizer(comm);
  layers.add_to(optimizer, optimizer.add_group(HTMuon{}));
  optimizer.step(exec);
  const std::vector<double>& load = optimizer.load();
  CHECK(*std::max_element(load.begin(), load.end()) == *std::min_element(load.begin(), load.end()));
  std::size_t mine = 0;
  auto inventory = optimizer.local().inventory();
  for (const ParameterInfo& p : inventory.parameters()) {
    for (const ArrayInfo& array : inventory.arrays(p.name)) {
      if (array.name == "momentum") mine += array.matrices * array.rows * array.cols;
    }
  }
  CHECK(mine * std::size_t(ranks().size()) == count * n * n);
  // Uneven ones: within Graham's bound of the mean and the dearest piece.
  std::vector<double> cost, uneven(4, 0.0);
  for (std::size_t k = 1; k <= 40; ++k) cost.push_back(distributed::step_cost(true, 1, 64 * k, 32 * (k % 7 + 1)));
  const auto owner = distributed::share_out(cost, uneven);
  const double mean = std::accumulate(cost.begin(), cost.end(), 0.0) / 4;
  CHECK(owner.size() == cost.size());
  CHECK(*std::max_element(uneven.begin(), uneven.end()) <
        4.0 / 3 * std::max(mean, *std::max_element(cost.begin(), cost.end())));
}

TEST_CASE("fewer matrices than ranks, and none") {
  const RankExec exec;
  const CountedRanks comm(ranks());
  RankOptimizer optimizer(comm);
  const GroupId id = optimizer.add_group(HTMuon{});
  optimizer.step(exec);
  const Layers one(1, 5), other(1, 5);
  one.add_to(optimizer, id);
  optimizer.step(exec);
  OneOptimizer expected;
  const GroupId alone = expected.add_group(HTMuon{});
  expected.step(exec);
  expected.add(alone, "layer0", other.w[0], other.g[0]);
  expected.step(exec);
  exec.fence();
  CHECK(std::memcmp(one.w[0].data(), other.w[0].data(), 25 * sizeof(double)) == 0);
}

TEST_CASE("what add refuses is refused on all ranks, also after owners were found, and nothing has changed") {
  const RankExec exec;
  const CountedRanks comm(ranks());
  const Layers layers(2, 5), more(1, 5);
  RankOptimizer optimizer(comm);
  const GroupId id = optimizer.add_group(HTMuon{});
  layers.add_to(optimizer, id);
  optimizer.step(exec);
  const Kokkos::View<double***, Kokkos::LayoutRight, Kokkos::HostSpace> three("w", 3, 2, 2), three_g("g", 3, 2, 2);
  const auto& w = more.w[0];
  const auto& g = more.g[0];
  CHECK_THROWS_WITH_AS(optimizer.add(id, "layer0", w, g), doctest::Contains("is registered already"), InvalidArgument);
  CHECK_THROWS_WITH_AS(optimizer.add(id, "new", layers.w[0], g), doctest::Contains("the parameter layer0"),
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(optimizer.add(id, "new", w, layers.w[1]), doctest::Contains("the parameter layer1"),
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(optimizer.add(id, "", three, three_g), doctest::Contains("must not be empty"), InvalidArgument);
  optimizer.add(id, "experts[2]", w, g);
  CHECK_THROWS_WITH_AS(optimizer.add(id, "experts", three, three_g), doctest::Contains("name = experts[2]"),
                       InvalidArgument);  // after two matrices
  CHECK(optimizer.pieces() == std::vector<std::string>{"layer0", "layer1", "experts[2]"});
  optimizer.add(id, "others", three, three_g);
  optimizer.step(exec);
  CHECK(optimizer.pieces().size() == 6);
}

TEST_CASE("what one rank refuses, or fails in, ends the call on all") {
  const RankExec exec;
  const CountedRanks comm(ranks());
  const int last = ranks().size() - 1;
  if (ranks().size() > 1) {
    RankOptimizer optimizer(comm);
    const Layers layers(2, ranks().rank() == last ? 4 : 5);
    layers.add_to(optimizer, optimizer.add_group(HTMuon{}));
    CHECK_THROWS_WITH_AS(optimizer.step(exec), doctest::Contains("layer0 5x5"), InvalidArgument);
    // Options, and numbers of parameters, that differ.
    const bool mine = ranks().rank() == last;
    const Layers alike(2, 5);
    const auto differs = [&](const distributed::RankOptions& options, bool fewer, const char* words) {
      RankOptimizer some(comm, {}, options);
      const GroupId id = some.add_group(HTMuon{});
      if (!fewer) alike.add_to(some, id);
      CHECK_THROWS_WITH_AS(some.step(exec), doctest::Contains(words), InvalidArgument);
    };
    differs({.message_bytes = mine ? std::size_t{800} : std::size_t{1600}}, false, "message_bytes 800");
    differs({.gradients = mine ? Gradients::summed : Gradients::equal}, false, "gradients 1");
    differs({}, mine, "'0 pieces' on rank");
    RankOptimizer some(comm);
    some.add(some.add_group(HTMuon{}), "w", alike.w[0], alike.g[0],
             {.row_sizes = mine ? std::vector<std::size_t>{2, 3} : std::vector<std::size_t>{3, 2}});
    CHECK_THROWS_WITH_AS(some.step(exec), doctest::Contains("must be the same on all ranks"), InvalidArgument);
  }
  RankOptimizer optimizer(comm, {.non_finite = NonFinite::raise});
  const Layers layers(4, 5);
  layers.g[2](1, 1) = std::numeric_limits<double>::quiet_NaN();
  layers.add_to(optimizer, optimizer.add_group(HTMuon{}));
  optimizer.find_owners();
  if (optimizer.owner("layer2") == std::size_t(ranks().rank())) {
    CHECK_THROWS_AS(optimizer.step(exec), NumericalError);
  } else {
    CHECK_THROWS_AS(optimizer.step(exec), distributed::RefusedByRank);
  }
  std::uint64_t mine = 0;  // no rank has other weights than the rest
  for (const auto& w : layers.w) mine ^= distributed::digest_of({reinterpret_cast<const char*>(w.data()), 25 * 8});
  std::vector<std::uint64_t> all(std::size_t(ranks().size()));
  ranks().exchange(&mine, sizeof(mine), all.data());
  CHECK(std::count(all.begin(), all.end(), mine) == ranks().size());
}
