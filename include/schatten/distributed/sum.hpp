// SPDX-License-Identifier: BSD-3-Clause
// Sums over ranks in an order that the caller chooses.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/distributed/communicator.hpp>
#include <schatten/linalg/norms.hpp>

#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

namespace schatten::distributed {

/// The order of the terms of a sum over ranks.
enum class SumOrder {
  library,  ///< the library's order: one all-reduce
  ranks     ///< ((x₀ + x₁) + x₂) + …: bitwise the same on every rank, with every library, in every call
};

/// The part [begin, begin + count) of rank k if n elements are divided evenly between N ranks: the first n mod N ranks
/// have one more.
struct Share {
  std::size_t begin, count;
  static constexpr Share of(std::size_t n, std::size_t k, std::size_t ranks) {
    const std::size_t each = n / ranks, more = n % ranks;
    return {k * each + (k < more ? k : more), each + (k < more ? 1 : 0)};
  }
};

namespace detail {

/// x_i ← Σ_k part_k(i) in the order of k, parts of `count` numbers one after the other.
template <class T>
struct SumParts {
  const T* parts;
  T* sum;
  std::size_t count, ranks;
  KOKKOS_FUNCTION void operator()(std::size_t i) const {
    T total = parts[i];
    for (std::size_t k = 1; k < ranks; ++k) total += parts[k * count + i];
    sum[i] = total;
  }
};

/// (a, b) ↦ the number with the larger absolute value; infinity or NaN if one of them is.
struct Larger {
  template <class U>
  KOKKOS_FUNCTION U operator()(U a, U b) const {
    if constexpr (std::is_integral_v<U>) {
      return a < b ? b : a;
    } else {
      return linalg::detail::magnitude_bits(a) < linalg::detail::magnitude_bits(b) ? b : a;
    }
  }
};
/// (a, b) ↦ the smaller one.
struct Smaller {
  KOKKOS_FUNCTION int operator()(int a, int b) const { return a < b ? a : b; }
};

/// x_i ← f of part_k(i) for all k.
template <class U, class F>
struct ReduceParts {
  const U* parts;
  U* x;
  std::size_t count, ranks;
  F f;
  KOKKOS_FUNCTION void operator()(std::size_t i) const {
    U value = parts[i];
    for (std::size_t k = 1; k < ranks; ++k) value = f(value, parts[k * count + i]);
    x[i] = value;
  }
};

/// x ← f of all ranks' x, n numbers, by a gather. For few numbers: a rank sends the bytes of x to each other rank.
template <ExecutionSpace Exec, class U, class F, class Space, class Comm>
void reduce_over_ranks(const Exec& exec, const Comm& comm, U* x, std::size_t n, const F& f,
                       Workspace<Space>& workspace) {
  const auto ranks = std::size_t(comm.size());
  if (ranks == 1 || n == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  U* const parts = workspace.template numbers<U>(ranks * n).data();
  comm.all_gather(exec, x, parts, std::vector<std::size_t>(ranks, n * sizeof(U)));
  for_each_index(exec, "schatten::distributed/reduce", n, ReduceParts<U, F>{parts, x, n, ranks, f});
}

}  // namespace detail

/// x ← Σ over ranks of x, n numbers. With SumOrder::ranks each rank sums its share and then gathers the shares of the
/// others. Memory: n numbers of the workspace. A rank sends 2(N−1)/N of the bytes of x, as in an all-reduce on a ring.
template <ExecutionSpace Exec, Scalar T, class Space, Communicator<Exec> Comm>
void sum_over_ranks(const Exec& exec, const Comm& comm, T* x, std::size_t n, SumOrder order,
                    Workspace<Space>& workspace) {
  if (order == SumOrder::library) return comm.all_reduce(exec, x, n);
  const auto ranks = std::size_t(comm.size()), me = std::size_t(comm.rank());
  if (ranks == 1 || n == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const Share mine = Share::of(n, me, ranks);
  std::vector<std::size_t> share_bytes(ranks), my_bytes(ranks, mine.count * sizeof(T));
  for (std::size_t k = 0; k < ranks; ++k) share_bytes[k] = Share::of(n, k, ranks).count * sizeof(T);
  T* const parts = workspace.template numbers<T>(ranks * mine.count).data();
  T* const sum = workspace.template numbers<T>(mine.count).data();
  comm.all_to_all(exec, x, share_bytes, parts, my_bytes);
  for_each_index(exec, "schatten::distributed/sum", mine.count, detail::SumParts<T>{parts, sum, mine.count, ranks});
  comm.all_gather(exec, sum, x, share_bytes);
}

}  // namespace schatten::distributed
