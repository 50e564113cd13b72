// SPDX-License-Identifier: BSD-3-Clause
// The communicator of a program with one rank. It needs no library.
#pragma once

#include <schatten/core/copy.hpp>

#include <cstddef>
#include <cstring>
#include <span>

namespace schatten::distributed {

/// One rank. all_reduce changes nothing; the other functions copy what is sent to what is received. Copies are kernels,
/// and no function fences.
class OneProcess {
 public:
  /// This rank's number, from 0.
  [[nodiscard]] int rank() const { return 0; }
  /// The number of ranks.
  [[nodiscard]] int size() const { return 1; }
  /// x ← the sum of the ranks' x, in the order of `exec`.
  template <ExecutionSpace Exec, Scalar T>
  void all_reduce(const Exec&, T*, std::size_t) const {}
  /// Puts rank k's bytes[k] bytes into `all` on all ranks, in the order of ranks.
  template <ExecutionSpace Exec>
  void all_gather(const Exec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    copy(exec, mine, all, bytes[0]);
  }
  /// The Request of a copy that is queued.
  struct Request {
    /// Returns true.
    [[nodiscard]] bool done() const { return true; }
    /// Does nothing: the copy is queued on the execution-space instance.
    template <ExecutionSpace Exec>
    void wait(const Exec&) const {}
  };
  /// Begins an all_gather.
  template <ExecutionSpace Exec>
  Request start_all_gather(const Exec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    copy(exec, mine, all, bytes[0]);
    return {};
  }
  /// Sends to_bytes[k] bytes to rank k, and puts from_bytes[k] bytes from rank k into `from`, in the order of ranks.
  template <ExecutionSpace Exec>
  void all_to_all(const Exec& exec, const void* to, std::span<const std::size_t> bytes, void* from,
                  std::span<const std::size_t>) const {
    copy(exec, to, from, bytes[0]);
  }
  /// Copies the bytes of rank `root` to all ranks.
  template <ExecutionSpace Exec>
  void broadcast(const Exec&, void*, std::size_t, int) const {}
  /// Puts the `bytes` bytes of every rank into `all`, on host memory; complete on return.
  void exchange(const void* mine, std::size_t bytes, void* all) const { std::memcpy(all, mine, bytes); }

 private:
  template <class Exec>
  static void copy(const Exec& exec, const void* from, void* to, std::size_t bytes) {
    if (from == to) return;
    copy_range(exec, "schatten::distributed/copy", static_cast<const char*>(from), static_cast<char*>(to), bytes);
  }
};

}  // namespace schatten::distributed
