// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Matrices under an Optimizer of one process, and their rows or columns over ranks.

#include "distributed/owners.hpp"
#include <schatten/distributed/sharded_optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace schatten::test {

using ShardMatrix = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;
using Sharded = distributed::ShardedOptimizer<double, RankExec, linalg::PortableBackend, CountedRanks>;

/// Whole matrices and gradients, stepped by one process.
struct Whole {
  std::vector<std::pair<std::size_t, std::size_t>> shapes;
  std::vector<ShardMatrix> w, g;
  OneOptimizer optimizer;
  GroupId id{};
  template <class R>
  Whole(const R& rule, const std::vector<std::pair<std::size_t, std::size_t>>& its_shapes) {
    id = optimizer.add_group(rule);
    for (const auto& [rows, cols] : its_shapes) add(rows, cols);
  }
  void add(std::size_t rows, std::size_t cols) {
    shapes.emplace_back(rows, cols);
    w.emplace_back("w", rows, cols);
    g.emplace_back("g", rows, cols);
    Arrays::draw(w.back(), unsigned(w.size()));
    optimizer.add(id, "w" + std::to_string(w.size()), w.back(), g.back());
  }
  void draw(unsigned step) const {
    for (std::size_t k = 0; k < g.size(); ++k) Arrays::draw(g[k], 100 * step + unsigned(k));
  }
};

/// Largest difference of this rank's part of a matrix from the whole one, over the largest element.
inline double difference(const ShardMatrix& part, const ShardMatrix& whole, std::size_t row, std::size_t col) {
  double largest = 0, size = 0;
  for (std::size_t i = 0; i < part.extent(0); ++i) {
    for (std::size_t j = 0; j < part.extent(1); ++j) {
      largest = std::max(largest, std::abs(part(i, j) - whole(row + i, col + j)));
    }
  }
  for (std::size_t k = 0; k < whole.size(); ++k) size = std::max(size, std::abs(whole.data()[k]));
  return largest / size;
}

/// This rank's parts of matrices of Whole, under a ShardedOptimizer.
struct Parts {
  distributed::Side side;
  CountedRanks comm;
  Sharded optimizer;
  GroupId id{};
  std::vector<ShardMatrix> w, g;
  std::vector<std::size_t> begin;

  template <class R>
  Parts(const R& rule, const Whole& whole, distributed::Side its_side, Split split,
        const distributed::ShardedOptions& options = {}, const distributed::MpiCommunicator& some = ranks())
      : side(its_side), comm(some), optimizer(comm, OptimizerOptions{}, options), id(optimizer.add_group(rule)) {
    for (std::size_t k = 0; k < whole.w.size(); ++k) add(whole, k, split);
    (void)comm.take();
  }
  /// This rank's part of matrix k, the next one.
  void add(const Whole& whole, std::size_t k, Split split) {
    const bool by_rows = side == distributed::Side::rows;
    const auto me = std::size_t(comm.rank());
    const auto [rows, cols] = whole.shapes[k];
    const auto begins = splits(by_rows ? rows : cols, comm.size(), split);
    const std::size_t count = begins[me + 1] - begins[me];
    begin.push_back(begins[me]);
    w.emplace_back("w", by_rows ? count : rows, by_rows ? cols : count);
    g.emplace_back("g", by_rows ? count : rows, by_rows ? cols : count);
    copy(w[k], whole.w[k], begin[k]);
    optimizer.add(id, "w" + std::to_string(k + 1), w[k], g[k], {rows, cols, side});
  }
  void copy(const ShardMatrix& part, const ShardMatrix& from, std::size_t first) const {
    for (std::size_t i = 0; i < part.extent(0); ++i) {
      for (std::size_t j = 0; j < part.extent(1); ++j) {
        part(i, j) = side == distributed::Side::rows ? from(first + i, j) : from(i, first + j);
      }
    }
  }
  void take_gradients(const Whole& whole) const {
    for (std::size_t k = 0; k < g.size(); ++k) copy(g[k], whole.g[k], begin[k]);
  }
  [[nodiscard]] double error(const Whole& whole, std::size_t k) const {
    const bool by_rows = side == distributed::Side::rows;
    return difference(w[k], whole.w[k], by_rows ? begin[k] : 0, by_rows ? 0 : begin[k]);
  }
};

}  // namespace schatten::test
