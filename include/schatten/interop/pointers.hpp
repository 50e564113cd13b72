// Matrices that live behind raw pointers: llm.c-style arrays, other frameworks' buffers. No copy.
#pragma once

#include <schatten/core/views.hpp>

namespace schatten {

/// A View of the rows×cols matrix at `data` whose element (i, j) is data[i·row_stride + j·col_stride].
///
/// `MemorySpace` says where the memory is (host unless told). The caller keeps the memory alive.
/// Throws InvalidArgument for a null pointer with a non-empty shape.
template <class MemorySpace = Kokkos::HostSpace, class T>
auto matrix_view(T* data, std::size_t rows, std::size_t cols, std::size_t row_stride, std::size_t col_stride) {
  require(data != nullptr || rows * cols == 0, "matrix_view", "data", static_cast<const void*>(data),
          "must point to the matrix");
  using View = Kokkos::View<T**, Kokkos::LayoutStride, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  return View(data, Kokkos::LayoutStride(rows, row_stride, cols, col_stride));
}

/// The same for a contiguous row-major matrix, as C arrays are.
template <class MemorySpace = Kokkos::HostSpace, class T>
auto matrix_view(T* data, std::size_t rows, std::size_t cols) {
  return matrix_view<MemorySpace>(data, rows, cols, cols, std::size_t{1});
}

}  // namespace schatten
