// SPDX-License-Identifier: BSD-3-Clause
// labels: threads
// The same result on any number of threads, and Optimizers side by side.

#include "support/instantiations.hpp"
#include "support/optimizer_state.hpp"
#include "support/typed.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

/// Parameters of several shapes in groups with every algorithm.
template <class T, class Exec, class Backend>
class Training {
  using Views = Kokkos::View<T***, Kokkos::LayoutRight, typename Exec::device_type>;

 public:
  explicit Training(unsigned seed) : seed_(seed) {
    const std::vector<GroupId> groups{optimizer_.add_group(HTMuonOptions{.scale = ScaleMode::dual_norm}),
                                      optimizer_.add_group(HTMuonOptions{.power = 0.5}),
                                      optimizer_.add_group(MuonOptions{.scale = ScaleMode::unit_rms}),
                                      optimizer_.add_group(AdamWOptions{}), optimizer_.add_group(SGDOptions{})};
    for (const GroupId group : groups) {
      add(group, 1, 40, 24);
      add(group, 5, 12, 20);
    }
  }
  void run(const Exec& exec, int steps) {
    for (int step = 0; step < steps; ++step) {
      for (std::size_t k = 0; k < g_.size(); ++k) fill_gaussian(g_[k], seed_ + 1000 * unsigned(step + 1) + unsigned(k));
      optimizer_.step(exec);
      exec.fence();
    }
  }
  [[nodiscard]] std::vector<Matrix> result() {
    std::vector<Matrix> all;
    CHECK(optimizer_.skipped_steps(Exec{}) == 0);
    for (const auto& w : w_) {
      for (const Matrix& matrix : matrices_of(w)) all.push_back(matrix);
    }
    for (const StateArray& array : state_of(Exec{}, optimizer_)) {
      for (const Matrix& matrix : array.matrices) all.push_back(matrix);
    }
    return all;
  }

 private:
  static void fill_gaussian(const Views& v, unsigned seed) {
    const Matrix values = gaussian(v.size(), 1, seed);
    for (std::size_t k = 0; k < v.size(); ++k) v.data()[k] = T(values(Eigen::Index(k)));
  }
  void add(GroupId group, std::size_t batch, std::size_t rows, std::size_t cols) {
    w_.emplace_back("schatten::test::w", batch, rows, cols);
    g_.emplace_back("schatten::test::g", batch, rows, cols);
    fill_gaussian(w_.back(), seed_ + unsigned(w_.size()));
    optimizer_.add(group, std::to_string(w_.size()), w_.back(), g_.back());
  }

  unsigned seed_;
  Optimizer<T, Exec, Backend> optimizer_;
  std::vector<Views> w_, g_;
};

template <class T, class Exec, class Backend>
std::vector<Matrix> trained(unsigned seed, int steps) {
  Training<T, Exec, Backend> training(seed);
  training.run(Exec{}, steps);
  return training.result();
}

double largest_difference(const std::vector<Matrix>& a, const std::vector<Matrix>& b) {
  double largest = 0;
  for (std::size_t k = 0; k < a.size(); ++k) largest = std::max(largest, max_abs(a[k] - b[k]));
  return largest;
}

}  // namespace

TEST_CASE_TEMPLATE("the portable backend gives the same bits on every number of threads", T, float, double) {
  const auto serial = trained<T, SerialExec, PortableBackend>(1, 3);
  CHECK(same_bits(trained<T, ThreadedExec, PortableBackend>(1, 3), serial));
  CHECK(same_bits(trained<T, ThreadedExec, PortableBackend>(1, 3), serial));
}

TEST_CASE_TEMPLATE("the host backend gives the same on every number of threads, within rounding", T, float, double) {
  const auto serial = trained<T, SerialExec, linalg::HostBackend>(1, 3);
  const auto threaded = trained<T, ThreadedExec, linalg::HostBackend>(1, 3);
  REQUIRE(serial.size() == threaded.size());
  CHECK(largest_difference(serial, threaded) < 1000 * epsilon<T>);
}

// Optimizers are made, stepped and destroyed inside the threads.
TEST_CASE_TEMPLATE("Optimizers in several host threads do not disturb each other", Backend, PortableBackend,
                   linalg::HostBackend) {
  constexpr int threads = 3, steps = 5;
  std::vector<std::vector<Matrix>> expected(threads), found(threads);
  for (unsigned t = 0; t < threads; ++t) expected[t] = trained<float, SerialExec, Backend>(100 * t, steps);
  std::vector<std::thread> running;
  for (unsigned t = 0; t < threads; ++t) {
    running.emplace_back([t, &found] { found[t] = trained<float, SerialExec, Backend>(100 * t, steps); });
  }
  for (std::thread& thread : running) thread.join();
  for (int t = 0; t < threads; ++t) {
    CAPTURE(t);
    CHECK(same_result<Backend, float>(found[std::size_t(t)], expected[std::size_t(t)]));
  }
}
