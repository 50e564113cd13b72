// SPDX-License-Identifier: BSD-3-Clause
// What only a device can show of a step: it may be captured in a CUDA graph, and Optimizers on several streams do not
// disturb each other.

#include "support/typed.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <cuda_runtime_api.h>
#include <memory>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

void expect_success(cudaError_t status) { REQUIRE(status == cudaSuccess); }

/// A stream of its own.
class Stream {
 public:
  Stream() { expect_success(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream_); }
  [[nodiscard]] cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_{};
};

/// An Optimizer with spectral and elementwise groups, and what it steps.
class Model {
 public:
  using View = Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::CudaHostPinnedSpace>;
  explicit Model(unsigned seed) {
    groups = {optimizer.add_group(HTMuonOptions{.map = {.resolution = 3e-3, .tolerance = 2e-2}}),
              optimizer.add_group(MuonOptions{}), optimizer.add_group(AdamWOptions{}), optimizer.add_group(Adam{}),
              optimizer.add_group(SPlus{.interval = 1000})};
    for (const GroupId group : groups) {
      for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{64, 64}, {64, 64}, {48, 96}}) {
        weights.push_back(filled(rows, cols, ++seed));
        gradients.push_back(filled(rows, cols, ++seed));
        optimizer.add(group, std::to_string(weights.size()), weights.back(), gradients.back());
      }
    }
  }
  /// Other rates, as a schedule sets them.
  void set_rates(int step) {
    for (const GroupId group : groups) {
      optimizer.set_lr_factor(group, 1.0 / (1 + step));
      optimizer.set_weight_decay(group, 0.01 * step);
    }
    optimizer.set_lr(groups[2], 1e-3 + 1e-4 * step);
    optimizer.set_decay_factor("1", 0.5 * step);
  }
  /// Other gradients, from step to step.
  void next_gradients() {
    for (const View& g : gradients) {
      for (std::size_t k = 0; k < g.size(); ++k) g.data()[k] = -0.9F * g.data()[k] + 0.01F * float(k % 7);
    }
  }

  Optimizer<float, Kokkos::Cuda> optimizer;
  std::vector<GroupId> groups;
  std::vector<View> weights, gradients;

 private:
  static View filled(std::size_t rows, std::size_t cols, unsigned seed) {
    const View view("schatten::test::parameter", rows, cols);
    assign(view, gaussian(rows, cols, seed));
    return view;
  }
};

/// Whether two models hold the same bits.
bool equal(const Model& a, const Model& b) {
  for (std::size_t p = 0; p < a.weights.size(); ++p) {
    for (std::size_t k = 0; k < a.weights[p].size(); ++k) {
      if (a.weights[p].data()[k] != b.weights[p].data()[k]) return false;
    }
  }
  return true;
}

/// A graph of one step of an Optimizer.
class StepGraph {
 public:
  StepGraph(const Stream& stream, Model& model) : stream_(stream.get()) {
    expect_success(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed));
    model.optimizer.step(Kokkos::Cuda(stream_));
    expect_success(cudaStreamEndCapture(stream_, &graph_));
    expect_success(cudaGraphInstantiate(&program_, graph_, 0));
  }
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;
  ~StepGraph() {
    cudaGraphExecDestroy(program_);
    cudaGraphDestroy(graph_);
  }
  void launch() const { expect_success(cudaGraphLaunch(program_, stream_)); }

 private:
  cudaStream_t stream_;
  cudaGraph_t graph_{};
  cudaGraphExec_t program_{};
};

}  // namespace

TEST_CASE("a step captured in a graph does what step does, counts and schedules included") {
  const Stream stream;
  const Kokkos::Cuda exec(stream.get());
  Model plain(1), captured(1);
  plain.optimizer.step(exec);
  captured.optimizer.step(exec);  // allocates
  exec.fence();
  REQUIRE(equal(plain, captured));

  const StepGraph graph(stream, captured);
  for (int step = 0; step < 4; ++step) {
    plain.next_gradients();
    captured.next_gradients();
    if (step > 1) {  // before, the numbers are those of the capture
      plain.set_rates(step);
      captured.set_rates(step);
      captured.optimizer.update_numbers(exec);
    }
    plain.optimizer.step(exec);
    graph.launch();
    exec.fence();
    CHECK(equal(plain, captured));
  }
  const auto captured_counts = captured.optimizer.read_counts(exec), plain_counts = plain.optimizer.read_counts(exec);
  REQUIRE(captured_counts.size() == plain_counts.size());
  for (std::size_t k = 0; k < plain_counts.size(); ++k) {
    CHECK(captured_counts[k].attempted == plain_counts[k].attempted);
    CHECK(captured_counts[k].applied == plain_counts[k].applied);
  }
  CHECK(captured.optimizer.skipped_steps(exec) == 0);
}

TEST_CASE("a step with numbers that have changed is not captured, and says what to call") {
  const Stream stream;
  const Kokkos::Cuda exec(stream.get());
  Model model(7);
  model.optimizer.step(exec);
  model.set_rates(1);
  expect_success(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeRelaxed));
  CHECK_THROWS_WITH_AS(model.optimizer.step(exec), doctest::Contains("update_numbers"), InvalidArgument);
  cudaGraph_t graph{};
  expect_success(cudaStreamEndCapture(stream.get(), &graph));
  cudaGraphDestroy(graph);
  model.optimizer.update_numbers(exec);
  const StepGraph after(stream, model);
  after.launch();
  exec.fence();
}

TEST_CASE("Optimizers on streams of their own step as they do one after the other") {
  constexpr unsigned count = 4;
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<std::unique_ptr<Model>> together, alone;
  for (unsigned k = 0; k < count; ++k) {
    streams.push_back(std::make_unique<Stream>());
    together.push_back(std::make_unique<Model>(100 * k));
    alone.push_back(std::make_unique<Model>(100 * k));
  }
  for (int step = 0; step < 5; ++step) {
    for (unsigned k = 0; k < count; ++k) together[k]->optimizer.step(Kokkos::Cuda(streams[k]->get()));
    Kokkos::fence();
    for (unsigned k = 0; k < count; ++k) {
      alone[k]->optimizer.step(Kokkos::Cuda());
      Kokkos::fence();
      CHECK(equal(*together[k], *alone[k]));
      together[k]->next_gradients();
      alone[k]->next_gradients();
    }
  }
}
