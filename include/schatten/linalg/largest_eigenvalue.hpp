// Largest eigenvalue of symmetric positive semidefinite matrices, to about a percent.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/norms.hpp>

#include <cstddef>
#include <cstdint>

namespace schatten::linalg {

inline constexpr std::size_t lanczos_steps = 8;

namespace detail {

/// Lanczos vectors and coefficients of a batch: rows of `vectors` are the previous vector, this one, and S times it.
template <class T, class Space>
struct Lanczos {
  BatchView<const T, Space> s;  ///< rows contiguous
  BatchView<T, Space> vectors;  ///< (batch, 3, n)
  VectorBatchView<double, Space> alpha, beta;
  std::size_t step;

  /// Row i of S times the current vector.
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t i) const {
    const T product = T(team.dot(&s(b, i, 0), &vectors(b, 1, 0), s.extent(2)));
    team.once([&] { vectors(b, 2, i) = product; });
  }
};

/// The start: numbers in [−1, 1) by a hash of the index, so that no structured matrix is orthogonal to it.
template <class T, class Space>
struct LanczosStart {
  Lanczos<T, Space> l;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    std::uint32_t hash = std::uint32_t(i) * 0x9e3779b9U + 0x7f4a7c15U;
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bU;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35U;
    hash ^= hash >> 16;
    l.vectors(b, 0, i) = 0;
    l.vectors(b, 1, i) = T(double(hash) / 2147483648.0 - 1);
  }
};

/// The start ← the start over its length.
template <class T, class Space>
struct LanczosNormalize {
  Lanczos<T, Space> l;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b) const {
    const std::size_t n = l.s.extent(2);
    T* const now = &l.vectors(b, 1, 0);
    const T inverse = T(1 / math::sqrt(team.dot(now, now, n)));
    team.for_each(n, [&](std::size_t i) { now[i] *= inverse; });
  }
};

/// alpha = v·Sv, the next vector, its length beta; a length of zero ends the recurrence with zeros.
template <class T, class Space>
struct LanczosAdvance {
  Lanczos<T, Space> l;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b) const {
    const std::size_t n = l.s.extent(2);
    T* const before = &l.vectors(b, 0, 0);
    T* const now = &l.vectors(b, 1, 0);
    T* const next = &l.vectors(b, 2, 0);
    const double a = team.dot(now, next, n), last = l.step == 0 ? 0.0 : l.beta(b, l.step - 1);
    team.for_each(n, [&](std::size_t i) { next[i] -= T(a) * now[i] + T(last) * before[i]; });
    const double length = math::sqrt(team.dot(next, next, n));
    const T inverse = is_finite(length) && length > 0 ? T(1 / length) : T(0);  // comparing a NaN could trap
    team.for_each(n, [&](std::size_t i) {
      before[i] = now[i];
      now[i] = inverse * next[i];
    });
    team.once([&] {
      l.alpha(b, l.step) = a;
      l.beta(b, l.step) = length;
    });
  }
};

/// Largest eigenvalue of the tridiagonal matrix, by bisection on Sturm's count.
template <class Space>
struct LargestRitzValue {
  VectorBatchView<double, Space> alpha, beta;
  NumberBatchView<double, Space> result;

  KOKKOS_FUNCTION bool all_below(std::size_t b, double x) const {
    double pivot = 1;
    for (std::size_t k = 0; k < alpha.extent(1); ++k) {
      const double off = k == 0 ? 0.0 : beta(b, k - 1);
      pivot = x - alpha(b, k) - off * off / pivot;
      if (!(pivot > 0)) return false;
    }
    return true;
  }
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    double low = 0, high = 0;
    for (std::size_t k = 0; k < alpha.extent(1); ++k) {
      const double bound = alpha(b, k) + beta(b, k) + (k == 0 ? 0.0 : beta(b, k - 1));
      if (bound != bound) {
        result(b) = bound;
        return;
      }
      high = bound > high ? bound : high;
    }
    for (int halving = 0; halving < 30; ++halving) {
      const double middle = 0.5 * (low + high);
      (all_below(b, middle) ? high : low) = middle;
    }
    result(b) = high;
  }
};

}  // namespace detail

/// result(b) ← an estimate from below of S_b's largest eigenvalue, by Lanczos steps from a fixed vector.
///
/// S (n×n), symmetric positive semidefinite, rows contiguous. Gaussian and heavy-tailed Gram matrices, eight steps:
/// within 1–4 % (docs/mathematics.md). NaN for a matrix with a NaN. Deterministic on any number of threads.
/// @pre max_steps >= 1. Cost: 2n² flops a step.
template <ExecutionSpace Exec, class T, class Space>
void largest_eigenvalue(const Exec& exec, const BatchView<const T, Space>& s,
                        const NumberBatchView<double, Space>& result, Workspace<Space>& workspace,
                        std::size_t max_steps = lanczos_steps) {
  const std::size_t batch = s.extent(0), n = s.extent(1);
  const std::size_t steps = n < max_steps ? n : max_steps;
  const typename Workspace<Space>::Frame frame(workspace);
  detail::Lanczos<T, Space> lanczos{s, workspace.template batch<T>(batch, 3, n),
                                    workspace.template vectors<double>(batch, steps),
                                    workspace.template vectors<double>(batch, steps), 0};
  for_each_row(exec, "schatten::largest_eigenvalue/start", batch, n, detail::LanczosStart<T, Space>{lanczos});
  for_each_matrix_by_team(exec, "schatten::largest_eigenvalue/start", batch,
                          detail::LanczosNormalize<T, Space>{lanczos});
  for (std::size_t step = 0; step < steps; ++step) {
    lanczos.step = step;
    for_each_row_by_team(exec, "schatten::largest_eigenvalue/product", batch, n, lanczos);
    for_each_matrix_by_team(exec, "schatten::largest_eigenvalue/advance", batch,
                            detail::LanczosAdvance<T, Space>{lanczos});
  }
  for_each_matrix(exec, "schatten::largest_eigenvalue", batch,
                  detail::LargestRitzValue<Space>{lanczos.alpha, lanczos.beta, result});
}

}  // namespace schatten::linalg
