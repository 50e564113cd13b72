// SPDX-License-Identifier: BSD-3-Clause
// Sums over the elements of matrices of which every rank has some rows, or some columns.
#pragma once

#include <schatten/distributed/sum.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/spectral/whole_matrix.hpp>

#include <cstddef>
#include <string>

namespace schatten::distributed {

/// The part of a matrix that a rank has: some rows, or some columns. Parts follow each other in the order of ranks.
enum class Side { rows, columns };

/// "rows", "columns".
inline std::string to_string(Side side) { return side == Side::rows ? "rows" : "columns"; }

namespace detail {

/// Returns n(n + 1)/2: the length of the packed lower triangle of an n×n matrix, and the position of its row n.
KOKKOS_FUNCTION inline std::size_t triangle(std::size_t n) { return n * (n + 1) / 2; }

/// unit(k) ← the largest of matrix k's norms.
template <class Space>
struct UnitOfNorms {
  const double* norm;
  std::size_t each;
  NumberBatchView<double, Space> unit;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    double largest = 0;
    for (std::size_t i = 0; i < each; ++i) largest = Larger{}(largest, norm[k * each + i]);
    unit(k) = largest;
  }
};

/// norm_i ← (norm_i/s)², and back: norm_i ← s·√norm_i; s the power of two below unit(k), 1 for zero, for what is not
/// finite and for an empty unit.
template <class Space>
struct SquareOfNorm {
  NumberBatchView<double, Space> unit;
  double* norm;
  std::size_t each;
  bool back;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i) const {
    double& x = norm[k * each + i];
    const bool usable = unit.extent(0) > 0 && linalg::is_finite(unit(k)) && unit(k) != 0.0;
    const double scale = usable ? linalg::power_of_two_below(unit(k)) : 1.0;
    if (back) {
      x = scale * math::sqrt(x);
    } else {
      const double relative = x / scale;
      x = relative * relative;
    }
  }
};

/// packed ← the lower triangles of S by rows, or both triangles of S ← packed.
template <class W, class S, class Space>
struct MoveTriangle {
  BatchView<W, Space> matrix;
  S* packed;
  bool unpack;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    S* const row = packed + b * triangle(matrix.extent(1)) + triangle(i);
    for (std::size_t j = 0; j <= i; ++j) {
      if (unpack) {
        matrix(b, i, j) = W(row[j]);
        matrix(b, j, i) = W(row[j]);
      } else {
        row[j] = S(matrix(b, i, j));
      }
    }
  }
};

}  // namespace detail

/// The functions of spectral::WholeMatrix over the parts of all ranks. All ranks call them together. A sum is one
/// all-reduce, with SumOrder::ranks one sum_over_ranks. A maximum of few numbers is a gather.
template <ExecutionSpace Exec, class Comm>
struct RankParts {
  using Space = typename Exec::memory_space;
  static constexpr bool cut = true;

  const Comm* comm;
  SumOrder order;
  Workspace<Space>* workspace;
  std::size_t whole_rows;  ///< of the matrix as the method sees it, whose rows are on several ranks
  double whole_elements;
  bool any_size;  ///< whether squares of norms may leave the range of double

  [[nodiscard]] std::size_t rows(std::size_t) const { return whole_rows; }
  [[nodiscard]] double elements(double) const { return whole_elements; }
  void largest(const Exec& exec, const NumberBatchView<double, Space>& x) const {
    detail::reduce_over_ranks(exec, *comm, x.data(), x.extent(0), detail::Larger{}, *workspace);
  }
  void sums(const Exec& exec, double* x, std::size_t n) const {
    if (comm->size() > 1) sum_over_ranks(exec, *comm, x, n, order, *workspace);
  }
  /// Norms below 1e-154 of the largest of a matrix count as zero.
  void norms(const Exec& exec, double* x, std::size_t count, std::size_t each = 1) const {
    if (comm->size() == 1) return;
    const typename Workspace<Space>::Frame frame(*workspace);
    NumberBatchView<double, Space> unit;
    if (any_size) {
      unit = workspace->template numbers<double>(count);
      for_each_matrix(exec, "schatten::distributed/unit", count, detail::UnitOfNorms<Space>{x, each, unit});
      largest(exec, unit);
    }
    using Square = detail::SquareOfNorm<Space>;
    for_each_row(exec, "schatten::distributed/squares", count, each, Square{unit, x, each, false});
    sums(exec, x, count * each);
    for_each_row(exec, "schatten::distributed/roots", count, each, Square{unit, x, each, true});
  }
  /// The sum of the lower triangle, in the type in which the products are summed. X may have no rows on this rank.
  template <class Backend, class W>
  void gram(const Exec& exec, const BatchView<W, Space>& x, const BatchView<W, Space>& gram,
            Workspace<Space>& scratch) const {
    using S = Sum<W>;
    const typename Workspace<Space>::Frame frame(scratch);
    const std::size_t batch = x.extent(0), n = x.extent(2), size = batch * detail::triangle(n);
    const NumberBatchView<S, Space> packed = scratch.template numbers<S>(size);
    using Move = detail::MoveTriangle<W, S, Space>;
    if (x.extent(1) > 0) {
      linalg::gram<Backend>(exec, x, gram, scratch);
      for_each_row(exec, "schatten::distributed/pack", batch, n, Move{gram, packed.data(), false});
    } else {
      Kokkos::deep_copy(exec, packed, S(0));
    }
    sum_over_ranks(exec, *comm, packed.data(), size, order, scratch);
    for_each_row(exec, "schatten::distributed/unpack", batch, n, Move{gram, packed.data(), true});
  }
};

}  // namespace schatten::distributed
