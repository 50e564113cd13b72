// SPDX-License-Identifier: BSD-3-Clause
// One matrix over ranks: the map by one sum, equal to one process' and within its promise, whatever rows a rank has.

#include "distributed/ranks.hpp"
#include "support/known_spectrum.hpp"
#include <schatten/distributed/counted.hpp>
#include <schatten/distributed/one_process.hpp>
#include <schatten/distributed/sharded_power.hpp>
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using distributed::Functions;
using distributed::Side;
using distributed::SumOrder;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Backend = linalg::PortableBackend;
using Counted = distributed::Counted<distributed::MpiCommunicator>;
template <class T>
using Sharded = distributed::ShardedPower<T, Exec, Backend, Counted>;
template <class T>
using Stack = Kokkos::View<T***, Kokkos::LayoutRight, Kokkos::HostSpace>;
static_assert(distributed::Communicator<distributed::OneProcess, Exec>);
static_assert(distributed::Communicator<distributed::MpiCommunicator, Exec>);
static_assert(distributed::Communicator<Counted, Exec>);

/// This rank's rows (columns) of each of the matrices.
template <class T>
Stack<T> shard_of(const std::vector<Matrix>& whole, Side side, const std::vector<std::size_t>& begins) {
  const auto me = std::size_t(ranks().rank());
  const std::size_t begin = begins[me], count = begins[me + 1] - begin;
  const auto rows = std::size_t(whole[0].rows()), cols = std::size_t(whole[0].cols());
  const Stack<T> shard("shard", whole.size(), side == Side::rows ? count : rows, side == Side::rows ? cols : count);
  for (std::size_t b = 0; b < whole.size(); ++b) {
    for (std::size_t i = 0; i < shard.extent(1); ++i) {
      for (std::size_t j = 0; j < shard.extent(2); ++j) {
        shard(b, i, j) = T(whole[b](Eigen::Index(side == Side::rows ? begin + i : i),
                                    Eigen::Index(side == Side::rows ? j : begin + j)));
      }
    }
  }
  return shard;
}

/// All ranks' shards as whole matrices, on every rank.
template <class T>
std::vector<Matrix> gathered(const Stack<T>& shard, std::size_t rows, std::size_t cols, Side side,
                             const std::vector<std::size_t>& begins) {
  const std::size_t batch = shard.extent(0), whole = side == Side::rows ? rows : cols;
  const std::size_t other = batch * rows * cols / std::max<std::size_t>(whole, 1);
  std::vector<std::size_t> bytes;
  for (std::size_t k = 0; k + 1 < begins.size(); ++k) bytes.push_back((begins[k + 1] - begins[k]) * other * sizeof(T));
  std::vector<T> all(batch * rows * cols);
  ranks().all_gather(Exec(), shard.data(), all.data(), bytes);
  std::vector<Matrix> matrices(batch, Matrix(Eigen::Index(rows), Eigen::Index(cols)));
  std::size_t at = 0;
  for (std::size_t k = 0; k + 1 < begins.size(); ++k) {
    for (std::size_t b = 0; b < batch; ++b) {
      for (std::size_t i = side == Side::rows ? begins[k] : 0; i < (side == Side::rows ? begins[k + 1] : rows); ++i) {
        for (std::size_t j = side == Side::columns ? begins[k] : 0; j < (side == Side::columns ? begins[k + 1] : cols);
             ++j) {
          matrices[b](Eigen::Index(i), Eigen::Index(j)) = double(all[at++]);
        }
      }
    }
  }
  return matrices;
}

struct Problem {
  std::size_t rows, cols;
  double scale = 1;
  Side side = Side::rows;
  Split split = Split::even;
  SumOrder order = SumOrder::library;
  double resolution = 1e-3, tolerance = 3e-2;
  Functions functions = Functions::each_rank;
  SpectralMethod method = SpectralMethod::automatic;
  double power = 0.125;
};

/// Two matrices of known spectrum over ranks: within the promise, and near what one process gives.
template <class T>
void check(const Problem& p) {
  const std::string what = std::to_string(p.rows) + "x" + std::to_string(p.cols) + ", " + to_string(p.side) + " " +
                           to_string(p.split) + ", scale " + std::to_string(p.scale);
  CAPTURE(what);
  const std::size_t n = std::min(p.rows, p.cols);
  std::vector<KnownMatrix> known;
  std::vector<Matrix> whole;
  for (const unsigned seed : {1U, 2U}) {
    known.push_back(known_matrix(p.rows, p.cols, singular_values_of(Spectrum::geometric, n, p.resolution), seed));
    whole.push_back(known.back().matrix() * p.scale);
    if (std::is_same_v<T, float> && p.scale == 1) known.back() = stored<T>(known.back());  // rounding turns vectors
  }
  const auto begins = splits(p.side == Side::rows ? p.rows : p.cols, ranks().size(), p.split);
  const SpectralPowerOptions options{.rows = p.rows,
                                     .cols = p.cols,
                                     .power = p.power,
                                     .resolution = p.resolution,
                                     .tolerance = p.tolerance,
                                     .method = p.method};
  const Counted comm(ranks());
  Sharded<T> map(comm, options, {.side = p.side, .order = p.order, .functions = p.functions});
  CHECK(map.error_bound() <= p.tolerance);
  const Stack<T> m = shard_of<T>(whole, p.side, begins), out("out", m.extent(0), m.extent(1), m.extent(2));
  (void)comm.take();
  map.apply(Exec(), m, out);
  Exec().fence();
  const distributed::Traffic traffic = comm.take();
  CHECK(traffic.exchanges == 1);
  const auto N = std::size_t(ranks().size());
  const std::size_t whole_side = p.side == Side::rows ? p.cols : p.rows, triangle = whole_side * (whole_side + 1) / 2;
  if (p.method == SpectralMethod::automatic) {
    CHECK(map.sums() == 1);
    CHECK(map.sum_bytes() == triangle * sizeof(double));
    const bool square = map.function_bytes() == whole_side * whole_side * sizeof(T);  // composed
    CHECK(
        (square || map.function_bytes() == triangle * (map.format() == Format::float64 ? sizeof(double) : sizeof(T))));
  }
  const bool extreme = std::is_same_v<T, double> && p.scale < 1e-90;  // ranks then tell each other their units before
  if (p.functions == Functions::poles && N > 1) {                     // of Gram matrices, and of functions
    CHECK(map.functions(2) == Functions::poles);
    CHECK(traffic.sums == 2);
    CHECK(traffic.sum_bytes == 2 * (map.sum_bytes() + map.function_bytes()));
    CHECK(traffic.all_to_alls + traffic.broadcasts == 0);
    CHECK(traffic.gathers == (extreme ? 1 : 0));
  } else if (p.functions == Functions::shared && N > 1) {  // half an all-reduce, twice: of two matrices
    CHECK(traffic.sums == 0);
    CHECK(traffic.all_to_alls == 1);
    CHECK(traffic.gathers == (extreme ? 2 : 1));
    const std::size_t mine = distributed::Share::of(2, std::size_t(ranks().rank()), N).count;
    CHECK(traffic.all_to_all_bytes == (2 - mine) * map.sum_bytes());
    CHECK(traffic.gather_bytes ==
          (N - 1) * (mine * (map.sum_bytes() + sizeof(double)) + (extreme ? 2 * sizeof(double) : 0)));
  } else if (p.order == SumOrder::library) {
    const std::size_t norms = p.method == SpectralMethod::quintic && N > 1 ? 1 : 0;  // of the matrix, one number
    CHECK(traffic.sums == map.sums() + norms);
    CHECK(traffic.sum_bytes == 2 * (map.sums() * map.sum_bytes() + norms * sizeof(double)));
  }
  const std::vector<Matrix> result = gathered(out, p.rows, p.cols, p.side, begins);
  const double size = std::pow(p.scale, options.power);
  for (std::size_t b = 0; b < whole.size(); ++b) {
    const auto errors = direction_errors(known[b], options.power, result[b] / size);
    for (std::size_t k = 0; k < errors.size(); ++k) {
      const double power = std::pow(known[b].sigma(Eigen::Index(k)), options.power);
      CHECK(errors[k].worst() <= map.error_bound() * power);
    }
  }
}

}  // namespace

TEST_CASE("a map over ranks is within its promise, by one sum, whatever rows a rank has") {
  for (const auto& [rows, cols] :
       {std::pair{70UL, 24UL}, {24UL, 70UL}, {33UL, 33UL}, {1UL, 9UL}, {9UL, 1UL}, {2UL, 2UL}}) {
    for (const Split split : {Split::even, Split::uneven, Split::on_last}) {
      check<double>({.rows = rows, .cols = cols, .split = split});
      check<float>({.rows = rows, .cols = cols, .side = Side::columns, .split = split, .order = SumOrder::ranks});
    }
  }
  for (const Split split : {Split::even, Split::on_last}) {
    check<double>({.rows = 40, .cols = 12, .split = split, .functions = Functions::shared});
    check<float>({.rows = 30, .cols = 30, .side = Side::columns, .split = split, .functions = Functions::shared});
  }
  check<double>({.rows = 30, .cols = 12, .scale = 1e-250, .functions = Functions::shared});
  check<float>({.rows = 400, .cols = 40});                                        // many rows
  check<float>({.rows = 300, .cols = 260});                                       // all in float
  check<float>({.rows = 60, .cols = 30, .resolution = 1e-5, .tolerance = 5e-2});  // two precisions
  check<float>({.rows = 60, .cols = 30, .resolution = 1e-4, .tolerance = 1e-4});  // double
}

TEST_CASE("ranks that share the poles of a matrix take a second sum") {
  for (const Split split : {Split::even, Split::on_last}) {
    check<double>({.rows = 40, .cols = 12, .split = split, .functions = Functions::poles});
    check<float>({.rows = 1, .cols = 9, .side = Side::columns, .split = split, .functions = Functions::poles});
    check<float>({.rows = 2, .cols = 2, .split = split, .functions = Functions::poles});
  }
  check<double>({.rows = 30, .cols = 12, .scale = 1e-250, .split = Split::uneven, .functions = Functions::poles});
  check<float>({.rows = 300, .cols = 260, .functions = Functions::poles});  // more than one sum of poles in a process
  check<float>(                                                             // two precisions
      {.rows = 60, .cols = 30, .resolution = 1e-5, .tolerance = 5e-2, .functions = Functions::poles});
  check<float>(  // double
      {.rows = 60, .cols = 30, .resolution = 1e-4, .tolerance = 1e-4, .functions = Functions::poles});
}

TEST_CASE("poles over ranks, in the order of ranks, have the same bits on every rank and at every call") {
  const std::size_t n = 24;
  const Counted comm(ranks());
  const std::vector<Matrix> whole{gaussian(n, n, 5)};
  std::vector<std::size_t> begins = splits(n, ranks().size(), Split::on_last);
  Sharded<float> map(comm, {.rows = n, .cols = n}, {.order = SumOrder::ranks, .functions = Functions::poles});
  const Stack<float> m = shard_of<float>(whole, Side::rows, begins);
  std::vector<Matrix> results;
  for (int call = 0; call < 2; ++call) {
    const Stack<float> out("out", 1, m.extent(1), n);
    map.apply(Exec(), m, out);
    Exec().fence();
    results.push_back(gathered(out, n, n, Side::rows, begins)[0]);
  }
  CHECK(results[0] == results[1]);
  // The rows of the last rank on all: each multiplies them by its own function.
  const int N = ranks().size();
  const std::size_t rows = n / std::size_t(N);
  const std::vector<Matrix> equal{gaussian(Eigen::Index(rows), n, 6)};
  Sharded<float> of_equal(comm, {.rows = rows * std::size_t(N), .cols = n},
                          {.order = SumOrder::ranks, .functions = Functions::poles});
  const Stack<float> same("same", 1, rows, n), out("out", 1, rows, n);
  for (std::size_t k = 0; k < same.size(); ++k)
    same.data()[k] = float(equal[0](Eigen::Index(k / n), Eigen::Index(k % n)));
  of_equal.apply(Exec(), same, out);
  std::vector<float> of_root(out.data(), out.data() + out.size());
  ranks().broadcast(Exec(), of_root.data(), of_root.size() * sizeof(float), 0);
  CHECK(std::equal(of_root.begin(), of_root.end(), out.data()));
}

TEST_CASE("what computes functions follows the model of cost") {
  const Counted comm(ranks());
  const auto made = [&](const distributed::RankSpeed& speed) {
    return Sharded<float>(comm, {.rows = 1024, .cols = 1024}, {.functions = Functions::automatic, .speed = speed});
  };
  const auto N = std::size_t(ranks().size());
  const Sharded<float> fast = made({.flops = 1e10, .latency = 0, .bandwidth = 1e15});
  const Sharded<float> slow = made({.flops = 1e16, .latency = 1, .bandwidth = 1e3});
  CHECK(fast.functions(1) == (N == 1 ? Functions::each_rank : Functions::poles));
  CHECK(fast.functions(4 * N) == (N == 1 ? Functions::each_rank : Functions::shared));
  CHECK(slow.functions(1) == Functions::each_rank);
  // Of one matrix with four poles each of two ranks has two; of six ranks and three matrices two ranks have a matrix.
  CHECK(distributed::RankProblem{1, 8, 8, 4, 2}.ranks_of_function() == 2);
  CHECK(distributed::RankProblem{1, 8, 8, 4, 64}.ranks_of_function() == 4);
  CHECK(distributed::RankProblem{3, 8, 8, 4, 6}.ranks_of_function() == 2);
  CHECK(distributed::RankProblem{12, 8, 8, 4, 6}.ranks_of_function() == 1);
}

TEST_CASE("quintics take a sum for each step, iterates one for each segment") {
  for (const Split split : {Split::even, Split::on_last}) {
    check<float>(
        {.rows = 40, .cols = 12, .split = split, .tolerance = 2, .method = SpectralMethod::quintic, .power = 0});
    check<double>({.rows = 12,
                   .cols = 40,
                   .side = Side::columns,
                   .split = split,
                   .tolerance = 2,
                   .method = SpectralMethod::quintic,
                   .power = 0});
    check<float>({.rows = 40, .cols = 12, .split = split, .method = SpectralMethod::iterates});
    check<double>({.rows = 12, .cols = 40, .scale = 1e-200, .split = split, .method = SpectralMethod::iterates});
  }
  const Counted comm(ranks());
  CHECK(Sharded<float>(comm, {.rows = 512, .cols = 256, .power = 0, .tolerance = 2, .method = SpectralMethod::quintic})
            .sums() == 5);
}

TEST_CASE("any scale is legal") {
  for (const double scale : {1e-250, 1e-40, 1e200}) check<double>({.rows = 30, .cols = 12, .scale = scale});
  for (const double scale : {1e-30, 1e30}) check<float>({.rows = 30, .cols = 12, .scale = scale});
}

TEST_CASE("one process gives the same as SpectralPower, ranks nearly the same, and zero stays zero") {
  const std::size_t rows = 40, cols = 16;
  const std::vector<Matrix> whole{gaussian(rows, cols, 3), Matrix::Zero(rows, cols)};
  const SpectralPowerOptions options{.rows = rows, .cols = cols, .power = 0.125, .method = SpectralMethod::rational};
  const Stack<double> m =
      shard_of<double>(whole, Side::rows, std::vector<std::size_t>(std::size_t(ranks().size()) + 1, 0));
  const Stack<double> full("full", 2, rows, cols), expected("expected", 2, rows, cols), alone("alone", 2, rows, cols);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) full(0, i, j) = whole[0](Eigen::Index(i), Eigen::Index(j));
  }
  SpectralPower<double, Exec, Backend>(options).apply(Exec(), full, expected);
  const distributed::OneProcess one;
  distributed::ShardedPower<double, Exec, Backend, distributed::OneProcess>(one, options).apply(Exec(), full, alone);
  const auto begins = splits(rows, ranks().size(), Split::even);
  const Counted comm(ranks());
  const Stack<double> shard = shard_of<double>(whole, Side::rows, begins), out("out", 2, shard.extent(1), cols);
  for (const Functions functions : {Functions::shared, Functions::poles, Functions::each_rank}) {
    Sharded<double>(comm, options, {.functions = functions}).apply(Exec(), shard, out);
    Exec().fence();
    const std::vector<Matrix> result = gathered(out, rows, cols, Side::rows, begins);
    double by_one = 0, by_ranks = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) {
        by_one = std::max(by_one, std::abs(alone(0, i, j) - expected(0, i, j)));
        by_ranks = std::max(by_ranks, std::abs(result[0](Eigen::Index(i), Eigen::Index(j)) - expected(0, i, j)));
      }
    }
    CHECK(by_one < 1e-14);
    CAPTURE(int(functions));
    CHECK(by_ranks < 1e-13);
    CHECK(max_abs(result[1]) == 0);
  }
}

TEST_CASE("a NaN on one rank makes the matrix NaN on all, and leaves its neighbour alone") {
  std::vector<Matrix> whole{gaussian(20, 8, 1), gaussian(20, 8, 2)};
  whole[1](19, 7) = std::nan("");
  const auto begins = splits(20, ranks().size(), Split::even);
  const Counted comm(ranks());
  const Stack<float> m = shard_of<float>(whole, Side::rows, begins), out("out", 2, m.extent(1), 8);
  const auto apply = [&](SpectralMethod method, Functions functions) {
    CAPTURE(to_string(method));
    CAPTURE(int(functions));
    const double power = method == SpectralMethod::quintic ? 0 : 0.125;
    const SpectralPowerOptions options{.rows = 20, .cols = 8, .power = power, .tolerance = 2, .method = method};
    Sharded<float>(comm, options, {.functions = functions}).apply(Exec(), m, out);
    Exec().fence();
    const std::vector<Matrix> result = gathered(out, 20, 8, Side::rows, begins);
    CHECK(result[0].allFinite());
    CHECK(all_nan(result[1]));
  };
  for (const Functions functions : {Functions::each_rank, Functions::shared, Functions::poles}) {
    apply(SpectralMethod::rational, functions);
  }
  apply(SpectralMethod::quintic, Functions::each_rank);
  apply(SpectralMethod::iterates, Functions::each_rank);
}

TEST_CASE("sums in the order of ranks give the same bits on every rank and at every call") {
  const std::size_t n = 1001;
  std::vector<double> first;
  for (int call = 0; call < 3; ++call) {
    std::vector<double> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = 1.0 / (double(i) + 3.7 * ranks().rank() + 1);
    Workspace<Kokkos::HostSpace> workspace;
    distributed::sum_over_ranks(Exec(), ranks(), x.data(), n, SumOrder::ranks, workspace);
    double expected = 0;
    for (int k = 0; k < ranks().size(); ++k) expected += 1.0 / (3.7 * k + 1);
    CHECK(x[0] == doctest::Approx(expected).epsilon(1e-15));
    if (call == 0) first = x;
    CHECK(x == first);
    std::vector<double> of_root = x;
    ranks().broadcast(Exec(), of_root.data(), n * sizeof(double), 0);
    CHECK(x == of_root);
  }
}

TEST_CASE("a refused argument is refused on all ranks: none waits") {
  const Counted comm(ranks());
  const int last = ranks().size() - 1;
  Sharded<float> map(comm, {.rows = 20, .cols = 8});
  const std::size_t cols = ranks().rank() == last ? 7 : 8;
  const Stack<float> m("m", 2, 3, cols), out("out", 2, 3, cols);
  if (ranks().rank() == last) {
    CHECK_THROWS_WITH_AS(map.apply(Exec(), m, out), doctest::Contains("m = 2x3x7"), InvalidArgument);
  } else {
    CHECK_THROWS_WITH_AS(map.apply(Exec(), m, out), doctest::Contains("m = 2x3x7"), distributed::RefusedByRank);
  }
  if (ranks().size() > 1) {
    const bool is_last = ranks().rank() == last;
    const auto differs = [&](const SpectralPowerOptions& options, const distributed::ShardOptions& shards = {}) {
      CHECK_THROWS_WITH_AS(Sharded<float>(comm, options, shards), doctest::Contains("must be the same on all ranks"),
                           InvalidArgument);
    };
    const std::size_t one = is_last ? 1 : 0;
    differs({.rows = 20, .cols = 8, .power = is_last ? 0.5 : 0.25});
    differs({.rows = 20 + one, .cols = 8});
    differs({.rows = 20, .cols = 8, .method = is_last ? SpectralMethod::rational : SpectralMethod::iterates});
    differs({.rows = 20, .cols = 20}, {.side = is_last ? Side::rows : Side::columns});
    differs({.rows = 20, .cols = 8}, {.order = is_last ? SumOrder::ranks : SumOrder::library});
    differs({.rows = 20, .cols = 8}, {.functions = is_last ? Functions::poles : Functions::automatic});
    differs({.rows = 20, .cols = 8}, {.speed = {.flops = is_last ? 1e12 : 1e13}});
    if (is_last) {  // another type
      CHECK_THROWS_AS(Sharded<double>(comm, {.rows = 20, .cols = 8}), InvalidArgument);
      CHECK_THROWS_AS(Sharded<float>(comm, {.rows = 20, .cols = 8, .power = -7}), InvalidArgument);
    } else {
      CHECK_THROWS_AS(Sharded<float>(comm, {.rows = 20, .cols = 8}), InvalidArgument);
      CHECK_THROWS_AS(Sharded<float>(comm, {.rows = 20, .cols = 8}), distributed::RefusedByRank);
    }
    const Stack<float> more("more", 2 + one, 3, 8), their("their", 2 + one, 3, 8);  // numbers of matrices
    CHECK_THROWS_WITH_AS(map.apply(Exec(), more, their), doctest::Contains("must be the same on all ranks"),
                         InvalidArgument);
  }
  const std::size_t too_many = ranks().rank() == last ? 21 : 0;
  const Stack<float> long_m("m", 1, too_many, 8), long_out("out", 1, too_many, 8);
  CHECK_THROWS_WITH_AS(map.apply(Exec(), long_m, long_out), doctest::Contains("m = 21, but it must be what all ranks"),
                       InvalidArgument);
  const Stack<float> nothing("m", 0, too_many > 0 ? 20 : 0, 8);  // no matrix: no message but the agreement
  (void)comm.take();
  map.apply(Exec(), nothing, nothing);
  CHECK(comm.take().sums == 0);
  CHECK_THROWS_AS(Sharded<float>(comm, {.rows = 20, .cols = 8, .method = SpectralMethod::svd}), InvalidArgument);
}
