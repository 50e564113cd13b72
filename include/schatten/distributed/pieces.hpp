// SPDX-License-Identifier: BSD-3-Clause
// Pieces of parameters that have an owner among ranks, and the rounds in which ranks send them.
#pragma once

#include <schatten/core/stable_sort.hpp>
#include <schatten/optim/stored_bytes.hpp>

#include <cstddef>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace schatten::distributed::detail {

/// A part of a parameter that one rank updates: a matrix, or a range of rows.
struct OwnedPiece {
  std::string name, words;
  std::vector<std::string> parts;
  double cost;
  std::pair<std::size_t, std::size_t> turn;         ///< group, and number of the shape: steps take pieces in this order
  std::vector<optim::TypedBatch> weight, gradient;  ///< more than one with row_sizes
  std::shared_ptr<const void> weight_owner, gradient_owner;
  std::size_t owner = 0;
};

/// Pieces that are sent at once, in the order of their owners, and bytes by owner.
struct Round {
  std::vector<std::size_t> pieces, bytes;
};

/// Bytes of an array in a message, a multiple of 8.
inline std::size_t bytes_of(const optim::TypedBatch& a) { return (a.size() * size_of(a.type) + 7) / 8 * 8; }
/// Bytes of the arrays behind each other.
inline std::size_t bytes_of(const std::vector<optim::TypedBatch>& parts) {
  std::size_t bytes = 0;
  for (const optim::TypedBatch& a : parts) bytes += bytes_of(a);
  return bytes;
}
/// The same matrices, contiguous at `data`.
inline optim::TypedBatch packed(const optim::TypedBatch& a, const void* data) {
  return {.data = data,
          .type = a.type,
          .batch = a.batch,
          .rows = a.rows,
          .cols = a.cols,
          .batch_stride = a.rows * a.cols,
          .row_stride = a.cols,
          .col_stride = 1};
}
/// Writes the elements of the arrays to `to`, and returns the end.
template <ExecutionSpace Exec>
char* pack(const Exec& exec, const std::vector<optim::TypedBatch>& parts, char* to) {
  for (const optim::TypedBatch& a : parts) {
    optim::detail::move_bits(exec, a, packed(a, to));
    to += bytes_of(a);
  }
  return to;
}
/// Reads what pack has written at `from`, and returns the end.
template <ExecutionSpace Exec>
const char* unpack(const Exec& exec, const char* from, const std::vector<optim::TypedBatch>& parts) {
  for (const optim::TypedBatch& a : parts) {
    optim::detail::move_bits(exec, packed(a, from), a);
    from += bytes_of(a);
  }
  return from;
}

/// The sum of the numbers.
inline std::size_t sum_of(const std::vector<std::size_t>& bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), std::size_t{0});
}

/// All pieces in rounds of at most message_bytes, or of one piece per rank. A round has the next pieces of every owner,
/// in the order of steps. array: what is sent, weights or gradients.
inline std::vector<Round> rounds_of(const std::vector<OwnedPiece>& pieces,
                                    std::vector<optim::TypedBatch> OwnedPiece::*array, std::size_t ranks,
                                    std::size_t message_bytes) {
  std::vector<std::size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  schatten::stable_sort(order, [&](std::size_t a, std::size_t b) { return pieces[a].turn < pieces[b].turn; });
  std::vector<std::vector<std::size_t>> queue(ranks);
  for (const std::size_t k : order) queue[pieces[k].owner].push_back(k);
  std::vector<std::size_t> next(ranks, 0);
  const std::size_t most = message_bytes / ranks;
  std::vector<Round> all;
  while (true) {
    Round round{{}, std::vector<std::size_t>(ranks, 0)};
    for (std::size_t r = 0; r < ranks; ++r) {
      while (next[r] < queue[r].size()) {
        const std::size_t k = queue[r][next[r]], bytes = bytes_of(pieces[k].*array);
        if (round.bytes[r] > 0 && round.bytes[r] + bytes > most) break;
        round.bytes[r] += bytes;
        round.pieces.push_back(k);
        ++next[r];
      }
    }
    if (round.pieces.empty()) return all;
    all.push_back(std::move(round));
  }
}

}  // namespace schatten::distributed::detail
