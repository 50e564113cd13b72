// SPDX-License-Identifier: BSD-3-Clause
// Largest eigenvalue of symmetric positive semidefinite matrices, to a few percent.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/reduced_float.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/norms.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace schatten::linalg {

/// Numbers of Lanczos steps and of start vectors. One pass over S multiplies the vectors of all starts.
struct LanczosSteps {
  std::size_t steps, starts;
};

/// Steps and starts for which an estimate below λ₁/1.1 is improbable. With one random start and k steps its probability
/// is at most f = 1.65 √n e^{−0.3(2k−1)}, for any spectrum; with j starts, f^j. For n = 1024: 2e-7 on the host (fewest
/// products), 8e-9 on a device (fewest passes over S). Measured: docs/mathematics.md. Source: Kuczyński and
/// Woźniakowski, SIAM J. Matrix Anal. Appl. 13 (1992).
template <ExecutionSpace Exec>
constexpr LanczosSteps lanczos_steps(std::size_t n) {
  if constexpr (!loops_as_on_device<Exec>) return {20, 2};
  return {n <= 2048 ? std::size_t{11} : std::size_t{14}, 8};
}

namespace detail {

/// Number of vectors that S multiplies per Lanczos vector: 1, or 2 for a 16-bit S, the rounded vector and its rounded
/// rest. With rounded vectors only, the estimate would be too large, by 8 % in bfloat16.
template <class T>
inline constexpr std::size_t lanczos_pieces = std::is_same_v<T, Sum<T>> ? 1 : 2;

/// Lanczos vectors and coefficients of a batch, a row for each start: the previous vector, this one, its pieces (all
/// first pieces, then all second ones; the vector itself if there is one piece) and S times the pieces.
template <class T, class Space>
struct Lanczos {
  BatchView<const T, Space> s;  ///< rows contiguous
  BatchView<Sum<T>, Space> before, now;
  BatchView<T, Space> pieces;
  BatchView<Sum<T>, Space> product;
  BatchView<double, Space> alpha, beta;  ///< (batch, starts, steps)
  std::size_t step = 0;

  /// Row i of S times the vectors.
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    for (std::size_t k = 0; k < pieces.extent(1); ++k) {
      product(b, k, i) = Sum<T>(OneThread().dot(&s(b, i, 0), &pieces(b, k, 0), s.extent(2)));
    }
  }
  /// now_i ← x.
  KOKKOS_FUNCTION void set(std::size_t b, std::size_t k, std::size_t i, Sum<T> x) const {
    now(b, k, i) = x;
    if constexpr (lanczos_pieces<T> == 2) {
      const T first = T(x);
      pieces(b, k, i) = first;
      pieces(b, now.extent(1) + k, i) = T(x - Sum<T>(first));
    }
  }
};

/// The starts: numbers in [−1, 1) by a hash of the index. A structured vector may be nearly orthogonal to one of them,
/// but rarely to all.
template <class T, class Space>
struct LanczosStart {
  Lanczos<T, Space> l;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t k, std::size_t i) const {
    std::uint32_t hash = std::uint32_t(i) * 0x9e3779b9U + 0x7f4a7c15U * std::uint32_t(k + 1);
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bU;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35U;
    hash ^= hash >> 16;
    l.before(b, k, i) = 0;
    l.now(b, k, i) = Sum<T>(double(hash) / 2147483648.0 - 1);
  }
};

/// Divides each start by its norm.
template <class T, class Space>
struct LanczosNormalize {
  Lanczos<T, Space> l;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t k) const {
    const std::size_t n = l.s.extent(2);
    Sum<T>* const now = &l.now(b, k, 0);
    const auto inverse = Sum<T>(1 / math::sqrt(team.dot(now, now, n)));
    team.for_each(n, [&](std::size_t i) { l.set(b, k, i, inverse * now[i]); });
  }
};

/// alpha = v·Sv, the next vector, its length beta; a length of nearly zero ends the recurrence with zeros.
template <class T, class Space>
struct LanczosAdvance {
  Lanczos<T, Space> l;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t k) const {
    using U = Sum<T>;
    const std::size_t n = l.s.extent(2);
    U *const before = &l.before(b, k, 0), *const now = &l.now(b, k, 0), *const next = &l.product(b, k, 0);
    if constexpr (lanczos_pieces<T> == 2)
      team.for_each(n, [&](std::size_t i) { next[i] += l.product(b, l.now.extent(1) + k, i); });
    const double a = team.dot(now, next, n), last = l.step == 0 ? 0.0 : l.beta(b, k, l.step - 1);
    team.for_each(n, [&](std::size_t i) { next[i] -= U(a) * now[i] + U(last) * before[i]; });
    const double length = math::sqrt(team.dot(next, next, n));
    constexpr double least = double((std::numeric_limits<U>::min)()) * 0x1p20;     // below, 1/length may overflow
    const U inverse = is_finite(length) && length > least ? U(1 / length) : U(0);  // comparing a NaN could trap
    team.for_each(n, [&](std::size_t i) {
      before[i] = now[i];
      l.set(b, k, i, inverse * next[i]);
    });
    team.once([&] {
      l.alpha(b, k, l.step) = a;
      l.beta(b, k, l.step) = length;
    });
  }
};

/// Largest eigenvalue of the tridiagonal matrices of all recurrences of a matrix. The interval that contains it is
/// divided into `parts` equal ones, `rounds` times; parts: a power of two. Whether it is below a cut is Sturm's count,
/// a chain of divisions: on a device each thread of a team has one cut and one recurrence.
template <class Space, std::size_t parts, int rounds>
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
  /// The bits of an upper bound by row j of matrix k (Gershgorin), ordered as the bounds are: 0 for a negative one. NaN
  /// is above all others.
  KOKKOS_FUNCTION std::uint64_t bound_bits(std::size_t b, std::size_t k, std::size_t j) const {
    const double bound = alpha(b, k, j) + beta(b, k, j) + (j == 0 ? 0.0 : beta(b, k, j - 1));
    if (bound != bound) return std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN());
    return bound > 0 ? std::bit_cast<std::uint64_t>(bound) : 0;
  }
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b) const {
    const std::size_t starts = alpha.extent(1), steps = alpha.extent(2);
    double low = 0, high = std::bit_cast<double>(team.template max<std::uint64_t>(
                        starts * steps, [&](std::size_t at) { return bound_bits(b, at / steps, at % steps); }));
    for (int round = 0; is_finite(high) && round < rounds; ++round) {
      const auto cut = [&](int k) {
        const double share = double(k) / double(parts);
        return low * (1 - share) + high * share;
      };
      const int above = team.template max<int>((parts - 1) * starts, [&](std::size_t at) {
        const int k = int(at / starts) + 1;
        return all_below(b, at % starts, cut(k)) ? 0 : k;
      });
      const double next = cut(above);
      high = cut(above + 1);
      low = next;
    }
    team.once([&] { result(b) = high; });
  }
};

}  // namespace detail

/// result(b) ← a lower estimate of S_b's largest eigenvalue, by Lanczos steps from fixed vectors.
///
/// S (n×n), symmetric positive semidefinite, rows contiguous; also of 16 bits. NaN for a matrix with a NaN. The same
/// bits on any number of threads, if the backend's gemm has this property. Cost: 80n² flops, on a device 176n² to
/// 224n².
template <class Backend = void, ExecutionSpace Exec, class T, class Space>
void largest_eigenvalue(const Exec& exec, const BatchView<const T, Space>& s,
                        const NumberBatchView<double, Space>& result, Workspace<Space>& workspace) {
  using U = Sum<T>;
  const std::size_t batch = s.extent(0), n = s.extent(1);
  const LanczosSteps most = lanczos_steps<Exec>(n);
  const std::size_t starts = most.starts, steps = n < most.steps ? n : most.steps;
  const typename Workspace<Space>::Frame frame(workspace);
  constexpr std::size_t pieces = detail::lanczos_pieces<T>;
  const auto vectors = [&](std::size_t rows) { return workspace.template aligned_batch<U>(batch, rows, n); };
  const auto numbers = [&] { return workspace.template batch<double>(batch, starts, steps); };
  detail::Lanczos<T, Space> lanczos{s,         vectors(starts), vectors(starts), {}, vectors(pieces * starts),
                                    numbers(), numbers()};
  if constexpr (pieces == 1) {
    lanczos.pieces = lanczos.now;
  } else {
    lanczos.pieces = workspace.template aligned_batch<T>(batch, pieces * starts, n);
  }
  for_each_element(exec, "schatten::largest_eigenvalue/start", batch, starts, n,
                   detail::LanczosStart<T, Space>{lanczos});
  for_each_row_by_team(exec, "schatten::largest_eigenvalue/start", batch, starts,
                       detail::LanczosNormalize<T, Space>{lanczos});
  for (std::size_t step = 0; step < steps; ++step) {
    lanczos.step = step;
    if constexpr (loops_as_on_device<Exec>) {
      gemm<Backend>(exec, U(1), s, transpose(lanczos.pieces), U(0), transpose(lanczos.product), workspace);
    } else {  // a gemm would copy S to multiply so few vectors
      for_each_row(exec, "schatten::largest_eigenvalue/product", batch, n, lanczos);
    }
    for_each_row_by_team(exec, "schatten::largest_eigenvalue/advance", batch, starts,
                         detail::LanczosAdvance<T, Space>{lanczos});
  }
  constexpr std::size_t parts = loops_as_on_device<Exec> ? 32 : 2;
  constexpr int rounds = loops_as_on_device<Exec> ? 4 : 20;  // to 2^-20 of the first interval
  for_each_matrix_by_team(exec, "schatten::largest_eigenvalue", batch,
                          detail::LargestRitzValue<Space, parts, rounds>{lanczos.alpha, lanczos.beta, result});
}

}  // namespace schatten::linalg
