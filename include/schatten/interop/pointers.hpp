// SPDX-License-Identifier: BSD-3-Clause
// Matrices that live behind raw pointers: llm.c-style arrays, other frameworks' buffers. No copy.
#pragma once

#include <schatten/core/views.hpp>

#include <cstddef>
#include <type_traits>

namespace schatten {

/// A View of the rows×cols matrix at `data` whose element (i, j) is data[i·row_stride + j·col_stride].
///
/// `MemorySpace` says where the memory is (host unless told). The caller keeps the memory alive. Throws InvalidArgument
/// for a null pointer with a non-empty shape, a pointer that is not aligned as T is, and strides that lead beyond the
/// address space, as negative ones do.
template <class MemorySpace = Kokkos::HostSpace, class T>
auto matrix_view(T* data, std::size_t rows, std::size_t cols, std::size_t row_stride, std::size_t col_stride) {
  require(data != nullptr || rows * cols == 0, "matrix_view", "data", static_cast<const void*>(data),
          "must point to the matrix");
  using View = Kokkos::View<T**, Kokkos::LayoutStride, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  const View view(data, Kokkos::LayoutStride(rows, row_stride, cols, col_stride));
  require_memory(strided_array(view), "matrix_view", "data");
  return view;
}

/// The same for a contiguous row-major matrix, as C arrays are.
template <class MemorySpace = Kokkos::HostSpace, class T>
auto matrix_view(T* data, std::size_t rows, std::size_t cols) {
  return matrix_view<MemorySpace>(data, rows, cols, cols, std::size_t{1});
}

// batch_view(data, batch, rows, cols) is in core/views.hpp: matrices that follow each other, (batch, rows, cols).

/// A View of the n numbers at `data`, `stride` apart. Throws InvalidArgument as matrix_view does.
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

/// A pointer to another library's bfloat16 numbers (c10::BFloat16, __nv_bfloat16, std::uint16_t with their bits) as
/// ours.
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
