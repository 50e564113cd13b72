// A parameter as the step sees it: a batch of matrices, whatever the rank of the user's Views.
#pragma once

#include <schatten/core/views.hpp>

#include <memory>
#include <string>
#include <utility>

namespace schatten::optim {

/// View of rank 1 to 4 as a batch of matrices, each cut into `row_blocks` stacked ones. No copy.
///
/// rank 1 (n): one n×1 matrix; rank 2: one matrix; rank 3: (batch, rows, cols); rank 4 (out, a, b, c): one
/// out×(a·b·c) matrix, as convolutions are. Throws InvalidArgument if the shape cannot be cut, or if a rank-4 View is
/// not contiguous in its last three indices.
template <ExecutionSpace Exec, KokkosView V>
auto parameter_batch(const V& view, std::size_t row_blocks, std::string_view argument) {
  using T = typename V::value_type;
  using Space = typename Exec::memory_space;
  constexpr int rank = view_rank<V>;
  static_assert(Scalar<std::remove_const_t<T>>, "schatten: a parameter's value type must be float or double");
  static_assert(rank >= 1 && rank <= 4, "schatten: a parameter must have rank 1 to 4");
  static_assert(accessible_from<Exec, typename V::memory_space>,
                "schatten: the View's memory space is not accessible from the execution space");
  const auto cut = [&](const BatchView<T, Space>& a) {
    if (row_blocks == 1) return a;
    require(a.extent(0) == 1 && a.extent(1) % row_blocks == 0, "Optimizer::add", argument, shape_of(a),
            "must be one matrix whose rows divide by row_blocks = " + std::to_string(row_blocks));
    const std::size_t rows = a.extent(1) / row_blocks;
    return batch_view<Space>(a.data(), row_blocks, rows, a.extent(2), rows * a.stride(1), a.stride(1), a.stride(2));
  };
  if constexpr (rank == 1) {
    return cut(batch_view<Space>(view.data(), 1, view.extent(0), 1, view.extent(0), view.stride(0), 1));
  } else if constexpr (rank == 4) {
    const std::size_t b = view.extent(2), c = view.extent(3);
    const bool contiguous = view.stride(2) == c * view.stride(3) && view.stride(1) == b * c * view.stride(3);
    require(contiguous || view.size() == 0, "Optimizer::add", argument, view.stride(1),
            "must be contiguous in its last three indices to be read as a matrix (out, rest)");
    return cut(batch_view<Space>(view.data(), 1, view.extent(0), view.extent(1) * b * c, view.size(), view.stride(0),
                                 view.stride(3)));
  } else {
    return cut(as_batch<Exec>(view));
  }
}

/// One registered parameter with its state.
///
/// weight, gradient and state are turned so that the last index is the one closer together in memory; `transposed`
/// tells whether that swapped the user's rows and cols (the spectral map commutes with transposes).
template <class T, class Space>
struct Parameter {
  using Storage = Kokkos::View<T***, Kokkos::LayoutRight, Space>;

  std::string name;
  BatchView<T, Space> weight;
  BatchView<const T, Space> gradient;
  bool transposed = false;
  Storage momentum;
  Storage second_moment;  ///< empty unless the rule has one
  std::size_t first_matrix = 0;
  long long attempted = 0;                     ///< steps since it was added
  std::shared_ptr<const void> weight_owner{};    ///< keep the user's Views alive
  std::shared_ptr<const void> gradient_owner{};

  [[nodiscard]] std::size_t matrices() const { return weight.extent(0); }
  [[nodiscard]] std::size_t rows() const { return transposed ? weight.extent(2) : weight.extent(1); }
  [[nodiscard]] std::size_t cols() const { return transposed ? weight.extent(1) : weight.extent(2); }

  /// Some state array as the user's rows and cols.
  [[nodiscard]] BatchView<T, Space> oriented(const Storage& state) const {
    const auto batch = batch_view<Space>(state.data(), state.extent(0), state.extent(1), state.extent(2));
    return transposed ? transpose(batch) : batch;
  }
};

}  // namespace schatten::optim
