// SPDX-License-Identifier: BSD-3-Clause
// labels: threads portable
// Many loops in one parallel region of the host's threads.

#include <schatten/core/host_region.hpp>
#include <schatten/core/parallel.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <stdexcept>
#include <vector>

namespace {

using namespace schatten;
using Exec = Kokkos::DefaultHostExecutionSpace;

/// counts[k] += 1, and what the loops before have left there.
struct CountIndex {
  int* counts;
  int before;
  std::size_t rows;
  void operator()(std::size_t b) const { counts[b] += counts[b] == before ? 1 : 1000; }
  void operator()(std::size_t b, std::size_t i) const { (*this)(b * rows + i); }
};

void check_loops(const Exec& exec, std::size_t batch, std::size_t rows, int loops) {
  std::vector<int> of_matrices(batch), of_rows(batch * rows);
  for (int k = 0; k < loops; ++k) {
    for_each_matrix(exec, "schatten::test::matrices", batch, CountIndex{of_matrices.data(), k, 1});
    for_each_row(exec, "schatten::test::rows", batch, rows, CountIndex{of_rows.data(), k, rows});
  }
  CHECK(of_matrices == std::vector<int>(batch, loops));
  CHECK(of_rows == std::vector<int>(batch * rows, loops));
}

/// f() in a region of four threads, whatever the machine has and other processes leave of it.
template <class F>
void on_four_threads(const F& f) {
#if defined(SCHATTEN_HOST_REGIONS)
  detail::HostRegion(4).run(f);
#else
  f();
#endif
}

struct Launch {
  int* sum;
  void operator()(int k) const { sum[k] += k; }
};

}  // namespace

TEST_CASE("every loop of a region meets each index once, after all indices of the loop before") {
  const Exec exec;
  on_four_threads([&] {
    check_loops(exec, 7, 5, 1000);
    check_loops(exec, 1, 1000, 100);
    check_loops(exec, 0, 4, 2);
  });
  for (const bool small : {false, true}) {
    in_host_region(exec, small, [&] { check_loops(exec, 7, 5, 10); });
  }
  check_loops(exec, 7, 5, 100);  // outside
}

TEST_CASE("many regions, and regions in regions") {
  const Exec exec;
  for (int k = 0; k < 200; ++k) {
    in_host_region(exec, false, [&] { in_host_region(exec, false, [&] { check_loops(exec, 3, 4, 3); }); });
  }
}

TEST_CASE("an exception leaves the region, and the next one works") {
  const Exec exec;
  const auto fails = [&] {
    on_four_threads([&] {
      check_loops(exec, 3, 4, 5);
      throw std::runtime_error("in a region");
    });
  };
  CHECK_THROWS_WITH_AS(fails(), "in a region", std::runtime_error);
  in_host_region(exec, false, [&] { check_loops(exec, 3, 4, 5); });
}

TEST_CASE("what a region launches by Kokkos itself is done when the launch returns") {
  const Exec exec;
  std::vector<int> sum(100);
  in_host_region(exec, false, [&] {
    for (int k = 0; k < 3; ++k) {
      Kokkos::parallel_for("schatten::test::launch", Kokkos::RangePolicy<Exec>(exec, 0, 100), Launch{sum.data()});
    }
    CHECK(sum[99] == 3 * 99);
  });
  for (int k = 0; k < 100; ++k) CHECK(sum[std::size_t(k)] == 3 * k);
}

#if defined(SCHATTEN_HOST_REGIONS)
TEST_CASE("a region whose other threads sleep") {
  const Exec exec;
  for (int k = 0; k < 20; ++k) {
    detail::HostRegion(4, true).run([&] { check_loops(exec, 7, 5, 20); });
  }
}

TEST_CASE("after regions that took longer than one thread, regions are of one thread for a while") {
  detail::RegionRecord record;
  const auto alone = [&] {
    int count = 0;
    while (!record.next_has_all()) ++count;
    return count;
  };
  CHECK(alone() == 0);
  record.note(1e-3, 1.5e-3);
  CHECK(alone() == 0);
  record.note(1.1e-3, 1e-3);  // longer, but by less than a region costs
  CHECK(alone() == 0);
  for (const int expected : {1, 3, 7, 15, 31, 31}) {
    record.note(1e-2, 5e-3);
    CHECK(alone() == expected);
  }
  record.note(1e-2, 2e-2);
  CHECK(alone() == 0);
  record.note(1e-2, 5e-3);
  CHECK(alone() == 31);
  for (int k = 0; k < 6; ++k) record.note(1e-2, 2e-2);
  record.note(1e-2, 5e-3);
  CHECK(alone() == 1);
}
#endif
