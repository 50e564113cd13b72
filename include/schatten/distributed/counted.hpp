// SPDX-License-Identifier: BSD-3-Clause
// A communicator that counts the calls and bytes of another.
#pragma once

#include <schatten/distributed/communicator.hpp>

#include <cstddef>
#include <numeric>
#include <span>
#include <utility>

namespace schatten::distributed {

/// Numbers of calls of a rank, and of bytes: for all_reduce the size of x, for the others the sum of the bytes that the
/// rank sends to each other rank.
struct Traffic {
  std::size_t sums = 0;              ///< calls of all_reduce
  std::size_t sum_bytes = 0;         ///< their bytes
  std::size_t gathers = 0;           ///< calls of all_gather
  std::size_t gather_bytes = 0;      ///< their bytes
  std::size_t all_to_alls = 0;       ///< calls of all_to_all
  std::size_t all_to_all_bytes = 0;  ///< their bytes
  std::size_t broadcasts = 0;        ///< calls of broadcast
  std::size_t broadcast_bytes = 0;   ///< their bytes
  std::size_t exchanges = 0;         ///< calls of exchange, of some bytes each, by which ranks compare arguments
};

/// A communicator that calls another one and counts its Traffic. @pre the other one outlives it.
template <class Comm>
class Counted {
 public:
  /// Counts the calls that go to `comm`, which must exist as long as this object.
  explicit Counted(const Comm& comm) : comm_(&comm) {}
  /// This rank's number, from 0.
  [[nodiscard]] int rank() const { return comm_->rank(); }
  /// The number of ranks.
  [[nodiscard]] int size() const { return comm_->size(); }
  /// Returns the traffic since the last call of take(), and sets it to zero.
  [[nodiscard]] Traffic take() const { return std::exchange(traffic_, {}); }

  /// x ← the sum of the ranks' x, in the order of `exec`.
  template <ExecutionSpace Exec, Scalar T>
  void all_reduce(const Exec& exec, T* x, std::size_t n) const {
    ++traffic_.sums;
    traffic_.sum_bytes += n * sizeof(T);
    comm_->all_reduce(exec, x, n);
  }
  /// Puts rank k's bytes[k] bytes into `all` on all ranks, in the order of ranks.
  template <ExecutionSpace Exec>
  void all_gather(const Exec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    ++traffic_.gathers;
    traffic_.gather_bytes += others() * bytes[std::size_t(rank())];
    comm_->all_gather(exec, mine, all, bytes);
  }
  /// Begins an all_gather, and counts it as one.
  template <ExecutionSpace Exec>
  auto start_all_gather(const Exec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    ++traffic_.gathers;
    traffic_.gather_bytes += others() * bytes[std::size_t(rank())];
    return comm_->start_all_gather(exec, mine, all, bytes);
  }
  /// Sends to_bytes[k] bytes to rank k, and puts from_bytes[k] bytes from rank k into `from`, in the order of ranks.
  template <ExecutionSpace Exec>
  void all_to_all(const Exec& exec, const void* to, std::span<const std::size_t> to_bytes, void* from,
                  std::span<const std::size_t> from_bytes) const {
    ++traffic_.all_to_alls;
    traffic_.all_to_all_bytes +=
        std::accumulate(to_bytes.begin(), to_bytes.end(), std::size_t{0}) - to_bytes[std::size_t(rank())];
    comm_->all_to_all(exec, to, to_bytes, from, from_bytes);
  }
  /// Copies the bytes of rank `root` to all ranks.
  template <ExecutionSpace Exec>
  void broadcast(const Exec& exec, void* x, std::size_t bytes, int root) const {
    ++traffic_.broadcasts;
    if (root == rank()) traffic_.broadcast_bytes += others() * bytes;
    comm_->broadcast(exec, x, bytes, root);
  }
  /// Puts the `bytes` bytes of every rank into `all`, on host memory; complete on return.
  void exchange(const void* mine, std::size_t bytes, void* all) const {
    ++traffic_.exchanges;
    comm_->exchange(mine, bytes, all);
  }

 private:
  [[nodiscard]] std::size_t others() const { return std::size_t(size()) - 1; }
  const Comm* comm_;
  mutable Traffic traffic_{};
};

}  // namespace schatten::distributed
