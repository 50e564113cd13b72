// SPDX-License-Identifier: BSD-3-Clause
// A composed rational function of a symmetric positive semidefinite matrix on the host: one factorisation in double,
// the poles in float.
#pragma once

#include <schatten/linalg/host/gram.hpp>
#include <schatten/linalg/host/rational_function.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// The memory of a group of matrices that are computed together, each matrix n×n in columns of padded(n).
///
/// Per matrix: `square` has T, then Σ products_j V_j, then its product; `inner` y's matrix Y, then L⁻¹ times that sum;
/// `sum` the lower triangle of the rest; `inverses` L⁻¹; `poles` V_j = (Y + poles_j I)⁻¹, a matrix after the other;
/// `diagonals` those of Y.
template <class T, class Space>
struct ComposedScratch {
  VectorBatchView<T, Space> square, inner, sum, inverses, poles;
  VectorBatchView<double, Space> diagonals;
  std::ptrdiff_t n;
  [[nodiscard]] HostMatrix<T> matrix(const VectorBatchView<T, Space>& of, std::size_t b, std::size_t place = 0) const {
    const std::size_t size = std::size_t(padded(n) * n);
    return {of.data() + b * of.extent(1) + place * size, n, n, 1, padded(n)};
  }
};

/// One task: T, Y, L⁻¹ and the terms without poles of one matrix.
template <class S, class T, class Space>
struct ComposedInnerTask {
  const ComposedRational* r;
  BatchView<const S, Space> s;
  VectorBatchView<double, Space> diagonal;
  NumberBatchView<double, Space> scale;
  ComposedScratch<T, Space> scratch;
  VectorBatchView<double, Space> shifted_diagonal;
  VectorBatchView<S, Space> factors;
  ScratchSlots<Space> slots;
  std::size_t first_matrix;
  void operator()(std::size_t local_b) const {
    const std::size_t b = first_matrix + local_b;
    if (!std::isfinite(scale(b))) return;
    const HostMatrix<const S> matrix = transpose(host_matrix(s, b));  // symmetric: read along its rows
    const std::ptrdiff_t n = matrix.rows;
    const auto square = scratch.matrix(scratch.square, local_b), inner = scratch.matrix(scratch.inner, local_b);
    const auto sum = scratch.matrix(scratch.sum, local_b);
    fill(transpose(square), T(0));
    const std::size_t slot = slots.take();
    const PoleScratch<S, T> memory{scratch.inverses.data() + local_b * scratch.inverses.extent(1),
                                   shifted_diagonal.data() + slot * shifted_diagonal.extent(1),
                                   factors.data() + slot * factors.extent(1)};
    const HostSymmetric<S> symmetric{matrix, diagonal.data() + b * diagonal.extent(1)};
    // The shift is far above the rounding of S, so that the first attempt holds.
    double shift = r->shift;
    for (int attempt = 0; attempt < 60; ++attempt, shift *= 2) {
      if (add_shifted_inverse(symmetric, scale(b), shift, shift, square, memory)) break;
    }
    slots.give_back(slot);
    const S inverse_scale = S(1 / scale(b));
    const T rise = T(r->rise), linear = T(r->linear), once = T(r->once);
    double* const inner_diagonal = &scratch.diagonals(local_b, 0);
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      clear_leaf_above(sum, j);
      for (std::ptrdiff_t i = j; i < n; ++i) {
        const T x = T(matrix(i, j) * inverse_scale), t = square(i, j);
        sum(i, j) = linear * x + once * t;
        inner(i, j) = x + rise * t;
      }
      sum(j, j) += T(r->constant);
      inner_diagonal[j] = double(inner(j, j));
    }
  }
};

/// One task: V_j of one matrix.
template <class T, class Space>
struct ComposedPoleTask {
  const ComposedRational* r;
  NumberBatchView<double, Space> scale;
  ComposedScratch<T, Space> scratch;
  VectorBatchView<double, Space> shifted_diagonal;
  VectorBatchView<T, Space> pole_memory;
  ScratchSlots<Space> slots;
  std::size_t first_matrix;
  void operator()(std::size_t task) const {
    const std::size_t local_b = task / r->poles.size(), k = task % r->poles.size();
    if (!std::isfinite(scale(first_matrix + local_b))) return;
    const auto inner = scratch.matrix(scratch.inner, local_b), inverse = scratch.matrix(scratch.poles, local_b, k);
    fill(transpose(inverse), T(0));
    const std::size_t slot = slots.take();
    const PoleScratch<T, T> memory{pole_memory.data() + slot * pole_memory.extent(1),
                                   shifted_diagonal.data() + slot * shifted_diagonal.extent(1), nullptr};
    const HostSymmetric<T> symmetric{read_only(inner), &scratch.diagonals(local_b, 0)};
    add_shifted_inverse_safely(symmetric, 1.0, r->poles[k], 1.0, inverse, memory);
    slots.give_back(slot);
  }
};

/// One task: the terms with poles of one matrix: Σ weights_j V_j, and T V = shift·L⁻ᵀ(L⁻¹ V) for V = Σ products_j V_j.
/// Both factors of T are on the left, next to M: ‖M L⁻ᵀ‖ <= 1 where the rounding of V, as large as V, would break what
/// is promised.
template <class T, class Space>
struct ComposedSumTask {
  const ComposedRational* r;
  NumberBatchView<double, Space> scale;
  ComposedScratch<T, Space> scratch;
  std::size_t first_matrix;
  void operator()(std::size_t local_b) const {
    if (!std::isfinite(scale(first_matrix + local_b))) return;
    const auto products = scratch.matrix(scratch.square, local_b), half = scratch.matrix(scratch.inner, local_b);
    const auto sum = scratch.matrix(scratch.sum, local_b), inverse = scratch.matrix(scratch.inverses, local_b);
    const std::ptrdiff_t n = sum.rows;
    for (std::size_t k = 0; k < r->poles.size(); ++k) {
      const auto pole = scratch.matrix(scratch.poles, local_b, k);
      const T weight = T(r->weights[k]), product = T(r->products[k]);
      for (std::ptrdiff_t j = 0; j < n; ++j) {
        for (std::ptrdiff_t i = j; i < n; ++i) {
          sum(i, j) += weight * pole(i, j);
          products(i, j) = (k == 0 ? T(0) : products(i, j)) + product * pole(i, j);
        }
      }
    }
    mirror_columns(products, 0, n);
    fill(transpose(half), T(0));
    lower_times(T(1), read_only(inverse), read_only(products), half);
    fill(transpose(products), T(0));
    lower_transposed_times(T(r->shift), read_only(inverse), read_only(half), products);
  }
};

/// One task: W += factor·T V in a tile of columns.
template <class T, class Space>
struct AddProducts {
  static constexpr std::ptrdiff_t tile = SumOfPoles<T, Space>::tile;
  ComposedScratch<T, Space> scratch;
  std::size_t first_matrix;
  NumberBatchView<double, Space> scale, factor;
  BatchView<T, Space> w;
  void operator()(std::size_t task) const {
    const std::size_t tiles = SumOfPoles<T, Space>::tiles(w.extent(1)), local_b = task / tiles;
    const std::size_t b = first_matrix + local_b;
    if (!std::isfinite(scale(b))) return;
    const auto out = host_matrix(w, b), products = scratch.matrix(scratch.square, local_b);
    const std::ptrdiff_t n = out.rows, first = std::ptrdiff_t(task % tiles) * tile, last = (std::min)(first + tile, n);
    const T f = T(factor(b));
    for (std::ptrdiff_t row = 0; row < n; row += tile) {
      for (std::ptrdiff_t i = row; i < (std::min)(row + tile, n); ++i) {
        for (std::ptrdiff_t j = first; j < last; ++j) out(i, j) += f * products(i, j);
      }
    }
  }
};

/// W ← factor_b · r(S_b/scale_b) for every matrix, full; S full symmetric, its diagonal in double as well.
template <ExecutionSpace Exec, class S, class T, class Space>
void host_composed_function(const Exec& exec, const ComposedRational& r, const BatchView<const S, Space>& s,
                            const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& scale,
                            const NumberBatchView<double, Space>& factor, const BatchView<T, Space>& w,
                            Workspace<Space>& workspace) {
  constexpr std::size_t group_bytes = std::size_t{1} << 24;  // of the matrices at work together, unless threads idle
  const std::size_t batch = s.extent(0), n = s.extent(1), poles = r.poles.size();
  if (s.size() == 0) return;
  const std::size_t threads = std::size_t(concurrency(exec)), size = std::size_t(padded(std::ptrdiff_t(n))) * n;
  const std::size_t pole_size = pole_scratch(std::ptrdiff_t(n));
  const std::size_t together = (std::min)(batch, (std::max)(threads, group_bytes / ((poles + 4) * size * sizeof(T))));
  const std::size_t slots = (std::min)(threads, together * poles);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto of = [&](std::size_t each) { return workspace.template vectors<T>(together, each); };
  ComposedScratch<T, Space> scratch{};
  scratch.n = std::ptrdiff_t(n);
  scratch.square = of(size);
  scratch.inner = of(size);
  scratch.sum = of(size);
  scratch.inverses = of(pole_size);
  scratch.poles = of(poles * size);
  scratch.diagonals = workspace.template vectors<double>(together, n);
  const auto shifted_diagonal = workspace.template vectors<double>(slots, n);
  const auto factors = workspace.template vectors<S>(slots, pole_size);
  const auto pole_memory = workspace.template vectors<T>(slots, pole_size);
  const ScratchSlots<Space> taken{workspace.template numbers<int>(slots)};
  for_each_matrix(exec, "schatten::rational_function/slots", slots, taken);
  using Sum = SumOfPoles<T, Space>;
  for (std::size_t first = 0; first < batch; first += together) {
    const std::size_t count = (std::min)(together, batch - first);
    for_each_matrix(
        exec, "schatten::rational_function/inner", count,
        ComposedInnerTask<S, T, Space>{&r, s, diagonal, scale, scratch, shifted_diagonal, factors, taken, first});
    for_each_matrix(exec, "schatten::rational_function/poles", count * poles,
                    ComposedPoleTask<T, Space>{&r, scale, scratch, shifted_diagonal, pole_memory, taken, first});
    for_each_matrix(exec, "schatten::rational_function/terms", count,
                    ComposedSumTask<T, Space>{&r, scale, scratch, first});
    for_each_matrix(exec, "schatten::rational_function/sum", count * Sum::tiles(n),
                    Sum{scratch.sum, 1, first, scale, factor, w});
    for_each_matrix(exec, "schatten::rational_function/products", count * Sum::tiles(n),
                    AddProducts<T, Space>{scratch, first, scale, factor, w});
  }
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
