// The one place that chooses the linear algebra backend, at compile time.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/linalg/backend/portable.hpp>

#if defined(SCHATTEN_ENABLE_BLAS)
#include <schatten/linalg/backend/blas.hpp>
#else
#include <schatten/linalg/backend/eigen.hpp>
#endif

#include <type_traits>

namespace schatten::linalg {

#if defined(SCHATTEN_ENABLE_BLAS)
using HostBackend = BlasBackend;
#else
using HostBackend = EigenBackend;
#endif

/// BLAS (if enabled) or Eigen on the host, Kokkos kernels elsewhere.
template <ExecutionSpace Exec>
using DefaultBackend = std::conditional_t<is_host_execution_space<Exec>, HostBackend, PortableBackend>;

}  // namespace schatten::linalg
