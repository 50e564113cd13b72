// SPDX-License-Identifier: BSD-3-Clause
// A rational function of a symmetric positive semidefinite matrix on the host: poles and matrices spread over threads.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/host/triangular.hpp>
#include <schatten/linalg/rational.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// Leading dimension that keeps neighbouring columns out of the same cache sets.
inline std::ptrdiff_t padded(std::ptrdiff_t n) { return (n + 15) / 16 * 16 + 16; }

/// Scalars of scratch for one pole of an n×n matrix: the factor, its leaves' inverses and what cholesky and
/// invert_lower ask for; after them, accumulate_inverse.
inline std::size_t pole_scratch(std::ptrdiff_t n) {
  const std::ptrdiff_t copy = (std::min)(n, triangular::transposed);
  return std::size_t(padded(n) * n + (std::max)(n * n / 2 + 64 * (n + triangular::leaf), copy * (copy + 16)));
}

/// Zeros above the diagonal in column j, as far up as a leaf reaches: leaves on the diagonal are computed whole.
template <class T>
void clear_leaf_above(const HostMatrix<T>& a, std::ptrdiff_t j) {
  for (std::ptrdiff_t i = std::max<std::ptrdiff_t>(j - triangular::leaf, 0); i < j; ++i) a(i, j) = T(0);
}

/// A symmetric matrix: its lower triangle, and its diagonal once more, in double.
template <class T>
struct HostSymmetric {
  HostMatrix<const T> lower;
  const double* diagonal;
};

/// Shifts below this take the refinement of the leaves: 256ε in float, where it takes time, 2⁻³² in double.
template <class Factor>
inline constexpr double refined_below = std::is_same_v<Factor, float> ? 0x1p-15 : 0x1p-32;

/// Scratch of one pole: pole_scratch(n) scalars, n for the diagonal, and where the factorisation is done in another
/// precision than the sum, pole_scratch(n) scalars of that.
template <class Factor, class T>
struct PoleScratch {
  T* pole;
  double* diagonal;
  Factor* factor;
};

/// Lower triangle of W += weight·(S/scale + shift·I)⁻¹ = weight·L⁻ᵀL⁻¹, factored and inverted in precision Factor,
/// multiplied in W's; false if S/scale + shift·I is not positive definite to the precision of the factorisation.
///
/// Rounding of the matrix or of the factorisation moves the inverse by ε/(λ + shift) of itself, and rounding of L by
/// what a leading block's condition makes of it; rounding of L⁻¹ only by ε/√(λ + shift).
template <class Factor, class S, class T>
bool add_shifted_inverse(const HostSymmetric<S>& s, double scale, double shift, double weight, const HostMatrix<T>& w,
                         const PoleScratch<Factor, T>& scratch) {
  using Wide = std::common_type_t<Factor, S>;
  constexpr std::ptrdiff_t leaf = triangular::factor_leaf;
  const std::ptrdiff_t n = s.lower.rows, stride = padded(n);
  const auto add = [&](Factor* memory, const auto& finish) {
    const HostMatrix<Factor> factor{memory, n, n, 1, stride};
    const auto inverses = col_major_matrix(memory + stride * n, leaf, n);
    Factor* const rest = memory + stride * n + leaf * n;
    const Wide inverse_scale = Wide(1 / scale);
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      clear_leaf_above(factor, j);
      for (std::ptrdiff_t i = j; i < n; ++i) factor(i, j) = Factor(Wide(s.lower(i, j)) * inverse_scale);
      scratch.diagonal[j] = s.diagonal[j] / scale + shift;
    }
    // No pivot of the exact factorisation lies under the shift. The refinement is for shifts near the rounding of S:
    // without it directions under the resolution mix into the others ten thousand times as much.
    const CholeskyOptions options{0.5 * shift, shift < refined_below<Factor>};
    if (!cholesky(factor, scratch.diagonal, options, inverses, rest)) return false;
    invert_lower(factor, read_only(inverses), rest);
    finish(factor);
    return true;
  };
  const auto accumulate = [&](const HostMatrix<T>& inverse) {
    accumulate_inverse(T(weight), read_only(inverse), w, scratch.pole + stride * n);
  };
  if constexpr (std::is_same_v<Factor, T>) {
    return add(scratch.pole, accumulate);
  } else {
    return add(scratch.factor, [&](const HostMatrix<Factor>& factor) {
      const HostMatrix<T> inverse{scratch.pole, n, n, 1, stride};
      for (std::ptrdiff_t j = 0; j < n; ++j) {
        clear_leaf_above(inverse, j);
        for (std::ptrdiff_t i = j; i < n; ++i) inverse(i, j) = T(factor(i, j));
      }
      accumulate(inverse);
    });
  }
}

/// The same, and where a pivot fails, in double: rounding in float may take definiteness away from a matrix of
/// deficient rank. That rare path takes its memory from the heap.
template <class Factor, class S, class T>
void add_shifted_inverse_safely(const HostSymmetric<S>& s, double scale, double shift, double weight,
                                const HostMatrix<T>& w, const PoleScratch<Factor, T>& scratch) {
  if (add_shifted_inverse(s, scale, shift, weight, w, scratch)) return;
  const std::ptrdiff_t n = s.lower.rows;
  std::vector<double> memory(pole_scratch(n) + std::size_t(n * n), 0.0);
  const auto sum = col_major_matrix(memory.data(), n, n);
  const PoleScratch<double, double> in_double{memory.data() + n * n, scratch.diagonal, nullptr};
  // Twice the shift, and so on, if even double cannot: the direction lies under the rounding of S by then.
  for (int attempt = 0; attempt < 60; ++attempt, shift *= 2) {
    if (!add_shifted_inverse(s, scale, shift, weight, sum, in_double)) continue;
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      for (std::ptrdiff_t i = j; i < n; ++i) w(i, j) += T(sum(i, j));
    }
    return;
  }
}

/// One task: W ← factor·Σ sums over a tile column of a matrix, mirrored through a tile in cache; NaN where the scale is
/// not finite.
template <class T, class Space>
struct SumOfPoles {
  static constexpr std::ptrdiff_t tile = 32;
  VectorBatchView<T, Space> sums;
  std::size_t parts, first_matrix;
  NumberBatchView<double, Space> scale, factor;
  BatchView<T, Space> w;
  static std::size_t tiles(std::size_t n) { return (n + std::size_t(tile) - 1) / std::size_t(tile); }
  void operator()(std::size_t task) const {
    const std::size_t local_b = task / tiles(w.extent(1)), tile_col = task % tiles(w.extent(1));
    const std::size_t b = first_matrix + local_b;
    const auto out = host_matrix(w, b);
    const std::ptrdiff_t n = out.rows, first = std::ptrdiff_t(tile_col) * tile, last = (std::min)(first + tile, n);
    const bool finite = std::isfinite(scale(b));  // otherwise the sums were not written
    const T f = finite ? T(factor(b)) : std::numeric_limits<T>::quiet_NaN();
    for (std::ptrdiff_t row = first; row < n; row += tile) {
      const std::ptrdiff_t end = (std::min)(row + tile, n);
      T local[tile][tile] = {};
      for (std::size_t part = 0; finite && part < parts; ++part) {
        const T* const sum = sums.data() + (local_b * parts + part) * sums.extent(1);
        for (std::ptrdiff_t j = first; j < last; ++j) {
          for (std::ptrdiff_t i = row; i < end; ++i) local[j - first][i - row] += sum[i + j * padded(n)];
        }
      }
      for (std::ptrdiff_t j = first; j < last; ++j) {  // each triangle along its rows
        for (std::ptrdiff_t i = (std::max)(row, j); i < end; ++i) out(j, i) = f * local[j - first][i - row];
      }
      for (std::ptrdiff_t i = row; i < end; ++i) {
        for (std::ptrdiff_t j = first; j < (std::min)(last, i); ++j) out(i, j) = f * local[j - first][i - row];
      }
    }
  }
};

/// Sets of scratch memory, taken and given back by the tasks; as many as there are threads.
template <class Space>
struct ScratchSlots {
  NumberBatchView<int, Space> taken;
  void operator()(std::size_t slot) const { give_back(slot); }
  [[nodiscard]] std::size_t take() const {
    for (std::size_t slot = 0;; slot = (slot + 1) % taken.extent(0)) {
      int expected = 0;
      if (std::atomic_ref<int>(taken(slot)).compare_exchange_strong(expected, 1)) return slot;
    }
  }
  void give_back(std::size_t slot) const { std::atomic_ref<int>(taken(slot)).store(0); }
};

/// One task of host_rational_function: every parts-th pole of one matrix, into a sum of its own.
template <class S, class T, class Space>
struct PoleTask {
  const Rational* r;  // of the plan: a copy would take memory from the heap
  BatchView<const S, Space> s;
  VectorBatchView<double, Space> diagonal;
  NumberBatchView<double, Space> scale;
  VectorBatchView<T, Space> scratch, sums;
  VectorBatchView<double, Space> shifted_diagonal;
  VectorBatchView<S, Space> factors;
  ScratchSlots<Space> slots;
  std::size_t parts, first_matrix, fine;
  void operator()(std::size_t task) const {
    const std::size_t b = first_matrix + task / parts, part = task % parts;
    if (!std::isfinite(scale(b))) return;
    const HostMatrix<const S> matrix = transpose(host_matrix(s, b));  // symmetric: read along its rows
    const std::ptrdiff_t n = matrix.rows;
    const HostMatrix<T> sum{sums.data() + task * sums.extent(1), n, n, 1, padded(n)};
    const S linear = part == 0 ? S(r->linear / scale(b)) : S(0);
    const T constant = part == 0 ? T(r->constant) : T(0);
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      clear_leaf_above(sum, j);
      for (std::ptrdiff_t i = j; i < n; ++i) sum(i, j) = T(linear * matrix(i, j));
      sum(j, j) += constant;
    }
    const HostSymmetric<S> symmetric{matrix, diagonal.data() + b * diagonal.extent(1)};
    const std::size_t slot = slots.take();
    T* const pole = scratch.data() + slot * scratch.extent(1);
    double* const shifted = shifted_diagonal.data() + slot * shifted_diagonal.extent(1);
    for (std::size_t k = part; k < r->poles.size(); k += parts) {
      const auto add = [&]<class Factor>(const PoleScratch<Factor, T>& memory) {
        add_shifted_inverse_safely(symmetric, scale(b), r->poles[k], r->weights[k], sum, memory);
      };
      if (std::is_same_v<S, T> || k >= fine) {
        add(PoleScratch<T, T>{pole, shifted, nullptr});
      } else {
        add(PoleScratch<S, T>{pole, shifted, factors.data() + slot * factors.extent(1)});
      }
    }
    slots.give_back(slot);
  }
};

/// Sums that the poles of an n×n matrix are added up in: for large matrices several, which threads may share. A matter
/// of the matrix alone, so that its bits depend neither on the number of threads nor on its neighbours in the batch.
inline std::size_t pole_sums(std::size_t poles, std::size_t n) {
  return n < 256 ? 1 : std::clamp<std::size_t>(poles, 1, 4);
}

/// W ← factor_b · r(S_b/scale_b) for every matrix, full symmetric; S full symmetric, its diagonal in double as well.
/// The first `fine` poles are factored and inverted in S's precision, the others in W's.
template <ExecutionSpace Exec, class S, class T, class Space>
void host_rational_function(const Exec& exec, const Rational& r, std::size_t fine, const BatchView<const S, Space>& s,
                            const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& scale,
                            const NumberBatchView<double, Space>& factor, const BatchView<T, Space>& w,
                            Workspace<Space>& workspace) {
  constexpr std::size_t sums_bytes = std::size_t{1} << 24;  // of the matrices at work together, unless threads idle
  const std::size_t batch = s.extent(0), n = s.extent(1);
  if (s.size() == 0) return;
  const std::size_t threads = std::size_t(concurrency(exec)), parts = pole_sums(r.poles.size(), n);
  const std::size_t sum_size = std::size_t(padded(std::ptrdiff_t(n))) * n;
  const std::size_t together =
      (std::min)(batch, (std::max)(2 * threads / parts + 1, sums_bytes / (parts * sum_size * sizeof(T))));
  const std::size_t slots = (std::min)(threads, together * parts);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scratch = workspace.template vectors<T>(slots, pole_scratch(std::ptrdiff_t(n)));
  const auto shifted_diagonal = workspace.template vectors<double>(slots, n);
  const bool two_precisions = !std::is_same_v<S, T> && fine > 0;
  const auto factors = workspace.template vectors<S>(slots, two_precisions ? pole_scratch(std::ptrdiff_t(n)) : 0);
  const auto sums = workspace.template vectors<T>(together * parts, sum_size);
  const ScratchSlots<Space> taken{workspace.template numbers<int>(slots)};
  for_each_matrix(exec, "schatten::rational_function/slots", slots, taken);
  using Sum = SumOfPoles<T, Space>;
  using Task = PoleTask<S, T, Space>;
  for (std::size_t first = 0; first < batch; first += together) {
    const std::size_t count = (std::min)(together, batch - first);
    for_each_matrix(exec, "schatten::rational_function/poles", count * parts,
                    Task{&r, s, diagonal, scale, scratch, sums, shifted_diagonal, factors, taken, parts, first, fine});
    for_each_matrix(exec, "schatten::rational_function/sum", count * Sum::tiles(n),
                    Sum{sums, parts, first, scale, factor, w});
  }
}

template <class Backend, ExecutionSpace Exec, class S, class T, class Space>
  requires is_host_execution_space<Exec>
void rational_function(Backend, const Exec& exec, const Rational& r, std::size_t fine,
                       const BatchView<const S, Space>& s, const VectorBatchView<double, Space>& diagonal,
                       const NumberBatchView<double, Space>& scale, const NumberBatchView<double, Space>& factor,
                       const BatchView<T, Space>& w, Workspace<Space>& workspace) {
  host_rational_function(exec, r, fine, s, diagonal, scale, factor, w, workspace);
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
