// SPDX-License-Identifier: BSD-3-Clause
// Times and bytes of steps over ranks beside those of the model (distributed/cost_model.hpp): mpirun -n 2 ranks.
// Latency and bandwidth are those of all-reduces, and flops those of a product, measured first on these ranks. `ranks
// --model` prints the model's times for large models instead, as CSV.

#include <schatten/distributed/assembled_optimizer.hpp>
#include <schatten/distributed/cost_model.hpp>
#include <schatten/distributed/counted.hpp>
#include <schatten/distributed/mpi.hpp>
#include <schatten/distributed/one_process.hpp>
#include <schatten/distributed/optimizer.hpp>
#include <schatten/distributed/sharded_power.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/optim/rules/htmuon.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::distributed;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Backend = linalg::DefaultBackend<Exec>;
using Ranks = Counted<MpiCommunicator>;
using Stack = Kokkos::View<float***, Kokkos::LayoutRight, Kokkos::HostSpace>;

/// Least seconds of five calls after one, the slowest rank's.
template <class F>
double seconds(const MpiCommunicator& comm, const F& f) {
  double least = 1e300;
  for (int call = 0; call < 6; ++call) {
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

/// Latency from a small all-reduce, bandwidth from a large one, flops from a product of floats on all ranks at a time.
RankSpeed speed_of(const MpiCommunicator& comm) {
  const Exec exec;
  const double N = comm.size();
  RankSpeed speed;
  if (N > 1) {
    std::vector<double> x(std::size_t{1} << 21, 1.0);
    const int calls = 100;
    speed.latency = seconds(comm,
                            [&] {
                              for (int k = 0; k < calls; ++k) comm.all_reduce(exec, x.data(), 1);
                            }) /
                    calls / (2 * std::log2(N));
    speed.bandwidth =
        2 * (N - 1) / N * double(x.size() * 8) / seconds(comm, [&] { comm.all_reduce(exec, x.data(), x.size()); });
  }
  const std::size_t n = 1024;
  const Stack a("a", 1, n, n), b("b", 1, n, n), c("c", 1, n, n);
  fill(a);
  fill(b);
  Workspace<Kokkos::HostSpace> workspace;
  speed.flops =
      2 * double(n * n * n) / seconds(comm, [&] { linalg::gemm<Backend>(exec, 1.0F, a, b, 0.0F, c, workspace); });
  return speed;
}

/// Lines of the table: what a call takes and sends, and what the model has for it.
class Table {
 public:
  Table(const MpiCommunicator& comm, const RankProblem& problem, const char* what) : comm_(&comm), counted_(comm) {
    if (comm.rank() != 0) return;
    std::printf("%g %s, %g ranks\n%-34s %11s %11s %6s %11s %11s\n", problem.count, what, problem.ranks, "", "measured",
                "model", "", "sent", "model");
  }
  /// The communicator that the timed calls use.
  [[nodiscard]] const Ranks& counted() const { return counted_; }
  template <class F>
  void row(const char* name, const F& f, double seconds_of_model, double bytes_of_model) const {
    f();
    (void)counted_.take();
    f();
    const Traffic traffic = counted_.take();
    const double N = comm_->size();
    const double mine = 2 * (N - 1) / N * double(traffic.sum_bytes) +
                        double(traffic.gather_bytes + traffic.all_to_all_bytes + traffic.broadcast_bytes);
    std::vector<double> sent(std::size_t(comm_->size()));
    comm_->exchange(&mine, sizeof(mine), sent.data());
    double mean = 0;
    for (const double bytes : sent) mean += bytes / N;
    const double measured = seconds(*comm_, f);
    if (comm_->rank() != 0) return;
    std::printf("%-34s %8.2f ms %8.2f ms %6.2f %8.3f MB %8.3f MB\n", name, measured * 1e3, seconds_of_model * 1e3,
                measured / seconds_of_model, mean * 1e-6, bytes_of_model * 1e-6);
    std::fflush(stdout);
  }

 private:
  const MpiCommunicator* comm_;
  Ranks counted_;
};

/// The map of matrices whose rows are on all ranks.
void measure_shards(const MpiCommunicator& comm, const RankCost& cost, std::size_t count, std::size_t m,
                    std::size_t n) {
  const Exec exec;
  const double N = comm.size();
  const RankProblem p{double(count), double(m), double(n), 4, N};
  const std::string what = "matrices " + std::to_string(m) + "x" + std::to_string(n) + ", rows on ranks";
  const Table table(comm, p, what.c_str());
  const std::size_t rows = Share::of(m, std::size_t(comm.rank()), std::size_t(comm.size())).count;
  const Stack part("part", count, rows, n), out("out", count, rows, n);
  fill(part);
  const double sum = 2 * (N - 1) / N * p.count * 4 * p.n * (p.n + 1), second = sum / 2;
  const auto row = [&](const char* name, const SpectralPowerOptions& options, Functions functions, double seconds,
                       double bytes) {
    ShardedPower<float, Exec, Backend, Ranks> map(table.counted(), options, {.functions = functions});
    table.row(
        name, [&] { map.apply(exec, part, out); }, seconds, bytes);
  };
  const SpectralPowerOptions htmuon{.rows = m, .cols = n};
  const SpectralPowerOptions quintic{
      .rows = m, .cols = n, .power = 0, .tolerance = 2, .method = SpectralMethod::quintic};
  row("one sum", htmuon, Functions::each_rank, cost.one_sum(p, false), sum);
  row("one sum, functions shared", htmuon, Functions::shared, cost.one_sum(p, true), sum);
  row("two sums, poles over ranks", htmuon, Functions::poles, cost.two_sums(p), sum + second);
  row("quintics, five sums", quintic, Functions::each_rank, cost.quintics(p), 5 * second);
}

/// Steps of HTMuon on matrices that all ranks have, and that lie in flat shards.
void measure_steps(const MpiCommunicator& comm, const RankCost& cost, std::size_t count, std::size_t m, std::size_t n) {
  const Exec exec;
  const double N = comm.size();
  const RankProblem p{double(count), double(m), double(n), 4, N};
  const std::string what = "matrices " + std::to_string(m) + "x" + std::to_string(n) + ", a step of HTMuon";
  const Table table(comm, p, what.c_str());
  const double weights = p.count * p.m * p.n * 4;
  {
    schatten::distributed::Optimizer<float, Exec, Backend, Ranks> optimizer(table.counted());
    const GroupId id = optimizer.add_group(HTMuon{});
    std::vector<Stack> arrays;
    for (std::size_t k = 0; k < count; ++k) {
      arrays.emplace_back("w", 1, m, n);
      arrays.emplace_back("g", 1, m, n);
      fill(arrays[2 * k + 1]);
      optimizer.add(id, "w" + std::to_string(k), arrays[2 * k], arrays[2 * k + 1]);
    }
    table.row(
        "owners", [&] { optimizer.step(exec); }, cost.owners(p), (N - 1) / N * weights);
    schatten::Optimizer<float, Exec, Backend> single;
    const GroupId all = single.add_group(HTMuon{});
    for (std::size_t k = 0; k < count; ++k) single.add(all, std::to_string(k), arrays[2 * k], arrays[2 * k + 1]);
    table.row(
        "every rank everything", [&] { single.step(exec); }, cost.duplicated(p), 0);
  }
  AssembledOptimizer<float, Exec, Backend, Ranks> optimizer(table.counted());
  const GroupId id = optimizer.add_group(HTMuon{});
  using Flat = Kokkos::View<float*, Kokkos::LayoutRight, Kokkos::HostSpace>;
  std::vector<AssembledOptimizer<float, Exec, Backend, Ranks>::Entry> entries;
  for (std::size_t k = 0; k < count; ++k) entries.push_back({"w" + std::to_string(k), m, n, id});
  const Share mine = Share::of(count * m * n, std::size_t(comm.rank()), std::size_t(comm.size()));
  const Flat w("w", mine.count), g("g", mine.count);
  for (std::size_t k = 0; k < mine.count; ++k) g(k) = float(double((k * 2654435761U) % 1000003U) / 1000003 - 0.5);
  optimizer.add_flat(entries, mine.begin, w, g);
  table.row(
      "a flat buffer cut", [&] { optimizer.step(exec); }, cost.assembled(p), 2 * (N - 1) / N * weights / N);
}

void measure(const MpiCommunicator& comm) {
  const RankCost cost{speed_of(comm)};
  if (comm.rank() == 0) {
    std::printf("%d ranks: products %.3g flop/s on each, latency %.2g us, bandwidth %.2g GB/s\n", comm.size(),
                cost.speed.flops, cost.speed.latency * 1e6, cost.speed.bandwidth * 1e-9);
  }
  measure_steps(comm, cost, 8, 512, 256);
  measure_shards(comm, cost, 8, 512, 256);
  measure_shards(comm, cost, 1, 768, 768);
}

/// Hidden matrices of a LLaMA: layers × (four d×d, or two of them d×kv, and three d×f).
struct Llama {
  const char* name;
  double layers, d, kv, f;
};

void print_model() {
  const RankCost cost{{.flops = 3e13, .latency = 2e-5, .bandwidth = 2.5e10}};
  std::printf("model,ranks,duplicated,owners,assembled,one_sum,one_sum_shared,quintics,two_sums\n");
  for (const Llama& l :
       {Llama{"1B", 16, 2048, 512, 8192}, Llama{"7B", 32, 4096, 4096, 11008}, Llama{"70B", 80, 8192, 1024, 28672}}) {
    for (double N = 8; N <= 4096; N *= 2) {
      double sum[7] = {};
      const auto add = [&](double count, double m, double n) {
        const RankProblem p{count * l.layers, m, n, 4, N};
        const double times[7] = {cost.duplicated(p),    cost.owners(p),   cost.assembled(p), cost.one_sum(p, false),
                                 cost.one_sum(p, true), cost.quintics(p), cost.two_sums(p)};
        for (int k = 0; k < 7; ++k) sum[k] += times[k];
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
