// SPDX-License-Identifier: BSD-3-Clause
// Differences between Kokkos' versions (3.4.1 to 5.x).
#pragma once

#include <schatten/core/compiler.hpp>

#include <Kokkos_Core.hpp>

#include <cmath>
#include <string>
#if defined(KOKKOS_ENABLE_OPENMP) && defined(_OPENMP)
#include <omp.h>
#endif

#if KOKKOS_VERSION < 30401
#error "Schatten needs Kokkos 3.4.1 or newer"
#endif
// Without this option nvcc only warns of std::bit_cast and std::numeric_limits in kernels, and compiles wrong code.
#if defined(__NVCC__) && !defined(__CUDACC_RELAXED_CONSTEXPR__)
#error "Schatten needs nvcc's option --expt-relaxed-constexpr"
#endif

namespace schatten {

/// Mathematical functions for kernels. Kokkos' own from 3.7 on. Before 3.7 only host backends are supported, and these
/// are the standard library's.
namespace math {
#if KOKKOS_VERSION >= 30700
using Kokkos::expm1;
using Kokkos::log1p;
using Kokkos::pow;
using Kokkos::sqrt;
#else
using std::expm1;
using std::log1p;
using std::pow;
using std::sqrt;
#endif
}  // namespace math

/// Names a region of host code for Kokkos Tools, from construction to destruction. Cost: nothing without a tool.
class ProfilingRegion {
 public:
  explicit ProfilingRegion(const char* name) { Kokkos::Profiling::pushRegion(name); }
  ~ProfilingRegion() { Kokkos::Profiling::popRegion(); }
  ProfilingRegion(const ProfilingRegion&) = delete;
  ProfilingRegion& operator=(const ProfilingRegion&) = delete;
};

/// Number of threads (host) or resident threads (device) that `exec` runs on.
template <class Exec>
int concurrency(const Exec& exec) {
#if KOKKOS_VERSION >= 40000
  return static_cast<int>(exec.concurrency());
#else
  return static_cast<int>(const_cast<Exec&>(exec).concurrency());  // static there, and not const in every backend
#endif
}

#if defined(KOKKOS_ENABLE_OPENMP) && defined(_OPENMP)
/// Lets the calling thread launch kernels in its OpenMP region. Before Kokkos 5 it runs such a kernel itself. From 5 on
/// Kokkos runs the kernel in a nested region, and aborts if OpenMP has no nested regions. The setting ends with the
/// region: it belongs to the region's task (libomp; libgomp of g++ 12 and later).
inline void allow_launches_in_region() {
#if KOKKOS_VERSION >= 50000
  if (omp_get_max_active_levels() < 2) omp_set_max_active_levels(2);
#endif
}
#endif

}  // namespace schatten
