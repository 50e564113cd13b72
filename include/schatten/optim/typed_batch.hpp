// SPDX-License-Identifier: BSD-3-Clause
// Users' Views as batches of matrices: the ranks that parameters may have, and the blocks that they may be cut into.
#pragma once

#include <schatten/core/element_type.hpp>
#include <schatten/core/error.hpp>
#include <schatten/core/views.hpp>
#include <schatten/optim/options.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::optim {

/// A batch of matrices whose element type is known at run time. Each matrix of an outer batch may have `blocks` blocks
/// of equal size: matrix b is block b % blocks of outer matrix b / blocks. Strides are in elements.
struct TypedBatch {
  const void* data = nullptr;
  ElementType type = ElementType::float32;
  std::size_t batch = 0, rows = 0, cols = 0;  ///< batch: of blocks
  std::size_t batch_stride = 0, row_stride = 0, col_stride = 0;
  std::size_t blocks = 1, block_stride = 0;
  NestedIndex nested{};  ///< of the columns, or of the rows
  bool nested_rows = false;

  [[nodiscard]] KOKKOS_FUNCTION std::size_t size() const { return batch * rows * cols; }
  /// Matrix b.
  [[nodiscard]] KOKKOS_FUNCTION TypedMatrix matrix(std::size_t b) const {
    if (size() == 0) return {};
    const std::size_t outer = b / blocks, at = outer * batch_stride + (b - outer * blocks) * block_stride;
    const auto* const first = static_cast<const char*>(data) + at * size_of(type);
    return {const_cast<char*>(first), row_stride, col_stride, type, nested_rows, nested};
  }
  /// The transposes.
  [[nodiscard]] TypedBatch transposed() const {
    TypedBatch other = *this;
    std::swap(other.rows, other.cols);
    std::swap(other.row_stride, other.col_stride);
    other.nested_rows = !nested_rows;
    return other;
  }
};

/// Matrices of one shape, and the array that has all of their elements.
struct Piece {
  TypedBatch batch;
  StridedArray memory;
};

/// The extents of a user's View.
template <KokkosView V>
std::vector<std::size_t> view_shape(const V& view) {
  std::vector<std::size_t> shape;
  for (int d = 0; d < view_rank<V>; ++d) shape.push_back(view.extent(std::size_t(d)));
  return shape;
}
/// (rows, cols) of a matrix, (matrices, rows, cols) of several.
inline std::vector<std::size_t> batch_shape(const TypedBatch& a) {
  if (a.batch == 1) return {a.rows, a.cols};
  return {a.batch, a.rows, a.cols};
}

/// "4x3", the extents of a user's View.
template <KokkosView V>
Words extents_of(const V& view) {
  const auto n = [&](std::size_t d) { return view.extent(d); };
  if constexpr (view_rank<V> == 0) return "()";
  if constexpr (view_rank<V> == 1) return {n(0)};
  if constexpr (view_rank<V> == 2) return {n(0), "x", n(1)};
  if constexpr (view_rank<V> == 3) return {n(0), "x", n(1), "x", n(2)};
  if constexpr (view_rank<V> >= 4) return {n(0), "x", n(1), "x", n(2), "x", n(3)};
}

/// Returns the name of a parameter's argument for messages: "g of layers.0.up".
inline Words argument_of(std::string_view argument, std::string_view parameter) {
  return {argument, " of ", parameter};
}

namespace detail {

/// Sets the columns (a, b, c) of a View (out, a, b, c): with one stride if the indices can be combined to one,
/// otherwise with a nested index.
inline void fold_columns(const StridedArray& view, TypedBatch& batch) {
  struct Level {
    std::size_t extent = 1, stride = 1;
  } levels[3];
  std::size_t count = 0;
  batch.cols = 1;
  for (std::size_t d = 3; d >= 1; --d) {  // the stride of an index of extent 1 has no effect
    batch.cols *= view.extent[d];
    if (view.extent[d] == 1) continue;
    if (count > 0 && view.stride[d] == levels[count - 1].extent * levels[count - 1].stride) {
      levels[count - 1].extent *= view.extent[d];
    } else {
      levels[count++] = {view.extent[d], view.stride[d]};
    }
  }
  batch.col_stride = levels[0].stride;
  if (count > 1) {
    batch.nested = {levels[0].extent, levels[1].extent, levels[1].stride, count > 2 ? levels[2].stride : 0};
  }
}

/// Returns the View as matrices, without blocks.
template <KokkosView V>
TypedBatch whole_batch(const V& view) {
  constexpr int rank = view_rank<V>;
  const StridedArray array = strided_array(view);
  TypedBatch a{.data = view.data(), .type = element_type_of<scalar_of<V>>, .batch = 1};
  if constexpr (rank == 1) {
    a.rows = 1;
    a.cols = array.extent[0];
    a.col_stride = array.stride[0];
    a.row_stride = a.cols * a.col_stride;
  } else {
    constexpr int row = rank == 3 ? 1 : 0;
    a.rows = array.extent[row];
    a.row_stride = array.stride[row];
    a.cols = array.extent[row + 1];
    a.col_stride = array.stride[row + 1];
    if constexpr (rank == 3) {
      a.batch = array.extent[0];
      a.batch_stride = array.stride[0];
    } else if constexpr (rank == 4) {
      if (view.size() > 0) {
        fold_columns(array, a);
      } else {
        a.cols = array.extent[1] * array.extent[2] * array.extent[3];
      }
    }
  }
  return a;
}

/// Throws InvalidArgument for blocks into which a View of `rows` rows cannot be divided.
inline void check_blocks(const ParameterOptions& options, int rank, const TypedBatch& whole, const Words& extents,
                         std::string_view function, std::string_view argument, std::string_view parameter) {
  const auto of = [&](std::string_view name) { return argument_of(name, parameter); };
  const Words what = of(argument);
  const bool by_rows = options.row_blocks != 1, by_columns = options.column_blocks != 1;
  const bool by_sizes = !options.row_sizes.empty();
  require(options.row_blocks >= 1, function, of("row_blocks"), options.row_blocks, "must be at least 1");
  require(options.column_blocks >= 1, function, of("column_blocks"), options.column_blocks, "must be at least 1");
  require(!by_sizes || (!by_rows && !by_columns), function, of("row_sizes"), options.row_sizes.size(),
          "must not stand beside row_blocks or column_blocks");
  require(!by_rows || !by_columns, function, of("column_blocks"), options.column_blocks,
          {"must not stand beside row_blocks = ", options.row_blocks});
  require(!options.interleaved || by_rows, function, of("interleaved"), options.interleaved,
          "must stand beside row_blocks, which says how many blocks take turns");
  if (!by_rows && !by_columns && !by_sizes) return;
  require(rank != 1, function, what, extents, "is a vector and cannot be cut into blocks");
  require(whole.rows % options.row_blocks == 0, function, what, extents,
          {"must have rows that divide by row_blocks = ", options.row_blocks});
  require(!by_columns || rank != 4, function, what, extents, "must have rank 2 or 3 to be cut into column_blocks");
  require(whole.cols % options.column_blocks == 0, function, what, extents,
          {"must have columns that divide by column_blocks = ", options.column_blocks});
  std::size_t sum = 0;
  std::string sizes;
  for (const std::size_t size : options.row_sizes) {
    require(size >= 1 && size <= whole.rows, function, of("row_sizes"), size,
            {"must be at least 1 and at most the rows of ", extents});
    sum += size;
    if (!sizes.empty()) sizes += '+';
    sizes += std::to_string(size);
  }
  require(!by_sizes || sum == whole.rows, function, of("row_sizes"), sizes, {"must add up to the rows of ", extents});
}

}  // namespace detail

/// Returns a View of rank 1 to 4 as batches of matrices, divided into the blocks of the options: one piece, or one for
/// each of row_sizes. Copies nothing.
///
/// Rank 1 (n): one 1×n matrix. Rank 2: one matrix. Rank 3: (batch, rows, cols). Rank 4 (out, a, b, c): one out×(a·b·c)
/// matrix, as for convolutions, with any strides. Throws InvalidArgument, with the name of the parameter, for a null
/// pointer, for a pointer without the alignment of its type, for blocks that do not divide the shape, and for more than
/// 2^20 matrices without elements.
template <ExecutionSpace Exec, KokkosView V>
std::vector<Piece> pieces_of(const V& view, const ParameterOptions& options, std::string_view function,
                             std::string_view argument, std::string_view parameter) {
  constexpr int rank = view_rank<V>;
  using E = scalar_of<V>;
  static_assert(ParameterElement<E>,
                "schatten: a parameter's value type must be float, double, Half, BFloat16 or Kokkos' half_t, bhalf_t");
  static_assert(rank >= 1 && rank <= 4, "schatten: a parameter must have rank 1 to 4");
  static_assert(accessible_from<Exec, typename std::remove_cvref_t<V>::memory_space>,
                "schatten: the View's memory space is not accessible from the execution space");
  const Words what = argument_of(argument, parameter);
  const StridedArray memory = strided_array(view);
  require_memory(memory, function, what);
  TypedBatch a = detail::whole_batch(view);
  detail::check_blocks(options, rank, a, extents_of(view), function, argument, parameter);
  // Each matrix has a record, with elements or without.
  require(!memory.empty() || double(a.batch) * double(options.row_blocks) * double(options.column_blocks) <= 0x1p20,
          function, what, extents_of(view), "has no elements and must make at most 2^20 matrices");
  if (!options.row_sizes.empty()) {
    std::vector<Piece> pieces;
    std::size_t row = 0;
    for (const std::size_t size : options.row_sizes) {
      Piece piece{a, memory};
      piece.batch.data = static_cast<const char*>(a.data) + row * a.row_stride * sizeof(E);
      piece.batch.rows = size;
      piece.memory.data = piece.batch.data;
      piece.memory.extent[rank == 3 ? 1 : 0] = size;
      pieces.push_back(piece);
      row += size;
    }
    return pieces;
  }
  if (options.column_blocks > 1) {
    a.blocks = options.column_blocks;
    a.cols /= a.blocks;
    a.block_stride = a.cols * a.col_stride;
  } else {
    a.blocks = options.row_blocks;
    a.rows /= a.blocks;
    a.block_stride = options.interleaved ? a.row_stride : a.rows * a.row_stride;
    if (options.interleaved) a.row_stride *= a.blocks;
  }
  a.batch *= a.blocks;
  return {{a, memory}};
}

}  // namespace schatten::optim
