// SPDX-License-Identifier: BSD-3-Clause
// Sums, maxima and loops over a row or a matrix, for kernels: one thread on the host, a team of threads on a device.
#pragma once

#include <schatten/core/kokkos.hpp>
#include <schatten/core/reduced_float.hpp>

#include <cstddef>

namespace schatten {

/// A team of one thread. Indices run in order, so that the compiler can vectorize.
struct OneThread {
  /// Calls f(k) for all k < n. All calls are complete on return.
  template <class F>
  KOKKOS_FUNCTION void for_each(std::size_t n, const F& f) const {
    for (std::size_t k = 0; k < n; ++k) f(k);
  }
  /// Returns Σ_k f(k).
  template <class F>
  KOKKOS_FUNCTION double sum(std::size_t n, const F& f) const {
    double total = 0;
    for (std::size_t k = 0; k < n; ++k) total += f(k);
    return total;
  }
  /// Returns max_k f(k), at least zero. T: an integer, or a floating-point number that is never NaN.
  template <class T, class F>
  KOKKOS_FUNCTION T(max)(std::size_t n, const F& f) const {
    T largest = 0;
    for (std::size_t k = 0; k < n; ++k) {
      const T value = f(k);
      largest = value > largest ? value : largest;
    }
    return largest;
  }
  /// Returns Σ_k a_k b_k, in partial sums, which the compiler can vectorize without reordering.
  template <Element T>
  KOKKOS_FUNCTION double dot(const T* a, const T* b, std::size_t n) const {
    using S = Sum<T>;
    constexpr std::size_t lanes = 32;
    S partial[lanes] = {};
    std::size_t k = 0;
    for (; k + lanes <= n; k += lanes) {
      for (std::size_t l = 0; l < lanes; ++l) partial[l] += S(a[k + l]) * S(b[k + l]);
    }
    for (std::size_t half = lanes / 2; half > 0; half /= 2) {
      for (std::size_t l = 0; l < half; ++l) partial[l] += partial[l + half];
    }
    double total = double(partial[0]);
    for (; k < n; ++k) total += double(a[k]) * double(b[k]);
    return total;
  }
  /// Calls f() in one thread of the team.
  template <class F>
  KOKKOS_FUNCTION void once(const F& f) const {
    f();
  }
};

/// The threads of a Kokkos team. Thread k modulo their number has index k. All threads get the results.
template <class Member>
struct ThreadTeam {
  const Member& member;

  template <class F>
  KOKKOS_FUNCTION void for_each(std::size_t n, const F& f) const {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member, n), [&](std::size_t k) { f(k); });
    member.team_barrier();
  }
  template <class F>
  KOKKOS_FUNCTION double sum(std::size_t n, const F& f) const {
    double total = 0;
    Kokkos::parallel_reduce(
        Kokkos::TeamThreadRange(member, n), [&](std::size_t k, double& part) { part += f(k); }, total);
    return total;
  }
  template <class T, class F>
  KOKKOS_FUNCTION T(max)(std::size_t n, const F& f) const {
    T largest = 0;
    Kokkos::parallel_reduce(
        Kokkos::TeamThreadRange(member, n),
        [&](std::size_t k, T& part) {
          const T value = f(k);
          part = value > part ? value : part;
        },
        Kokkos::Max<T>(largest));
    return largest > T(0) ? largest : T(0);  // Kokkos' maximum of no numbers is the lowest number
  }
  template <Element T>
  KOKKOS_FUNCTION double dot(const T* a, const T* b, std::size_t n) const {
    return sum(n, [&](std::size_t k) { return double(a[k]) * double(b[k]); });
  }
  template <class F>
  KOKKOS_FUNCTION void once(const F& f) const {
    Kokkos::single(Kokkos::PerTeam(member), f);
  }
  /// Returns the team's shared memory for n numbers, not initialized. @pre the body has team_bytes >= n·sizeof(T)
  template <Element T>
  KOKKOS_FUNCTION T* shared(std::size_t n) const {
    return static_cast<T*>(member.team_scratch(0).get_shmem(n * sizeof(T)));
  }
};

}  // namespace schatten
