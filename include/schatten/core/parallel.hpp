// SPDX-License-Identifier: BSD-3-Clause
// Loops over the matrices, rows and elements of a batch. All kernels of the library are such loops.
//
// Bodies are named functors with a KOKKOS_FUNCTION call operator: nvcc does not take lambdas everywhere. All loops are
// asynchronous on `exec`; nothing fences. Launches are not inlined: Kokkos' code for a launch is long, and many
// launches in one function compile slowly.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/core/host_region.hpp>
#include <schatten/core/team.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace schatten {

/// Whether loops have the device's shape: threads along the columns, and a team of threads for sums and maxima of a row
/// or a matrix. SCHATTEN_LOOPS_AS_ON_DEVICE gives host programs this shape too, for tests.
#if defined(SCHATTEN_LOOPS_AS_ON_DEVICE)
template <class Exec>
inline constexpr bool loops_as_on_device = true;
#else
template <class Exec>
inline constexpr bool loops_as_on_device = !is_host_execution_space<Exec>;
#endif

/// Number of consecutive elements that a thread of a device works on at a time.
inline constexpr std::size_t group_size = 4;

/// The elements of a matrix that a thread of a device works on: `count` of them at a time, group_size or 1.
template <std::size_t count>
struct ElementsOfThread {
  static constexpr std::uint32_t lanes = 128;  ///< threads that work side by side

  std::size_t first = 0;     ///< the thread's first element, row-major
  std::size_t size = 0;      ///< elements of the matrix
  std::uint32_t rounds = 1;  ///< times that the thread works on `count` elements

  /// Calls f(at) for elements [at, at + count), `rounds` times or until the matrix ends. Neighbouring threads have
  /// neighbouring elements.
  template <class F>
  KOKKOS_FORCEINLINE_FUNCTION void for_each(const F& f) const {
    std::size_t at = first;
    for (std::uint32_t round = 0; round < rounds && at < size; ++round, at += lanes * count) f(at);
  }
};

namespace detail {

/// The loop of for_each_group.
template <class Body, std::size_t count>
struct GroupLoop {
  Body body;
  std::size_t size;             ///< elements of a matrix
  std::uint32_t tiles, rounds;  ///< tiles of `lanes` threads that a matrix has
  KOKKOS_FUNCTION void operator()(std::uint32_t thread) const {
    constexpr std::uint32_t lanes = ElementsOfThread<count>::lanes;
    const std::uint32_t all = thread / lanes, b = all / tiles, tile = all - b * tiles;
    const std::size_t first = (std::size_t(tile) * rounds * lanes + thread % lanes) * count;
    body(std::size_t(b), ElementsOfThread<count>{first, size, rounds});
  }
};

template <std::size_t count, class Exec, class Body>
void group_loop(const Exec& exec, std::string_view label, std::size_t batch, std::size_t size, const Body& body) {
  constexpr std::size_t lanes = ElementsOfThread<count>::lanes, most = std::size_t{1} << 30;
  const std::size_t groups = (size + count - 1) / count, wanted = batch * groups >> 18;
  std::size_t rounds = wanted < 1 ? 1 : wanted < 4 ? wanted : 4;
  const auto tiles = [&] { return (groups + rounds * lanes - 1) / (rounds * lanes); };
  while (batch * tiles() * lanes > most && tiles() > 1) rounds *= 2;
  const GroupLoop<Body, count> loop{body, size, std::uint32_t(tiles()), std::uint32_t(rounds)};
  // At least 640 threads of a multiprocessor: their reads of 64 bytes keep an H100's memory busy.
  using Policy = Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::uint32_t>, Kokkos::LaunchBounds<128, 5>>;
  const Policy policy(exec, 0, std::uint32_t(batch * tiles() * lanes));
  Kokkos::parallel_for(std::string(label), as_argument<Exec>(policy, loop), loop);
}

template <class Body>
struct RowLoop {
  Body body;
  std::size_t rows;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { body(k / rows, k % rows); }
};

/// On the host a thread computes a row, so that the compiler can vectorize the inner loop.
template <class Body>
struct ElementLoopByRow {
  Body body;
  std::size_t cols;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    for (std::size_t j = 0; j < cols; ++j) body(b, i, j);
  }
};

/// On a device neighbouring threads compute neighbouring columns, so that memory accesses coalesce. There are two
/// divisions per element, of 32 bits if the number of elements allows.
template <class Body, class Index>
struct ElementLoopByColumn {
  Body body;
  Index rows, cols;
  KOKKOS_FUNCTION void operator()(Index k) const {
    const Index row = k / cols, b = row / rows;
    body(std::size_t(b), std::size_t(row - b * rows), std::size_t(k - row * cols));
  }
};

/// The policy of a device's loop with the hint that its work is light: on CUDA the body then is the kernel's argument.
/// Without it Kokkos passes a body above 512 bytes (a sum of matrices, vectors of a recurrence) in CUDA's constant
/// memory. The host waits there for the kernel before that used it, and a graph cannot capture the launch.
template <class Exec, class Policy, class Body>
auto as_argument(const Policy& policy, [[maybe_unused]] const Body& body) {
  if constexpr (loops_as_on_device<Exec>) {
    static_assert(sizeof(Body) <= 3072, "schatten: a kernel's body must fit into the 4 KiB of its arguments");
    return Kokkos::Experimental::require(policy, Kokkos::Experimental::WorkItemProperty::HintLightWeight);
  } else {
    return policy;
  }
}

template <class Index, class Exec, class Body>
void element_loop_by_column(const Exec& exec, std::string_view label, std::size_t batch, std::size_t rows,
                            std::size_t cols, const Body& body) {
  const ElementLoopByColumn<Body, Index> loop{body, Index(rows), Index(cols)};
  const Kokkos::RangePolicy<Exec, Kokkos::IndexType<Index>> policy(exec, 0, Index(batch * rows * cols));
  Kokkos::parallel_for(std::string(label), as_argument<Exec>(policy, loop), loop);
}

/// Calls a team body with a team of one thread.
template <class Body>
struct OneThreadRow {
  Body body;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const { body(OneThread(), b, i); }
};

template <class Exec, class Body>
struct TeamRow {
  using Member = typename Kokkos::TeamPolicy<Exec>::member_type;
  Body body;
  std::size_t rows;
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    const auto k = std::size_t(member.league_rank());
    body(ThreadTeam<Member>{member}, k / rows, k % rows);
  }
};

/// Calls a body without the row's number.
template <class Body>
struct MatrixAsRow {
  Body body;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t) const {
    body(team, b);
  }
};

}  // namespace detail

/// Calls body(b) for every matrix b of a batch.
template <ExecutionSpace Exec, class Body>
[[gnu::noinline]] void for_each_matrix(const Exec& exec, std::string_view label, std::size_t batch, const Body& body) {
  if (batch == 0 || detail::loop_in_region(exec, label, batch, body)) return;
  const auto policy = Kokkos::RangePolicy<Exec, Kokkos::Schedule<Kokkos::Dynamic>>(exec, 0, batch).set_chunk_size(1);
  Kokkos::parallel_for(std::string(label), detail::as_argument<Exec>(policy, body), body);
}

/// Calls body(k) for every k below n.
template <ExecutionSpace Exec, class Body>
[[gnu::noinline]] void for_each_index(const Exec& exec, std::string_view label, std::size_t n, const Body& body) {
  if (n == 0 || detail::loop_in_region(exec, label, n, body)) return;
  const Kokkos::RangePolicy<Exec> policy(exec, 0, n);
  Kokkos::parallel_for(std::string(label), detail::as_argument<Exec>(policy, body), body);
}

/// Calls body(b, i) for every row i of every matrix b.
template <ExecutionSpace Exec, class Body>
void for_each_row(const Exec& exec, std::string_view label, std::size_t batch, std::size_t rows, const Body& body) {
  for_each_index(exec, label, batch * rows, detail::RowLoop<Body>{body, rows});
}

/// Calls body(team, b, i) for every row i of every matrix b. The functions of `team` (core/team.hpp) divide loops among
/// its threads. On a device a team has Body::team_bytes of shared memory, if there is such a member.
template <ExecutionSpace Exec, class Body>
void for_each_row_by_team(const Exec& exec, std::string_view label, std::size_t batch, std::size_t rows,
                          const Body& body) {
  if (batch * rows == 0) return;
  if constexpr (loops_as_on_device<Exec>) {
    const detail::TeamRow<Exec, Body> loop{body, rows};
    Kokkos::TeamPolicy<Exec> policy(exec, int(batch * rows), Kokkos::AUTO);
    if constexpr (requires { Body::team_bytes; }) policy.set_scratch_size(0, Kokkos::PerTeam(Body::team_bytes));
    Kokkos::parallel_for(std::string(label), detail::as_argument<Exec>(policy, loop), loop);
  } else {
    for_each_row(exec, label, batch, rows, detail::OneThreadRow<Body>{body});
  }
}

/// Calls body(team, b) for every matrix b.
template <ExecutionSpace Exec, class Body>
void for_each_matrix_by_team(const Exec& exec, std::string_view label, std::size_t batch, const Body& body) {
  for_each_row_by_team(exec, label, batch, 1, detail::MatrixAsRow<Body>{body});
}

/// Device: calls body(b, elements) in the threads of every matrix b of a batch, each of `size` elements. `elements`:
/// ElementsOfThread of group_size elements at a time if `grouped`, otherwise of single ones. From some 2^18 threads on
/// a thread works up to four times, so that what it reads once for all of them costs little. A thread divides once, by
/// 32 bits. @pre grouped: group_size divides `size`.
template <ExecutionSpace Exec, class Body>
[[gnu::noinline]] void for_each_group(const Exec& exec, std::string_view label, std::size_t batch, std::size_t size,
                                      bool grouped, const Body& body) {
  if (batch * size == 0) return;
  if (grouped) return detail::group_loop<group_size>(exec, label, batch, size, body);
  detail::group_loop<1>(exec, label, batch, size, body);
}

/// Calls body(b, i, j) for every element. The last index should be contiguous in memory.
template <ExecutionSpace Exec, class Body>
void for_each_element(const Exec& exec, std::string_view label, std::size_t batch, std::size_t rows, std::size_t cols,
                      const Body& body) {
  const std::size_t elements = batch * rows * cols;
  if (elements == 0) return;
  if constexpr (!loops_as_on_device<Exec>) {
    for_each_row(exec, label, batch, rows, detail::ElementLoopByRow<Body>{body, cols});
  } else if (elements <= std::size_t((std::numeric_limits<std::int32_t>::max)())) {  // Kokkos adds to the number
    detail::element_loop_by_column<std::uint32_t>(exec, label, batch, rows, cols, body);
  } else {
    detail::element_loop_by_column<std::uint64_t>(exec, label, batch, rows, cols, body);
  }
}

}  // namespace schatten
