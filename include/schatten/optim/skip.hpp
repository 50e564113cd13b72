// SPDX-License-Identifier: BSD-3-Clause
// Which matrices a step leaves out because their gradients are not finite, and the number of steps of each.
#pragma once

#include <schatten/core/atomic.hpp>
#include <schatten/core/element_group.hpp>
#include <schatten/core/parallel.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/optim/records.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>

namespace schatten::optim {

/// Numbers of steps of one matrix.
struct MatrixCounts {
  long long attempted = 0;  ///< skipped steps included
  long long applied = 0;    ///< without skipped steps; bias corrections use these
};

/// k ↦ number of steps that matrix k of a window has taken, without skipped steps.
template <class Space>
struct AppliedSteps {
  NumberBatchView<MatrixCounts, Space> counts;
  Records<Space> records;
  KOKKOS_FUNCTION long long operator()(std::size_t k) const { return counts(records(k).number).applied; }
};

/// k ↦ whether matrix k of a window has a finite gradient: its flag is 1, otherwise 0.
template <class Space>
struct FiniteFlags {
  NumberBatchView<int, Space> flag;
  Records<Space> records;
  [[nodiscard]] KOKKOS_FUNCTION bool operator()(std::size_t k) const { return flag(records(k).number) != 0; }
  KOKKOS_FUNCTION void clear(std::size_t k) const { atomic_assign(&flag(records(k).number), 0); }
};

/// Sets the flag of a matrix to 0 if its array, a member of its record, has a NaN or an infinity after conversion to T.
template <Scalar T, class Space, TypedMatrix MatrixRecord::*array>
struct CheckFinite {
  static constexpr std::size_t chunk = 256, block_elements = std::size_t{1} << 14;
  FiniteFlags<Space> finite;
  std::size_t cols, size, blocks, first;  ///< of a matrix; the first matrix of the loop

  /// Host: a block of elements.
  void operator()(std::size_t task) const {
    const std::size_t k = first + task / blocks, begin = (task % blocks) * block_elements;
    const std::size_t end = (std::min)(begin + block_elements, size);
    using Bits = decltype(linalg::detail::magnitude_bits(T(0)));
    const TypedMatrix matrix = finite.records(k).*array;
    T copy[chunk] = {};
    Bits largest = 0;
    for (std::size_t at = begin; at < end; at += chunk) {
      const std::size_t count = (std::min)(chunk, end - at);
      const T* in = count == chunk ? contiguous_elements<T>(matrix, cols, at, chunk) : nullptr;
      if (in == nullptr) {
        load_elements<T>(matrix, cols, at, count, copy);
        in = copy;
      }
      for (std::size_t c = 0; c < chunk; ++c) {
        const Bits bits = linalg::detail::magnitude_bits(in[c]);
        largest = bits > largest ? bits : largest;
      }
    }
    if (!linalg::is_finite(std::bit_cast<T>(largest))) finite.clear(k);
  }

  /// Device: a thread's elements of matrix first + k.
  template <std::size_t count>
  KOKKOS_FUNCTION void operator()(std::size_t k, const ElementsOfThread<count>& elements) const {
    k += first;
    const TypedMatrix& matrix = finite.records(k).*array;
    const GroupedMatrix grouped(matrix);
    bool all = true;
    elements.for_each([&](std::size_t at) {
      T numbers[count];
      load_group<T, Reuse::soon>(grouped, matrix, GroupPlace<count>{at, cols}, numbers);
      for (std::size_t c = 0; c < count; ++c) all = all && linalg::is_finite(numbers[c]);
    });
    if (!all) finite.clear(k);
  }
};

/// Checks the gradients (or the weights) of matrices [first, first + count) of a window of rows×cols. grouped: whether
/// a device can read them in groups. Cost: one pass, one launch.
template <Scalar T, TypedMatrix MatrixRecord::*array = &MatrixRecord::gradient, ExecutionSpace Exec, class Space>
void check_finite(const Exec& exec, const FiniteFlags<Space>& finite, std::size_t rows, std::size_t cols,
                  std::size_t first, std::size_t count, [[maybe_unused]] bool grouped) {
  using Check = CheckFinite<T, Space, array>;
  const std::size_t size = rows * cols, blocks = (size + Check::block_elements - 1) / Check::block_elements;
  const Check check{finite, cols, size, blocks, first};
  if constexpr (loops_as_on_device<Exec>) {
    for_each_group(exec, "schatten::step/check_gradient", count, size, grouped, check);
  } else {
    for_each_matrix(exec, "schatten::step/check_gradient", count * blocks, check);
  }
}

/// Sets the flag of matrix k to 1.
template <class Space>
struct ResetFlag {
  FiniteFlags<Space> finite;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { finite.flag(finite.records(k).number) = 1; }
};

/// Counts a step for every matrix of a window, or without records for all matrices of the Optimizer; as applied if the
/// flag is 1. Then sets the flag to 1.
template <class Space>
struct CountStep {
  NumberBatchView<int, Space> flag;
  Records<Space> records;
  NumberBatchView<MatrixCounts, Space> counts;
  bool applied;  ///< whether the step was taken
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const std::size_t number = records.extent(0) > 0 ? records(k).number : k;
    ++counts(number).attempted;
    counts(number).applied += applied ? flag(number) : 0;
    flag(number) = 1;
  }
};

/// Sets the flag of every matrix to 1.
template <class Space>
struct StartFlags {
  NumberBatchView<int, Space> flag;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { flag(k) = 1; }
};

}  // namespace schatten::optim
