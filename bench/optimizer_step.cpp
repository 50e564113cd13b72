// SPDX-License-Identifier: BSD-3-Clause
// optimizer_step/<case>/<set>: one step over all hidden matrices of a LLaMA model, float, on Kokkos' default execution
// space: a device where Kokkos has one.
//
// Cases: htmuon, adamw, sgd with their defaults; htmuon_fidelity, at a resolution of 1e-5 and a tolerance of 5e-2;
// muon_polar, Muon by the rational method; htmuon_iterates_<tolerance>/<format>, matrix products alone at a resolution
// of 3e-3; muon/<format>. Formats: scalar, and float16 and bfloat16 where the backend multiplies them. Sets: llama_60m,
// 135m, 350m, 1b. The last two take up to 20 GB and are there on a device, or with --large.
//
// Counters: matrices, parameters, ms_per_matrix
//           allocations, fences  of Kokkos in all timed steps together (fences from Kokkos 3.5 on)
//           error                relative Frobenius error of the map on a Gaussian 256×256 matrix, against SVD in
//                                double
//           products_per_second  SpectralPower::product_flops of all matrices over the time of the step
//           gemm_rate, of_gemm   flop/s of the product (m×n)(n×n) of the set's largest shape in the same format, up
//                                to 16 matrices a call, in this run; products_per_second over it
#include "default_space.hpp"
#include "kokkos_events.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

using bench::DefaultExec;
using bench::Shape;
using schatten::Format;
using schatten::SpectralMethod;

namespace {

using DefaultPower = schatten::SpectralPower<float, DefaultExec>;

struct Matrices {
  Shape shape;
  std::size_t count;
};

struct HiddenSet {
  const char* name;
  std::size_t layers, width, mlp;
  /// Attention's and the perceptron's.
  [[nodiscard]] std::array<Matrices, 2> shapes() const {
    return {{{{width, width}, 4 * layers}, {{width, mlp}, 3 * layers}}};
  }
  [[nodiscard]] std::size_t parameters() const { return layers * width * (4 * width + 3 * mlp); }
};
constexpr HiddenSet sets[] = {{"llama_60m", 8, 512, 1376},
                              {"llama_135m", 12, 768, 2048},
                              {"llama_350m", 24, 1024, 2736},
                              {"llama_1b", 24, 2048, 5461}};
constexpr std::size_t large = 100'000'000;  // parameters

/// Registers the set's matrices with their gradients; returns how many there are.
std::size_t add_set(const DefaultExec& exec, const HiddenSet& set, schatten::GroupId group,
                    schatten::Optimizer<float, DefaultExec>& optimizer) {
  std::size_t count = 0;
  const auto matrix = [&](const Shape& shape, std::size_t seed) {
    bench::DefaultMatrix<float> a(Kokkos::view_alloc(Kokkos::WithoutInitializing, "bench::hidden"), shape.rows,
                                  shape.cols);
    bench::fill_normal(exec, a, seed);
    return a;
  };
  for (const auto& [shape, matrices] : set.shapes()) {
    for (std::size_t k = 0; k < matrices; ++k, ++count) {
      optimizer.add(group, "hidden." + std::to_string(count), matrix(shape, 2 * count), matrix(shape, 2 * count + 1));
    }
  }
  return count;
}

/// Relative Frobenius error on one Gaussian 256×256 matrix against the SVD in double on the host. Throws
/// InvalidArgument where the options do not serve this size.
double error_at_256(const DefaultExec& exec, schatten::SpectralPowerOptions options) {
  const Shape shape{256, 256};
  options.rows = shape.rows;
  options.cols = shape.cols;
  const bench::Matrix<float> m = bench::gaussian<float>(shape);
  const bench::DefaultMatrix<float> device_m("bench::m", shape.rows, shape.cols),
      out("bench::out", shape.rows, shape.cols);
  Kokkos::deep_copy(device_m, m);
  DefaultPower plan(options);
  plan.apply(exec, device_m, out);
  return bench::relative_error<float>(schatten::copy_to_host(exec, out),
                                      bench::reference(bench::Exec(), shape, options.power));
}

/// The counters of a spectral map whose steps took `seconds` each.
void report_map(benchmark::State& state, const DefaultExec& exec, const HiddenSet& set,
                schatten::SpectralPowerOptions options, double seconds) {
  try {
    state.counters["error"] = error_at_256(exec, options);
  } catch (const schatten::InvalidArgument&) {  // a promise that larger matrices have, and 256×256 not
  }
  double flops = 0;
  for (const auto& [shape, matrices] : set.shapes()) {
    options.rows = shape.rows;
    options.cols = shape.cols;
    flops += double(matrices) * DefaultPower(options).product_flops();
  }
  if (flops == 0) return;
  const auto [shape, matrices] = set.shapes().back();
  const std::size_t bucket = schatten::OptimizerOptions{}.batch_bytes / (shape.rows * shape.cols * sizeof(float));
  const std::size_t batch = std::clamp<std::size_t>(bucket, 1, std::min<std::size_t>(16, matrices));
  const double rate = bench::product_rate(exec, shape, batch, DefaultPower(options).format());
  state.counters["products_per_second"] = flops / seconds;
  state.counters["gemm_rate"] = rate;
  state.counters["of_gemm"] = flops / seconds / rate;
}

template <class Options>
void step_case(benchmark::State& state, const HiddenSet& set, const Options& options) {
  const DefaultExec exec;
  schatten::Optimizer<float, DefaultExec> optimizer;
  schatten::GroupId group{};
  std::size_t count = 0;
  try {
    group = optimizer.add_group(options);
    count = add_set(exec, set, group, optimizer);
  } catch (const schatten::InvalidArgument& refusal) {
    return state.SkipWithError(refusal.what());
  }
  optimizer.step(exec);
  exec.fence();
  const bench::KokkosEvents events;
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    events.count([&] { optimizer.step(exec); });
    exec.fence();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const double seconds = elapsed.count() / double(state.iterations());
  state.counters["matrices"] = double(count);
  state.counters["parameters"] = double(set.parameters());
  state.counters["ms_per_matrix"] = 1e3 * seconds / double(count);
  state.counters["allocations"] = double(events.allocations());
  if (bench::fences_are_reported) state.counters["fences"] = double(events.fences());
  if constexpr (requires { options.map; }) {
    double power = 0;
    if constexpr (requires { options.power; }) power = options.power;
    report_map(state, exec, set, schatten::optim::plan_options(power, options.map, 0, 0), seconds);
  }
}

void register_set(const HiddenSet& set) {
  const auto add = [&](const std::string& name, const auto& options) {
    benchmark::RegisterBenchmark(("optimizer_step/" + name + "/" + set.name).c_str(),
                                 [=](benchmark::State& state) { step_case(state, set, options); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  std::vector<Format> formats{Format::scalar};
  if (bench::has_reduced_floats) formats.insert(formats.end(), {Format::float16, Format::bfloat16});
  add("htmuon", schatten::HTMuonOptions{});
  add("htmuon_fidelity", schatten::HTMuonOptions{.map = {.resolution = 1e-5, .tolerance = 5e-2}});
  add("muon_polar", schatten::MuonOptions{.map = {.method = SpectralMethod::rational}});
  for (const Format format : formats) {
    const bool coarse = format == Format::bfloat16;  // promises about 2e-2 at this resolution
    add((coarse ? "htmuon_iterates_3e-2/" : "htmuon_iterates_1e-2/") + schatten::to_string(format),
        schatten::HTMuonOptions{.map = {.method = SpectralMethod::iterates,
                                        .resolution = 3e-3,
                                        .tolerance = coarse ? 3e-2 : 1e-2,
                                        .format = format}});
  }
  for (const Format format : formats) {
    add("muon/" + schatten::to_string(format),
        schatten::MuonOptions{.map = {.method = SpectralMethod::quintic, .tolerance = 2, .format = format}});
  }
  add("adamw", schatten::AdamWOptions{});
  add("sgd", schatten::SGDOptions{});
}

/// Takes an argument out of the list; whether it was there.
bool take(int& argc, char** argv, std::string_view argument) {
  char** const end = argv + argc;
  char** const rest = std::remove_if(argv + 1, end, [&](const char* each) { return argument == each; });
  argc = int(rest - argv);
  return rest != end;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Session session(argc, argv);
  const bool all = take(argc, argv, "--large") || !schatten::is_host_execution_space<DefaultExec>;
  for (const HiddenSet& set : sets) {
    if (all || set.parameters() <= large) register_set(set);
  }
  return bench::run(argc, argv);
}
