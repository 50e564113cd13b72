// SPDX-License-Identifier: BSD-3-Clause
// The one internal form of every matrix argument: an unmanaged, strided, rank-3 View (batch, rows, cols).
//
// Users pass Views of any layout and of rank 2 or 3. Layouts become strides here. So all functions below are compiled
// once per scalar type and memory space, a transpose exchanges two strides, and a subview needs no copy.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/core/error.hpp>
#include <schatten/core/reduced_float.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace schatten {

/// A batch of matrices: element (b, i, j) is entry (i, j) of matrix b. Unmanaged; any strides.
template <class T, class MemorySpace>
using BatchView = Kokkos::View<T***, Kokkos::LayoutStride, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

/// One vector per matrix of a batch, e.g. singular values: (batch, k). Unmanaged; rows are contiguous.
template <class T, class MemorySpace>
using VectorBatchView = Kokkos::View<T**, Kokkos::LayoutRight, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

/// One number per matrix of a batch. Unmanaged.
template <class T, class MemorySpace>
using NumberBatchView = Kokkos::View<T*, Kokkos::LayoutRight, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

/// Returns a BatchView of a pointer, extents and strides (in elements). The memory is in MemorySpace, by default on the
/// host. Throws InvalidArgument for an extent of 2^32 or more if Kokkos keeps 32 bits of it, as Kokkos 3 does from rank
/// 3 on.
template <class MemorySpace = Kokkos::HostSpace, class T>
BatchView<T, MemorySpace> batch_view(T* data, std::size_t batch, std::size_t rows, std::size_t cols,
                                     std::size_t batch_stride, std::size_t row_stride, std::size_t col_stride) {
  const Kokkos::LayoutStride layout(batch, batch_stride, rows, row_stride, cols, col_stride);
  const BatchView<T, MemorySpace> view(data, layout);
  constexpr std::string_view requirement = "must be below 2^32 in a View of rank 3 of this Kokkos";
  require(view.extent(0) == batch, "batch_view", "batch", batch, requirement);
  require(view.extent(1) == rows, "batch_view", "rows", rows, requirement);
  require(view.extent(2) == cols, "batch_view", "cols", cols, requirement);
  return view;
}

/// Returns a contiguous, row-major batch at `data`. The memory is in MemorySpace, by default on the host.
template <class MemorySpace = Kokkos::HostSpace, class T>
BatchView<T, MemorySpace> batch_view(T* data, std::size_t batch, std::size_t rows, std::size_t cols) {
  return batch_view<MemorySpace>(data, batch, rows, cols, rows * cols, cols, std::size_t{1});
}

/// Returns whether `for (const auto& [key, view] : range)` gives Views. Otherwise it does not compile; the message says
/// what the range must be.
template <class Range>
constexpr bool require_keyed_views() {
  constexpr bool pairs = requires(const Range& range) { (*std::begin(range)).second; };
  static_assert(pairs, "schatten: the weights must be a range of pairs, such as std::map<std::string, View>");
  if constexpr (pairs) {
    constexpr bool views = KokkosView<decltype((*std::begin(std::declval<const Range&>())).second)>;
    static_assert(views,
                  "schatten: the second of each pair must be a Kokkos View; schatten::view(matrix) makes one of "
                  "an Eigen matrix (interop/eigen.hpp), schatten::matrix_view of a pointer "
                  "(interop/pointers.hpp)");
    return views;
  }
  return pairs;
}

/// Memory of an array of any element type with up to four indices. Missing indices have extent 1.
struct StridedArray {
  /// Address of the first element.
  const void* data = nullptr;
  /// Bytes per element.
  std::size_t element_bytes = 1;
  std::size_t extent[4] = {1, 1, 1, 1};  ///< numbers of elements
  std::size_t stride[4] = {};            ///< in elements

  /// Whether there is no element. (A product of the extents may overflow.)
  [[nodiscard]] bool empty() const { return extent[0] == 0 || extent[1] == 0 || extent[2] == 0 || extent[3] == 0; }
  /// Returns the address after the last byte; `data` if the array is empty.
  [[nodiscard]] const void* end() const {
    if (empty()) return data;
    std::size_t last = 0;
    for (std::size_t d = 0; d < 4; ++d) last += (extent[d] - 1) * stride[d];
    return static_cast<const char*>(data) + (last + 1) * element_bytes;
  }
};

/// Returns the memory of a View of rank 1 to 4.
template <KokkosView V>
StridedArray strided_array(const V& view) {
  static_assert(view_rank<V> >= 1 && view_rank<V> <= 4, "schatten: the View must have rank 1 to 4");
  static_assert(has_strides<V>, "schatten: the View's layout must be LayoutLeft, LayoutRight or LayoutStride");
  StridedArray array{.data = view.data(), .element_bytes = sizeof(typename std::remove_cvref_t<V>::value_type)};
  for (int d = 0; d < view_rank<V>; ++d) {
    array.extent[d] = view.extent(std::size_t(d));
    array.stride[d] = view.stride(std::size_t(d));
  }
  return array;
}

/// Throws InvalidArgument for a null pointer with elements, a pointer without the alignment of its type, and extents or
/// strides that exceed the address space.
inline void require_memory(const StridedArray& a, std::string_view function, const Words& argument) {
  if (a.empty()) return;
  require(a.data != nullptr, function, argument, "null", "must point to memory");
  require(reinterpret_cast<std::uintptr_t>(a.data) % a.element_bytes == 0, function, argument, a.data,
          "must be aligned as its type is");
  constexpr double address_space = 0x1p62;
  double span = 1, count = 1;
  std::size_t longest = 0, largest = 0;
  for (std::size_t d = 0; d < 4; ++d) {
    count *= double(a.extent[d]);
    largest = (std::max)(largest, a.extent[d]);
    if (a.extent[d] <= 1) continue;
    span += double(a.extent[d] - 1) * double(a.stride[d]);
    longest = (std::max)(longest, a.stride[d]);
  }
  require(count * double(a.element_bytes) < address_space, function, {"extent of ", argument}, largest,
          "must not make more elements than there are addresses");
  require(span * double(a.element_bytes) < address_space, function, {"stride of ", argument}, longest,
          "must not lead beyond the address space");
}

/// Returns the batch of a View of rank 2 (rows, cols) or 3 (batch, rows, cols) of any layout, without a copy. Throws
/// InvalidArgument as require_memory does.
template <ExecutionSpace Exec, KokkosView V>
auto as_batch(const V& view) {
  using T = typename V::value_type;
  using Space = typename Exec::memory_space;
  static_assert(Element<std::remove_const_t<T>>,
                "schatten: the View's value type must be float or double, or Half or BFloat16 where that is offered");
  static_assert(view_rank<V> == 2 || view_rank<V> == 3,
                "schatten: the View must have rank 2 (rows, cols) or rank 3 (batch, rows, cols)");
  static_assert(accessible_from<Exec, typename V::memory_space>,
                "schatten: the View's memory space is not accessible from the execution space");
  require_memory(strided_array(view), "as_batch", "view");
  if constexpr (view_rank<V> == 2) {
    return batch_view<Space>(view.data(), 1, view.extent(0), view.extent(1), view.extent(0) * view.extent(1),
                             view.stride(0), view.stride(1));
  } else {
    return batch_view<Space>(view.data(), view.extent(0), view.extent(1), view.extent(2), view.stride(0),
                             view.stride(1), view.stride(2));
  }
}

/// Returns a View of rank 1 (n) or 2 (batch, n) as one contiguous vector per matrix, without a copy. Throws
/// InvalidArgument if the vectors are not one after the other in memory.
template <ExecutionSpace Exec, KokkosView V>
auto as_vectors(const V& view, std::string_view function, const Words& argument) {
  using T = typename V::value_type;
  static_assert(Scalar<std::remove_const_t<T>>, "schatten: the View's value type must be float or double");
  static_assert(view_rank<V> == 1 || view_rank<V> == 2,
                "schatten: the View must have rank 1 (length) or rank 2 (batch, length)");
  static_assert(accessible_from<Exec, typename V::memory_space>,
                "schatten: the View's memory space is not accessible from the execution space");
  constexpr int last = view_rank<V> - 1;
  require_memory(strided_array(view), function, argument);
  const std::size_t batch = last == 0 ? 1 : view.extent(0), length = view.extent(last);
  require(view.stride(last) == 1 || length <= 1, function, argument, view.stride(last), "must have unit stride");
  require(last == 0 || batch <= 1 || view.stride(0) == length, function, argument, view.stride(0),
          "must have vectors that follow each other without gaps");
  return VectorBatchView<T, typename Exec::memory_space>(view.data(), batch, length);
}

/// Returns the batch of the transposes, in the same memory with two strides exchanged.
template <class T, class Space>
BatchView<T, Space> transpose(const BatchView<T, Space>& a) {
  return batch_view<Space>(a.data(), a.extent(0), a.extent(2), a.extent(1), a.stride(0), a.stride(2), a.stride(1));
}

/// Returns rows [row, row + rows) and columns [col, col + cols) of every matrix, without a copy.
template <class T, class Space>
BatchView<T, Space> block(const BatchView<T, Space>& a, std::size_t row, std::size_t col, std::size_t rows,
                          std::size_t cols) {
  return batch_view<Space>(a.data() + row * a.stride(1) + col * a.stride(2), a.extent(0), rows, cols, a.stride(0),
                           a.stride(1), a.stride(2));
}

/// Returns matrices [first, first + count) of the batch, without a copy.
template <class T, class Space>
BatchView<T, Space> matrices(const BatchView<T, Space>& a, std::size_t first, std::size_t count) {
  return batch_view<Space>(a.data() + first * a.stride(0), count, a.extent(1), a.extent(2), a.stride(0), a.stride(1),
                           a.stride(2));
}

/// Returns the same batch, read-only.
template <class T, class Space>
BatchView<const T, Space> as_const(const BatchView<T, Space>& a) {
  return a;
}

/// Returns "batch x rows x cols", for messages.
template <class T, class Space>
Words shape_of(const BatchView<T, Space>& a) {
  return {a.extent(0), "x", a.extent(1), "x", a.extent(2)};
}

/// Throws InvalidArgument unless `a` has the given extents.
template <class T, class Space>
void require_shape(const BatchView<T, Space>& a, std::size_t batch, std::size_t rows, std::size_t cols,
                   std::string_view function, const Words& argument) {
  require(a.extent(0) == batch && a.extent(1) == rows && a.extent(2) == cols, function, argument, shape_of(a),
          {"must have the extents ", batch, "x", rows, "x", cols, " (batch x rows x cols)"});
}

namespace detail {

/// An index with the same stride in two arrays.
struct SharedIndex {
  std::ptrdiff_t stride, extent_a, extent_b;
};

/// Sorts a few indices. (g++ 12 warns of std::sort on arrays of this length.)
template <class Less>
void sort_indices(SharedIndex* indices, int count, const Less& less) {
  for (int k = 1; k < count; ++k) {
    for (int l = k; l > 0 && less(indices[l], indices[l - 1]); --l) std::swap(indices[l], indices[l - 1]);
  }
}

/// Whether offset = Σ k_d·stride_d with −extent_b < k_d < extent_a: an element of b is one of a.
/// @pre each stride exceeds what the indices after it span together.
inline bool offset_meets(std::ptrdiff_t offset, const SharedIndex* index, const SharedIndex* end) {
  if (index == end) return offset == 0;
  const std::ptrdiff_t stride = index->stride;
  const std::ptrdiff_t floor = offset >= 0 ? offset / stride : -((-offset + stride - 1) / stride);
  for (const std::ptrdiff_t k : {floor, floor + 1}) {
    const bool possible = k < index->extent_a && -k < index->extent_b;
    if (possible && offset_meets(offset - k * stride, index + 1, end)) return true;
  }
  return false;
}

/// Whether offset + Σ k_d·stride_d = 0 with |k_d| < extent_d, not all zero. The last index follows from the others.
/// Only one of a solution and its negative is looked for. zero: all indices before are 0.
inline bool names_twice(std::ptrdiff_t offset, bool zero, const SharedIndex* index, const SharedIndex* end) {
  if (index + 1 == end) {
    const std::ptrdiff_t k = -offset / index->stride;
    return offset % index->stride == 0 && k < index->extent_a && -k < index->extent_a && !(zero && k == 0);
  }
  for (std::ptrdiff_t k = zero ? 0 : 1 - index->extent_a; k < index->extent_a; ++k) {
    if (names_twice(offset + k * index->stride, zero && k == 0, index + 1, end)) return true;
  }
  return false;
}

}  // namespace detail

/// Whether the arrays share an element. Exact if the strides nest, as those of parts of one array do. Otherwise it
/// returns whether the address ranges overlap.
inline bool overlap(const StridedArray& a, const StridedArray& b) {
  if (a.empty() || b.empty()) return false;
  const auto* const a_begin = static_cast<const char*>(a.data);
  const auto* const b_begin = static_cast<const char*>(b.data);
  if (a.end() <= b.data || b.end() <= a.data) return false;
  const auto size = static_cast<std::ptrdiff_t>(a.element_bytes);
  if (a.element_bytes != b.element_bytes || (b_begin - a_begin) % size != 0) return true;
  // Indices of equal strides count as one index.
  detail::SharedIndex indices[8] = {};
  int count = 0;
  const auto index_of = [&](std::size_t stride) -> detail::SharedIndex& {
    int k = 0;
    while (k < count && indices[k].stride != static_cast<std::ptrdiff_t>(stride)) ++k;
    if (k == count) indices[count++] = {static_cast<std::ptrdiff_t>(stride), 1, 1};
    return indices[k];
  };
  for (std::size_t d = 0; d < 4; ++d) {
    if (a.extent[d] > 1) index_of(a.stride[d]).extent_a += static_cast<std::ptrdiff_t>(a.extent[d]) - 1;
    if (b.extent[d] > 1) index_of(b.stride[d]).extent_b += static_cast<std::ptrdiff_t>(b.extent[d]) - 1;
  }
  detail::sort_indices(indices, count, [](const auto& x, const auto& y) { return x.stride > y.stride; });
  std::ptrdiff_t span = 0;
  for (int d = count - 1; d >= 0; --d) {
    if (indices[d].stride <= span) return true;  // strides that do not nest
    span += ((std::max)(indices[d].extent_a, indices[d].extent_b) - 1) * indices[d].stride;
  }
  return detail::offset_meets((b_begin - a_begin) / size, indices, indices + count);
}
template <class T, class U, class Space>
bool overlap(const BatchView<T, Space>& a, const BatchView<U, Space>& b) {
  return overlap(strided_array(a), strided_array(b));
}

/// Whether two different indices of the array name the same element. Exact. Cost: constant for arrays whose strides
/// nest; otherwise at most the product of all extents but the largest.
inline bool overlaps_itself(const StridedArray& a) {
  detail::SharedIndex indices[4] = {};
  int count = 0;
  for (std::size_t d = 0; d < 4; ++d) {
    if (a.extent[d] == 0) return false;
    if (a.extent[d] == 1) continue;
    const auto extent = static_cast<std::ptrdiff_t>(a.extent[d]);
    indices[count++] = {static_cast<std::ptrdiff_t>(a.stride[d]), extent, extent};
  }
  detail::sort_indices(indices, count, [](const auto& x, const auto& y) { return x.stride < y.stride; });
  std::ptrdiff_t span = 0;
  bool nested = true;
  for (int d = 0; d < count; ++d) {
    if (indices[d].stride == 0) return true;
    nested = nested && indices[d].stride > span;
    span += (indices[d].extent_a - 1) * indices[d].stride;
  }
  if (nested) return false;
  detail::sort_indices(indices, count, [](const auto& x, const auto& y) { return x.extent_a < y.extent_a; });
  return detail::names_twice(0, true, indices, indices + count);
}
template <class T, class Space>
bool overlaps_itself(const BatchView<T, Space>& a) {
  return overlaps_itself(strided_array(a));
}

/// Throws InvalidArgument if the array, which a function writes, overlaps itself.
template <class T, class Space>
void require_own_elements(const BatchView<T, Space>& a, std::string_view function, const Words& argument) {
  require(!overlaps_itself(a), function, argument, shape_of(a), "is written and must not overlap itself");
}

}  // namespace schatten
