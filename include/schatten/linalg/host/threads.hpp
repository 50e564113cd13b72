// SPDX-License-Identifier: BSD-3-Clause
// How many threads a host library may use inside one call.
#pragma once

#include <schatten/core/concepts.hpp>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// Lends the threads of `exec` to OpenMP-based host libraries (OpenBLAS) called on this host thread, until the scope
/// ends. OpenMP's own per-thread setting is used: no global state, no race between host threads.
class HostThreads {
 public:
  template <ExecutionSpace Exec>
  explicit HostThreads(const Exec& exec) : HostThreads(concurrency(exec)) {}
#ifdef _OPENMP
  explicit HostThreads(int count) : before_(omp_get_max_threads()) {
    if (omp_in_parallel() == 0) omp_set_num_threads(count);
  }
  ~HostThreads() {
    if (omp_in_parallel() == 0) omp_set_num_threads(before_);
  }

 private:
  int before_;

 public:
#else
  explicit HostThreads(int) {}
#endif
  HostThreads(const HostThreads&) = delete;
  HostThreads& operator=(const HostThreads&) = delete;
};

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
