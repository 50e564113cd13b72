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

/// to(b, i, j) ← from(b, i, j), bit by bit. Both are `Bits`.
template <class Bits, class Space>
struct MoveBits {
  BatchView<const Bits, Space> from;
  BatchView<Bits, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const { to(b, i, j) = from(b, i, j); }
};

/// use(Bits()) with the unsigned type of an element's size.
template <class Use>
void with_bits(ElementType type, const Use& use) {
  switch (size_of(type)) {
    case 2: return use(std::uint16_t());
    case 4: return use(std::uint32_t());
    default: return use(std::uint64_t());
  }
}

template <class Bits, class Space>
BatchView<Bits, Space> bits_of(const TypedBatch& a) {
  auto* const data = static_cast<Bits*>(const_cast<void*>(a.data));
  return batch_view<Space>(data, a.batch, a.rows, a.cols, a.batch_stride, a.row_stride, a.col_stride);
}

/// Bytes on the host that a program has.
inline auto host_bytes(const char* bytes, std::size_t count) {
  return NumberBatchView<const char, Kokkos::HostSpace>(bytes, count);
}
inline auto host_bytes(char* bytes, std::size_t count) {
  return NumberBatchView<char, Kokkos::HostSpace>(bytes, count);
}

/// A contiguous array like the parameter's weight, in the weight's memory space.
template <ExecutionSpace Exec>
struct Packed {
  Kokkos::View<char*, Kokkos::LayoutRight, typename Exec::device_type> memory;
  TypedBatch batch;
  explicit Packed(const TypedBatch& like)
      : memory(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::weight"), like.size() * size_of(like.type)),
        batch{memory.data(), like.type, like.batch, like.rows, like.cols, like.rows * like.cols, like.cols, 1} {}
};

/// to ← from, of equal shapes and types.
template <ExecutionSpace Exec>
void move_bits(const Exec& exec, const TypedBatch& from, const TypedBatch& to) {
  using Space = typename Exec::memory_space;
  with_bits(to.type, [&]<class Bits>(Bits) {
    for_each_element(exec, "schatten::weight", to.batch, to.rows, to.cols,
                     MoveBits<Bits, Space>{bits_of<const Bits, Space>(from), bits_of<Bits, Space>(to)});
  });
}

/// The bytes of a parameter's matrices between an array's memory and the user's rows and columns; they differ where the
/// bucket has the transposes.
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

/// The parameter's weight into `to`. Fences `exec`.
template <ExecutionSpace Exec>
void read_weight_bytes(const Exec& exec, const Parameter& p, char* to) {
  const detail::Packed<Exec> packed(p.weight);
  if (packed.memory.size() == 0) return;
  detail::move_bits(exec, p.weight, packed.batch);
  Kokkos::deep_copy(exec, detail::host_bytes(to, packed.memory.size()), packed.memory);
  exec.fence();  // fences: documented
}

/// The other way round. Fences `exec`.
template <ExecutionSpace Exec>
void write_weight_bytes(const Exec& exec, const Parameter& p, const char* from) {
  const detail::Packed<Exec> packed(p.weight);
  if (packed.memory.size() == 0) return;
  Kokkos::deep_copy(exec, packed.memory, detail::host_bytes(from, packed.memory.size()));
  detail::move_bits(exec, packed.batch, p.weight);
  exec.fence();  // fences: documented
}

/// The parameter's matrices of a state array into `to`. Fences `exec`.
template <ExecutionSpace Exec>
void read_state_bytes(const Exec& exec, const StateArray<Exec>& array, const Parameter& p, char* to) {
  const auto host = copy_to_host(exec, parameter_bytes(array, p));  // fences: documented
  detail::turn_bytes(array, p, host.data(), to, true);
}

/// The other way round. Fences `exec`.
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
