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

/// *to ← max(*to, value), atomically. On CUDA the threads of a warp with the same `to` first compute their maximum. T:
/// an unsigned integer.
template <class T>
KOKKOS_FUNCTION void atomic_raise_together(T* to, T value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  const unsigned peers = __match_any_sync(__activemask(), reinterpret_cast<unsigned long long>(to));
  if constexpr (sizeof(T) == 4) {
    value = __reduce_max_sync(peers, value);
  } else {
    const auto high = static_cast<unsigned>(value >> 32), largest = __reduce_max_sync(peers, high);
    const auto low = __reduce_max_sync(peers, high == largest ? static_cast<unsigned>(value) : 0U);
    value = T(largest) << 32 | low;
  }
  unsigned lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  if (static_cast<int>(lane) != __ffs(static_cast<int>(peers)) - 1) return;
#endif
  atomic_raise(to, value);
}

}  // namespace schatten
