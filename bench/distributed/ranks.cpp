// SPDX-License-Identifier: BSD-3-Clause
// Times of steps over ranks beside those of the model (distributed/cost_model.hpp): mpirun -n 2 ranks. Latency, bandwidth and
// flops are measured first, on these ranks. `ranks --model` prints the model's times for large models instead, as CSV.

#include <schatten/distributed/assembled_optimizer.hpp>
#include <schatten/distributed/cost_model.hpp>
#include <schatten/distributed/mpi.hpp>
#include <schatten/distributed/one_process.hpp>
#include <schatten/distributed/optimizer.hpp>
#include <schatten/distributed/sharded_power.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/optim/rules/htmuon.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::distributed;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Backend = linalg::DefaultBackend<Exec>;
using Stack = Kokkos::View<float***, Kokkos::LayoutRight, Kokkos::HostSpace>;

/// Least seconds of a few calls, the slowest rank's.
template <class F>
double seconds(const MpiCommunicator& comm, const F& f) {
  double least = 1e300;
  for (int call = 0; call < 7; ++call) {
    double start = 0;
    std::vector<double> all(std::size_t(comm.size()));
    comm.exchange(&start, sizeof(start), all.data());
    const auto begin = std::chrono::steady_clock::now();
    f();
    Exec().fence();
    start = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    comm.exchange(&start, sizeof(start), all.data());
    if (call > 0) least = std::min(least, *std::max_element(all.begin(), all.end()));
  }
  return least;
}

void fill(const Stack& x) {
  for (std::size_t k = 0; k < x.size(); ++k) x.data()[k] = float(double((k * 2654435761U) % 1000003U) / 1000003 - 0.5);
}

void measure(const MpiCommunicator& comm) {
  const Exec exec;
  const double N = comm.size();
  RankSpeed speed;
  // Half a small all-reduce over log₂ N; a large one's bytes.
  std::vector<double> x(std::size_t{1} << 21, 1.0);
  if (N > 1) {
    speed.latency = seconds(comm, [&] { comm.all_reduce(exec, x.data(), 1); }) / (2 * std::log2(N));
    speed.bandwidth =
        2 * (N - 1) / N * double(x.size() * 8) / seconds(comm, [&] { comm.all_reduce(exec, x.data(), x.size()); });
  }
  const std::size_t m = 512, n = 256, count = 8;
  const SpectralPowerOptions options{.rows = m, .cols = n};
  const OneProcess one;
  const Stack whole("whole", 1, m, n), whole_out("out", 1, m, n);
  fill(whole);
  ShardedPower<float, Exec, Backend, OneProcess> alone(one, options);
  speed.flops = RankCost::map_flops(m, n) / seconds(comm, [&] { alone.apply(exec, whole, whole_out); });
  const RankCost cost{speed};
  const bool says = comm.rank() == 0;
  if (says) {
    std::printf("%g ranks: %.3g flop/s each, latency %.2g us, bandwidth %.2g GB/s\n", N, speed.flops,
                speed.latency * 1e6, speed.bandwidth * 1e-9);
    std::printf("%-34s %10s %10s\n", "8 matrices 512x256, float", "measured", "model");
  }
  const auto row = [&](const char* name, double measured, double modelled) {
    if (says) std::printf("%-34s %7.2f ms %7.2f ms\n", name, measured * 1e3, modelled * 1e3);
  };
  const RankProblem problem{double(count), double(m), double(n), 4, N};
  struct Way {
    const char* name;
    SpectralPowerOptions options;
    Functions functions;
    double modelled;
  };
  const SpectralPowerOptions quintic{
      .rows = m, .cols = n, .power = 0, .tolerance = 2, .method = SpectralMethod::quintic};
  for (const Way& way : {Way{"one sum", options, Functions::each_rank, cost.one_sum(problem, false)},
                         Way{"one sum, functions shared", options, Functions::shared, cost.one_sum(problem, true)},
                         Way{"quintics, five sums", quintic, Functions::each_rank, cost.quintics(problem)}}) {
    ShardedPower<float, Exec, Backend, MpiCommunicator> map(comm, way.options, {.functions = way.functions});
    const std::size_t rows = Share::of(m, std::size_t(comm.rank()), std::size_t(comm.size())).count;
    const Stack part("part", count, rows, n), out("out", count, rows, n);
    fill(part);
    row(way.name, seconds(comm, [&] { map.apply(exec, part, out); }), way.modelled);
  }
  {
    schatten::distributed::Optimizer<float, Exec, Backend, MpiCommunicator> optimizer(comm);
    const GroupId id = optimizer.add_group(HTMuon{});
    std::vector<Stack> arrays;
    for (std::size_t k = 0; k < count; ++k) {
      arrays.emplace_back("w", 1, m, n);
      arrays.emplace_back("g", 1, m, n);
      fill(arrays[2 * k + 1]);
      optimizer.add(id, "w" + std::to_string(k), arrays[2 * k], arrays[2 * k + 1]);
    }
    row("owners, a whole step", seconds(comm, [&] { optimizer.step(exec); }), cost.owners(problem));
    schatten::Optimizer<float, Exec, Backend> single;
    const GroupId all = single.add_group(HTMuon{});
    for (std::size_t k = 0; k < count; ++k) single.add(all, std::to_string(k), arrays[2 * k], arrays[2 * k + 1]);
    row("every rank everything, a step", seconds(comm, [&] { single.step(exec); }), cost.duplicated(problem));
  }
  {
    AssembledOptimizer<float, Exec, Backend, MpiCommunicator> optimizer(comm);
    const GroupId id = optimizer.add_group(HTMuon{});
    using Flat = Kokkos::View<float*, Kokkos::LayoutRight, Kokkos::HostSpace>;
    std::vector<AssembledOptimizer<float, Exec, Backend, MpiCommunicator>::Entry> table;
    for (std::size_t k = 0; k < count; ++k) table.push_back({"w" + std::to_string(k), m, n, id});
    const Share mine = Share::of(count * m * n, std::size_t(comm.rank()), std::size_t(comm.size()));
    const Flat w("w", mine.count), g("g", mine.count);
    for (std::size_t k = 0; k < mine.count; ++k) g(k) = float(double((k * 2654435761U) % 1000003U) / 1000003 - 0.5);
    optimizer.add_flat(table, mine.begin, w, g);
    row("a flat buffer cut, a whole step", seconds(comm, [&] { optimizer.step(exec); }), cost.assembled(problem));
  }
}

/// Hidden matrices of a LLaMA: layers × (four d×d, or two of them d×kv, and three d×f).
struct Llama {
  const char* name;
  double layers, d, kv, f;
};

void print_model() {
  const RankCost cost{{.flops = 3e13, .latency = 2e-5, .bandwidth = 2.5e10}};
  std::printf("model,ranks,duplicated,owners,assembled,one_sum,one_sum_shared,quintics\n");
  for (const Llama& l :
       {Llama{"1B", 16, 2048, 512, 8192}, Llama{"7B", 32, 4096, 4096, 11008}, Llama{"70B", 80, 8192, 1024, 28672}}) {
    for (double N = 8; N <= 4096; N *= 2) {
      double sum[6] = {};
      const auto add = [&](double count, double m, double n) {
        const RankProblem p{count * l.layers, m, n, 4, N};
        const double times[6] = {cost.duplicated(p),     cost.owners(p),        cost.assembled(p),
                                 cost.one_sum(p, false), cost.one_sum(p, true), cost.quintics(p)};
        for (int k = 0; k < 6; ++k) sum[k] += times[k];
      };
      add(2, l.d, l.d);
      add(2, l.d, l.kv);  // the short side is whole
      add(3, l.f, l.d);
      std::printf("%s,%g", l.name, N);
      for (const double s : sum) std::printf(",%.4g", s);
      std::printf("\n");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--model") == 0) {
    print_model();
    return 0;
  }
  MPI_Init(&argc, &argv);
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    const MpiCommunicator comm(MPI_COMM_WORLD);
    measure(comm);
  }
  MPI_Finalize();
}
