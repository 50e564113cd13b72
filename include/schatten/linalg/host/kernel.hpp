// SPDX-License-Identifier: BSD-3-Clause
// A register-tiled matrix product for host matrices that fit the cache, on one thread.
//
// Eigen and BLAS pack both operands, which costs more than it brings under about 512². Here a tile of 2 vectors × 8
// columns of C stays in registers, A's columns are loaded as they lie, and B's elements are broadcast from wherever
// their strides put them. Vectors by the compilers' vector extension: any width is legal, the native one is used.
#pragma once

#include <schatten/linalg/host/matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>

// The loop below has few turns, known to the compiler; unrolled, its sums stay in registers at -O2 too.
#if defined(__clang__)
#define SCHATTEN_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define SCHATTEN_UNROLL _Pragma("GCC unroll 8")
#else
#define SCHATTEN_UNROLL
#endif

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

namespace kernel {

inline constexpr std::ptrdiff_t tile_cols = register_bytes == 64 ? 8 : 6;
inline constexpr std::ptrdiff_t tile_vectors = 2;

template <class T>
inline constexpr std::ptrdiff_t lanes = std::ptrdiff_t(register_bytes / sizeof(T));
template <class T>
inline constexpr std::ptrdiff_t tile_rows = tile_vectors* lanes<T>;
/// Depth of one pass and columns of one block: a panel of A stays in the first cache, a block of B in the second.
template <class T>
inline constexpr std::ptrdiff_t depth = 128;
/// Terms of a sum that are added up before they join the total. Factors of another type than the sum's are converted to
/// a longer one. Its rounding needs no chunks: a chunk is a whole pass.
template <class A, class T>
inline constexpr std::ptrdiff_t chunk = std::is_same_v<A, T> ? 32 : depth<T>;
template <class T>
inline constexpr std::ptrdiff_t block_cols = std::ptrdiff_t(2048 / sizeof(T)) / tile_cols* tile_cols;  // whole tiles

/// Columns this far apart lie on pages of their own.
template <class T>
inline constexpr std::ptrdiff_t far_apart = std::ptrdiff_t(3072 / sizeof(T));

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(register_bytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
Vector<T> load(const T* from) {
  Vector<T> vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}
template <class T>
void store(const Vector<T>& vector, T* to) {
  std::memcpy(to, &vector, sizeof(vector));
}

/// C (tile_rows×cols) += alpha·A B, A (tile_rows×k), B (k×cols). The columns of A and C are contiguous.
template <class T, int cols>
void tile(std::ptrdiff_t k, T alpha, const T* a, std::ptrdiff_t lda, const T* b, std::ptrdiff_t b_row,
          std::ptrdiff_t b_col, T* c, std::ptrdiff_t ldc) {
  Vector<T> sum[std::size_t(cols)][std::size_t(tile_vectors)];
  SCHATTEN_UNROLL
  for (int j = 0; j < cols; ++j) {
    SCHATTEN_UNROLL
    for (int v = 0; v < tile_vectors; ++v) sum[j][v] = Vector<T>{};
  }
  for (std::ptrdiff_t l = 0; l < k; ++l) {
    Vector<T> column[tile_vectors];
    SCHATTEN_UNROLL
    for (int v = 0; v < tile_vectors; ++v) column[v] = load(a + l * lda + v * lanes<T>);
    SCHATTEN_UNROLL
    for (int j = 0; j < cols; ++j) {
      const T scalar = b[l * b_row + j * b_col];
      SCHATTEN_UNROLL
      for (int v = 0; v < tile_vectors; ++v) sum[j][v] += column[v] * scalar;
    }
  }
  SCHATTEN_UNROLL
  for (int j = 0; j < cols; ++j) {
    SCHATTEN_UNROLL
    for (int v = 0; v < tile_vectors; ++v) {
      T* const place = c + j * ldc + v * lanes<T>;
      store<T>(load(place) + alpha * sum[j][v], place);
    }
  }
}

/// tile for 1 to tile_cols columns, known at run time, `terms` of the sums at a time. Their rounding grows with √terms
/// and √(k/terms) instead of √k.
template <std::ptrdiff_t terms, class T, int cols = int(tile_cols)>
void narrow_tile(std::ptrdiff_t width, std::ptrdiff_t k, T alpha, const T* a, std::ptrdiff_t lda, const T* b,
                 std::ptrdiff_t b_row, std::ptrdiff_t b_col, T* c, std::ptrdiff_t ldc) {
  if constexpr (cols > 0) {
    if (width == cols) {
      for (std::ptrdiff_t l = 0; l < k; l += terms) {
        tile<T, cols>((std::min)(terms, k - l), alpha, a + l * lda, lda, b + l * b_row, b_row, b_col, c, ldc);
      }
      return;
    }
    narrow_tile<terms, T, cols - 1>(width, k, alpha, a, lda, b, b_row, b_col, c, ldc);
  }
}

/// A panel of at most tile_rows rows, column by column, filled up with zeros.
template <class A, class T>
void pack_panel(const HostMatrix<const A>& a, T* packed) {
  constexpr std::ptrdiff_t rows = tile_rows<T>;
  if (a.rows == rows && a.col_major()) {
    for (std::ptrdiff_t l = 0; l < a.cols; ++l) {
      for (std::ptrdiff_t i = 0; i < rows; ++i) packed[l * rows + i] = T(a.data[l * a.col_stride + i]);
    }
    return;
  }
  for (std::ptrdiff_t l = 0; l < a.cols; ++l) {
    for (std::ptrdiff_t i = 0; i < rows; ++i) packed[l * rows + i] = i < a.rows ? T(a(i, l)) : T(0);
  }
}

/// Columns [first, end) of a panel, first a multiple of tile_cols.
struct ColumnRange {
  std::ptrdiff_t first, end;
};

/// One panel of tile_rows rows (fewer at the lower edge): C += alpha·A B over these columns of B, a tile at a time.
/// With `levels`, the chunks of a pass are added up before they join C: long sums of like terms drift less.
/// A of another type is packed, and converted as it is.
template <bool levels, class A, class T>
void panel(T alpha, const HostMatrix<const A>& a, const HostMatrix<const T>& b, std::ptrdiff_t tile_stride,
           const HostMatrix<T>& c, const ColumnRange& range) {
  constexpr std::ptrdiff_t rows = tile_rows<T>, terms = chunk<A, T>;
  alignas(64) T packed[std::size_t(rows * depth<T>)];
  const T* panel_a = packed;
  std::ptrdiff_t lda = rows;
  if (!std::is_same_v<A, T> || a.rows < rows || !a.col_major() || a.col_stride >= far_apart<T>) {
    pack_panel(a, packed);
  } else if constexpr (std::is_same_v<A, T>) {
    panel_a = a.data;
    lda = a.col_stride;
  }
  for (std::ptrdiff_t j = range.first; j < range.end; j += tile_cols) {
    const std::ptrdiff_t width = (std::min)(tile_cols, range.end - j);
    const T* const columns = b.data + j / tile_cols * tile_stride;
    if (!levels && c.rows == rows) {
      narrow_tile<terms, T>(width, a.cols, alpha, panel_a, lda, columns, b.row_stride, b.col_stride,
                            c.data + j * c.col_stride, c.col_stride);
    } else {
      T edge[std::size_t(rows * tile_cols)] = {};
      narrow_tile<terms, T>(width, a.cols, alpha, panel_a, lda, columns, b.row_stride, b.col_stride, edge, rows);
      for (std::ptrdiff_t l = 0; l < width; ++l) {
        T* const column = c.data + (j + l) * c.col_stride;
        for (std::ptrdiff_t i = 0; i < c.rows; ++i) column[i] += edge[l * rows + i];
      }
    }
  }
}

}  // namespace kernel

/// What of a product is computed: all of it, or the tiles that reach the lower or the upper triangle.
enum class Part { all, lower, upper };

/// Part of a host matrix.
template <class T>
HostMatrix<T> block(const HostMatrix<T>& a, std::ptrdiff_t row, std::ptrdiff_t col, std::ptrdiff_t rows,
                    std::ptrdiff_t cols) {
  return {a.data + row * a.row_stride + col * a.col_stride, rows, cols, a.row_stride, a.col_stride};
}

namespace kernel {

/// B, tile by tile of its columns, each tile row by row; the last tile filled with zeros.
template <class B, class T>
void pack_tiles(const HostMatrix<const B>& b, T* packed) {
  for (std::ptrdiff_t j = 0; j < b.cols; j += tile_cols) {
    const std::ptrdiff_t width = (std::min)(tile_cols, b.cols - j);
    for (std::ptrdiff_t l = 0; l < b.rows; ++l, packed += tile_cols) {
      for (std::ptrdiff_t c = 0; c < tile_cols; ++c) packed[c] = c < width ? T(b(l, j + c)) : T(0);
    }
  }
}

/// Whether panels() copies blocks of B. Rows of B that are far apart are: each would need a page of its own. So is B of
/// another type than C, which the copy converts.
template <class A, class T>
bool packs(const HostMatrix<const A>& b, const HostMatrix<T>& c) {
  return !std::is_same_v<A, T> || (b.row_stride >= far_apart<T> / 4 && c.rows > 2 * tile_rows<T>);
}

/// Memory of the calling thread for a copy of a block of B, made at the first use and kept: a quarter of a megabyte,
/// which a thread's stack may not have.
template <class T>
T* packing_memory() {
  struct Block {
    alignas(64) T numbers[depth<T> * block_cols<T>];
  };
  thread_local const std::unique_ptr<Block> memory(new Block);
  return memory->numbers;
}

/// The columns of C that a panel computes whose first row is `row` of C.
template <class T>
ColumnRange columns_of(Part part, std::ptrdiff_t row, std::ptrdiff_t cols) {
  if (part == Part::lower) return {0, std::clamp<std::ptrdiff_t>(row + tile_rows<T>, 0, cols)};
  if (part == Part::upper) return {std::clamp<std::ptrdiff_t>(row, 0, cols) / tile_cols * tile_cols, cols};
  return {0, cols};
}

/// C += alpha·A B for a block of B: the panels of A one after the other. `packed`: null, or memory for a copy of B in
/// whole tiles. The first column of C is `column` of the whole product.
template <bool levels, class A, class T>
void panels(T alpha, const HostMatrix<const A>& a, const HostMatrix<const A>& b, const HostMatrix<T>& c, T* packed,
            Part part, std::ptrdiff_t column) {
  constexpr std::ptrdiff_t rows = tile_rows<T>;
  HostMatrix<const T> read{packed, b.rows, b.cols, tile_cols, 1};
  if (packed != nullptr) {
    pack_tiles(b, packed);
  } else if constexpr (std::is_same_v<A, T>) {
    read = b;
  }
  const std::ptrdiff_t tile_stride = packed != nullptr ? tile_cols * b.rows : tile_cols * b.col_stride;
  for (std::ptrdiff_t i = 0; i < c.rows; i += rows) {
    const std::ptrdiff_t m = (std::min)(rows, c.rows - i);
    const ColumnRange range = columns_of<T>(part, i - column, c.cols);
    if (range.first >= range.end) continue;
    panel<levels>(alpha, block(a, i, 0, m, a.cols), read, tile_stride, block(c, i, 0, m, c.cols), range);
  }
}

}  // namespace kernel

/// C += alpha·A B on one thread, in the precision of C, `levels` as above. @pre C's rows or columns are contiguous; A
/// and B may have any strides.
template <bool levels = false, class A, class T>
[[gnu::noinline]] void kernel_gemm(T alpha, const HostMatrix<const A>& a, const HostMatrix<const A>& b,
                                   const HostMatrix<T>& c, Part part = Part::all) {
  if (!c.col_major()) {
    const Part flipped = part == Part::all ? part : part == Part::lower ? Part::upper : Part::lower;
    return kernel_gemm<levels>(alpha, transpose(b), transpose(a), transpose(c), flipped);
  }
  constexpr std::ptrdiff_t depth = kernel::depth<T>, width = kernel::block_cols<T>;
  T* const packed = kernel::packs(b, c) ? kernel::packing_memory<T>() : nullptr;
  for (std::ptrdiff_t j = 0; j < c.cols; j += width) {
    const std::ptrdiff_t n = (std::min)(width, c.cols - j);
    for (std::ptrdiff_t l = 0; l < a.cols; l += depth) {
      const std::ptrdiff_t k = (std::min)(depth, a.cols - l);
      kernel::panels<levels>(alpha, block(a, 0, l, a.rows, k), block(b, l, j, k, n), block(c, 0, j, c.rows, n), packed,
                             part, j);
    }
  }
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE

#undef SCHATTEN_UNROLL
