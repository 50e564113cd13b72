// SPDX-License-Identifier: BSD-3-Clause
// Kokkos' allocations and fences, counted by callbacks of Kokkos Tools.
//
// No callback of kernels is set: Kokkos would fence before it, and the times would not be those of the program.
#pragma once

#include <Kokkos_Core.hpp>

#include <atomic>
#include <cstdint>

namespace bench {

inline constexpr bool fences_are_reported = KOKKOS_VERSION >= 30500;

/// Counts what happens while count() runs. One at a time; Kokkos' tools are its own while it lives.
class KokkosEvents {
 public:
  KokkosEvents() {
    allocations_ = fences_ = 0;
    Kokkos::Tools::Experimental::set_allocate_data_callback(allocation);
    Kokkos::Tools::Experimental::set_begin_fence_callback(fence);
  }
  ~KokkosEvents() {
    Kokkos::Tools::Experimental::set_allocate_data_callback(nullptr);
    Kokkos::Tools::Experimental::set_begin_fence_callback(nullptr);
  }
  KokkosEvents(const KokkosEvents&) = delete;
  KokkosEvents& operator=(const KokkosEvents&) = delete;

  /// Runs body(). What it launches may end later: Kokkos allocates and fences on the calling thread.
  template <class Body>
  void count(const Body& body) const {
    counting_ = true;
    body();
    counting_ = false;
  }

  [[nodiscard]] long long allocations() const { return allocations_; }
  /// 0 where fences are not reported.
  [[nodiscard]] long long fences() const { return fences_; }

 private:
  static void allocation(Kokkos_Profiling_SpaceHandle, const char*, const void*, std::uint64_t bytes) {
    if (counting_ && bytes > 0) ++allocations_;  // on CUDA each launch of teams asks for scratch memory of no bytes
  }
  static void fence(const char*, std::uint32_t, std::uint64_t*) {
    if (counting_) ++fences_;
  }

  static inline std::atomic<long long> allocations_{0}, fences_{0};
  static inline std::atomic<bool> counting_{false};
};

}  // namespace bench
