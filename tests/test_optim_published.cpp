// SPDX-License-Identifier: BSD-3-Clause
// The published methods in an Optimizer: streaming with its state, rank power.
// labels: accuracy

#include "support/errors.hpp"
#include "support/instantiations.hpp"
#include "support/optimizer_reference.hpp"
#include "support/optimizer_state.hpp"
#include "support/tool_events.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using linalg::PortableBackend;
using Plain = Optimizer<double, Exec, PortableBackend>;
using Array = Kokkos::View<double***, Kokkos::LayoutRight, Kokkos::HostSpace>;

/// The map alone: the direction is the gradient, the step its image.
HTMuonOptions bare(SpectralMethod method, std::size_t rank = 0) {
  return {.lr = 1,
          .power = 0.25,
          .momentum = {.beta = 0, .nesterov = false},
          .weight_decay = 0,
          .scale = ScaleMode::none,
          .map = {.method = method, .rank = rank}};
}

void fill(const Array& a, unsigned seed) {
  for (std::size_t b = 0; b < a.extent(0); ++b) {
    assign(Kokkos::subview(a, b, Kokkos::ALL, Kokkos::ALL), gaussian(a.extent(1), a.extent(2), seed + unsigned(b)));
  }
}

}  // namespace

TEST_CASE("streaming keeps the right singular vectors of every matrix from step to step") {
  const Exec exec;
  for (const auto& [rows, cols] : {std::pair{9U, 5U}, std::pair{5U, 9U}}) {
    for (const std::size_t rank : {0U, 2U}) {
      Plain optimizer;
      const GroupId group = optimizer.add_group(bare(SpectralMethod::streaming, rank));
      const Array w("w", 2, rows, cols), g("g", 2, rows, cols), single_w("single_w", 1, rows, cols),
          single_g("single_g", 1, rows, cols);
      optimizer.add(group, "pair", w, g);
      optimizer.add(group, "single", single_w, single_g);

      const std::size_t columns = rank == 0 ? std::min(rows, cols) : rank;
      const Array v("v", 3, cols, columns), all("all", 3, rows, cols), mapped("mapped", 3, rows, cols);
      spectral::streaming_start(exec, as_batch<Exec>(v));
      Workspace<Kokkos::HostSpace> workspace;
      const SpectralPower<double, Exec, PortableBackend> plan(
          {.rows = rows, .cols = cols, .power = 0.25, .method = SpectralMethod::streaming});
      Matrix expected = Matrix::Zero(rows, cols);
      for (unsigned step = 0; step < 5; ++step) {
        fill(all, 10 * step);
        fill(g, 10 * step);
        fill(single_g, 10 * step + 2);
        optimizer.step(exec);
        plan.apply(exec, all, v, mapped, workspace);
        exec.fence();
        expected -= matrices_of(mapped)[2];
        CHECK(max_abs(matrices_of(single_w)[0] - expected) <= 8 * epsilon<double>);
      }
      const auto pair = state_of(exec, optimizer, "pair/right_vectors"),
                 single = state_of(exec, optimizer, "single/right_vectors");
      REQUIRE(pair.size() == 2);
      CHECK(same_bits({pair[0], pair[1], single[0]}, matrices_of(v)));
    }
  }
}

TEST_CASE("streaming's state, written back, continues; a skipped matrix keeps its own") {
  const Exec exec;
  const HTMuonOptions options{.map = {.method = SpectralMethod::streaming}};
  const Array w("w", 1, 6, 8), g("g", 1, 6, 8), twin("twin", 1, 6, 8), twin_g("twin_g", 1, 6, 8);
  Plain whole, resumed;
  whole.add(whole.add_group(options), "w", w, g);
  resumed.add(resumed.add_group(options), "w", twin, twin_g);
  for (unsigned step = 0; step < 3; ++step) {
    fill(g, step);
    whole.step(exec);
  }
  exec.fence();
  Kokkos::deep_copy(twin, w);
  write_state<double>(exec, resumed, state_of(exec, whole));
  const auto kept = state_of(exec, whole, "w/right_vectors");
  g(0, 1, 1) = std::numeric_limits<double>::quiet_NaN();
  whole.step(exec);
  exec.fence();
  CHECK(same_bits(state_of(exec, whole, "w/right_vectors"), kept));
  fill(g, 7);
  fill(twin_g, 7);
  whole.step(exec);
  resumed.step(exec);
  exec.fence();
  CHECK(same_bits(matrices_of(w), matrices_of(twin)));
  CHECK(!same_bits(state_of(exec, whole, "w/right_vectors"), kept));
}

TEST_CASE("a streaming step allocates nothing after the first") {
  const Exec exec;
  Optimizer<float, Exec> optimizer;
  const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace> w("w", 20, 14), g("g", 20, 14);
  assign(g, gaussian(20, 14, 1));
  optimizer.add(optimizer.add_group(HTMuonOptions{.map = {.method = SpectralMethod::streaming, .rank = 5}}), "w", w, g);
  optimizer.step(exec);
  const ToolEvents events;
  for (int step = 0; step < 3; ++step) optimizer.step(exec);
  CHECK(events.allocations().empty());
  CHECK(foreign_labels(ToolEvents::kernels()).empty());
}

TEST_CASE("rank power replaces singular values by powers of their place") {
  const Exec exec;
  Optimizer<double, Exec> optimizer;
  const auto w = to_view<double>(Matrix::Zero(7, 4)), g = to_view<double>(gaussian(7, 4, 3));
  optimizer.add(optimizer.add_group(bare(SpectralMethod::rank_power)), "w", w, g);
  optimizer.step(exec);
  exec.fence();
  const reference::Svd svd = reference::jacobi_svd(to_matrix(g));
  Vector powers(4);
  for (Eigen::Index k = 0; k < 4; ++k) powers(k) = std::pow(double(k + 1), -0.25);
  CHECK(max_abs(to_matrix(w) + svd.u * powers.asDiagonal() * svd.v.transpose()) <= 64 * epsilon<double>);
}

TEST_CASE("what the published methods cannot do is refused") {
  Plain optimizer;
  const auto add_group = [&](const HTMuonOptions& options) {
    return message_of([&] { (void)optimizer.add_group(options); });
  };
  CHECK(add_group({.map = {.method = SpectralMethod::svd, .rank = 3}}) ==
        "schatten::Optimizer::add_group: rank = 3, but it must be 0 except for the method streaming");
  CHECK(add_group({.scale = ScaleMode::unit_norm, .map = {.method = SpectralMethod::rank_power}}) ==
        "schatten::Optimizer::add_group: method = rank_power, but it must not stand with a ScaleMode that divides by a "
        "norm: its result is not UΣ^pVᵀ");
  CHECK(add_group({.scale = ScaleMode::dual_norm, .map = {.method = SpectralMethod::streaming, .rank = 2}}) != "");
  const Array w("w", 1, 6, 8), g("g", 1, 6, 8), v("v", 1, 8, 6), out("out", 1, 6, 8);
  const GroupId group = optimizer.add_group(bare(SpectralMethod::streaming, 7));
  CHECK(message_of([&] { optimizer.add(group, "w", w, g); }) ==
        "schatten::Optimizer::add: rank of w = 7, but it must not exceed the rows or the columns of 1x6x8");
  const Exec exec;
  CHECK(state_of(exec, optimizer).empty());

  Workspace<Kokkos::HostSpace> workspace;
  SpectralPowerOptions options{.rows = 6, .cols = 8, .method = SpectralMethod::streaming};
  SpectralPower<double, Exec, PortableBackend> streaming(options);
  options.method = SpectralMethod::svd;
  const SpectralPower<double, Exec, PortableBackend> exact(options);
  CHECK(message_of([&] { streaming.apply(exec, g, out); }) ==
        "schatten::SpectralPower::apply: method = streaming, but it needs the right singular vectors that it keeps: "
        "apply(exec, m, v, out, workspace)");
  CHECK(message_of([&] { exact.apply(exec, g, v, out, workspace); }) ==
        "schatten::SpectralPower::apply: method = svd, but it keeps no right singular vectors: apply(exec, m, out)");
  CHECK(message_of([&] { streaming.apply(exec, g, Array("v", 1, 6, 8), out, workspace); }).find("v = ") !=
        std::string::npos);
}
