// SPDX-License-Identifier: BSD-3-Clause
// A matrix of a host batch as BLAS-like libraries want it: pointer, leading dimension, storage order.
#pragma once

#include <schatten/core/views.hpp>

#include <cmath>
#include <cstddef>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// One matrix of a batch in host memory; strides in elements.
template <class T>
struct HostMatrix {
  T* data;
  std::ptrdiff_t rows, cols, row_stride, col_stride;

  /// Rows are contiguous (or there is at most one column) and apart from each other: leading dimension row_stride.
  [[nodiscard]] bool row_major() const { return (col_stride == 1 || cols <= 1) && (row_stride >= cols || rows <= 1); }
  /// Columns are contiguous (or there is at most one row) and apart from each other: leading dimension col_stride.
  [[nodiscard]] bool col_major() const { return (row_stride == 1 || rows <= 1) && (col_stride >= rows || cols <= 1); }
  [[nodiscard]] T& operator()(std::ptrdiff_t i, std::ptrdiff_t j) const {
    return data[i * row_stride + j * col_stride];
  }
};

/// Matrix `b` of the batch.
template <class T, class Space>
HostMatrix<T> host_matrix(const BatchView<T, Space>& a, std::size_t b) {
  return {a.data() + b * a.stride(0), std::ptrdiff_t(a.extent(1)), std::ptrdiff_t(a.extent(2)),
          std::ptrdiff_t(a.stride(1)), std::ptrdiff_t(a.stride(2))};
}

using schatten::transpose;

/// The same memory read as the transpose.
template <class T>
HostMatrix<T> transpose(const HostMatrix<T>& a) {
  return {a.data, a.cols, a.rows, a.col_stride, a.row_stride};
}

/// A contiguous column-major matrix at `data`.
template <class T>
HostMatrix<T> col_major_matrix(T* data, std::ptrdiff_t rows, std::ptrdiff_t cols) {
  return {data, rows, cols, 1, rows};
}

/// to ← from, element by element, along the columns of `to`'s storage.
template <class T, class U>
[[gnu::noinline]] void copy(const HostMatrix<T>& from, const HostMatrix<U>& to) {
  if (to.row_major() && !to.col_major()) return copy(transpose(from), transpose(to));
  for (std::ptrdiff_t j = 0; j < to.cols; ++j) {
    for (std::ptrdiff_t i = 0; i < to.rows; ++i) to(i, j) = static_cast<U>(from(i, j));
  }
}

/// Every element ← value.
template <class T>
[[gnu::noinline]] void fill(const HostMatrix<T>& a, T value) {
  for (std::ptrdiff_t i = 0; i < a.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < a.cols; ++j) a(i, j) = value;
  }
}

/// Whether no element is NaN or infinite.
template <class T>
bool all_finite(const HostMatrix<T>& a) {
  for (std::ptrdiff_t i = 0; i < a.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < a.cols; ++j) {
      if (!std::isfinite(a(i, j))) return false;
    }
  }
  return true;
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
