// SPDX-License-Identifier: BSD-3-Clause
// Weights cut over ranks: HTMuon by one sum, any rule by putting matrices together at their owners.

#include "distributed/shards.hpp"
#include <schatten/distributed/assembled_optimizer.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/normuon.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;
using distributed::Side;
using Numbers = Kokkos::View<double*, Kokkos::LayoutRight, Kokkos::HostSpace>;
using Assembled = distributed::AssembledOptimizer<double, RankExec, linalg::PortableBackend, CountedRanks>;

void check_htmuon(HTMuon rule, Side side, Split split) {
  CAPTURE(to_string(side));
  CAPTURE(to_string(split));
  CAPTURE(int(rule.scale));
  rule.map.method = SpectralMethod::rational;
  const RankExec exec;
  Whole whole(rule, {{20, 12}, {20, 12}, {9, 16}, {1, 8}, {3, 1}});
  Parts parts(rule, whole, side, split);
  for (unsigned step = 1; step <= 3; ++step) {
    whole.draw(step);
    if (step == 2) whole.g[1](19, 11) = std::numeric_limits<double>::quiet_NaN();
    parts.take_gradients(whole);
    whole.optimizer.step(exec);
    parts.optimizer.step(exec);
    exec.fence();
  }
  const bool norms = optim::needs_factor(rule.scale);
  CHECK(parts.comm.take().sums == 3 * 4 * (norms && ranks().size() > 1 ? 2U : 1U));  // four whole shapes
  CHECK(parts.optimizer.local().skipped_steps(exec) == 1);
  for (std::size_t k = 0; k < parts.w.size(); ++k) {
    CAPTURE(k);
    // Where the whole side is the longer one, the function is one of a larger matrix: equal within the two promises.
    const auto [rows, cols] = whole.shapes[k];
    const bool short_side = side == Side::rows ? cols <= rows : rows <= cols;
    CHECK(parts.error(whole, k) < (short_side ? 1e-9 : 3 * rule.lr * 2 * rule.map.tolerance * 4));
  }
}

/// A flat buffer of all matrices, cut anywhere.
template <class R>
void check_assembled(const R& rule, Split split) {
  CAPTURE(R::name);
  CAPTURE(to_string(split));
  const RankExec exec;
  Whole whole(rule, {{7, 9}, {12, 5}, {1, 8}, {6, 6}});
  std::vector<typename Assembled::Entry> table;
  const CountedRanks comm(ranks());
  Assembled optimizer(comm);
  const GroupId id = optimizer.add_group(rule);
  std::vector<double> flat;
  for (std::size_t k = 0; k < whole.w.size(); ++k) {
    table.push_back({"w" + std::to_string(k), whole.shapes[k].first, whole.shapes[k].second, id});
    flat.insert(flat.end(), whole.w[k].data(), whole.w[k].data() + whole.w[k].size());
  }
  const auto begins = splits(flat.size(), ranks().size(), split);
  const auto me = std::size_t(ranks().rank());
  const std::size_t first = begins[me], count = begins[me + 1] - first;
  const Numbers w("w", count), g("g", count);
  std::copy_n(flat.data() + first, count, w.data());
  optimizer.add_flat(table, first, w, g);
  for (unsigned step = 1; step <= 3; ++step) {
    whole.draw(step);
    std::vector<double> gradients;
    for (const ShardMatrix& one : whole.g) gradients.insert(gradients.end(), one.data(), one.data() + one.size());
    std::copy_n(gradients.data() + first, count, g.data());
    whole.optimizer.step(exec);
    optimizer.step(exec);
    exec.fence();
  }
  flat.clear();
  for (const ShardMatrix& one : whole.w) flat.insert(flat.end(), one.data(), one.data() + one.size());
  CHECK(std::equal(w.data(), w.data() + count, flat.data() + first));
}

}  // namespace

TEST_CASE("HTMuon on shards is HTMuon on whole matrices, within rounding, by one sum for a shape") {
  for (const Side side : {Side::rows, Side::columns}) {
    for (const Split split : {Split::even, Split::uneven, Split::on_last}) check_htmuon({}, side, split);
  }
  for (const ScaleMode scale :
       {ScaleMode::match_rms_adamw, ScaleMode::unit_rms, ScaleMode::unit_norm, ScaleMode::dual_norm}) {
    check_htmuon({.power = 0.25, .weight_decay = 0.01, .scale = scale}, Side::rows, Split::even);
  }
}

TEST_CASE("any rule on a flat buffer cut anywhere gives the bits of one process") {
  for (const Split split : {Split::even, Split::uneven, Split::on_last}) {
    check_assembled(HTMuon{}, split);
    check_assembled(NorMuon{}, split);
    check_assembled(AdamW{}, split);
  }
}

TEST_CASE("columns over ranks, put together; ranges that do not make up a matrix are refused on all ranks") {
  const RankExec exec;
  Whole whole(NorMuon{}, {{6, 8}});
  const CountedRanks comm(ranks());
  Assembled optimizer(comm);
  const GroupId id = optimizer.add_group(NorMuon{});
  const auto begins = splits(8, ranks().size(), Split::even);
  const auto me = std::size_t(ranks().rank());
  const std::size_t first = begins[me], count = begins[me + 1] - first;
  const Numbers w("w", 6 * count), g("g", 6 * count);
  whole.draw(1);
  for (std::size_t j = 0; j < count; ++j) {
    for (std::size_t i = 0; i < 6; ++i) {
      w(6 * j + i) = whole.w[0](i, first + j);
      g(6 * j + i) = whole.g[0](i, first + j);
    }
  }
  optimizer.add(id, "w", 6, 8, 6 * first, w, g, distributed::ElementOrder::columns);
  whole.optimizer.step(exec);
  optimizer.step(exec);
  exec.fence();
  double largest = 0;
  for (std::size_t j = 0; j < count; ++j) {
    for (std::size_t i = 0; i < 6; ++i) {
      largest = std::max(largest, std::abs(w(6 * j + i) - whole.w[0](i, first + j)));
    }
  }
  CHECK(largest < 1e-12);
  Assembled twice(comm);
  const GroupId elementwise = twice.add_group(AdamW{});
  const Numbers nothing("nothing", 0);
  twice.add(elementwise, "w", 2, 2, 0, nothing, nothing);
  CHECK_THROWS_WITH_AS(twice.add(elementwise, "w", 2, 2, 0, nothing, nothing),
                       doctest::Contains("is registered already"), InvalidArgument);
  CHECK_THROWS_WITH_AS(twice.add_flat({{"v", 1, 1, elementwise}, {"v", 1, 1, elementwise}}, 0, nothing, nothing),
                       doctest::Contains("name = v, but it is registered already"), InvalidArgument);
  CHECK_THROWS_WITH_AS(twice.add(elementwise, "\xff", 2, 2, 0, nothing, nothing), doctest::Contains("must be UTF-8"),
                       InvalidArgument);
  Assembled gaps(comm);
  const Numbers none("none", 0), one("one", 1), other("other", 1);
  gaps.add(gaps.add_group(AdamW{}), "w", 6, 8, 3, me == 0 ? one : none, me == 0 ? other : none);
  CHECK_THROWS_WITH_AS(gaps.step(exec), doctest::Contains("without gaps"), InvalidArgument);
}

TEST_CASE("ranges that add refuses change nothing") {
  const RankExec exec;
  const CountedRanks comm(ranks());
  Assembled optimizer(comm), another(comm);
  const GroupId id = optimizer.add_group(AdamW{}), foreign = another.add_group(AdamW{});
  const std::size_t n = ranks().rank() == 0 ? 6 : 0;
  const Numbers w("w", n), g("g", n), small("small", 5), g_small("g", 5), longer("longer", 7), g_longer("g", 7);
  optimizer.add(id, "w", 2, 3, 0, w, g);
  const auto refused = [&](const char* words, const auto& call) {
    CHECK_THROWS_WITH_AS(call(), doctest::Contains(words), InvalidArgument);
  };
  refused("name = w, but it is registered already", [&] { optimizer.add(id, "w", 1, 5, 0, small, g_small); });
  refused("another Optimizer", [&] { optimizer.add(foreign, "v", 1, 5, 0, small, g_small); });
  refused("must not overlap w", [&] { optimizer.add(id, "v", 1, 5, 0, small, small); });
  refused("fits into memory", [&] { optimizer.add(id, "v", 1UL << 32, 1UL << 32, 0, small, g_small); });
  refused("must have the length of w", [&] { optimizer.add_flat({{"v", 1, 7, id}}, 0, longer, g_small); });
  refused("must end inside the table", [&] { optimizer.add_flat({{"v", 1, 7, id}}, ~std::size_t{0}, small, g_small); });
  refused("name = w", [&] { optimizer.add_flat({{"v", 1, 4, id}, {"w", 1, 3, id}}, 0, longer, g_longer); });
  CHECK(optimizer.parts() == std::vector<std::string>{"w"});
  optimizer.step(exec);
  CHECK(optimizer.parts().size() == 1);
}
