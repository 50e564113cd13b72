// SPDX-License-Identifier: BSD-3-Clause
// What loops over the elements of a window of matrices read and write: sources, state arrays, sinks.
//
// A source has pointer and load for a host's chunks of elements, a sink begin, store, end and skip. On a device both
// have functions of a thread's groups of elements (core/element_group.hpp).
#pragma once

#include <schatten/core/atomic.hpp>
#include <schatten/core/element_group.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/optim/rates.hpp>
#include <schatten/optim/records.hpp>
#include <schatten/optim/state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace schatten::optim {

/// Number of elements that are copied to local arrays at a time.
inline constexpr std::size_t chunk = 128;
/// Number of elements of a matrix that a thread works on at a time.
inline constexpr std::size_t block_elements = std::size_t{1} << 14;

/// The bits of |x|. Their order is that of the numbers.
template <Scalar T>
using MagnitudeBits = decltype(linalg::detail::magnitude_bits(T(0)));

/// The largest of `bits` and the bits of a chunk; a chunk that is not full repeats its last number.
template <std::size_t length = chunk, Scalar T>
KOKKOS_FORCEINLINE_FUNCTION MagnitudeBits<T> largest_bits(const T* numbers, MagnitudeBits<T> bits) {
  for (std::size_t c = 0; c < length; ++c) {
    const MagnitudeBits<T> size = linalg::detail::magnitude_bits(numbers[c]);
    bits = size > bits ? size : bits;
  }
  return bits;
}

/// A state array of a window's matrices, for kernels.
struct SlotMemory {
  char* data = nullptr;  ///< of the first matrix; null: no array is kept, its elements are zero
  ElementType type = ElementType::float32;
  std::size_t cols = 0, matrix_bytes = 0;
  std::size_t rows_each =
      0;  ///< 0: one element per element of the matrix; else one read-only number per this many rows
  [[nodiscard]] KOKKOS_FUNCTION TypedMatrix matrix(std::size_t k) const {
    return {data + k * matrix_bytes, cols, 1, type};
  }
};

/// Returns the arrays of `array` from matrix `first` on.
template <class Exec>
SlotMemory slot_memory(const StateArray<Exec>& array, std::size_t first) {
  if (array.memory.size() == 0) return {};
  return {array.data(first), array.type, array.cols, array.matrix_bytes()};
}

/// Reads the weights, or the copies of them in T.
template <Scalar T, class Space>
struct WeightReader {
  Records<Space> records;
  SlotMemory master;  ///< none: the weights themselves
  [[nodiscard]] KOKKOS_FUNCTION TypedMatrix matrix(std::size_t k) const {
    return master.data != nullptr ? master.matrix(k) : records(k).weight;
  }
  KOKKOS_FUNCTION T operator()(std::size_t k, std::size_t i, std::size_t j) const {
    return load_element<T>(matrix(k), i, j);
  }
};

/// Reads the gradients, or with coupled decay g + decay·W.
template <Scalar T, class Space>
struct GradientSource {
  Records<Space> records;
  WeightReader<T, Space> weights{};
  StepRates rates{};  ///< all zero: no decay
  GroupedArrays grouped{};
  /// Whether the gradients may have a decay. The host may call it for rates in memory of a device.
  [[nodiscard]] bool couples() const { return rates.memory != nullptr || rates.host.coupled != 0; }
  /// Pointer to the elements if they are contiguous, else null.
  [[nodiscard]] const T* pointer(std::size_t k, std::size_t cols, std::size_t first, std::size_t count) const {
    return couples() ? nullptr : contiguous_elements<T>(records(k).gradient, cols, first, count);
  }
  void load(std::size_t k, std::size_t cols, std::size_t first, std::size_t count, T* to) const {
    load_elements<T>(records(k).gradient, cols, first, count, to);
    const double decay = rates.host.coupled;
    if (decay == 0) return;
    T weight[chunk];
    load_elements<T>(weights.matrix(k), cols, first, count, weight);
    const T share = T(decay * records(k).decay);
    for (std::size_t c = 0; c < count; ++c) to[c] += share * weight[c];
  }
  /// Device: what a thread reads once for the groups of matrix k.
  struct OfThread {
    const MatrixRecord* record;
    GroupedMatrix gradient;
    T share;
    bool couples;
  };
  /// Device: whether all elements can be read in groups. size: elements of a matrix.
  [[nodiscard]] bool can_group(std::size_t) const {
    return grouped.gradients && (!couples() || grouped.weights || weights.master.data != nullptr);
  }
  KOKKOS_FORCEINLINE_FUNCTION OfThread begin(std::size_t k) const {
    const MatrixRecord& record = records(k);
    const double decay = rates.coupled();
    return {&record, GroupedMatrix(record.gradient), T(decay * record.decay), decay != 0};
  }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void load_group(const OfThread& its, std::size_t k, const GroupPlace<count>& place,
                                              T* to) const {
    schatten::load_group<T>(its.gradient, its.record->gradient, place, to);
    if (!its.couples) return;
    T weight[count];
    const TypedMatrix matrix = weights.matrix(k);
    schatten::load_group<T>(GroupedMatrix(matrix), matrix, place, weight);
    for (std::size_t c = 0; c < count; ++c) to[c] += its.share * weight[c];
  }
  KOKKOS_FUNCTION T element(std::size_t k, std::size_t i, std::size_t j) const {
    const T g = load_element<T>(records(k).gradient, i, j);
    const double decay = rates.coupled();
    return decay != 0 ? g + T(decay * records(k).decay) * weights(k, i, j) : g;
  }
};

/// Whether the matrices of a batch, each of `size` contiguous elements, can be read and written in groups.
template <class Batch>
bool can_group_batch(const Batch& batch, std::size_t size) {
  return size % group_size == 0 && batch.stride(0) % group_size == 0 &&
         reinterpret_cast<std::uintptr_t>(batch.data()) % 16 == 0;
}

/// Reads a batch that is row-major and contiguous.
template <Scalar T, class Space>
struct BatchSource {
  BatchView<const T, Space> batch;
  [[nodiscard]] const T* pointer(std::size_t k, std::size_t, std::size_t first, std::size_t) const {
    return batch.data() + k * batch.stride(0) + first;
  }
  void load(std::size_t k, std::size_t cols, std::size_t first, std::size_t count, T* to) const {
    std::copy_n(pointer(k, cols, first, count), count, to);
  }
  /// Device: what a thread reads once for the groups of matrix k.
  struct OfThread {
    const T* data;
  };
  [[nodiscard]] bool can_group(std::size_t size) const { return can_group_batch(batch, size); }
  KOKKOS_FORCEINLINE_FUNCTION OfThread begin(std::size_t k) const { return {batch.data() + k * batch.stride(0)}; }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void load_group(const OfThread& its, std::size_t, const GroupPlace<count>& place,
                                              T* to) const {
    const TypedMatrix matrix = contiguous_matrix(its.data, place.cols);
    schatten::load_group<T>(GroupedMatrix(matrix), matrix, place, to);
  }
};

/// Writes the direction to `out`, row-major and contiguous; zeros for a skipped matrix. largest(k): the bits of max
/// |direction|; empty: not computed.
template <Scalar T, class Space>
struct StoreSink {
  BatchView<T, Space> out;
  NumberBatchView<MagnitudeBits<T>, Space> largest;

  struct Block {
    MagnitudeBits<T> largest = 0;
  };
  [[nodiscard]] Block begin(std::size_t) const { return {}; }
  void store(Block& block, std::size_t k, std::size_t, std::size_t first, std::size_t count, const T* direction) const {
    T* const to = out.data() + k * out.stride(0) + first;
    block.largest = largest_bits(direction, block.largest);
    for (std::size_t c = 0; c < count; ++c) to[c] = direction[c];
  }
  void end(const Block& block, std::size_t k) const {
    if (largest.extent(0) > 0) atomic_raise(&largest(k), block.largest);
  }
  void skip(std::size_t k, std::size_t first, std::size_t count) const {
    T* const to = out.data() + k * out.stride(0) + first;
    for (std::size_t c = 0; c < count; ++c) to[c] = T(0);
  }
  /// Device: as begin, store, end and skip, for groups of elements.
  struct OfThread {
    T* data;
    Block block{};
  };
  [[nodiscard]] bool can_group(std::size_t size) const { return can_group_batch(out, size); }
  KOKKOS_FORCEINLINE_FUNCTION OfThread begin_thread(std::size_t k) const { return {out.data() + k * out.stride(0)}; }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void load_group(const OfThread&, std::size_t, const GroupPlace<count>&, T*) const {}
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void store_group(OfThread& its, std::size_t, const GroupPlace<count>& place,
                                               const T* direction, T*) const {
    its.block.largest = largest_bits<count>(direction, its.block.largest);
    const TypedMatrix matrix = contiguous_matrix(its.data, place.cols);
    schatten::store_group<T, Reuse::soon>(GroupedMatrix(matrix), matrix, place, direction);
  }
  KOKKOS_FORCEINLINE_FUNCTION void end_thread(const OfThread& its, std::size_t k) const {
    if (largest.extent(0) > 0) atomic_raise_together(&largest(k), its.block.largest);
  }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void skip_group(OfThread& its, std::size_t k, const GroupPlace<count>& place) const {
    const T zeros[count] = {};
    store_group(its, k, place, zeros, nullptr);
  }
};

/// Discards the direction, for functors that only change the state.
template <Scalar T>
struct DropSink {
  struct Block {};
  [[nodiscard]] Block begin(std::size_t) const { return {}; }
  void store(Block, std::size_t, std::size_t, std::size_t, std::size_t, const T*) const {}
  void end(Block, std::size_t) const {}
  void skip(std::size_t, std::size_t, std::size_t) const {}
  struct OfThread {};
  [[nodiscard]] bool can_group(std::size_t) const { return true; }
  KOKKOS_FUNCTION OfThread begin_thread(std::size_t) const { return {}; }
  template <std::size_t count>
  KOKKOS_FUNCTION void load_group(OfThread, std::size_t, const GroupPlace<count>&, T*) const {}
  template <std::size_t count>
  KOKKOS_FUNCTION void store_group(OfThread, std::size_t, const GroupPlace<count>&, const T*, T*) const {}
  KOKKOS_FUNCTION void end_thread(OfThread, std::size_t) const {}
  template <std::size_t count>
  KOKKOS_FUNCTION void skip_group(OfThread, std::size_t, const GroupPlace<count>&) const {}
};

}  // namespace schatten::optim
