// SPDX-License-Identifier: BSD-3-Clause
// Gradients with a NaN or an infinity. Floating-point traps stay on: the step must not compute with such a number.

#include "support/errors.hpp"
#include "support/fp_traps.hpp"
#include "support/instantiations.hpp"
#include "support/optimizer_state.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Backend = linalg::PortableBackend;  // promises equal bits
template <class T>
using Tested = Optimizer<T, Exec, Backend>;

constexpr std::size_t batch = 3, rows = 6, cols = 4;

template <class T>
using Views = Kokkos::View<T***, Kokkos::LayoutRight, Kokkos::HostSpace>;

template <class T>
auto matrix(const Views<T>& view, std::size_t b) {
  return Kokkos::subview(view, b, Kokkos::ALL, Kokkos::ALL);
}

template <class T>
void fill_gaussian(const Views<T>& view, unsigned seed) {
  for (std::size_t b = 0; b < view.extent(0); ++b) {
    assign(matrix(view, b), gaussian(view.extent(1), view.extent(2), seed + unsigned(b)));
  }
}

/// What happens to the gradient of matrix b before step s.
struct Event {
  std::size_t b;
  unsigned step;
  std::size_t i, j;
  double value;
};

/// Eight steps of a batch of three beside three Optimizers with one matrix each; those do not take part in a step in
/// which their gradient is not finite. Everything must agree to the last bit.
template <class T, class O>
void check_skips(const O& options, const std::vector<Event>& events) {
  const Exec exec;
  const Views<T> w("w", batch, rows, cols), g("g", batch, rows, cols);
  fill_gaussian(w, 1);
  Tested<T> optimizer;
  optimizer.add(optimizer.add_group(options), "w", w, g);
  std::vector<Tested<T>> twins(batch);
  std::vector<Views<T>> twin_w, twin_g;
  for (std::size_t b = 0; b < batch; ++b) {
    twin_w.push_back(Views<T>("w", 1, rows, cols));
    twin_g.push_back(Views<T>("g", 1, rows, cols));
    fill_gaussian(twin_w[b], 1 + unsigned(b));
    twins[b].add(twins[b].add_group(options), "w", twin_w[b], twin_g[b]);
  }
  long long skipped = 0;
  for (unsigned step = 0; step < 8; ++step) {
    fill_gaussian(g, 100 * (step + 1));
    for (std::size_t b = 0; b < batch; ++b) {
      fill_gaussian(twin_g[b], 100 * (step + 1) + unsigned(b));
      bool bad = false;
      for (const Event& event : events) {
        if (event.b != b || event.step != step) continue;
        g(b, event.i, event.j) = T(event.value);
        bad = true;
      }
      if (bad) ++skipped;
      if (!bad) twins[b].step(exec);
    }
    optimizer.step(exec);
    exec.fence();
    CHECK(optimizer.skipped_steps(exec) == skipped);
    CHECK(optimizer.skipped_steps(exec, "w") == skipped);
    for (std::size_t b = 0; b < batch; ++b) {
      CAPTURE(step);
      CAPTURE(b);
      CHECK(same_bits(to_matrix(matrix(w, b)), to_matrix(matrix(twin_w[b], 0))));
      const auto state = state_of(exec, optimizer), twin_state = state_of(exec, twins[b]);
      REQUIRE(state.size() == twin_state.size());
      for (std::size_t k = 0; k < state.size(); ++k) {
        CHECK(same_bits(state[k].matrices[b], twin_state[k].matrices[0]));
      }
    }
  }
}

/// NaN and infinities in the first, in a middle and in the last element, in the first step, twice in a row, in two
/// matrices at once.
const std::vector<Event>& events() {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  static const std::vector<Event> all{{0, 0, 0, 0, nan}, {1, 2, 3, 2, inf},         {1, 3, 5, 3, -inf},
                                      {2, 3, 0, 3, nan}, {2, 5, rows - 1, 0, -nan}, {2, 6, 2, 2, inf}};
  return all;
}

}  // namespace

TEST_CASE_TEMPLATE("a matrix with a NaN or an infinity is skipped, and nothing else changes", T, float, double) {
  check_skips<T>(HTMuonOptions{}, events());
  check_skips<T>(HTMuonOptions{.scale = ScaleMode::unit_rms}, events());
  check_skips<T>(HTMuonOptions{.scale = ScaleMode::dual_norm}, events());
  check_skips<T>(MuonOptions{.scale = ScaleMode::unit_norm}, events());
  check_skips<T>(AdamWOptions{}, events());
  check_skips<T>(SGDOptions{}, events());
}

TEST_CASE("a gradient that is NaN throughout, from the first step on, never moves its parameter") {
  const Exec exec;
  const Views<double> w("w", 1, rows, cols), g("g", 1, rows, cols), v("v", 1, rows, cols), h("h", 1, rows, cols);
  const Kokkos::View<double*, Kokkos::HostSpace> bias("bias", 5), bias_g("bias_g", 5);
  fill_gaussian(w, 1);
  fill_gaussian(h, 2);
  assign(matrix(g, 0), Matrix::Constant(rows, cols, std::numeric_limits<double>::quiet_NaN()));
  bias_g(4) = std::numeric_limits<double>::infinity();
  Optimizer<double, Exec> optimizer;
  const GroupId group = optimizer.add_group(HTMuonOptions{});
  const GroupId vectors = optimizer.add_group(AdamWOptions{});
  optimizer.add(group, "w", w, g);
  optimizer.add(group, "v", v, h);
  optimizer.add(vectors, "bias", bias, bias_g);
  for (int step = 0; step < 3; ++step) optimizer.step(exec);
  exec.fence();
  CHECK(same_bits(to_matrix(matrix(w, 0)), gaussian(rows, cols, 1)));
  CHECK(max_abs(to_matrix(matrix(v, 0))) > 0);
  CHECK(max_abs(state_of(exec, optimizer, "w/momentum")[0]) == 0);
  CHECK(max_abs(state_of(exec, optimizer, "bias/second_moment_root")[0]) == 0);
  CHECK(bias(0) == 0);
  CHECK(optimizer.skipped_steps(exec, "w") == 3);
  CHECK(optimizer.skipped_steps(exec, "v") == 0);
  CHECK(optimizer.skipped_steps(exec, "bias") == 3);
  CHECK(optimizer.skipped_steps(exec) == 6);
}

TEST_CASE("only the blocks of a fused parameter that are not finite are skipped") {
  const Exec exec;
  const Views<double> w("w", 1, 3 * rows, cols), g("g", 1, 3 * rows, cols);
  fill_gaussian(g, 2);
  g(0, rows, 1) = std::numeric_limits<double>::quiet_NaN();
  Tested<double> optimizer;
  optimizer.add(optimizer.add_group(MuonOptions{}), "qkv", w, g, {.row_blocks = 3});
  optimizer.step(exec);
  exec.fence();
  const Matrix after = to_matrix(matrix(w, 0));
  CHECK(max_abs(after.topRows(rows)) > 0);
  CHECK(max_abs(after.middleRows(rows, rows)) == 0);
  CHECK(max_abs(after.bottomRows(rows)) > 0);
  CHECK(optimizer.skipped_steps(exec, "qkv") == 1);
}

TEST_CASE("what lies between the elements of a strided gradient is not looked at") {
  const Exec exec;
  const Batch<double, Storage::window> w(1, rows, cols);
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> around("g", rows + 2, cols + 2);
  assign(around, Matrix::Constant(rows + 2, cols + 2, std::numeric_limits<double>::quiet_NaN()));
  const auto g = Kokkos::subview(around, std::pair{1, 1 + int(rows)}, std::pair{1, 1 + int(cols)});
  assign(g, gaussian(rows, cols, 1));
  assign(w.matrix(), Matrix::Zero(rows, cols));
  Tested<double> optimizer;
  optimizer.add(optimizer.add_group(HTMuonOptions{}), "w", w.matrix(), g);
  optimizer.step(exec);
  CHECK(optimizer.skipped_steps(exec) == 0);
  CHECK(max_abs(to_matrix(w.matrix())) > 0);
}

TEST_CASE("NonFinite::raise names the parameter, modifies nothing, and the next step goes on") {
  const Exec exec;
  const auto prepare = [](auto& optimizer, const auto& w, const auto& g, const auto& v, const auto& h) {
    fill_gaussian(w, 1);
    fill_gaussian(v, 4);
    optimizer.add(optimizer.add_group(HTMuonOptions{}), "layers.0", w, g);
    optimizer.add(optimizer.add_group(AdamWOptions{}), "layers.1", v, h);
  };
  const Views<float> w("w", 2, rows, cols), g("g", 2, rows, cols), v("v", 2, rows, cols), h("h", 2, rows, cols);
  const Views<float> twin_w("w", 2, rows, cols), twin_v("v", 2, rows, cols);
  Tested<float> optimizer(OptimizerOptions{.non_finite = NonFinite::raise}), twin;
  prepare(optimizer, w, g, v, h);
  prepare(twin, twin_w, g, twin_v, h);
  for (unsigned step = 0; step < 4; ++step) {
    fill_gaussian(g, 10 * (step + 1));
    fill_gaussian(h, 10 * (step + 1) + 5);
    if (step % 2 == 1) {
      const auto before = state_of(exec, optimizer);
      const std::vector<Matrix> w_before = matrices_of(w), v_before = matrices_of(v);
      h(1, 0, 2) = std::numeric_limits<float>::infinity();
      const std::string message = message_of<NumericalError>([&] { optimizer.step(exec); });
      CHECK(contains(message, "layers.1"));
      CHECK(!contains(message, "layers.0"));
      CHECK(same_bits(state_of(exec, optimizer), before));
      CHECK(same_bits(matrices_of(w), w_before));
      CHECK(same_bits(matrices_of(v), v_before));
      fill_gaussian(h, 10 * (step + 1) + 5);
    }
    optimizer.step(exec);
    twin.step(exec);
    exec.fence();
    CHECK(same_bits(matrices_of(w), matrices_of(twin_w)));
    CHECK(same_bits(matrices_of(v), matrices_of(twin_v)));
  }
  CHECK(same_bits(state_of(exec, optimizer), state_of(exec, twin)));
  CHECK(optimizer.skipped_steps(exec) == 0);
}

TEST_CASE("with NonFinite::propagate a NaN spreads, and finite gradients give the same bits as with skip") {
  const FpTrapsDisabled no_traps;
  const Exec exec;
  const auto run = [&](NonFinite non_finite, bool bad) {
    const Views<double> w("w", 1, rows, cols), v("v", 1, rows, cols), g("g", 1, rows, cols);
    fill_gaussian(w, 1);
    fill_gaussian(v, 2);
    fill_gaussian(g, 3);
    Tested<double> optimizer({.non_finite = non_finite});
    optimizer.add(optimizer.add_group(AdamW{}), "w", w, g);
    optimizer.add(optimizer.add_group(Muon{}), "v", v, g);
    optimizer.step(exec);
    if (bad) g(0, 2, 1) = std::numeric_limits<double>::quiet_NaN();
    optimizer.step(exec);
    exec.fence();
    CHECK(optimizer.skipped_steps(exec) == (bad && non_finite == NonFinite::skip ? 2 : 0));
    return std::vector<Matrix>{to_matrix(matrix(w, 0)), to_matrix(matrix(v, 0))};
  };
  const auto skipped = run(NonFinite::skip, false), finite = run(NonFinite::propagate, false);
  CHECK(same_bits(finite[0], skipped[0]));
  CHECK(same_bits(finite[1], skipped[1]));
  const auto spread = run(NonFinite::propagate, true);
  CHECK(spread[0].array().isNaN().count() == 1);  // AdamW: that element
  CHECK(std::isnan(spread[0](2, 1)));
  CHECK(spread[1].array().isNaN().all());  // Muon: the matrix
  CHECK(!run(NonFinite::skip, true)[1].array().isNaN().any());
}
