// SPDX-License-Identifier: BSD-3-Clause
// Kokkos in a program that does not use it: initialized when it is first needed, without output, with a chosen number
// of threads.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/core/kokkos.hpp>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace schatten {

/// Initializes Kokkos unless it is initialized. Returns whether this call has initialized it. `threads`: number of host
/// threads; 0: OpenMP's default.
///
/// Kokkos' warnings are switched off. OpenMP's number of threads, which Kokkos sets for the calling thread, is
/// restored, so that the program's own loops keep theirs. Throws InvalidArgument for a negative number. Not safe to
/// call from two threads.
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
