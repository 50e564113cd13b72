// A parameter as the step sees it: a batch of matrices, whatever the rank of the user's Views.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/core/views.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace schatten::optim {

/// View of rank 1 to 4 as a batch of matrices, each cut into `row_blocks` stacked ones. No copy.
///
/// rank 1 (n): one n×1 matrix; rank 2: one matrix; rank 3: (batch, rows, cols); rank 4 (out, a, b, c): one
/// out×(a·b·c) matrix, as convolutions are. Throws InvalidArgument if the shape cannot be cut, or if a rank-4 View is
/// not contiguous in its last three indices.
template <ExecutionSpace Exec, KokkosView V>
auto parameter_batch(const V& view, std::size_t row_blocks, std::string_view function, std::string_view argument) {
  using T = typename V::value_type;
  using Space = typename Exec::memory_space;
  constexpr int rank = view_rank<V>;
  static_assert(Scalar<std::remove_const_t<T>>, "schatten: a parameter's value type must be float or double");
  static_assert(rank >= 1 && rank <= 4, "schatten: a parameter must have rank 1 to 4");
  static_assert(accessible_from<Exec, typename V::memory_space>,
                "schatten: the View's memory space is not accessible from the execution space");
  const auto cut = [&](const BatchView<T, Space>& a) {
    if (row_blocks == 1) return a;
    require(a.extent(0) == 1 && a.extent(1) % row_blocks == 0, function, argument, shape_of(a),
            "must be one matrix whose rows divide by row_blocks = " + std::to_string(row_blocks));
    const std::size_t rows = a.extent(1) / row_blocks;
    return batch_view<Space>(a.data(), row_blocks, rows, a.extent(2), rows * a.stride(1), a.stride(1), a.stride(2));
  };
  if constexpr (rank == 1) {
    return cut(batch_view<Space>(view.data(), 1, view.extent(0), 1, view.extent(0), view.stride(0), 1));
  } else if constexpr (rank == 4) {
    std::size_t cols = 1, stride = 1;  // of the columns so far; an index of extent 1 has no say
    bool contiguous = true;
    for (std::size_t d = 3; d >= 1; --d) {
      if (view.extent(d) == 1) continue;
      if (cols == 1) stride = view.stride(d);
      contiguous = contiguous && view.stride(d) == cols * stride;
      cols *= view.extent(d);
    }
    require(contiguous || view.size() == 0, function, argument, view.stride(1),
            "must be contiguous in its last three indices to be read as a matrix (out, rest)");
    return cut(batch_view<Space>(view.data(), 1, view.extent(0), cols, view.size(), view.stride(0), stride));
  } else {
    return cut(as_batch<Exec>(view));
  }
}

/// One registered parameter with its state.
///
/// weight, gradient and state are turned so that the last index is the one closer together in memory; `transposed`
/// tells whether that swapped the user's rows and cols (the spectral map commutes with transposes).
template <class T, ExecutionSpace Exec>
struct Parameter {
  using Space = typename Exec::memory_space;
  /// Of Exec's device: zeroed by Exec, not by the memory's default execution space, which may be unusable on this thread.
  using Storage = Kokkos::View<T***, Kokkos::LayoutRight, typename Exec::device_type>;

  std::string name;
  BatchView<T, Space> weight;
  BatchView<const T, Space> gradient;
  bool transposed = false;
  Storage momentum;
  Storage second_moment_root;  ///< AdamW's √v; empty for the others
  Storage right_vectors;       ///< streaming's V (matrices, cols, rank); empty for the others
  std::size_t first_matrix = 0;
  std::shared_ptr<const void> weight_owner{};  ///< keep the user's Views alive
  std::shared_ptr<const void> gradient_owner{};

  [[nodiscard]] std::size_t matrices() const { return weight.extent(0); }
  [[nodiscard]] std::size_t rows() const { return transposed ? weight.extent(2) : weight.extent(1); }
  [[nodiscard]] std::size_t cols() const { return transposed ? weight.extent(1) : weight.extent(2); }

  /// weight, gradient or a state array as the user's rows and cols.
  template <class U>
  [[nodiscard]] BatchView<U, Space> oriented(const BatchView<U, Space>& batch) const {
    return transposed ? transpose(batch) : batch;
  }
};

/// A state array as a batch of matrices.
template <class T, class Space, class Storage>
BatchView<T, Space> state_batch(const Storage& s) {
  return batch_view<Space>(s.data(), s.extent(0), s.extent(1), s.extent(2));
}

/// Matrices that follow each other in memory as one: what was cut into blocks is whole again.
template <class T, class Space>
BatchView<T, Space> joined(const BatchView<T, Space>& a) {
  const std::size_t rows = a.extent(0) * a.extent(1);
  if (a.stride(0) != a.extent(1) * a.stride(1)) return a;
  return batch_view<Space>(a.data(), 1, rows, a.extent(2), rows * a.stride(1), a.stride(1), a.stride(2));
}

/// Whether two parameters' arrays, as the user's rows and cols, share an element; exact for parts of one array.
template <class T, class U, class Space>
bool share_memory(const BatchView<T, Space>& a, const BatchView<U, Space>& b) {
  return overlap(a, b) && overlap(joined(a), joined(b));
}

/// Throws InvalidArgument if a step would write `parameter` where it reads its gradient.
template <class T, ExecutionSpace Exec>
void require_own_gradient_apart(const Parameter<T, Exec>& parameter, std::string_view function) {
  require(!share_memory(parameter.oriented(parameter.gradient), parameter.oriented(parameter.weight)), function, "g",
          parameter.name, "must not overlap w");
}

/// Throws InvalidArgument if a step would write one of two parameters where it reads or writes the other.
template <class T, ExecutionSpace Exec>
void require_apart(const Parameter<T, Exec>& parameter, const Parameter<T, Exec>& other, std::string_view function) {
  const auto weight = parameter.oriented(parameter.weight), other_weight = other.oriented(other.weight);
  const auto gradient = parameter.oriented(parameter.gradient), other_gradient = other.oriented(other.gradient);
  require(!share_memory(weight, other_weight), function, "w", parameter.name,
          "must not overlap the parameter " + other.name);
  require(!share_memory(weight, other_gradient), function, "w", parameter.name,
          "must not overlap the gradient of " + other.name);
  require(!share_memory(gradient, other_weight), function, "g", parameter.name,
          "must not overlap the parameter " + other.name);
}

}  // namespace schatten::optim
