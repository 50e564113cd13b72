// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What tests over ranks share: this program's ranks, and rows shared out over them.

#include <schatten/distributed/mpi.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace schatten::test {

/// All ranks of this program. Made in main.cpp, after MPI_Init.
const distributed::MpiCommunicator& ranks();

/// How many of n rows each rank has.
enum class Split { even, uneven, on_last };

inline std::string to_string(Split split) {
  return split == Split::even ? "even" : split == Split::uneven ? "uneven" : "on the last rank";
}

/// Where each rank's rows begin, and n at the end. uneven: rank k has about k times as many as rank 1, and rank 0 none.
inline std::vector<std::size_t> splits(std::size_t n, int count, Split split) {
  const auto N = std::size_t(count);
  std::vector<std::size_t> begins(N + 1, 0);
  for (std::size_t k = 0; k <= N; ++k) {
    if (split == Split::even) begins[k] = n * k / N;
    if (split == Split::uneven) begins[k] = N == 1 ? n * k : n * (k * (k > 0 ? k - 1 : 0)) / (N * (N - 1));
    if (split == Split::on_last) begins[k] = k == N ? n : 0;
  }
  return begins;
}

}  // namespace schatten::test
