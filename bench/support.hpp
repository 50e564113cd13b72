// SPDX-License-Identifier: BSD-3-Clause
// What the benchmark programs share: matrices, the GEMM rate of this run, the reference by SVD in double.
#pragma once

#include "run_failed.hpp"
#include <schatten/interop/pointers.hpp>
#include <schatten/schatten.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace bench {

using Exec = Kokkos::DefaultHostExecutionSpace;

template <class T>
using Matrix = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;

template <class T>
constexpr const char* scalar_name = sizeof(T) == 4 ? "f32" : "f64";

struct Shape {
  std::size_t rows, cols;
  [[nodiscard]] std::size_t short_side() const { return std::min(rows, cols); }
  [[nodiscard]] std::size_t long_side() const { return std::max(rows, cols); }
  [[nodiscard]] std::string name() const { return std::to_string(rows) + "x" + std::to_string(cols); }
  auto operator<=>(const Shape&) const = default;
};

/// Entries from N(0, 1), the same in every run and precision.
template <class T>
Matrix<T> gaussian(const Shape& shape, unsigned seed = 1) {
  Matrix<T> a("bench::gaussian", shape.rows, shape.cols);
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < shape.rows; ++i) {
    for (std::size_t j = 0; j < shape.cols; ++j) a(i, j) = T(normal(engine));
  }
  return a;
}

/// Flops that any method spends at least: the Gram matrix n²m and one product 2n²m, n the short side.
inline double limit_flops(const Shape& shape) {
  const double n = double(shape.short_side()), m = double(shape.long_side());
  return 3 * n * n * m;
}

/// Flop/s of the product (m×n)(n×n) in this run: the median of nine, measured once a shape.
template <class T>
double gemm_rate(const Exec& exec, const Shape& shape) {
  static std::map<Shape, double> known;
  const auto found = known.find(shape);
  if (found != known.end()) return found->second;
  const std::size_t n = shape.short_side(), m = shape.long_side();
  const auto a = gaussian<T>({m, n}, 2), b = gaussian<T>({n, n}, 3);
  Matrix<T> c("bench::product", m, n);
  schatten::Workspace<Exec::memory_space> workspace;
  std::vector<double> seconds;
  for (int k = 0; k < 10; ++k) {
    exec.fence();
    const auto start = std::chrono::steady_clock::now();
    schatten::linalg::gemm(exec, T(1), a, b, T(0), c, workspace);
    exec.fence();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(seconds.begin() + 1, seconds.begin() + 5, seconds.end());  // the first one warms up
  return known[shape] = 2.0 * double(m) * double(n) * double(n) / seconds[5];
}

/// U Σ^p Vᵀ of gaussian(shape) by SVD in double, row by row.
inline const std::vector<double>& reference(const Exec& exec, const Shape& shape, double power) {
  static std::map<std::tuple<Shape, double>, std::vector<double>> known;
  std::vector<double>& out = known[{shape, power}];
  if (out.empty()) {
    out.resize(shape.rows * shape.cols);
    schatten::SpectralPower<double, Exec> exact({.rows = shape.rows,
                                                 .cols = shape.cols,
                                                 .power = power,
                                                 .tolerance = 1e-6,
                                                 .method = schatten::SpectralMethod::svd});
    exact.apply(exec, gaussian<double>(shape), schatten::matrix_view(out.data(), shape.rows, shape.cols));
  }
  return out;
}

/// ‖out − reference‖_F / ‖reference‖_F.
template <class T>
double relative_error(const Matrix<T>& out, const std::vector<double>& expected) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < out.extent(0); ++i) {
    for (std::size_t j = 0; j < out.extent(1); ++j) {
      const double truth = expected[i * out.extent(1) + j];
      difference += (double(out(i, j)) - truth) * (double(out(i, j)) - truth);
      size += truth * truth;
    }
  }
  return std::sqrt(difference / size);
}

/// Runs body() and a fence for every iteration of the case; returns the mean seconds of one.
template <class Body>
double timed(benchmark::State& state, const Exec& exec, const Body& body) {
  exec.fence();
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    body();
    exec.fence();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return elapsed.count() / double(state.iterations());
}

/// Sets the counters that every case reports. `flops`: of one iteration; `seconds`: its time.
inline void report(benchmark::State& state, double flops, double seconds, double limit_seconds) {
  state.counters["gflops"] = flops * 1e-9 / seconds;
  state.counters["gemm_limit"] = seconds / limit_seconds;
}

/// Prints a table, or what --benchmark_format names, and keeps the seconds of every repetition of every case.
class Recorder : public benchmark::BenchmarkReporter {
 public:
  Recorder() : chosen_(benchmark::CreateDefaultDisplayReporter()) {
    if (dynamic_cast<benchmark::ConsoleReporter*>(chosen_.get()) == nullptr) return;
    is_table_ = true;
    chosen_ = std::make_unique<benchmark::ConsoleReporter>(benchmark::ConsoleReporter::OO_Tabular);
  }
  bool ReportContext(const Context& context) override { return chosen_->ReportContext(context); }
  void Finalize() override { chosen_->Finalize(); }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const bool repetition = run.run_type == Run::RT_Iteration, median = run.aggregate_name == "median";
      if (!(repetition || median) || run.iterations == 0 || run_failed(run)) continue;
      std::vector<double>& seconds = seconds_[run.run_name.function_name];
      if (median && !seconds.empty()) continue;  // of the repetitions, which may not have been reported
      seconds.push_back(run.real_accumulated_time / double(run.iterations));
    }
    chosen_->ReportRuns(runs);
  }
  /// Whether a table is printed: a summary in words may follow.
  [[nodiscard]] bool is_table() const { return is_table_; }
  /// Median seconds of a case over its repetitions; 0 if it did not run.
  [[nodiscard]] double median(const std::string& name) const {
    const auto found = seconds_.find(name);
    if (found == seconds_.end()) return 0;
    std::vector<double> sorted = found->second;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : 0.5 * (sorted[middle - 1] + sorted[middle]);
  }

 private:
  std::unique_ptr<benchmark::BenchmarkReporter> chosen_;
  bool is_table_ = false;
  std::map<std::string, std::vector<double>> seconds_;
};

/// Google Benchmark, then Kokkos, from the first line of main to its last: --help is Google Benchmark's.
class Session {
 public:
  Session(int& argc, char** argv) : benchmark_(argc, argv), kokkos_(argc, argv) {}

 private:
  struct Benchmark {
    Benchmark(int& argc, char** argv) { benchmark::Initialize(&argc, argv); }
    ~Benchmark() { benchmark::Shutdown(); }
    Benchmark(const Benchmark&) = delete;
    Benchmark& operator=(const Benchmark&) = delete;
  };
  Benchmark benchmark_;
  Kokkos::ScopeGuard kokkos_;
};

/// What a program returns whose --benchmark_filter matches none of its cases.
inline constexpr int nothing_matched = 3;

/// Runs the cases that the command line of the Session chooses; `summary(recorder)` comes after a table. Returns main's
/// status.
template <class Summary>
int run(int argc, char** argv, const Summary& summary) {
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  Recorder recorder;
  if (benchmark::RunSpecifiedBenchmarks(&recorder) == 0) return nothing_matched;
  if (recorder.is_table()) summary(recorder);
  return 0;
}

inline int run(int argc, char** argv) {
  return run(argc, argv, [](const Recorder&) {});
}

}  // namespace bench
