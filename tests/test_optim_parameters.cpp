// SPDX-License-Identifier: BSD-3-Clause
// Parameters of every rank and shape, and the state that an Optimizer keeps for them.

#include "support/instantiations.hpp"
#include "support/optimizer_cases.hpp"
#include "support/optimizer_state.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Host = Kokkos::HostSpace;
using Tested = Optimizer<double, Exec>;
using Range = std::pair<std::size_t, std::size_t>;

/// In units of ε·travel. Measured: 0.8.
constexpr double bound = 8;

/// Size of the matrices that a View stands for: (matrices, rows, cols).
struct Size {
  std::size_t count, rows, cols;
};

template <class V>
Size size_of(const V& v, std::size_t row_blocks) {
  if constexpr (view_rank<V> == 1) return {1, v.extent(0), 1};
  if constexpr (view_rank<V> == 2) return {row_blocks, v.extent(0) / row_blocks, v.extent(1)};
  if constexpr (view_rank<V> == 3) return {v.extent(0), v.extent(1), v.extent(2)};
  return {1, v.extent(0), v.extent(1) * v.extent(2) * v.extent(3)};
}

/// Entry (i, j) of matrix b as the documentation of Optimizer::add defines it.
template <class V>
double& entry(const V& v, std::size_t row_blocks, std::size_t b, std::size_t i, std::size_t j) {
  if constexpr (view_rank<V> == 1) {
    return v(i);
  } else if constexpr (view_rank<V> == 2) {
    return v(b * (v.extent(0) / row_blocks) + i, j);
  } else if constexpr (view_rank<V> == 3) {
    return v(b, i, j);
  } else {
    return v(i, j / (v.extent(2) * v.extent(3)), j / v.extent(3) % v.extent(2), j % v.extent(3));
  }
}

template <class V>
std::vector<Matrix> read(const V& v, std::size_t row_blocks) {
  const Size size = size_of(v, row_blocks);
  std::vector<Matrix> matrices(size.count, Matrix(Eigen::Index(size.rows), Eigen::Index(size.cols)));
  for (std::size_t b = 0; b < size.count; ++b) {
    for (std::size_t i = 0; i < size.rows; ++i) {
      for (std::size_t j = 0; j < size.cols; ++j) {
        matrices[b](Eigen::Index(i), Eigen::Index(j)) = entry(v, row_blocks, b, i, j);
      }
    }
  }
  return matrices;
}

template <class V>
void write(const V& v, std::size_t row_blocks, unsigned seed) {
  const Size size = size_of(v, row_blocks);
  for (std::size_t b = 0; b < size.count; ++b) {
    const Matrix matrix = conditioned_gaussian(size.rows, size.cols, seed + unsigned(b));
    for (std::size_t i = 0; i < size.rows; ++i) {
      for (std::size_t j = 0; j < size.cols; ++j) {
        entry(v, row_blocks, b, i, j) = matrix(Eigen::Index(i), Eigen::Index(j));
      }
    }
  }
}

/// Three steps of (w, g) under `options`: distance from the reference, matrix by matrix. Gradients must stay as they
/// are.
template <class O, class W, class G>
double distance_of(const O& options, const W& w, const G& g, std::size_t row_blocks = 1) {
  const Exec exec;
  Tested optimizer;
  write(w, row_blocks, 1);
  optimizer.add(optimizer.add_group(options), "w", w, g, {.row_blocks = row_blocks});
  std::vector<reference::Parameter> expected;
  for (const Matrix& start : read(w, row_blocks)) expected.emplace_back(start);
  double worst = 0;
  for (unsigned step = 0; step < 3; ++step) {
    write(g, row_blocks, 100 + 10 * step);
    const std::vector<Matrix> gradients = read(g, row_blocks);
    optimizer.step(exec);
    exec.fence();
    CHECK(same_bits(read(g, row_blocks), gradients));
    const std::vector<Matrix> weights = read(w, row_blocks);
    for (std::size_t b = 0; b < weights.size(); ++b) {
      expected[b].step(gradients[b], reference_of(options));
      worst = std::max(worst, distance<double>(weights[b], expected[b]));
    }
  }
  return worst;
}

/// The same for HTMuon, Muon, AdamW and SGD.
template <class V>
void check_all_algorithms(const V& w, const V& g) {
  CHECK(distance_of(HTMuonOptions{.map = {.method = SpectralMethod::svd}}, w, g) < bound);
  CHECK(distance_of(HTMuonOptions{.scale = ScaleMode::unit_norm, .map = {.method = SpectralMethod::svd}}, w, g) <
        bound);
  CHECK(distance_of(MuonOptions{.scale = ScaleMode::match_rms_adamw}, w, g) < bound);
  CHECK(distance_of(AdamWOptions{}, w, g) < bound);
  CHECK(distance_of(SGDOptions{}, w, g) < bound);
}

template <class D, class Layout>
using HostView = Kokkos::View<D, Layout, Host>;

}  // namespace

TEST_CASE("rank 1: vectors, also strided ones, in groups with AdamW and SGD") {
  const HostView<double*, Kokkos::LayoutRight> w("w", 9), g("g", 9);
  CHECK(distance_of(AdamWOptions{}, w, g) < bound);
  CHECK(distance_of(SGDOptions{}, w, g) < bound);
  const HostView<double**, Kokkos::LayoutRight> wide("wide", 9, 4);
  const auto column = Kokkos::subview(wide, Kokkos::ALL, 1), next = Kokkos::subview(wide, Kokkos::ALL, 2);
  CHECK(distance_of(AdamWOptions{}, column, next) < bound);
  CHECK(distance_of(SGDOptions{}, column, next) < bound);
}

TEST_CASE("rank 3: every matrix of the batch by itself") {
  const auto check = [](const auto& batch) {
    using Chosen = std::remove_cvref_t<decltype(batch)>;
    const Chosen g(3, 6, 4);
    check_all_algorithms(batch.view(), g.view());
    CHECK(batch.surroundings_intact());
    CHECK(g.surroundings_intact());
  };
  check(Batch<double, Storage::right>(3, 6, 4));
  check(Batch<double, Storage::left>(3, 6, 4));
  check(Batch<double, Storage::window>(3, 6, 4));
  check(Batch<double, Storage::scattered>(3, 6, 4));
}

TEST_CASE("rank 4: a convolution is one matrix (out, rest)") {
  const HostView<double****, Kokkos::LayoutRight> w("w", 5, 2, 3, 2), g("g", 5, 2, 3, 2);
  check_all_algorithms(w, g);
  const HostView<double****, Kokkos::LayoutRight> tall("w", 9, 2, 1, 2), tall_g("g", 9, 2, 1, 2);
  check_all_algorithms(tall, tall_g);
  // 1×1 convolutions are matrices in every layout.
  const HostView<double****, Kokkos::LayoutLeft> left("w", 5, 4, 1, 1), left_g("g", 5, 4, 1, 1);
  check_all_algorithms(left, left_g);
  const auto part = Kokkos::subview(left, Range(1, 4), Range(1, 4), Range(0, 1), Range(0, 1));
  const auto part_g = Kokkos::subview(left_g, Range(1, 4), Range(1, 4), Range(0, 1), Range(0, 1));
  check_all_algorithms(part, part_g);
}

TEST_CASE("row_blocks: stacked matrices are mapped and scaled by themselves") {
  const auto check = [](const auto& w, const auto& g) {
    HTMuonOptions options{.scale = ScaleMode::original, .map = {.method = SpectralMethod::svd}};
    CHECK(distance_of(options, w.matrix(), g.matrix(), 3) < bound);
    options.scale = ScaleMode::unit_rms;
    CHECK(distance_of(options, w.matrix(), g.matrix(), 3) < bound);
    CHECK(distance_of(MuonOptions{}, w.matrix(), g.matrix(), 3) < bound);
  };
  check(Batch<double, Storage::right>(1, 21, 5), Batch<double, Storage::right>(1, 21, 5));
  check(Batch<double, Storage::left>(1, 21, 5), Batch<double, Storage::left>(1, 21, 5));
  check(Batch<double, Storage::window>(1, 12, 5), Batch<double, Storage::window>(1, 12, 5));
  check(Batch<double, Storage::scattered>(1, 12, 5), Batch<double, Storage::right>(1, 12, 5));
}

TEST_CASE("matrices of one row or one column") {
  const HostView<double**, Kokkos::LayoutRight> row("w", 1, 7), row_g("g", 1, 7);
  check_all_algorithms(row, row_g);
  const HostView<double**, Kokkos::LayoutLeft> left_row("w", 1, 7), left_row_g("g", 1, 7);
  check_all_algorithms(left_row, left_row_g);
  const HostView<double**, Kokkos::LayoutRight> column("w", 7, 1), column_g("g", 7, 1);
  check_all_algorithms(column, column_g);
  const HostView<double**, Kokkos::LayoutLeft> left_column("w", 7, 1), left_column_g("g", 7, 1);
  check_all_algorithms(left_column, left_column_g);
  const HostView<double**, Kokkos::LayoutRight> single("w", 1, 1), single_g("g", 1, 1);
  check_all_algorithms(single, single_g);
}

TEST_CASE("empty parameters take part in steps") {
  const Exec exec;
  for (const ScaleMode scale : {ScaleMode::original, ScaleMode::unit_rms, ScaleMode::dual_norm}) {
    Tested optimizer;
    const GroupId matrices = optimizer.add_group(HTMuonOptions{.scale = scale, .map = {.method = SpectralMethod::svd}});
    const GroupId quintic = optimizer.add_group(MuonOptions{.scale = scale});
    const GroupId elements = optimizer.add_group(AdamWOptions{});
    int number = 0;
    for (const GroupId group : {matrices, quintic, elements}) {
      for (const auto& [rows, cols] : {std::pair{0UL, 5UL}, std::pair{5UL, 0UL}, std::pair{0UL, 0UL}}) {
        const HostView<double**, Kokkos::LayoutRight> w("w", rows, cols), g("g", rows, cols);
        optimizer.add(group, "matrix " + std::to_string(++number), w, g);
      }
      const HostView<double***, Kokkos::LayoutRight> w("w", 0, 3, 4), g("g", 0, 3, 4);
      optimizer.add(group, "batch " + std::to_string(++number), w, g);
    }
    const HostView<double**, Kokkos::LayoutRight> w("w", 3, 4), g("g", 3, 4);
    optimizer.add(matrices, "w", w, g);
    assign(g, gaussian(3, 4, 1));
    for (int step = 0; step < 3; ++step) optimizer.step(exec);
    CHECK(optimizer.skipped_steps(exec) == 0);
    CHECK(max_abs(to_matrix(w)) > 0);
  }
}

TEST_CASE("a zero gradient moves nothing: the parameter only decays") {
  const Exec exec;
  const auto check = [&](const auto& options, double keep) {
    const HostView<double**, Kokkos::LayoutRight> w("w", 4, 3), g("g", 4, 3);
    const Matrix start = gaussian(4, 3, 1);
    assign(w, start);
    Tested optimizer;
    optimizer.add(optimizer.add_group(options), "w", w, g);
    optimizer.step(exec);
    exec.fence();
    CHECK(same_bits(to_matrix(w), keep * start));
  };
  for (const ScaleMode scale : {ScaleMode::none, ScaleMode::original, ScaleMode::match_rms_adamw, ScaleMode::unit_rms,
                                ScaleMode::unit_norm, ScaleMode::dual_norm}) {
    for (const SpectralMethod method : {SpectralMethod::svd, SpectralMethod::eigh}) {
      check(HTMuonOptions{.lr = 0.5, .weight_decay = 0.5, .scale = scale, .map = {.method = method}}, 0.75);
      check(HTMuonOptions{.lr = 0.5, .power = 0, .weight_decay = 0.5, .scale = scale, .map = {.method = method}}, 0.75);
    }
    check(MuonOptions{.lr = 0.5, .weight_decay = 0.5, .scale = scale}, 0.75);
  }
  check(HTMuonOptions{.lr = 0.5, .power = -0.25, .weight_decay = 0.5, .map = {.method = SpectralMethod::svd}}, 0.75);
  check(AdamWOptions{.lr = 0.5, .weight_decay = 0.5}, 0.75);
  check(SGDOptions{.lr = 0.5, .weight_decay = 0.5}, 0.75);
  check(SGDOptions{.lr = 0.5}, 1.0);
}

TEST_CASE(
    "a method that does not commute with transposes sees the user's rows and cols, whatever their order in memory") {
  const Exec exec;
  const Matrix start = gaussian(7, 4, 1), gradient = gaussian(7, 4, 2);
  const HostView<double**, Kokkos::LayoutRight> by_rows("w", 7, 4), rows_gradient("g", 7, 4);
  const HostView<double**, Kokkos::LayoutLeft> by_cols("w", 7, 4), cols_gradient("g", 7, 4);
  assign(by_rows, start);
  assign(by_cols, start);
  assign(rows_gradient, gradient);
  assign(cols_gradient, gradient);
  Tested optimizer;
  const GroupId group = optimizer.add_group(HTMuonOptions{.lr = 0.5, .map = {.method = SpectralMethod::newton_schulz}});
  optimizer.add(group, "rows", by_rows, rows_gradient);
  optimizer.add(group, "cols", by_cols, cols_gradient);
  optimizer.step(exec);
  exec.fence();
  CHECK(max_abs(to_matrix(by_rows) - start) > 0.01);
  CHECK(max_abs(to_matrix(by_rows) - to_matrix(by_cols)) <= 1e-12);
}

TEST_CASE("the state is named, zero after add, and shaped as the user's rows and cols") {
  const Exec exec;
  Tested optimizer;
  const GroupId spectral = optimizer.add_group(HTMuonOptions{.map = {.method = SpectralMethod::svd}});
  const GroupId adamw = optimizer.add_group(AdamWOptions{});
  const GroupId sgd = optimizer.add_group(SGDOptions{});
  const Batch<double, Storage::left> w(1, 6, 5), g(1, 6, 5), v(2, 3, 4), h(2, 3, 4);
  const HostView<double*, Kokkos::LayoutRight> bias("b", 7), bias_g("db", 7);
  optimizer.add(adamw, "layers.0", v.view(), h.view());
  optimizer.add(spectral, "layers.1", w.matrix(), g.matrix(), {.row_blocks = 2});
  optimizer.add(sgd, "bias", bias, bias_g);

  const auto shape = [](const StateArray& array) {
    const Matrix& first = array.matrices.front();
    return std::vector<std::size_t>{array.matrices.size(), std::size_t(first.rows()), std::size_t(first.cols())};
  };
  using Shape = std::vector<std::size_t>;
  const std::vector<StateArray> arrays = state_of(exec, optimizer);
  REQUIRE(arrays.size() == 6);
  CHECK(arrays[0].name == "layers.0/momentum");
  CHECK(shape(arrays[0]) == Shape{2, 3, 4});
  CHECK(arrays[1].name == "layers.0/second_moment_root");
  CHECK(shape(arrays[1]) == Shape{2, 3, 4});
  CHECK(arrays[2].name == "layers.1/momentum");
  CHECK(shape(arrays[2]) == Shape{2, 3, 5});
  CHECK(arrays[3].name == "layers.1/recent_size");
  CHECK(shape(arrays[3]) == Shape{2, 1, 1});
  CHECK(arrays[4].name == "layers.1/last_size");
  CHECK(shape(arrays[4]) == Shape{2, 1, 1});
  CHECK(arrays[5].name == "bias/momentum");
  CHECK(shape(arrays[5]) == Shape{1, 1, 7});
  for (const StateArray& array : arrays) {
    for (const Matrix& matrix : array.matrices) CHECK(max_abs(matrix) == 0);
  }

  const Matrix first = gaussian(6, 5, 1), second = gaussian(3, 4, 2);
  assign(g.matrix(), first);
  assign(h.matrix(0), Matrix::Zero(3, 4));
  assign(h.matrix(1), second);
  optimizer.step(exec);
  exec.fence();
  const std::vector<Matrix> momentum = state_of(exec, optimizer, "layers.1/momentum");
  CHECK(max_abs(momentum[0] - 0.05 * first.topRows(3)) < 1e-15);
  CHECK(max_abs(momentum[1] - 0.05 * first.bottomRows(3)) < 1e-15);
  CHECK(max_abs(state_of(exec, optimizer, "layers.0/momentum")[0]) == 0);
  CHECK(max_abs(state_of(exec, optimizer, "layers.0/momentum")[1] - 0.1 * second) < 1e-15);
  const Matrix root = std::sqrt(0.001) * second.cwiseAbs();
  CHECK(max_abs(state_of(exec, optimizer, "layers.0/second_moment_root")[1] - root) < 1e-15);
}

TEST_CASE("the Views of a parameter may go: the memory stays as long as the Optimizer needs it") {
  const Exec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGDOptions{});
  {
    const HostView<double**, Kokkos::LayoutRight> w("w", 3, 4), g("g", 3, 4);
    optimizer.add(group, "w", w, g);
    CHECK(w.use_count() == 2);
  }
  optimizer.step(exec);
  CHECK(optimizer.skipped_steps(exec, "w") == 0);
}
