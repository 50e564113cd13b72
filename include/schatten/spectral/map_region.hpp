// SPDX-License-Identifier: BSD-3-Clause
// One parallel region for a map, which has many short loops.
#pragma once

#include <schatten/core/host_region.hpp>
#include <schatten/core/views.hpp>
#include <schatten/linalg/backend.hpp>

#include <algorithm>

namespace schatten::spectral {

/// Calls f() in one region of the host's threads (core/host_region.hpp). For small matrices the region has one thread.
/// If the backend has threads of its own, there is no region.
template <class Backend, ExecutionSpace Exec, class T, class Space, class F>
void in_map_region(const Exec& exec, const BatchView<const T, Space>& m, const F& f) {
  constexpr double one_threads = 3e6;  // n²m of all matrices together: a tenth of a millisecond or two
  if constexpr (linalg::has_own_threads<Backend>) {
    f();
  } else {
    in_host_region(exec, double(m.size()) * double((std::min)(m.extent(1), m.extent(2))) < one_threads, f);
  }
}

}  // namespace schatten::spectral
