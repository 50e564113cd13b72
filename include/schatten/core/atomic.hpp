// SPDX-License-Identifier: BSD-3-Clause
// Atomic operations of kernels. On the host they are the standard library's: those of Kokkos 3.4 begin with a
// plain read, which is a data race.
#pragma once

#include <schatten/core/kokkos.hpp>

#include <atomic>

namespace schatten {

/// *to ← value, atomically.
template <class T>
KOKKOS_FUNCTION void atomic_assign(T* to, T value) {
#if defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__) || defined(__SYCL_DEVICE_ONLY__)
  Kokkos::atomic_exchange(to, value);
#else
  std::atomic_ref<T>(*to).store(value, std::memory_order_relaxed);
#endif
}

/// *to ← max(*to, value), atomically.
template <class T>
KOKKOS_FUNCTION void atomic_raise(T* to, T value) {
#if defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__) || defined(__SYCL_DEVICE_ONLY__)
  Kokkos::atomic_fetch_max(to, value);
#else
  std::atomic_ref<T> held(*to);
  T seen = held.load(std::memory_order_relaxed);
  while (seen < value && !held.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
#endif
}

}  // namespace schatten
