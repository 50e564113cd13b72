// SPDX-License-Identifier: BSD-3-Clause
// Contiguous ranges as Views: std::span, std::vector, std::array. No copy; the length is checked.
#pragma once

#include <schatten/interop/pointers.hpp>

#include <cstddef>
#include <ranges>

namespace schatten {

namespace detail {

/// A contiguous range whose memory exists after the call: a span, or a vector that is not a temporary.
template <class R>
concept Numbers = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> && std::ranges::borrowed_range<R>;

}  // namespace detail

/// Returns a View of rank 1 of the numbers of a span, vector or array. The memory must exist as long as the View. The
/// View of const numbers is read-only. A temporary vector does not compile.
template <class MemorySpace = Kokkos::HostSpace, detail::Numbers R>
auto vector_view(R&& numbers) {
  return vector_view<MemorySpace>(std::ranges::data(numbers), std::ranges::size(numbers));
}

/// Returns a View of the same as a contiguous row-major rows×cols matrix. Throws InvalidArgument unless there are
/// rows·cols numbers.
template <class MemorySpace = Kokkos::HostSpace, detail::Numbers R>
auto matrix_view(R&& numbers, std::size_t rows, std::size_t cols) {
  const std::size_t size = std::ranges::size(numbers);
  const bool holds = cols == 0 ? size == 0 : size % cols == 0 && size / cols == rows;
  require(holds, "matrix_view", "numbers", size, {"must have rows times cols = ", rows, " times ", cols, " elements"});
  return matrix_view<MemorySpace>(std::ranges::data(numbers), rows, cols);
}

}  // namespace schatten
