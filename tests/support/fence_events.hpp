// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Fences that Kokkos reports to its tools while a recording lives. Kokkos reports none before 3.5.
//
// No other callback may be set meanwhile: Kokkos fences before each of them.

#include <Kokkos_Core.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace schatten::test {

inline constexpr bool fences_are_reported = KOKKOS_VERSION >= 30500;

/// Records fences from construction to destruction. One at a time.
class FenceEvents {
 public:
  FenceEvents() {
    fences().clear();
    Kokkos::Tools::Experimental::set_begin_fence_callback(fence);
  }
  ~FenceEvents() { Kokkos::Tools::Experimental::set_begin_fence_callback(nullptr); }
  FenceEvents(const FenceEvents&) = delete;
  FenceEvents& operator=(const FenceEvents&) = delete;

  /// Labels of the fences, in order.
  static std::vector<std::string>& fences() {
    static std::vector<std::string> labels;
    return labels;
  }

 private:
  static void fence(const char* label, std::uint32_t, std::uint64_t*) {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    fences().emplace_back(label);
  }
};

}  // namespace schatten::test
