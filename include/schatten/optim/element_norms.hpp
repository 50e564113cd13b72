// SPDX-License-Identifier: BSD-3-Clause
// Norms of a functor's values over the elements of matrices, and of blocks of their rows. The values are not stored.
// The results are bitwise the same on any number of threads.
#pragma once

#include <schatten/core/root.hpp>
#include <schatten/optim/elements.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <type_traits>

namespace schatten::optim {

/// Returns √Σ f(k)² over k < n, in all threads of a team. It does not over- or underflow unless the result does.
template <class Team, class F>
KOKKOS_FUNCTION double norm_by_team(const Team& team, std::size_t n, const F& f) {
  const auto bits = team.template max<MagnitudeBits<double>>(
      n, [&](std::size_t k) { return linalg::detail::magnitude_bits(double(f(k))); });
  const math::Unit<double> unit(std::bit_cast<double>(bits));
  const double sum = team.sum(n, [&](std::size_t k) {
    const double x = double(f(k)) * unit.inverse;
    return x * x;
  });
  return unit.unit * math::sqrt(sum);
}

/// √Σx² of many x. It does not over- or underflow unless the result does: floats are summed in double, doubles relative
/// to the largest number so far.
struct RootOfSquares {
  double unit = 0, sum = 0;  ///< Σx² = sum·unit²

  /// Adds the first `count` of `chunk` contiguous numbers.
  template <Scalar T>
  void add(const T* numbers, std::size_t count) {
    double scaled[chunk], lanes[16] = {};
    const math::Unit<T> its_unit(std::bit_cast<T>(largest_bits(numbers, MagnitudeBits<T>(0))));
    for (std::size_t c = 0; c < chunk; ++c) scaled[c] = double(numbers[c] * its_unit.inverse);
    std::fill(scaled + count, scaled + chunk, 0.0);
    for (std::size_t c = 0; c < chunk; c += 16) {
      for (std::size_t l = 0; l < 16; ++l) lanes[l] += scaled[c + l] * scaled[c + l];
    }
    double total = 0;
    for (const double lane : lanes) total += lane;
    merge(double(its_unit.unit), total);
  }
  KOKKOS_FUNCTION void merge(double its_unit, double its_sum) {
    const double large = its_unit > unit ? its_unit : unit;
    if (large == 0) return;
    const double old = unit / large, other = its_unit / large;
    sum = sum * old * old + its_sum * other * other;
    unit = large;
  }
  [[nodiscard]] KOKKOS_FUNCTION double value() const { return unit * math::sqrt(sum); }
};

/// Sets partial(k, first/block) to √Σ of the squares of a block's numbers. On the host.
template <Scalar T, class Space>
struct NormSink {
  VectorBatchView<double, Space> partial;
  std::size_t block;

  struct Block {
    RootOfSquares squares{};
    std::size_t number = 0;
  };
  [[nodiscard]] Block begin(std::size_t) const { return {}; }
  void store(Block& taken, std::size_t, std::size_t, std::size_t first, std::size_t count, const T* numbers) const {
    taken.squares.add(numbers, count);
    taken.number = first / block;
  }
  void end(const Block& taken, std::size_t k) const { partial(k, taken.number) = taken.squares.value(); }
  void skip(std::size_t k, std::size_t first, std::size_t) const { partial(k, first / block) = 0; }
};

/// Sets partial(k, i) to √Σ of the squares of row i, by a team. On a device.
template <Scalar T, class Loop, class Space>
struct NormOfRow {
  Loop loop;
  VectorBatchView<double, Space> partial;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    const std::size_t cols = loop.finite(k) ? loop.cols : 0;
    const auto functor = loop.maker(k);
    const double norm = norm_by_team(team, cols, [&](std::size_t j) { return loop.value(functor, k, i, j); });
    team.once([&] { partial(k, i) = norm; });
  }
};

/// Sets out(k, b) to √Σ of the squares of partial(k, b·each), …: `each` of them, or fewer at the end.
template <class Space>
struct JoinNorms {
  VectorBatchView<double, Space> partial, out;
  std::size_t each;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t b) const {
    const std::size_t first = b * each, rest = partial.extent(1) - first, count = rest < each ? rest : each;
    const double norm = norm_by_team(team, count, [&](std::size_t c) { return partial(k, first + c); });
    team.once([&] { out(k, b) = norm; });
  }
};

/// Sets out(k, b) to √Σ of the squares of the loop's functor over rows [b·each, (b+1)·each) of matrix k. Does not use
/// the loop's sink and does not change its state. Cost: one pass. @pre `each` divides the number of rows.
template <Scalar T, ExecutionSpace Exec, class Loop, class Space>
void block_norms(const Exec& exec, std::string_view label, Loop loop, std::size_t count, std::size_t each,
                 const VectorBatchView<double, Space>& out, Workspace<Space>& workspace) {
  const typename Workspace<Space>::Frame frame(workspace);
  std::size_t partials = each;
  VectorBatchView<double, Space> partial;
  if constexpr (loops_as_on_device<Exec>) {
    partial = workspace.template vectors<double>(count, loop.rows);
    for_each_row_by_team(exec, label, count, loop.rows, NormOfRow<T, Loop, Space>{loop, partial});
  } else {
    const std::size_t elements = each * loop.cols;
    loop.block = out.extent(1) == 1 ? block_elements : elements;  // one block: shared by threads
    partials = (elements + loop.block - 1) / loop.block;
    partial = workspace.template vectors<double>(count, out.extent(1) * partials);
    loop.sink = {partial, loop.block};
    run_elements(exec, label, loop, 0, count);
  }
  for_each_row_by_team(exec, "schatten::step/join_norms", count, out.extent(1),
                       JoinNorms<Space>{partial, out, partials});
}

}  // namespace schatten::optim
