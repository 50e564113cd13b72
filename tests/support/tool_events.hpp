// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What Kokkos reports to its tools while a recording lives: kernels, allocations, copies and their labels.

#include <Kokkos_Core.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace schatten::test {

/// Records events from construction to destruction. One at a time.
class ToolEvents {
 public:
  ToolEvents() {
    const std::lock_guard lock(mutex());
    kernels().clear();
    allocations().clear();
    regions().clear();
    namespace tools = Kokkos::Tools::Experimental;
    tools::set_begin_parallel_for_callback(kernel);
    tools::set_begin_parallel_reduce_callback(kernel);
    tools::set_begin_parallel_scan_callback(kernel);
    tools::set_push_region_callback(region);
    tools::set_allocate_data_callback(allocation);
  }
  ~ToolEvents() {
    namespace tools = Kokkos::Tools::Experimental;
    tools::set_begin_parallel_for_callback(nullptr);
    tools::set_begin_parallel_reduce_callback(nullptr);
    tools::set_begin_parallel_scan_callback(nullptr);
    tools::set_push_region_callback(nullptr);
    tools::set_allocate_data_callback(nullptr);
  }
  ToolEvents(const ToolEvents&) = delete;
  ToolEvents& operator=(const ToolEvents&) = delete;

  /// Labels of the kernels, in order.
  static std::vector<std::string>& kernels() {
    static std::vector<std::string> labels;
    return labels;
  }
  /// Labels of the allocations.
  static std::vector<std::string>& allocations() {
    static std::vector<std::string> labels;
    return labels;
  }
  /// Names of the regions.
  static std::vector<std::string>& regions() {
    static std::vector<std::string> names;
    return names;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }
  static void kernel(const char* label, std::uint32_t, std::uint64_t*) {
    const std::lock_guard lock(mutex());
    kernels().emplace_back(label);
  }
  static void region(const char* label) {
    const std::lock_guard lock(mutex());
    regions().emplace_back(label);
  }
  /// Without those of no bytes: on CUDA Kokkos asks for them before each launch of teams.
  static void allocation(Kokkos_Profiling_SpaceHandle, const char* label, const void*, std::uint64_t bytes) {
    if (bytes == 0) return;
    const std::lock_guard lock(mutex());
    allocations().emplace_back(label);
  }
};

/// The labels that begin neither with "schatten::" nor with "Kokkos::".
inline std::vector<std::string> foreign_labels(const std::vector<std::string>& labels) {
  std::vector<std::string> foreign;
  for (const std::string& label : labels) {
    if (label.rfind("schatten::", 0) != 0 && label.rfind("Kokkos::", 0) != 0) foreign.push_back(label);
  }
  return foreign;
}

}  // namespace schatten::test
