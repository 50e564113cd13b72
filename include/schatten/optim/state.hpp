// SPDX-License-Identifier: BSD-3-Clause
// The state of a rule: the list of its arrays per matrix, and their memory, one array for all matrices of a bucket.
#pragma once

#include <schatten/core/element_type.hpp>
#include <schatten/core/parallel.hpp>
#include <schatten/core/views.hpp>
#include <schatten/optim/options.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace schatten {

/// The shape of a state array for a rows×cols matrix.
enum class Extent {
  none,          ///< no array
  number,        ///< 1×1
  column,        ///< rows×1: a number per row
  row,           ///< 1×cols: a number per column
  matrix,        ///< rows×cols
  left_square,   ///< rows×rows
  right_square,  ///< cols×cols
  right_factor,  ///< cols×rank
  given          ///< StateSlot::rows×StateSlot::cols, for a rule with state(rows, cols); 0×0 is no array
};

/// The contents of a state array before the first step.
enum class Start {
  zero,
  identity,  ///< the first columns of the identity
  weight     ///< the weight
};

/// A state array of a rule, per matrix.
struct StateSlot {
  std::string_view name;  ///< as in read_state
  /// Its shape.
  Extent extent = Extent::matrix;
  /// Its contents before the first step.
  Start start = Start::zero;
  /// Its element type.
  StateStorage storage = StateStorage::scalar;
  std::size_t rank = 0;  ///< of right_factor
  std::size_t rows = 0;  ///< of given
  std::size_t cols = 0;  ///< of given
};

namespace optim {

/// Rows and columns of a slot's array for a rows×cols matrix.
inline std::pair<std::size_t, std::size_t> slot_shape(const StateSlot& slot, std::size_t rows, std::size_t cols) {
  switch (slot.extent) {
    case Extent::none: return {0, 0};
    case Extent::number: return {1, 1};
    case Extent::column: return {rows, 1};
    case Extent::row: return {1, cols};
    case Extent::matrix: return {rows, cols};
    case Extent::left_square: return {rows, rows};
    case Extent::right_square: return {cols, cols};
    case Extent::right_factor: return {cols, slot.rank};
    case Extent::given: return {slot.rows, slot.cols};
  }
  return {0, 0};
}

/// Returns a slot of rows×cols, independent of the matrix's shape; without an array if one of them is 0.
inline StateSlot given_slot(std::string_view name, std::size_t rows, std::size_t cols, Start start = Start::zero) {
  const Extent extent = rows * cols > 0 ? Extent::given : Extent::none;
  return {.name = name, .extent = extent, .start = start, .rows = rows, .cols = cols};
}

/// Returns the element type of an array with that storage, in an Optimizer with the scalar type T.
template <Scalar T>
constexpr ElementType element_type(StateStorage storage) {
  if (storage == StateStorage::bfloat16) return ElementType::bfloat16;
  if (storage == StateStorage::float16) return ElementType::float16;
  return element_type_of<T>;
}

/// The arrays of one slot for `count` matrices, each rows×cols, row-major, one after the other.
template <ExecutionSpace Exec>
struct StateArray {
  /// Bytes of an array.
  using Memory = Kokkos::View<char*, Kokkos::LayoutRight, typename Exec::device_type>;

  /// The slot of the rule.
  StateSlot slot{};
  /// Element type.
  ElementType type = ElementType::float32;
  std::size_t count = 0;  ///< number of matrices
  std::size_t rows = 0;   ///< of a matrix
  std::size_t cols = 0;   ///< of a matrix
  /// The array.
  Memory memory{};

  /// Bytes per matrix.
  [[nodiscard]] std::size_t matrix_bytes() const { return rows * cols * size_of(type); }
  /// The first element of matrix k.
  [[nodiscard]] char* data(std::size_t k) const { return memory.data() + k * matrix_bytes(); }
};

namespace detail {

template <Scalar T>
struct StoreIdentity {
  TypedMatrix matrix;
  KOKKOS_FUNCTION void operator()(std::size_t, std::size_t i, std::size_t j) const {
    store_element<T>(matrix, i, j, T(i == j ? 1 : 0));
  }
};

template <Scalar T>
struct StoreWeight {
  TypedMatrix weight, matrix;
  KOKKOS_FUNCTION void operator()(std::size_t, std::size_t i, std::size_t j) const {
    store_element<T>(matrix, i, j, load_element<T>(weight, i, j));
  }
};

}  // namespace detail

/// Returns the array of a slot for `count` matrices, set to zero in order with other work on `exec`.
template <Scalar T, ExecutionSpace Exec>
StateArray<Exec> make_state(const Exec& exec, const StateSlot& slot, std::size_t rows, std::size_t cols,
                            std::size_t count) {
  StateArray<Exec> array{.slot = slot, .type = element_type<T>(slot.storage), .count = count};
  std::tie(array.rows, array.cols) = slot_shape(slot, rows, cols);
  array.memory = typename StateArray<Exec>::Memory(
      Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::state/" + std::string(slot.name)),
      count * array.matrix_bytes());
  if (array.memory.size() > 0) Kokkos::deep_copy(exec, array.memory, char(0));
  return array;
}

/// Copies matrices [from_first, …) of an array to [to_first, …) of another with the same slot and shape.
template <ExecutionSpace Exec>
void copy_state(const Exec& exec, const StateArray<Exec>& from, std::size_t from_first, const StateArray<Exec>& to,
                std::size_t to_first, std::size_t count) {
  const std::size_t bytes = from.matrix_bytes();
  if (count * bytes == 0) return;
  Kokkos::deep_copy(exec, Kokkos::subview(to.memory, std::pair(to_first * bytes, (to_first + count) * bytes)),
                    Kokkos::subview(from.memory, std::pair(from_first * bytes, (from_first + count) * bytes)));
}

/// Writes the initial value of the slot's matrix k if it is not zero. `weight`: in the bucket's orientation.
template <Scalar T, ExecutionSpace Exec>
void start_state(const Exec& exec, const StateArray<Exec>& array, std::size_t k, const TypedMatrix& weight) {
  const TypedMatrix matrix{array.data(k), array.cols, 1, array.type};
  if (array.slot.start == Start::identity) {
    for_each_element(exec, "schatten::state/identity", 1, array.rows, array.cols, detail::StoreIdentity<T>{matrix});
  } else if (array.slot.start == Start::weight) {
    for_each_element(exec, "schatten::state/weight", 1, array.rows, array.cols, detail::StoreWeight<T>{weight, matrix});
  }
}

}  // namespace optim

}  // namespace schatten
