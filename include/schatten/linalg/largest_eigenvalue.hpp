// Largest eigenvalue of symmetric positive semidefinite matrices, to about a percent.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/reduced_float.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/norms.hpp>

#include <cstddef>
#include <cstdint>

namespace schatten::linalg {

/// How often Lanczos' recurrence multiplies S, and from how many vectors at once it starts: one reading of S serves all.
struct LanczosSteps {
  std::size_t steps = 8, starts = 1;
};

namespace detail {

/// Lanczos vectors and coefficients of a batch, a row for each start: the previous vector, this one and S times it.
template <class T, class Space>
struct Lanczos {
  BatchView<const T, Space> s;  ///< rows contiguous
  std::size_t starts;
  BatchView<T, Space> before, now;       ///< (batch, starts, n)
  BatchView<Sum<T>, Space> product;      ///< (batch, starts, n)
  BatchView<double, Space> alpha, beta;  ///< (batch, starts, steps)
  std::size_t step;

  /// Row i of S times the vectors.
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t i) const {
    for (std::size_t k = 0; k < starts; ++k) {
      const auto entry = Sum<T>(team.dot(&s(b, i, 0), &now(b, k, 0), s.extent(2)));
      team.once([&] { product(b, k, i) = entry; });
    }
  }
};

/// The starts: numbers in [−1, 1) by a hash of the index, so that no structured matrix is orthogonal to them.
template <class T, class Space>
struct LanczosStart {
  Lanczos<T, Space> l;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t k, std::size_t i) const {
    std::uint32_t hash = std::uint32_t(i) * 0x9e3779b9U + 0x7f4a7c15U * std::uint32_t(k + 1);
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bU;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35U;
    hash ^= hash >> 16;
    l.before(b, k, i) = T(Sum<T>(0));
    l.now(b, k, i) = T(Sum<T>(double(hash) / 2147483648.0 - 1));
  }
};

/// Each start ← the start over its length.
template <class T, class Space>
struct LanczosNormalize {
  Lanczos<T, Space> l;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t k) const {
    const std::size_t n = l.s.extent(2);
    T* const now = &l.now(b, k, 0);
    const auto inverse = Sum<T>(1 / math::sqrt(team.dot(now, now, n)));
    team.for_each(n, [&](std::size_t i) { now[i] = T(inverse * Sum<T>(now[i])); });
  }
};

/// alpha = v·Sv, the next vector, its length beta; a length of zero ends the recurrence with zeros.
template <class T, class Space>
struct LanczosAdvance {
  Lanczos<T, Space> l;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t k) const {
    using U = Sum<T>;
    const std::size_t n = l.s.extent(2);
    T* const before = &l.before(b, k, 0);
    T* const now = &l.now(b, k, 0);
    U* const next = &l.product(b, k, 0);
    const double a = team.dot(now, next, n), last = l.step == 0 ? 0.0 : l.beta(b, k, l.step - 1);
    team.for_each(n, [&](std::size_t i) { next[i] -= U(a) * U(now[i]) + U(last) * U(before[i]); });
    const double length = math::sqrt(team.dot(next, next, n));
    const U inverse = is_finite(length) && length > 0 ? U(1 / length) : U(0);  // comparing a NaN could trap
    team.for_each(n, [&](std::size_t i) {
      before[i] = now[i];
      now[i] = T(inverse * next[i]);
    });
    team.once([&] {
      l.alpha(b, k, l.step) = a;
      l.beta(b, k, l.step) = length;
    });
  }
};

/// Largest eigenvalue of the tridiagonal matrices, by bisection on Sturm's count for all recurrences of a matrix.
template <class Space>
struct LargestRitzValue {
  BatchView<double, Space> alpha, beta;
  NumberBatchView<double, Space> result;

  KOKKOS_FUNCTION bool all_below(std::size_t b, std::size_t k, double x) const {
    double pivot = 1;
    for (std::size_t j = 0; j < alpha.extent(2); ++j) {
      const double off = j == 0 ? 0.0 : beta(b, k, j - 1);
      pivot = x - alpha(b, k, j) - off * off / pivot;
      if (!(pivot > 0)) return false;
    }
    return true;
  }
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    const std::size_t starts = alpha.extent(1);
    double low = 0, high = 0;
    for (std::size_t k = 0; k < starts; ++k) {
      for (std::size_t j = 0; j < alpha.extent(2); ++j) {
        const double bound = alpha(b, k, j) + beta(b, k, j) + (j == 0 ? 0.0 : beta(b, k, j - 1));
        if (bound != bound) {
          result(b) = bound;
          return;
        }
        high = bound > high ? bound : high;
      }
    }
    for (int halving = 0; halving < 20; ++halving) {
      const double middle = 0.5 * (low + high);
      bool below = true;
      for (std::size_t k = 0; below && k < starts; ++k) below = all_below(b, k, middle);
      (below ? high : low) = middle;
    }
    result(b) = high;
  }
};

}  // namespace detail

/// result(b) ← an estimate from below of S_b's largest eigenvalue, by Lanczos steps from fixed vectors.
///
/// S (n×n), symmetric positive semidefinite, rows contiguous; also of 16 bits. Gaussian and heavy-tailed Gram matrices,
/// eight steps from one start: within 1–4 % (docs/mathematics.md). NaN for a matrix with a NaN. Deterministic on any
/// number of threads as far as the backend's gemm is. @pre steps, starts >= 1. Cost: 2n² flops a step and start.
template <class Backend = void, ExecutionSpace Exec, class T, class Space>
void largest_eigenvalue(const Exec& exec, const BatchView<const T, Space>& s,
                        const NumberBatchView<double, Space>& result, Workspace<Space>& workspace,
                        const LanczosSteps& wanted = {}) {
  using U = Sum<T>;
  const std::size_t batch = s.extent(0), n = s.extent(1), starts = wanted.starts;
  const std::size_t steps = n < wanted.steps ? n : wanted.steps;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto vectors = [&]<class V>(V) { return workspace.template aligned_batch<V>(batch, starts, n); };
  const auto numbers = [&] { return workspace.template batch<double>(batch, starts, steps); };
  detail::Lanczos<T, Space> lanczos{s, starts, vectors(T()), vectors(T()), vectors(U()), numbers(), numbers(), 0};
  for_each_element(exec, "schatten::largest_eigenvalue/start", batch, starts, n,
                   detail::LanczosStart<T, Space>{lanczos});
  for_each_row_by_team(exec, "schatten::largest_eigenvalue/start", batch, starts,
                       detail::LanczosNormalize<T, Space>{lanczos});
  for (std::size_t step = 0; step < steps; ++step) {
    lanczos.step = step;
    if constexpr (loops_as_on_device<Exec>) {
      gemm<Backend>(exec, U(1), s, transpose(lanczos.now), U(0), transpose(lanczos.product), workspace);
    } else {  // a gemm would copy S to multiply so few vectors
      for_each_row_by_team(exec, "schatten::largest_eigenvalue/product", batch, n, lanczos);
    }
    for_each_row_by_team(exec, "schatten::largest_eigenvalue/advance", batch, starts,
                         detail::LanczosAdvance<T, Space>{lanczos});
  }
  for_each_matrix(exec, "schatten::largest_eigenvalue", batch,
                  detail::LargestRitzValue<Space>{lanczos.alpha, lanczos.beta, result});
}

}  // namespace schatten::linalg
