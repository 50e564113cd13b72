// SPDX-License-Identifier: BSD-3-Clause
// The loop over the elements of a window of matrices. It reads a source, reads and writes state arrays, calls a functor
// of the rule for each element, and passes the result, an element of the direction, to a sink (element_arrays.hpp).
//
// The functor is f(x, s₁, s₂, …) → direction, with x the source's element and s_k references to the state's. On the
// host a thread works on blocks of elements, in chunks that it copies to local arrays. So the functor's loop always
// runs over contiguous numbers of the Optimizer's scalar type and can be vectorized. On a device a thread works on four
// consecutive elements at a time, with one access to each array, if all arrays of the loop are contiguous and aligned
// (core/element_group.hpp), otherwise on one.
#pragma once

#include <schatten/core/atomic.hpp>
#include <schatten/core/element_group.hpp>
#include <schatten/core/parallel.hpp>
#include <schatten/optim/element_arrays.hpp>
#include <schatten/optim/skip.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace schatten::optim {

/// x ↦ x.
struct Same {
  template <class T>
  KOKKOS_FUNCTION T operator()(T x) const {
    return x;
  }
};

/// out_k ← f(in_k, s_k, …) for the elements of a chunk, by f.run if f has it. @pre no two of the arrays overlap.
template <class F, Scalar T, class... States>
void run_chunk(const F& f, const T* KOKKOS_RESTRICT in, T* KOKKOS_RESTRICT out, States* KOKKOS_RESTRICT... state) {
  if constexpr (requires { f.template run<chunk>(in, out, state...); }) {
    f.template run<chunk>(in, out, state...);
  } else {
    for (std::size_t c = 0; c < chunk; ++c) out[c] = f(in[c], state[c]...);
  }
}

/// The same functor for every matrix.
template <class F>
struct OneFunctor {
  F functor;
  KOKKOS_FUNCTION F operator()(std::size_t) const { return functor; }
};

/// Calls f with copies of the state, so that its changes are discarded.
template <class F>
struct OnCopies {
  F f;
  template <class T, class... States>
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T x, States... states) const {
    return f(x, states...);
  }
};

/// k ↦ maker(k), called with copies of the state.
template <class Maker>
struct MakeOnCopies {
  Maker maker;
  KOKKOS_FUNCTION auto operator()(std::size_t k) const { return OnCopies<decltype(maker(k))>{maker(k)}; }
};

/// k ↦ rule.element<T>(t), where t is the number of matrix k's present step, counted from 1 without skipped steps. With
/// `prepared`, one number per matrix, rule.element<T>(t, prepared(k)).
template <Scalar T, class Space, class Rule>
struct FunctorOfStep {
  Rule rule;
  NumberBatchView<MatrixCounts, Space> counts;
  Records<Space> records;
  NumberBatchView<const double, Space> prepared{};
  KOKKOS_FUNCTION auto operator()(std::size_t k) const {
    const double step = double(counts(records(k).number).applied + 1);
    if constexpr (requires { rule.template element<T>(step, step); }) {
      return rule.template element<T>(step, prepared(k));
    } else {
      return rule.template element<T>(step);
    }
  }
};

/// Functors that an earlier kernel has stored, one per matrix.
template <class F, class Space>
struct StoredFunctor {
  NumberBatchView<const F, Space> stored;
  KOKKOS_FUNCTION F operator()(std::size_t k) const { return stored(k); }
};

/// stored(k) ← maker(k).
template <class F, class Space, class Maker>
struct StoreFunctor {
  Maker maker;
  NumberBatchView<F, Space> stored;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { stored(k) = maker(k); }
};
/// The loop over the matrices of a window, as a functor.
template <Scalar T, class Space, class Source, class Maker, class Sink, std::size_t slots>
struct ElementLoop {
  Source source;
  Maker maker;
  Sink sink;
  FiniteFlags<Space> finite;
  std::size_t rows, cols;
  NumberBatchView<MagnitudeBits<T>, Space> largest{};  ///< (k) ← the bits of the largest |s₁|; empty: not computed
  std::size_t blocks = 0, first = 0;                   ///< blocks of a matrix; the first matrix of the loop
  std::size_t block = block_elements;                  ///< elements of a block
  SlotMemory slot[slots == 0 ? 1 : slots] = {};

  /// Host: block task % blocks of matrix first + task / blocks.
  void operator()(std::size_t task) const {
    const std::size_t k = first + task / blocks, size = rows * cols;
    const std::size_t begin = (task % blocks) * block, end = (std::min)(begin + block, size);
    if (finite(k)) {
      run_block(k, begin, end, std::make_index_sequence<slots>());
    } else {
      sink.skip(k, begin, end - begin);
    }
  }

  /// Device: whether source, sink and slots can be read and written in groups.
  [[nodiscard]] bool can_group() const {
    const std::size_t size = rows * cols;
    bool all = size % group_size == 0 && source.can_group(size) && sink.can_group(size);
    for (std::size_t s = 0; s < slots; ++s) {
      const bool shared = slot[s].data != nullptr && slot[s].rows_each > 0;
      all = all && (shared ? cols % group_size == 0 : reinterpret_cast<std::uintptr_t>(slot[s].data) % 16 == 0);
    }
    return all;
  }
  /// Device: a thread's elements of matrix first + k.
  template <std::size_t count>
  KOKKOS_FUNCTION void operator()(std::size_t k, const ElementsOfThread<count>& elements) const {
    k += first;
    if (finite(k)) {
      run_groups(k, elements, std::make_index_sequence<slots>());
    } else {
      auto to = sink.begin_thread(k);
      elements.for_each([&](std::size_t at) { sink.skip_group(to, k, GroupPlace<count>{at, cols}); });
    }
  }

  /// The value of functor, maker(k), at element (i, j) of matrix k. Does not change the state.
  template <class F>
  KOKKOS_FUNCTION T value(const F& functor, std::size_t k, std::size_t i, std::size_t j) const {
    return evaluate(functor, k, i, j, std::make_index_sequence<slots>());
  }

 private:
  template <std::size_t... s>
  void run_block(std::size_t k, std::size_t begin, std::size_t end, std::index_sequence<s...>) const {
    T copy_in[chunk], out[chunk];
    [[maybe_unused]] T copies[slots == 0 ? 1 : slots][chunk];
    const auto functor = maker(k);
    auto taken = sink.begin(k);
    MagnitudeBits<T> size = 0;
    for (std::size_t at = begin; at < end; at += chunk) {
      const std::size_t count = (std::min)(chunk, end - at);
      // In place if the numbers are contiguous and fill the chunk, else through copies.
      const T* in = count == chunk ? source.pointer(k, cols, at, chunk) : nullptr;
      if (in == nullptr) {
        source.load(k, cols, at, count, copy_in);
        repeat_last(copy_in, count);
        in = copy_in;
      }
      T* const state[slots == 0 ? 1 : slots] = {load_slot(slot[s], k, at, count, copies[s])...};
      run_chunk(functor, in, out, state[s]...);
      if (slots > 0 && largest.extent(0) > 0) size = largest_bits(state[0], size);
      (store_slot(slot[s], k, at, count, copies[s], state[s]), ...);
      sink.store(taken, k, cols, at, count, out);
    }
    sink.end(taken, k);
    if (largest.extent(0) > 0) atomic_raise(&largest(k), size);
  }

  /// Fills the chunk beyond `count` with its last number. The loop always runs over the whole chunk; with this number
  /// it raises no floating-point exception that the other numbers do not raise.
  static void repeat_last(T* numbers, std::size_t count) {
    for (std::size_t c = count; c < chunk; ++c) numbers[c] = numbers[count - 1];
  }
  /// Returns the pointer at which the slot's elements are read and written: in place, or `copy`.
  T* load_slot(const SlotMemory& memory, std::size_t k, std::size_t at, std::size_t count, T* copy) const {
    if (memory.data == nullptr) return std::fill_n(copy, chunk, T(0)) - chunk;
    const TypedMatrix matrix = memory.matrix(k);
    if (memory.rows_each > 0) {
      load_shared(matrix, memory.rows_each, at, count, copy);
      repeat_last(copy, count);
      return copy;
    }
    T* const in_place = count == chunk ? contiguous_elements<T>(matrix, memory.cols, at, chunk) : nullptr;
    if (in_place != nullptr) return in_place;
    load_elements<T>(matrix, memory.cols, at, count, copy);
    repeat_last(copy, count);
    return copy;
  }
  /// Loads the number of each element's row.
  void load_shared(const TypedMatrix& numbers, std::size_t rows_each, std::size_t at, std::size_t count,
                   T* copy) const {
    std::size_t row = at / cols, next = (row + 1) * cols - at;
    for (std::size_t done = 0; done < count; next = cols, ++row) {
      const std::size_t length = (std::min)(next, count - done);
      std::fill_n(copy + done, length, load_element<T>(numbers, row / rows_each, 0));
      done += length;
    }
  }
  static void store_slot(const SlotMemory& slot, std::size_t k, std::size_t at, std::size_t count, const T* copy,
                         const T* used) {
    if (slot.data != nullptr && slot.rows_each == 0 && used == copy)
      store_elements<T>(slot.matrix(k), slot.cols, at, count, copy);
  }
  template <std::size_t count, std::size_t... s>
  KOKKOS_FORCEINLINE_FUNCTION void run_groups(std::size_t k, const ElementsOfThread<count>& elements,
                                              std::index_sequence<s...>) const {
    const auto functor = maker(k);
    const auto from = source.begin(k);
    auto to = sink.begin_thread(k);
    MagnitudeBits<T> size = 0;
    elements.for_each([&](std::size_t at) {
      const GroupPlace<count> place{at, cols};
      T in[count], out[count], taken[count];
      [[maybe_unused]] T state[slots == 0 ? 1 : slots][count];
      source.load_group(from, k, place, in);  // all loads come first: a store may be to the same array
      (load_states(slot[s], k, place, state[s]), ...);
      sink.load_group(to, k, place, taken);
      for (std::size_t c = 0; c < count; ++c) out[c] = functor(in[c], state[s][c]...);
      if (slots > 0 && largest.extent(0) > 0) size = largest_bits<count>(state[0], size);
      (store_states(slot[s], k, place, state[s]), ...);
      sink.store_group(to, k, place, out, taken);
    });
    sink.end_thread(to, k);
    if (slots > 0 && largest.extent(0) > 0) atomic_raise_together(&largest(k), size);
  }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void load_states(const SlotMemory& memory, std::size_t k, const GroupPlace<count>& place,
                                               T* to) const {
    if (memory.data != nullptr && memory.rows_each == 0) {
      const TypedMatrix matrix = memory.matrix(k);
      return load_group<T>(GroupedMatrix(matrix), matrix, place, to);
    }
    T shared = T(0);  // a group lies in one row
    if (memory.data != nullptr) shared = load_element<T>(memory.matrix(k), place.at / (memory.rows_each * cols), 0);
    for (std::size_t c = 0; c < count; ++c) to[c] = shared;
  }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void store_states(const SlotMemory& memory, std::size_t k, const GroupPlace<count>& place,
                                                const T* from) const {
    if (memory.data == nullptr || memory.rows_each > 0) return;
    const TypedMatrix matrix = memory.matrix(k);
    store_group<T>(GroupedMatrix(matrix), matrix, place, from);
  }
  template <class F, std::size_t... s>
  KOKKOS_FUNCTION T evaluate(const F& functor, std::size_t k, std::size_t i, std::size_t j,
                             std::index_sequence<s...>) const {
    [[maybe_unused]] T state[slots == 0 ? 1 : slots];
    ((state[s] = load_state(slot[s], k, i, j)), ...);
    return functor(source.element(k, i, j), state[s]...);
  }
  KOKKOS_FUNCTION static T load_state(const SlotMemory& slot, std::size_t k, std::size_t i, std::size_t j) {
    if (slot.data == nullptr) return T(0);
    if (slot.rows_each == 0) return load_element<T>(slot.matrix(k), i, j);
    return load_element<T>(slot.matrix(k), i / slot.rows_each, 0);
  }
};

/// Runs the loop over `count` of the matrices. Cost: one launch, one pass over source, state and sink.
template <ExecutionSpace Exec, class Loop>
void run_elements(const Exec& exec, std::string_view label, Loop loop, std::size_t first, std::size_t count) {
  loop.first = first;
  if constexpr (loops_as_on_device<Exec>) {
    for_each_group(exec, label, count, loop.rows * loop.cols, loop.can_group(), loop);
  } else {
    loop.blocks = (loop.rows * loop.cols + loop.block - 1) / loop.block;
    for_each_matrix(exec, label, count * loop.blocks, loop);
  }
}

}  // namespace schatten::optim
