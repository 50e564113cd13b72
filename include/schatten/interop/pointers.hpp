// SPDX-License-Identifier: BSD-3-Clause
// Views of matrices behind raw pointers, without a copy: arrays as in llm.c, buffers of other frameworks.
#pragma once

#include <schatten/core/views.hpp>

#include <cstddef>
#include <type_traits>

namespace schatten {

/// Returns a View of the rows×cols matrix at `data` whose element (i, j) is data[i·row_stride + j·col_stride].
///
/// `MemorySpace` is the space of the memory, by default the host's. The memory must exist as long as the View. Throws
/// InvalidArgument for a null pointer with a non-empty shape, a pointer without the alignment of T, and strides that
/// exceed the address space, such as negative ones.
template <class MemorySpace = Kokkos::HostSpace, class T>
auto matrix_view(T* data, std::size_t rows, std::size_t cols, std::size_t row_stride, std::size_t col_stride) {
  require(data != nullptr || rows == 0 || cols == 0, "matrix_view", "data", static_cast<const void*>(data),
          "must point to the matrix");
  using View = Kokkos::View<T**, Kokkos::LayoutStride, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  const View view(data, Kokkos::LayoutStride(rows, row_stride, cols, col_stride));
  require_memory(strided_array(view), "matrix_view", "data");
  return view;
}

/// Returns the same for a contiguous row-major matrix.
template <class MemorySpace = Kokkos::HostSpace, class T>
auto matrix_view(T* data, std::size_t rows, std::size_t cols) {
  return matrix_view<MemorySpace>(data, rows, cols, cols, std::size_t{1});
}

// batch_view(data, batch, rows, cols) is in core/views.hpp: matrices that follow each other, (batch, rows, cols).

/// Returns a View of rank 1 of the n numbers at `data`, `stride` apart. Throws InvalidArgument as matrix_view does.
template <class MemorySpace = Kokkos::HostSpace, class T>
auto vector_view(T* data, std::size_t n, std::size_t stride = 1) {
  require(data != nullptr || n == 0, "vector_view", "data", static_cast<const void*>(data), "must point to the vector");
  using View = Kokkos::View<T*, Kokkos::LayoutStride, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  const View view(data, Kokkos::LayoutStride(n, stride));
  require_memory(strided_array(view), "vector_view", "data");
  return view;
}

namespace detail {

template <class U>
concept SixteenBits = sizeof(U) == 2 && std::is_trivially_copyable_v<U>;

}  // namespace detail

/// Returns a pointer to another library's bfloat16 numbers (c10::BFloat16, __nv_bfloat16, std::uint16_t with their
/// bits) as a pointer to BFloat16.
template <detail::SixteenBits U>
auto as_bfloat16(U* data) {
  return reinterpret_cast<std::conditional_t<std::is_const_v<U>, const BFloat16*, BFloat16*>>(data);
}
/// The same for IEEE binary16: c10::Half, __half, _Float16.
template <detail::SixteenBits U>
auto as_half(U* data) {
  return reinterpret_cast<std::conditional_t<std::is_const_v<U>, const Half*, Half*>>(data);
}

}  // namespace schatten
