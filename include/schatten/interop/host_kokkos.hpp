// SPDX-License-Identifier: BSD-3-Clause
// Kokkos inside a program that does not know of it: started when it is first needed, quietly, on the threads asked for.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/core/kokkos.hpp>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace schatten {

/// Starts Kokkos unless it runs; returns whether this call did. `threads`: of the host; 0: as many as OpenMP would
/// take.
///
/// Kokkos' warnings stay off the host's stderr. OpenMP's number of threads, which Kokkos sets for the calling thread,
/// is put back: the host's own loops keep theirs. Throws InvalidArgument for a negative number. Not safe to call from
/// two threads.
inline bool start_kokkos(int threads = 0) {
  require(threads >= 0, "start_kokkos", "threads", threads, "must not be negative");
  if (Kokkos::is_initialized()) return false;
#ifdef _OPENMP
  const int before = omp_get_max_threads();
#endif
#if KOKKOS_VERSION >= 30700
  Kokkos::InitializationSettings settings;
  settings.set_disable_warnings(true);
  if (threads > 0) settings.set_num_threads(threads);
#else
  Kokkos::InitArguments settings;
  settings.disable_warnings = true;
  if (threads > 0) settings.num_threads = threads;
#endif
  Kokkos::initialize(settings);
#ifdef _OPENMP
  omp_set_num_threads(before);
#endif
  return true;
}

}  // namespace schatten
