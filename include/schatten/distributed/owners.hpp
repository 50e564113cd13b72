// SPDX-License-Identifier: BSD-3-Clause
// Who steps what: parameters cut into pieces, pieces shared out over ranks by what a step of each costs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace schatten::distributed {

/// Flops of a step of `matrices` rows×cols matrices: the map's max·min² (spectral/choose_method.hpp: the Gram matrix,
/// four poles and the product) and what is read and written of each element.
inline double step_cost(bool has_map, std::size_t matrices, std::size_t rows, std::size_t cols) {
  constexpr double map = 8, element = 20;
  const double m = double((std::max)(rows, cols)), n = double((std::min)(rows, cols));
  return double(matrices) * m * n * (element + (has_map ? map * n : 0.0));
}

/// The owner of each piece: the dearest first, to the rank that has least to do (Graham, SIAM J. Appl. Math. 17
/// (1969)): the busiest rank has at most 4/3 − 1/(3N) times the least possible.
///
/// load: flops that each rank has already; grows. Ties go to the lower rank and the earlier piece, so that all ranks
/// find the same. Cost: O(pieces·(log pieces + N)).
inline std::vector<std::size_t> share_out(const std::vector<double>& cost, std::vector<double>& load) {
  std::vector<std::size_t> order(cost.size()), owner(cost.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return cost[a] > cost[b]; });
  for (const std::size_t piece : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += cost[piece];
    owner[piece] = std::size_t(least - load.begin());
  }
  return owner;
}

}  // namespace schatten::distributed
