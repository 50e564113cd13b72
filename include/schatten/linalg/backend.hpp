// SPDX-License-Identifier: BSD-3-Clause
// The choice of the linear algebra backend, at compile time.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/linalg/backend/portable.hpp>

#if defined(SCHATTEN_ENABLE_BLAS)
#include <schatten/linalg/backend/blas.hpp>
#else
#include <schatten/linalg/backend/eigen.hpp>
#endif
#if defined(SCHATTEN_ENABLE_CUDA)
#include <schatten/linalg/backend/cuda.hpp>
#endif

#include <type_traits>

namespace schatten::linalg {

#if defined(SCHATTEN_ENABLE_BLAS)
using HostBackend = BlasBackend;
#else
using HostBackend = EigenBackend;
#endif

#if defined(SCHATTEN_ENABLE_CUDA)
using DeviceBackend = CudaBackend;
#else
using DeviceBackend = PortableBackend;
#endif

/// BLAS (if enabled) or Eigen on the host; on a device cuBLAS and cuSOLVER (if enabled) or Kokkos kernels.
template <ExecutionSpace Exec>
using DefaultBackend = std::conditional_t<is_host_execution_space<Exec>, HostBackend, DeviceBackend>;

/// Whether the backend's routines use threads of their own.
template <class Backend>
inline constexpr bool has_own_threads = requires {
  Backend::has_own_threads;
};

/// Whether the backend has products of the types in core/reduced_float.hpp; for others linalg::gemm makes float copies.
template <class Backend>
inline constexpr bool multiplies_reduced_floats = requires {
  Backend::multiplies_reduced_floats;
};

/// Backend, or the default for Exec if Backend is void. It is the first template argument of functions.
template <class Backend, ExecutionSpace Exec>
using ChosenBackend = std::conditional_t<std::is_void_v<Backend>, DefaultBackend<Exec>, Backend>;

}  // namespace schatten::linalg
