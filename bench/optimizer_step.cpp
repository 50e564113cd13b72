// optimizer_step/<algorithm>/<set>: one step over all hidden matrices of a LLaMA model, float.
//
// Counters: matrices, parameters, and ms_per_matrix. Sets: 60M (8 layers of 4×512×512 and 3×512×1376) and 135M (12
// layers of 4×768×768 and 3×768×2048).
#include "support.hpp"

#include <list>

using bench::Exec;
using bench::Matrix;
using bench::Shape;

namespace {

struct HiddenSet {
  const char* name;
  std::size_t layers, width, mlp;
};
constexpr HiddenSet sets[] = {{"llama_60m", 8, 512, 1376}, {"llama_135m", 12, 768, 2048}};

template <class Options>
void step_case(benchmark::State& state, const HiddenSet& set, const Options& options) {
  const Exec exec;
  schatten::Optimizer<float, Exec> optimizer;
  const auto group = optimizer.add_group(options);
  std::size_t parameters = 0, count = 0;
  const auto add = [&](const Shape& shape) {
    const auto seed = unsigned(++count);
    optimizer.add(group, "hidden." + std::to_string(seed), bench::gaussian<float>(shape, 2 * seed),
                  bench::gaussian<float>(shape, 2 * seed + 1));
    parameters += shape.rows * shape.cols;
  };
  for (std::size_t layer = 0; layer < set.layers; ++layer) {
    for (int k = 0; k < 4; ++k) add({set.width, set.width});
    for (int k = 0; k < 3; ++k) add({set.width, set.mlp});
  }
  optimizer.step(exec);
  const double seconds = bench::timed(state, exec, [&] { optimizer.step(exec); });
  state.counters["matrices"] = double(count);
  state.counters["parameters"] = double(parameters);
  state.counters["ms_per_matrix"] = 1e3 * seconds / double(count);
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  for (const HiddenSet& set : sets) {
    const auto add = [&](const char* algorithm, const auto& options) {
      const std::string name = std::string("optimizer_step/") + algorithm + "/" + set.name;
      benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { step_case(state, set, options); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    };
    add("htmuon", schatten::HTMuonOptions{});
    add("muon", schatten::MuonOptions{});
    add("adamw", schatten::AdamWOptions{});
    add("sgd", schatten::SGDOptions{});
  }
  return bench::run(argc, argv);
}
