// SPDX-License-Identifier: BSD-3-Clause
// labels: bare portable
// Frames, growth and reuse of scratch memory.

#include "support/tool_events.hpp"
#include <schatten/core/stable_sort.hpp>
#include <schatten/core/workspace.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using Space = Kokkos::DefaultHostExecutionSpace::memory_space;
using Workspace = schatten::Workspace<Space>;
using schatten::test::ToolEvents;

struct Piece {
  std::uintptr_t begin, end;
};

template <class View>
Piece piece_of(const View& view) {
  const auto begin = reinterpret_cast<std::uintptr_t>(view.data());
  return {begin, begin + view.size() * sizeof(*view.data())};
}

bool disjoint(std::vector<Piece> pieces) {
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  for (std::size_t k = 1; k < pieces.size(); ++k) {
    if (pieces[k].begin < pieces[k - 1].end) return false;
  }
  return true;
}

/// Takes pieces of random sizes and types in nested frames; all of `held` are in use.
void take(Workspace& workspace, std::mt19937& generator, std::vector<Piece> held, int depth) {
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(generator); };
  const Workspace::Frame frame(workspace);
  for (int k = 0; k < 6; ++k) {
    switch (below(4)) {
      case 0: held.push_back(piece_of(workspace.batch<float>(below(3), 1 + below(20), 1 + below(20)))); break;
      case 1: held.push_back(piece_of(workspace.vectors<double>(1 + below(3), below(300)))); break;
      case 2: held.push_back(piece_of(workspace.numbers<int>(1 + below(50)))); break;
      default:
        if (depth < 4) take(workspace, generator, held, depth + 1);
    }
    CHECK(held.back().begin % 256 == 0);
  }
  std::erase_if(held, [](const Piece& piece) { return piece.begin == piece.end; });
  CHECK(disjoint(held));
}

}  // namespace

TEST_CASE("pieces are aligned, do not overlap, and an equal second pass allocates nothing") {
  for (unsigned seed = 0; seed < 40; ++seed) {
    Workspace workspace;
    CHECK(workspace.capacity() == 0);
    const auto pass = [&] {
      std::mt19937 generator(seed);
      const Workspace::Frame frame(workspace);
      take(workspace, generator, {piece_of(workspace.numbers<double>(1))}, 0);
    };
    pass();
    const std::size_t capacity = workspace.capacity();
    CHECK(capacity > 0);
    const ToolEvents events;
    pass();
    pass();
    CHECK(events.allocations().empty());
    CHECK(workspace.capacity() == capacity);
  }
}

TEST_CASE("a smaller pass after a larger one allocates nothing, a larger one grows") {
  Workspace workspace;
  const auto pass = [&](std::size_t n) {
    const Workspace::Frame frame(workspace);
    workspace.vectors<float>(1, n);
    workspace.vectors<float>(1, n);
  };
  pass(1000);
  {
    const ToolEvents events;
    pass(10);
    pass(1000);
    CHECK(events.allocations().empty());
    pass(2000);
    CHECK(!events.allocations().empty());
    CHECK(schatten::test::foreign_labels(events.allocations()).empty());
  }
  const ToolEvents events;
  pass(2000);
  CHECK(events.allocations().empty());
}

TEST_CASE("a frame gives back what was taken since it began, and no more") {
  Workspace workspace;
  const auto pass = [&] {
    const Workspace::Frame outer(workspace);
    const auto kept = workspace.vectors<double>(1, 100);
    for (std::size_t k = 0; k < 100; ++k) kept(0, k) = double(k);
    double* first = nullptr;
    for (int repetition = 0; repetition < 3; ++repetition) {
      const Workspace::Frame inner(workspace);
      const auto scratch = workspace.vectors<double>(1, 500);
      for (std::size_t k = 0; k < 500; ++k) scratch(0, k) = -1;
      if (repetition == 0) first = scratch.data();
      CHECK(scratch.data() == first);
    }
    for (std::size_t k = 0; k < 100; ++k) CHECK(kept(0, k) == double(k));
  };
  pass();
  pass();
}

TEST_CASE("memory comes back when an exception leaves a frame") {
  Workspace workspace;
  const auto pass = [&] {
    const Workspace::Frame frame(workspace);
    workspace.vectors<double>(2, 700);
    workspace.batch<float>(2, 10, 10);
    throw std::runtime_error("left");
  };
  CHECK_THROWS_AS(pass(), std::runtime_error);
  const ToolEvents events;
  for (int repetition = 0; repetition < 3; ++repetition) CHECK_THROWS_AS(pass(), std::runtime_error);
  CHECK(events.allocations().empty());
}

TEST_CASE("a moved workspace keeps its memory") {
  Workspace first;
  {
    const Workspace::Frame frame(first);
    first.vectors<double>(1, 100);
  }
  Workspace second(std::move(first));
  const ToolEvents events;
  const Workspace::Frame frame(second);
  second.vectors<double>(1, 100);
  CHECK(events.allocations().empty());
}

TEST_CASE("rows of an aligned batch begin at multiples of 16 bytes, whichever index is contiguous") {
  using schatten::Half;
  Workspace workspace;
  const Workspace::Frame frame(workspace);
  const auto rows = workspace.aligned_batch<Half>(2, 3, 5);
  CHECK(rows.stride(2) == 1);
  CHECK(rows.stride(1) == 8);
  CHECK(rows.stride(0) == 24);
  CHECK(reinterpret_cast<std::uintptr_t>(rows.data()) % 16 == 0);
  const auto columns = schatten::batch_like<float>(transpose(rows), workspace);
  CHECK(columns.extent(1) == 5);
  CHECK(columns.extent(2) == 3);
  CHECK(columns.stride(1) == 1);
  CHECK(columns.stride(2) == 8);
  CHECK(workspace.aligned_batch<double>(1, 2, 3).stride(1) == 4);
}

TEST_CASE("a workspace keeps one object of a type, and ends it") {
  struct Counted {
    explicit Counted(const Kokkos::DefaultHostExecutionSpace&) { ++alive(); }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --alive(); }
    static int& alive() {
      static int count = 0;
      return count;
    }
  };
  struct Other {
    explicit Other(const Kokkos::DefaultHostExecutionSpace&) {}
    int number = 7;
  };
  const Kokkos::DefaultHostExecutionSpace exec;
  {
    Workspace first;
    Counted& counted = first.resource<Counted>(exec);
    CHECK(first.resource<Other>(exec).number == 7);
    CHECK(&first.resource<Counted>(exec) == &counted);
    CHECK(Counted::alive() == 1);
    Workspace second(std::move(first));
    CHECK(&second.resource<Counted>(exec) == &counted);
    CHECK(Counted::alive() == 1);
  }
  CHECK(Counted::alive() == 0);
}

TEST_CASE("stable_sort keeps the order of what compares as equal, and stays inside whatever compares with nothing") {
  std::vector<std::pair<int, int>> values(50);
  for (int k = 0; k < 50; ++k) values[std::size_t(k)] = {k * 7 % 5, k};
  const std::vector<std::pair<int, int>> before = values;
  schatten::stable_sort(values, [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<int, int>> expected = before;
  std::sort(expected.begin(), expected.end());  // the second number is the place
  CHECK(values == expected);
  std::vector<double> numbers(40, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t k = 0; k < 40; k += 3) numbers[k] = double(k % 4);
  schatten::stable_sort(numbers, [](double a, double b) { return std::isless(a, b); });
  CHECK(std::count_if(numbers.begin(), numbers.end(), [](double x) { return std::isnan(x); }) == 26);
}
