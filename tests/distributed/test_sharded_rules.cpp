// SPDX-License-Identifier: BSD-3-Clause
// Every rule that works on shards is the rule of one process: norms, row and column statistics, masks, the floor,
// state.

#include "distributed/shards.hpp"
#include <schatten/optim/rules/adam.hpp>
#include <schatten/optim/rules/adam_mini.hpp>
#include <schatten/optim/rules/adamuon.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/ademamix.hpp>
#include <schatten/optim/rules/cautious_adamw.hpp>
#include <schatten/optim/rules/cautious_lion.hpp>
#include <schatten/optim/rules/cautious_muon.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/lion.hpp>
#include <schatten/optim/rules/lion_muon.hpp>
#include <schatten/optim/rules/mars.hpp>
#include <schatten/optim/rules/mars_lion.hpp>
#include <schatten/optim/rules/mars_m.hpp>
#include <schatten/optim/rules/muon.hpp>
#include <schatten/optim/rules/muon_eq.hpp>
#include <schatten/optim/rules/normuon.hpp>
#include <schatten/optim/rules/rmnp.hpp>
#include <schatten/optim/rules/scion.hpp>
#include <schatten/optim/rules/sgd.hpp>
#include <schatten/optim/rules/soap.hpp>
#include <schatten/optim/rules/sophia_g.hpp>

namespace {

using namespace schatten;
using namespace schatten::test;
using distributed::Side;

/// Four steps of shards and of whole matrices, one of them with a NaN; the last gradients are tiny.
template <class R>
void check(const R& rule, Side side, Split split, double most, double last = 1,
           const distributed::ShardedOptions& options = {}) {
  CAPTURE(R::name);
  CAPTURE(to_string(side));
  CAPTURE(to_string(split));
  const RankExec exec;
  Whole whole(rule, {{14, 9}, {14, 9}, {5, 12}, {1, 6}});
  Parts parts(rule, whole, side, split, options);
  for (unsigned step = 1; step <= 4; ++step) {
    whole.draw(step);
    if (step == 2) whole.g[1](13, 8) = std::numeric_limits<double>::infinity();
    if (step == 4) {
      for (const ShardMatrix& g : whole.g) {
        for (std::size_t k = 0; k < g.size(); ++k) g.data()[k] *= last;
      }
    }
    parts.take_gradients(whole);
    whole.optimizer.step(exec);
    parts.optimizer.step(exec);
    exec.fence();
  }
  for (std::size_t k = 0; k < parts.w.size(); ++k) {
    CAPTURE(k);
    CHECK(parts.error(whole, k) <= most);
  }
}

template <class R>
void check_all(const R& rule, double most = 1e-10) {
  check(rule, Side::rows, Split::uneven, most);
  check(rule, Side::columns, Split::uneven, most);
  check(rule, Side::columns, Split::on_last, most);
}

}  // namespace

TEST_CASE("rules with a map are those of one process, within rounding") {
  check_all(Muon{});
  check_all(Muon{.map = {.method = SpectralMethod::quintic, .tolerance = 2, .norm_epsilon = 1e-7}});
  check_all(HTMuon{.interval = 2, .map = {.method = SpectralMethod::rational}}, 1e-2);  // two promises on the long side
  check_all(NorMuon{});
  check_all(NorMuon{.scale = ScaleMode::adamw_rms});
  check_all(AdaMuon{});
  check_all(CautiousMuon{.mask = CautiousMask::direction});
  check_all(LionMuon{});
  check_all(MARSM{});
  for (const Equilibration sides : {Equilibration::row, Equilibration::column, Equilibration::both}) {
    check_all(MuonEq{.lr = 0.02, .sides = sides});
  }
}

TEST_CASE("whoever computes the functions of Gram matrices, the rule is the same") {
  const HTMuon rule{.map = {.method = SpectralMethod::rational}};  // two promises on the long side
  check(rule, Side::rows, Split::uneven, 1e-2, 1, {distributed::SumOrder::ranks, distributed::Functions::poles, {}});
}

TEST_CASE("a step takes one sum for the matrices of a shape, of n(n+1)/2 doubles each") {
  const Whole whole(HTMuon{}, {{12, 6}, {12, 6}, {10, 4}});
  for (const auto functions : {distributed::Functions::each_rank, distributed::Functions::poles}) {
    Parts parts(HTMuon{}, whole, Side::rows, Split::even, {distributed::SumOrder::library, functions, {}});
    for (unsigned step = 1; step <= 2; ++step) {
      whole.draw(step);
      parts.take_gradients(whole);
      parts.optimizer.step(RankExec());
      const distributed::Traffic traffic = parts.comm.take();
      const auto N = std::size_t(ranks().size());
      const std::size_t bytes = 8 * (2 * (6 * 7 / 2) + 4 * 5 / 2);
      const std::size_t each = functions == distributed::Functions::poles && N > 1 ? 2 : 1;
      CHECK(traffic.exchanges == 1);
      CHECK(traffic.sums == 2 * each);
      CHECK(traffic.sum_bytes == bytes * each);
      CHECK(traffic.all_to_alls + traffic.broadcasts == 0);
      // Whether it is finite, the largest element and the map's unit: 20 bytes a matrix.
      CHECK(traffic.gathers == (N > 1 ? 6 : 0));
      CHECK(traffic.gather_bytes == (N - 1) * 3 * 20);
    }
  }
}

TEST_CASE("rules of rows and columns take those of whole matrices, and so does the floor") {
  check_all(RMNP{});
  for (const ScionBall ball : {ScionBall::spectral, ScionBall::sign, ScionBall::column_norm, ScionBall::row_norm}) {
    check_all(Scion{.lr = 0x1p-9, .ball = ball});
  }
  const RMNP forgets{.momentum = {.beta = 0, .nesterov = false}};
  check(forgets, Side::rows, Split::even, 1e-10, 1e-8);
  check(forgets, Side::columns, Split::uneven, 1e-10, 1e-8);
}

TEST_CASE("rules that work element by element give the bits of one process") {
  for (const Side side : {Side::rows, Side::columns}) {
    check(AdamW{}, side, Split::uneven, 0);
    check(Lion{}, side, Split::even, 0, 1e-9);
    check(CautiousAdamW{}, side, Split::on_last, 0);
  }
  check(Adam{}, Side::rows, Split::uneven, 0);
  check(MARS{}, Side::columns, Split::uneven, 1e-12);  // its clip is of a norm
  check(AdEMAMix{}, Side::rows, Split::uneven, 0);
  check(SophiaG{}, Side::columns, Split::uneven, 0);
  check(CautiousLion{}, Side::rows, Split::uneven, 0);
  check(MARSLion{}, Side::columns, Split::uneven, 1e-12);
  check(SGD{}, Side::rows, Split::uneven, 0);
}

TEST_CASE("rules that see whole matrices, or rows of them, are refused by the compiler") {
  CHECK(!optim::serves_ranks<AdamMini>());
  CHECK(!optim::serves_ranks<SOAP>());
}

TEST_CASE("a vector over ranks: Scion's ball of biases") {
  const RankExec exec;
  const Scion rule{.lr = 0x1p-9, .ball = ScionBall::bias};
  using Vector = Kokkos::View<double*, Kokkos::LayoutRight, Kokkos::HostSpace>;
  const std::size_t n = 13;
  const Vector w("w", n), g("g", n);
  Arrays::draw(w, 1);
  OneOptimizer one;
  one.add(one.add_group(rule), "b", w, g);
  const auto begins = splits(n, ranks().size(), Split::uneven);
  const auto me = std::size_t(ranks().rank());
  const std::size_t first = begins[me], count = begins[me + 1] - first;
  const Vector part("part", count), part_g("g", count);
  std::copy_n(w.data() + first, count, part.data());
  const CountedRanks comm(ranks());
  Sharded many(comm);
  many.add(many.add_group(rule), "b", part, part_g, {1, n, Side::columns});
  for (unsigned step = 1; step <= 3; ++step) {
    Arrays::draw(g, step);
    std::copy_n(g.data() + first, count, part_g.data());
    one.step(exec);
    many.step(exec);
    exec.fence();
  }
  for (std::size_t k = 0; k < count; ++k) CHECK(part(k) == doctest::Approx(w(first + k)).epsilon(1e-12));
}

TEST_CASE("numbers follow set and schedules, before and after parameters come") {
  const RankExec exec;
  Whole whole(NorMuon{.lr = 0.01, .beta2 = 0.9}, {{8, 6}, {5, 7}});
  Parts parts(NorMuon{.lr = 0.5, .beta2 = 0.9}, whole, Side::rows, Split::even);
  parts.optimizer.set_lr(parts.id, 0.02);
  parts.optimizer.set_lr_factor(parts.id, 0.5);
  whole.draw(1);
  parts.take_gradients(whole);
  whole.optimizer.step(exec);
  parts.optimizer.step(exec);
  exec.fence();
  CHECK(parts.error(whole, 0) < 1e-12);
  CHECK_THROWS_WITH_AS(parts.optimizer.set(parts.id, "beta2", 2.0), doctest::Contains("beta2 = 2"), InvalidArgument);
  CHECK_THROWS_WITH_AS(parts.optimizer.set(parts.id, "beta9", 0.5), doctest::Contains("beta9"), InvalidArgument);
}

TEST_CASE("a matrix that is added later is at the group's step") {
  const RankExec exec;
  const LionMuon rule{.interval = 3};
  Whole whole(rule, {{8, 6}});
  Parts parts(rule, whole, Side::rows, Split::even);
  const auto steps = [&](unsigned from, unsigned to) {
    for (unsigned step = from; step <= to; ++step) {
      whole.draw(step);
      parts.take_gradients(whole);
      whole.optimizer.step(exec);
      parts.optimizer.step(exec);
      exec.fence();
    }
  };
  steps(1, 2);
  whole.add(6, 4);
  parts.add(whole, 1, Split::even);
  steps(3, 5);
  CHECK(parts.error(whole, 0) < 1e-10);
  CHECK(parts.error(whole, 1) < 1e-10);
}

TEST_CASE("what one rank refuses ends the call on all, and nothing is changed") {
  const RankExec exec;
  const CountedRanks comm(ranks());
  const bool last = ranks().rank() == ranks().size() - 1;
  Sharded optimizer(comm);
  const GroupId id = optimizer.add_group(Muon{});
  const std::size_t n = std::size_t(ranks().size());
  const ShardMatrix w("w", 1, 4), g("g", 1, 4), wrong("wrong", 1, 3);
  const auto refused = [&](const auto& call, const char* words) {
    if (last) {
      CHECK_THROWS_WITH_AS(call(), doctest::Contains(words), InvalidArgument);
    } else {
      CHECK_THROWS_WITH_AS(call(), doctest::Contains(words), distributed::RefusedByRank);
    }
  };
  refused([&] { optimizer.add(id, "w", last ? wrong : w, last ? wrong : g, {n, 4, Side::rows}); }, "w of w = 1x3");
  refused([&] { optimizer.add(id, "w", w, last ? wrong : g, {n, 4, Side::rows}); }, "g of w");
  refused([&] { optimizer.add(id, "w", w, last ? w : g, {n, 4, Side::rows}); }, "must not overlap w");
  refused([&] { optimizer.add(last ? GroupId{7, &optimizer} : id, "w", w, g, {n, 4, Side::rows}); }, "group = 7");
  refused([&] { (void)optimizer.add_group(Muon{.lr = last ? -1.0 : 0.02}); }, "lr = -1");
  refused([&] { optimizer.set(id, "lr", last ? -2.0 : 0.02); }, "lr = -2");
  refused([&] { optimizer.set_lr_factor(id, last ? std::nan("") : 1.0); }, "factor");
  CHECK_THROWS_WITH_AS(optimizer.add(id, "w", w, g, {n + 1, 4, Side::rows}), doctest::Contains("have together"),
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(optimizer.add_group(Muon{.map = {.method = SpectralMethod::svd}}), doctest::Contains("svd"),
                       InvalidArgument);
  if (n > 1) {
    CHECK_THROWS_WITH_AS(optimizer.add(id, last ? "v" : "w", w, g, {n, 4, Side::rows}),
                         doctest::Contains("must be the same on all ranks"), InvalidArgument);
    CHECK_THROWS_WITH_AS(optimizer.add_group(Muon{.lr = last ? 0.1 : 0.2}),
                         doctest::Contains("must be the same on all ranks"), InvalidArgument);
    CHECK_THROWS_WITH_AS(optimizer.set_lr(id, last ? 0.1 : 0.2), doctest::Contains("must be the same on all ranks"),
                         InvalidArgument);
  }
  optimizer.add(id, "w", w, g, {n, 4, Side::rows});
  optimizer.step(exec);
  exec.fence();
}
