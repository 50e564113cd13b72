// SPDX-License-Identifier: BSD-3-Clause
// Weights and state arrays as bytes on the host: as they are stored, in the user's rows and columns, row-major.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/optim/state_access.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace schatten::optim {

namespace detail {

/// Copies row i of matrix b of `from` to `to`, bit by bit. Both have elements of the size of `Bits`.
template <class Bits>
struct MoveRow {
  TypedBatch from, to;
  KOKKOS_FUNCTION static bool is_contiguous(const TypedMatrix& m) { return m.nested.inner == 0 && m.col_stride == 1; }
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t i) const {
    const TypedMatrix source = from.matrix(b), target = to.matrix(b);
    const auto* const x = static_cast<const Bits*>(source.data);
    auto* const y = static_cast<Bits*>(target.data);
    if (is_contiguous(source) && is_contiguous(target)) {
      const Bits* const row = x + source.at(i, 0);
      Bits* const to_row = y + target.at(i, 0);
      team.for_each(to.cols, [=](std::size_t j) { to_row[j] = row[j]; });
    } else {
      team.for_each(to.cols, [=](std::size_t j) { y[target.at(i, j)] = x[source.at(i, j)]; });
    }
  }
};

/// Calls use(Bits()) with the unsigned type of an element's size.
template <class Use>
void with_bits(ElementType type, const Use& use) {
  switch (size_of(type)) {
    case 2: return use(std::uint16_t());
    case 4: return use(std::uint32_t());
    default: return use(std::uint64_t());
  }
}

/// Returns a View of bytes in the program's memory on the host.
inline auto host_bytes(const char* bytes, std::size_t count) {
  return NumberBatchView<const char, Kokkos::HostSpace>(bytes, count);
}
inline auto host_bytes(char* bytes, std::size_t count) {
  return NumberBatchView<char, Kokkos::HostSpace>(bytes, count);
}

/// Returns a contiguous array at `data` with the shape and the blocks of the parameter's weight and the order of
/// indices of the user's View.
inline TypedBatch packed_like(const Parameter& p, const void* data) {
  const TypedBatch& w = p.weight;
  const bool side_by_side = p.options.column_blocks > 1, take_turns = p.options.interleaved;
  const std::size_t width = side_by_side ? w.cols * w.blocks : w.cols;  // of a row of the View
  TypedBatch packed{.data = data, .type = w.type, .batch = w.batch, .rows = w.rows, .cols = w.cols};
  packed.blocks = w.blocks;
  packed.batch_stride = w.blocks * w.rows * w.cols;
  packed.row_stride = take_turns ? width * w.blocks : width;
  packed.col_stride = 1;
  packed.block_stride = side_by_side ? w.cols : take_turns ? width : w.rows * width;
  return packed;
}

/// Allocates memory for the packed weight in the weight's memory space.
template <ExecutionSpace Exec>
struct Packed {
  Kokkos::View<char*, Kokkos::LayoutRight, typename Exec::device_type> memory;
  TypedBatch batch;
  explicit Packed(const Parameter& p)
      : memory(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::weight"),
               p.weight.size() * size_of(p.weight.type)),
        batch(packed_like(p, memory.data())) {}
};

/// Copies `from` to `to`. @pre shapes and types are equal.
template <ExecutionSpace Exec>
void move_bits(const Exec& exec, const TypedBatch& from, const TypedBatch& to) {
  with_bits(to.type, [&]<class Bits>(Bits) {
    for_each_row_by_team(exec, "schatten::weight", to.batch, to.rows, MoveRow<Bits>{from, to});
  });
}

/// Copies the bytes of a parameter's matrices between an array's memory and the user's rows and columns. These differ
/// if the bucket has the transposes.
template <ExecutionSpace Exec>
void turn_bytes(const StateArray<Exec>& array, const Parameter& p, const char* from, char* to, bool to_user) {
  const std::size_t size = size_of(array.type), bytes = array.matrix_bytes();
  const bool turned = p.transposed && array.slot.extent == Extent::matrix;
  if (!turned) return void(std::memcpy(to, from, p.matrices() * bytes));
  const std::size_t rows = to_user ? array.rows : array.cols, cols = to_user ? array.cols : array.rows;
  for (std::size_t b = 0; b < p.matrices(); ++b, from += bytes, to += bytes) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j)
        std::memcpy(to + (j * rows + i) * size, from + (i * cols + j) * size, size);
    }
  }
}

}  // namespace detail

/// Copies the parameter's weight to `to`. Fences `exec`.
template <ExecutionSpace Exec>
void read_weight_bytes(const Exec& exec, const Parameter& p, char* to) {
  const detail::Packed<Exec> packed(p);
  if (packed.memory.size() == 0) return;
  detail::move_bits(exec, p.weight, packed.batch);
  Kokkos::deep_copy(exec, detail::host_bytes(to, packed.memory.size()), packed.memory);
  exec.fence();  // fences: documented
}

/// Copies `from` to the parameter's weight. Fences `exec`.
template <ExecutionSpace Exec>
void write_weight_bytes(const Exec& exec, const Parameter& p, const char* from) {
  const detail::Packed<Exec> packed(p);
  if (packed.memory.size() == 0) return;
  Kokkos::deep_copy(exec, packed.memory, detail::host_bytes(from, packed.memory.size()));
  detail::move_bits(exec, packed.batch, p.weight);
  exec.fence();  // fences: documented
}

/// Copies the parameter's matrices of a state array to `to`. Fences `exec`.
template <ExecutionSpace Exec>
void read_state_bytes(const Exec& exec, const StateArray<Exec>& array, const Parameter& p, char* to) {
  const auto host = copy_to_host(exec, parameter_bytes(array, p));  // fences: documented
  detail::turn_bytes(array, p, host.data(), to, true);
}

/// Copies `from` to the parameter's matrices of a state array. Fences `exec`.
template <ExecutionSpace Exec>
void write_state_bytes(const Exec& exec, const StateArray<Exec>& array, const Parameter& p, const char* from) {
  const auto bytes = parameter_bytes(array, p);
  const Kokkos::View<char*, Kokkos::LayoutRight, Kokkos::HostSpace> host(
      Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::state"), bytes.extent(0));
  detail::turn_bytes(array, p, from, host.data(), false);
  Kokkos::deep_copy(exec, bytes, host);
  exec.fence();  // fences: documented
}

}  // namespace schatten::optim
