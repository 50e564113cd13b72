// SPDX-License-Identifier: BSD-3-Clause
// Loops and copies along the contiguous index of batches of any strides and element types.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/views.hpp>

#include <string_view>

namespace schatten {

namespace detail {

template <class T, class U, class Space>
struct CopyElement {
  BatchView<const T, Space> from;
  BatchView<U, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const { to(b, i, j) = U(from(b, i, j)); }
};

/// to ← factor_b·from. `to` may be `from`.
template <class T, class U, class Space>
struct ScaleElement {
  NumberBatchView<double, Space> factor;
  BatchView<const T, Space> from;
  BatchView<U, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    to(b, i, j) = U(factor(b) * double(from(b, i, j)));
  }
};

/// to ← from in square tiles, where the rows of `to` and the columns of `from` are contiguous. Neighbouring threads
/// read and write neighbouring numbers; the tile is turned in shared memory.
template <class T, class U, class Space>
struct CopyTurnedTile {
  static constexpr std::size_t tile = 32, padded = tile + 1;  // columns of a tile are in different banks
  static constexpr std::size_t team_bytes = tile * padded * sizeof(T);
  BatchView<const T, Space> from;
  BatchView<U, Space> to;

  /// Tile `number` of matrix b, counted along the rows of tiles.
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t number) const {
    const std::size_t across = tiles(to.extent(2)), row = number / across * tile, col = number % across * tile;
    const std::size_t rows = least(tile, to.extent(1) - row), cols = least(tile, to.extent(2) - col);
    T* const turned = team.template shared<T>(tile * padded);
    team.for_each(tile * tile, [&](std::size_t e) {
      const std::size_t i = e % tile, j = e / tile;
      if (i < rows && j < cols) turned[i * padded + j] = from(b, row + i, col + j);
    });
    team.for_each(tile * tile, [&](std::size_t e) {
      const std::size_t i = e / tile, j = e % tile;
      if (i < rows && j < cols) to(b, row + i, col + j) = U(turned[i * padded + j]);
    });
  }

  /// Returns the number of tiles along an extent.
  KOKKOS_FUNCTION static constexpr std::size_t tiles(std::size_t extent) { return (extent + tile - 1) / tile; }
  KOKKOS_FUNCTION static constexpr std::size_t least(std::size_t a, std::size_t b) { return a < b ? a : b; }
};

}  // namespace detail

/// Calls for_each_element along the contiguous index of `leader`, with the body that make(oriented) returns.
/// oriented(view) is the transpose of the view if the leader's columns are contiguous, otherwise the view itself.
template <ExecutionSpace Exec, class T, class Space, class Make>
void for_each_element_along(const Exec& exec, std::string_view label, const BatchView<T, Space>& leader,
                            const Make& make) {
  const bool turned = leader.stride(1) < leader.stride(2);
  const auto turn = [turned](const auto& view) { return turned ? transpose(view) : view; };
  const auto turned_leader = turn(leader);
  for_each_element(exec, label, turned_leader.extent(0), turned_leader.extent(1), turned_leader.extent(2), make(turn));
}

/// to ← from, rounded to the nearest U. @pre equal extents; no element is shared. Asynchronous on `exec`. One pass,
/// along the contiguous index of `to`; on a device in tiles if that of `from` is another.
template <ExecutionSpace Exec, class T, class U, class Space>
void copy_elements(const Exec& exec, std::string_view label, const BatchView<const T, Space>& from,
                   const BatchView<U, Space>& to) {
  if constexpr (loops_as_on_device<Exec>) {
    if (to.stride(1) < to.stride(2)) return copy_elements(exec, label, transpose(from), transpose(to));
    if (from.stride(1) < from.stride(2)) {
      using Tile = detail::CopyTurnedTile<T, U, Space>;
      return for_each_row_by_team(exec, label, to.extent(0), Tile::tiles(to.extent(1)) * Tile::tiles(to.extent(2)),
                                  Tile{from, to});
    }
  }
  for_each_element_along(exec, label, to, [&](const auto& turn) {
    return detail::CopyElement<T, U, Space>{turn(from), turn(to)};
  });
}

/// to_b ← factor(b)·from_b, computed in double and rounded once to U. `from` and `to` may be the same matrices.
/// @pre equal extents; one factor a matrix. Asynchronous on `exec`. One pass, along the contiguous index of `to`.
template <ExecutionSpace Exec, class T, class U, class Space>
void scale_elements(const Exec& exec, std::string_view label, const NumberBatchView<double, Space>& factor,
                    const BatchView<const T, Space>& from, const BatchView<U, Space>& to) {
  for_each_element_along(exec, label, to, [&](const auto& turn) {
    return detail::ScaleElement<T, U, Space>{factor, turn(from), turn(to)};
  });
}

/// to_i ← from_i.
template <class T>
struct CopyNumber {
  const T* from;
  T* to;
  KOKKOS_FUNCTION void operator()(std::size_t i) const { to[i] = from[i]; }
};

/// to ← from, n numbers.
template <ExecutionSpace Exec, class T>
void copy_range(const Exec& exec, std::string_view label, const T* from, T* to, std::size_t n) {
  for_each_index(exec, label, n, CopyNumber<T>{from, to});
}

}  // namespace schatten
