// SPDX-License-Identifier: BSD-3-Clause
// The communicator of a program that is its only rank: no library.
#pragma once

#include <schatten/core/parallel.hpp>

#include <cstddef>
#include <cstring>
#include <span>

namespace schatten::distributed {

/// One rank: sums are what they are, and what is sent is received. Copies are kernels: nothing fences.
class OneProcess {
 public:
  [[nodiscard]] int rank() const { return 0; }
  [[nodiscard]] int size() const { return 1; }
  template <ExecutionSpace Exec, Scalar T>
  void all_reduce(const Exec&, T*, std::size_t) const {}
  template <ExecutionSpace Exec>
  void all_gather(const Exec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    copy(exec, mine, all, bytes[0]);
  }
  template <ExecutionSpace Exec>
  void all_to_all(const Exec& exec, const void* to, std::span<const std::size_t> bytes, void* from,
                  std::span<const std::size_t>) const {
    copy(exec, to, from, bytes[0]);
  }
  template <ExecutionSpace Exec>
  void broadcast(const Exec&, void*, std::size_t, int) const {}
  void exchange(const void* mine, std::size_t bytes, void* all) const { std::memcpy(all, mine, bytes); }

 private:
  struct CopyByte {
    const char* from;
    char* to;
    KOKKOS_FUNCTION void operator()(std::size_t k) const { to[k] = from[k]; }
  };
  template <class Exec>
  static void copy(const Exec& exec, const void* from, void* to, std::size_t bytes) {
    if (from == to || bytes == 0) return;
    Kokkos::parallel_for("schatten::distributed/copy", Kokkos::RangePolicy<Exec>(exec, 0, bytes),
                         CopyByte{static_cast<const char*>(from), static_cast<char*>(to)});
  }
};

}  // namespace schatten::distributed
