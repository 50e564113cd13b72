// SPDX-License-Identifier: BSD-3-Clause
// The owners of pieces of parameters: pieces are assigned to ranks by the cost of their steps.
#pragma once

#include <schatten/core/stable_sort.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace schatten::distributed {

/// Flops of a step of `matrices` rows×cols matrices: the map's max·min² (spectral/choose_method.hpp: the Gram matrix,
/// four poles and the product), and the reads and writes of each element.
inline double step_cost(bool has_map, std::size_t matrices, std::size_t rows, std::size_t cols) {
  constexpr double map = 8, element = 20;
  const double m = double((std::max)(rows, cols)), n = double((std::min)(rows, cols));
  return double(matrices) * m * n * (element + (has_map ? map * n : 0.0));
}

/// Returns the owner of each piece. Pieces are taken in descending order of cost, and each is assigned to the rank with
/// the least load (Graham, SIAM J. Appl. Math. 17 (1969)). The load of the busiest rank is at most 4/3 − 1/(3N) times
/// the optimum.
///
/// load: the flops that each rank has already; the pieces are added. Equal loads go to the lower rank, equal pieces
/// keep their order, so that all ranks get the same result. Cost: O(pieces·(log pieces + N)).
inline std::vector<std::size_t> share_out(const std::vector<double>& cost, std::vector<double>& load) {
  std::vector<std::size_t> order(cost.size()), owner(cost.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  schatten::stable_sort(order, [&](std::size_t a, std::size_t b) { return cost[a] > cost[b]; });
  for (const std::size_t piece : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += cost[piece];
    owner[piece] = std::size_t(least - load.begin());
  }
  return owner;
}

}  // namespace schatten::distributed
