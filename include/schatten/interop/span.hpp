// SPDX-License-Identifier: BSD-3-Clause
// std::span as Views. No copy; the length is checked.
#pragma once

#include <schatten/interop/pointers.hpp>

#include <cstddef>
#include <span>

namespace schatten {

/// Returns a View of rank 1 of the numbers of the span. The memory must exist as long as the View. The View of a span
/// of const is read-only.
template <class MemorySpace = Kokkos::HostSpace, class T, std::size_t N>
auto vector_view(std::span<T, N> numbers) {
  return vector_view<MemorySpace>(numbers.data(), numbers.size());
}

/// Returns a View of the span as a contiguous row-major rows×cols matrix. Throws InvalidArgument unless the span has
/// rows·cols numbers.
template <class MemorySpace = Kokkos::HostSpace, class T, std::size_t N>
auto matrix_view(std::span<T, N> numbers, std::size_t rows, std::size_t cols) {
  const bool holds = cols == 0 ? numbers.empty() : numbers.size() % cols == 0 && numbers.size() / cols == rows;
  require(holds, "matrix_view", "numbers", numbers.size(),
          {"must have rows times cols = ", rows, " times ", cols, " elements"});
  return matrix_view<MemorySpace>(numbers.data(), rows, cols);
}

}  // namespace schatten
