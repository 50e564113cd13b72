// SPDX-License-Identifier: BSD-3-Clause
// A parameter as the step sees it: a batch of matrices, whatever the rank and the type of the user's Views.
#pragma once

#include <schatten/core/element_type.hpp>
#include <schatten/core/error.hpp>
#include <schatten/core/views.hpp>
#include <schatten/optim/options.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::optim {

/// A batch of matrices whose element type is known at run time: BatchView without its type. Strides in elements.
struct TypedBatch {
  const void* data = nullptr;
  ElementType type = ElementType::float32;
  std::size_t batch = 0, rows = 0, cols = 0, batch_stride = 0, row_stride = 0, col_stride = 0;

  [[nodiscard]] std::size_t size() const { return batch * rows * cols; }
  /// Matrix b.
  [[nodiscard]] TypedMatrix matrix(std::size_t b) const {
    if (size() == 0) return {};
    const auto* const first = static_cast<const char*>(data) + b * batch_stride * size_of(type);
    return {const_cast<char*>(first), row_stride, col_stride, type};
  }
  /// The transposes.
  [[nodiscard]] TypedBatch transposed() const {
    TypedBatch other = *this;
    std::swap(other.rows, other.cols);
    std::swap(other.row_stride, other.col_stride);
    return other;
  }
  /// One past the last byte.
  [[nodiscard]] const void* end() const {
    if (size() == 0) return data;
    const std::size_t last = (batch - 1) * batch_stride + (rows - 1) * row_stride + (cols - 1) * col_stride;
    return static_cast<const char*>(data) + (last + 1) * size_of(type);
  }
};

/// f(batch as a BatchView of an integer or floating-point type of the elements' size).
template <class F>
auto with_sized_view(const TypedBatch& a, const F& f) {
  const auto view = [&](const auto* data) {
    return batch_view<Kokkos::HostSpace>(data, a.batch, a.rows, a.cols, a.batch_stride, a.row_stride, a.col_stride);
  };
  switch (size_of(a.type)) {
    case 2: return f(view(static_cast<const std::uint16_t*>(a.data)));
    case 4: return f(view(static_cast<const float*>(a.data)));
    default: return f(view(static_cast<const double*>(a.data)));
  }
}

/// Matrices that follow each other in memory as one: what was cut into blocks is whole again.
template <class T, class Space>
BatchView<T, Space> joined(const BatchView<T, Space>& a) {
  const std::size_t rows = a.extent(0) * a.extent(1);
  if (a.stride(0) != a.extent(1) * a.stride(1)) return a;
  return batch_view<Space>(a.data(), 1, rows, a.extent(2), rows * a.stride(1), a.stride(1), a.stride(2));
}

/// Whether two arrays share an element; exact for parts of one array.
inline bool share_memory(const TypedBatch& a, const TypedBatch& b) {
  return with_sized_view(a, [&](const auto& x) {
    return with_sized_view(b, [&](const auto& y) { return overlap(x, y) && overlap(joined(x), joined(y)); });
  });
}

/// The extents of a user's View.
template <KokkosView V>
std::vector<std::size_t> shape_of(const V& view) {
  std::vector<std::size_t> shape;
  for (int d = 0; d < view_rank<V>; ++d) shape.push_back(view.extent(std::size_t(d)));
  return shape;
}

/// "4x3", the extents of a user's View.
template <KokkosView V>
std::string extents_of(const V& view) {
  std::string text;
  for (int d = 0; d < view_rank<V>; ++d) {  // piece by piece: g++ 12 warns of sums of strings
    if (d > 0) text += 'x';
    text += std::to_string(view.extent(std::size_t(d)));
  }
  return text;
}

/// What of an argument is wrong, for messages of a parameter: "g of layers.0.up".
inline std::string argument_of(std::string_view argument, std::string_view parameter) {
  return std::string(argument) + " of " + std::string(parameter);
}

/// View of rank 1 to 4 as a batch of matrices, each cut into `row_blocks` stacked ones. No copy.
///
/// rank 1 (n): one 1×n matrix; rank 2: one matrix; rank 3: (batch, rows, cols); rank 4 (out, a, b, c): one
/// out×(a·b·c) matrix, as convolutions are. Throws InvalidArgument, naming the parameter, if there is no memory, if the
/// shape cannot be cut, or if a rank-4 View is not contiguous in its last three indices.
template <ExecutionSpace Exec, KokkosView V>
TypedBatch typed_batch(const V& view, std::size_t row_blocks, std::string_view function, std::string_view argument,
                       std::string_view parameter) {
  constexpr int rank = view_rank<V>;
  using E = scalar_of<V>;
  static_assert(ParameterElement<E>,
                "schatten: a parameter's value type must be float, double, Half, BFloat16 or Kokkos' half_t, bhalf_t");
  static_assert(rank >= 1 && rank <= 4, "schatten: a parameter must have rank 1 to 4");
  static_assert(accessible_from<Exec, typename std::remove_cvref_t<V>::memory_space>,
                "schatten: the View's memory space is not accessible from the execution space");
  const std::string what = argument_of(argument, parameter);
  require(view.data() != nullptr || view.size() == 0, function, what, "null", "must point to memory");
  require(reinterpret_cast<std::uintptr_t>(view.data()) % sizeof(E) == 0, function, what,
          static_cast<const void*>(view.data()), "must be aligned as its type is");
  TypedBatch a{.data = view.data(), .type = element_type_of<E>, .batch = 1};
  if constexpr (rank == 1) {
    a.rows = 1;
    a.cols = view.extent(0);
    a.col_stride = view.stride(0);
    a.row_stride = a.batch_stride = a.cols * a.col_stride;
  } else if constexpr (rank == 2) {
    a.rows = view.extent(0);
    a.cols = view.extent(1);
    a.row_stride = view.stride(0);
    a.col_stride = view.stride(1);
    a.batch_stride = a.rows * a.cols;
  } else if constexpr (rank == 3) {
    a.batch = view.extent(0);
    a.rows = view.extent(1);
    a.cols = view.extent(2);
    a.batch_stride = view.stride(0);
    a.row_stride = view.stride(1);
    a.col_stride = view.stride(2);
  } else {
    std::size_t cols = 1, stride = 1;  // of the columns so far; an index of extent 1 has no say
    bool contiguous = true;
    for (std::size_t d = 3; d >= 1; --d) {
      if (view.extent(d) == 1) continue;
      if (cols == 1) stride = view.stride(d);
      contiguous = contiguous && view.stride(d) == cols * stride;
      cols *= view.extent(d);
    }
    require(contiguous || view.size() == 0, function, what, extents_of(view),
            "must be contiguous in its last three indices to be read as a matrix (out, rest)");
    a.rows = view.extent(0);
    a.cols = cols;
    a.row_stride = view.stride(0);
    a.col_stride = stride;
    a.batch_stride = view.size();
  }
  if (row_blocks == 1) return a;
  require(row_blocks >= 1, function, argument_of("row_blocks", parameter), row_blocks, "must be at least 1");
  require(rank != 1 && a.rows % row_blocks == 0, function, what, extents_of(view),
          "must have rows that divide by row_blocks = " + std::to_string(row_blocks));
  require(a.batch == 1 || a.batch_stride == a.rows * a.row_stride, function, what, extents_of(view),
          "must have matrices that follow each other without gaps to be cut into row_blocks");
  a.batch *= row_blocks;
  a.rows /= row_blocks;
  a.batch_stride = a.rows * a.row_stride;
  return a;
}

/// One registered parameter. weight and gradient have the user's rows and columns.
struct Parameter {
  std::string name;
  std::string extents;               ///< of the user's View, for messages
  std::vector<std::size_t> shape{};  ///< the same as numbers
  int rank = 0;
  ParameterOptions options{};
  TypedBatch weight, gradient{};
  bool has_gradient = false, paused = false;
  std::shared_ptr<const void> weight_owner{}, gradient_owner{};  ///< keep the user's Views alive

  std::size_t group = 0, bucket = 0;  ///< where it is
  std::size_t place = 0;              ///< number of its first matrix in the bucket
  std::size_t first_matrix = 0;       ///< number of its first matrix among all of the Optimizer
  bool transposed = false;            ///< whether the bucket's rows are the user's columns
  std::uint64_t key = 0;              ///< of stochastic rounding
  double decay_factor = 1;            ///< of the group's weight decay

  [[nodiscard]] std::size_t matrices() const { return weight.batch; }
  [[nodiscard]] std::size_t rows() const { return weight.rows; }
  [[nodiscard]] std::size_t cols() const { return weight.cols; }
  /// Whether a step moves it.
  [[nodiscard]] bool active() const { return has_gradient && !paused; }
  /// An array in the bucket's orientation.
  [[nodiscard]] TypedBatch oriented(const TypedBatch& a) const { return transposed ? a.transposed() : a; }
  /// Whether the weight has fewer digits than T.
  [[nodiscard]] bool reduced() const { return size_of(weight.type) == 2; }
  [[nodiscard]] bool has_master() const { return reduced() && options.reduced_weight == ReducedWeight::master_copy; }
  [[nodiscard]] bool stochastic() const {
    return reduced() && options.reduced_weight == ReducedWeight::stochastic_rounding;
  }
};

}  // namespace schatten::optim
