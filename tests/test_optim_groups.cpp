// SPDX-License-Identifier: BSD-3-Clause
// Groups with different algorithms in one Optimizer, and matrices of one shape in one spectral call.

#include "support/errors.hpp"
#include "support/instantiations.hpp"
#include "support/optimizer_state.hpp"
#include "support/tool_events.hpp"
#include "support/typed.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

template <class T>
struct Array {
  Kokkos::View<T***, Kokkos::LayoutRight, TestSpace> w, g;
  Array(std::size_t batch, std::size_t rows, std::size_t cols, unsigned seed)
      : w("schatten::test::w", batch, rows, cols), g("schatten::test::g", batch, rows, cols), seed_(seed) {
    for (std::size_t b = 0; b < batch; ++b) assign(matrix(w, b), gaussian(rows, cols, seed + unsigned(b)));
  }
  static auto matrix(const Kokkos::View<T***, Kokkos::LayoutRight, TestSpace>& v, std::size_t b) {
    return Kokkos::subview(v, b, Kokkos::ALL, Kokkos::ALL);
  }
  void new_gradients(unsigned step) const {
    for (std::size_t b = 0; b < g.extent(0); ++b) {
      assign(matrix(g, b), gaussian(g.extent(1), g.extent(2), 1000 * (step + 1) + seed_ + unsigned(b)));
    }
  }

 private:
  unsigned seed_;
};

template <class T>
std::vector<Array<T>> arrays() {
  return {Array<T>(1, 9, 5, 1), Array<T>(1, 5, 9, 2), Array<T>(1, 9, 5, 3), Array<T>(3, 9, 5, 4), Array<T>(1, 6, 6, 8)};
}

/// f(options) with the options that group `k` has.
template <class F>
void with_options(std::size_t k, const F& f) {
  switch (k % 5) {
    case 0: return f(HTMuonOptions{.scale = ScaleMode::dual_norm});
    case 1: return f(MuonOptions{.weight_decay = 0.1, .scale = ScaleMode::unit_rms});
    case 2: return f(AdamWOptions{});
    case 3: return f(SGDOptions{.momentum = {.nesterov = true}});
    default: return f(HTMuonOptions{.power = 0.5});
  }
}

}  // namespace

TEST_CASE_TEMPLATE("groups of one Optimizer do what separate Optimizers do", Case, SCHATTEN_TEST_CASES) {
  using T = typename Case::Scalar;
  using Tested = Optimizer<T, typename Case::Exec, typename Case::Backend>;
  const typename Case::Exec exec;
  Tested together;
  std::vector<Tested> separate(25);
  std::vector<GroupId> groups;
  for (std::size_t k = 0; k < 5; ++k) {
    with_options(k, [&](const auto& options) { groups.push_back(together.add_group(options)); });
  }
  // Every group holds parameters of every shape, so that buckets of several parameters arise.
  std::vector<std::vector<Array<T>>> in_groups, alone;
  for (std::size_t k = 0; k < 5; ++k) {
    in_groups.push_back(arrays<T>());
    alone.push_back(arrays<T>());
    for (std::size_t a = 0; a < 5; ++a) {
      const std::string name = std::to_string(k) + "." + std::to_string(a);
      together.add(groups[k], name, in_groups[k][a].w, in_groups[k][a].g);
      with_options(k, [&](const auto& options) {
        Tested& own = separate[5 * k + a];
        own.add(own.add_group(options), name, alone[k][a].w, alone[k][a].g);
      });
    }
  }
  for (unsigned step = 0; step < 3; ++step) {
    for (std::size_t k = 0; k < 5; ++k) {
      for (std::size_t a = 0; a < 5; ++a) {
        in_groups[k][a].new_gradients(step);
        alone[k][a].new_gradients(step);
        separate[5 * k + a].step(exec);
      }
    }
    together.step(exec);
    exec.fence();
    for (std::size_t k = 0; k < 5; ++k) {
      for (std::size_t a = 0; a < 5; ++a) {
        CAPTURE(k);
        CAPTURE(a);
        CHECK(same_result<typename Case::Backend, T>(matrices_of(in_groups[k][a].w), matrices_of(alone[k][a].w)));
      }
    }
  }
}

TEST_CASE_TEMPLATE("batch_bytes bounds the spectral calls and changes no result", Backend, PortableBackend,
                   linalg::HostBackend) {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  constexpr std::size_t matrix_bytes = 9 * 5 * sizeof(double);
  // Seven matrices of 9×5 in three parameters, transposes included, and one of 6×6.
  const auto run = [&](std::size_t batch_bytes, std::size_t& calls) {
    Optimizer<double, Exec, Backend> optimizer(OptimizerOptions{.batch_bytes = batch_bytes});
    const GroupId group = optimizer.add_group(HTMuonOptions{.scale = ScaleMode::unit_norm});
    const std::vector<Array<double>> own{Array<double>(2, 9, 5, 1), Array<double>(4, 9, 5, 3),
                                         Array<double>(1, 6, 6, 8), Array<double>(1, 9, 5, 9)};
    for (const auto& array : own) optimizer.add(group, std::to_string(&array - own.data()), array.w, array.g);
    std::vector<Matrix> result;
    for (unsigned step = 0; step < 2; ++step) {
      for (const auto& array : own) array.new_gradients(step);
      const ToolEvents events;
      optimizer.step(exec);
      exec.fence();
      calls = std::size_t(std::ranges::count(events.regions(), "schatten::SpectralPower::apply"));
    }
    for (const auto& array : own) {
      for (const Matrix& matrix : matrices_of(array.w)) result.push_back(matrix);
    }
    return result;
  };
  std::size_t calls = 0;
  const std::vector<Matrix> expected = run(std::size_t{1} << 20, calls);
  CHECK(calls == 2);
  CHECK(same_result<Backend, double>(run(7 * matrix_bytes, calls), expected));
  CHECK(calls == 2);
  CHECK(same_result<Backend, double>(run(7 * matrix_bytes - 1, calls), expected));
  CHECK(calls == 3);
  CHECK(same_result<Backend, double>(run(3 * matrix_bytes, calls), expected));
  CHECK(calls == 4);
  CHECK(same_result<Backend, double>(run(matrix_bytes, calls), expected));
  CHECK(calls == 8);
  CHECK(same_result<Backend, double>(run(0, calls), expected));
  CHECK(calls == 8);
}

TEST_CASE("a parameter may be added between steps, and gradients may move") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  for (const bool adamw : {false, true}) {
    Optimizer<double, Exec, PortableBackend> optimizer, first_alone, second_alone;
    const auto add_group = [&](auto& to) {
      return adamw ? to.add_group(AdamWOptions{}) : to.add_group(HTMuonOptions{.scale = ScaleMode::unit_rms});
    };
    const GroupId group = add_group(optimizer);
    Array<double> first(2, 4, 3, 1), second(1, 4, 3, 5), first_twin(2, 4, 3, 1), second_twin(1, 4, 3, 5);
    optimizer.add(group, "first", first.w, first.g);
    first_alone.add(add_group(first_alone), "first", first_twin.w, first_twin.g);
    second_alone.add(add_group(second_alone), "second", second_twin.w, second_twin.g);
    for (unsigned step = 0; step < 6; ++step) {
      if (step == 2) optimizer.add(group, "second", second.w, second.g);
      if (step == 4) {  // the transposed layout
        const Array<double> moved(2, 4, 3, 1);
        const Kokkos::View<double***, Kokkos::LayoutLeft, Kokkos::HostSpace> left("schatten::test::left", 1, 4, 3);
        first.g = moved.g;
        optimizer.set_gradient("first", first.g);
        optimizer.set_gradient("second", left);
        second.new_gradients(step);
        Kokkos::deep_copy(left, second.g);
      } else {
        second.new_gradients(step);
        if (step == 5) optimizer.set_gradient("second", second.g);
      }
      first.new_gradients(step);
      first_twin.new_gradients(step);
      second_twin.new_gradients(step);
      optimizer.step(exec);
      first_alone.step(exec);
      if (step >= 2) second_alone.step(exec);
      exec.fence();
      CHECK(same_bits(matrices_of(first.w), matrices_of(first_twin.w)));
      CHECK(same_bits(matrices_of(second.w), matrices_of(second_twin.w)));
    }
    CHECK(same_bits(state_of(exec, optimizer, "second/momentum"), state_of(exec, second_alone, "second/momentum")));
  }
}

TEST_CASE("an Optimizer may be moved, and one without parameters may step") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  Optimizer<double, Exec, PortableBackend> optimizer, twin;
  optimizer.step(exec);
  CHECK(optimizer.skipped_steps(exec) == 0);
  const Array<double> array(2, 4, 3, 1), other(2, 4, 3, 1);
  const GroupId group = optimizer.add_group(HTMuonOptions{});
  optimizer.add(group, "w", array.w, array.g);
  twin.add(twin.add_group(HTMuonOptions{}), "w", other.w, other.g);
  for (unsigned step = 0; step < 3; ++step) {
    array.new_gradients(step);
    other.new_gradients(step);
    Optimizer<double, Exec, PortableBackend> moved = std::move(optimizer);
    moved.step(exec);
    optimizer = std::move(moved);
    twin.step(exec);
  }
  exec.fence();
  CHECK(same_bits(matrices_of(array.w), matrices_of(other.w)));
}

TEST_CASE("state arrays and step counts, written back, continue to the last bit") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  const auto add_all = [](auto& optimizer, Array<double>& a, Array<double>& b) {
    optimizer.add(optimizer.add_group(AdamWOptions{}), "adam", a.w, a.g);
    optimizer.add(optimizer.add_group(HTMuonOptions{.interval = 3}), "interval", b.w, b.g);
  };
  Optimizer<double, Exec, PortableBackend> whole, resumed;
  Array<double> a(2, 4, 3, 1), b(1, 4, 3, 5), a_twin(2, 4, 3, 1), b_twin(1, 4, 3, 5);
  add_all(whole, a, b);
  add_all(resumed, a_twin, b_twin);
  for (unsigned step = 0; step < 5; ++step) {
    a.new_gradients(step);
    b.new_gradients(step);
    if (step == 1) a.g(1, 0, 0) = std::numeric_limits<double>::infinity();
    whole.step(exec);
  }
  exec.fence();
  Kokkos::deep_copy(a_twin.w, a.w);
  Kokkos::deep_copy(b_twin.w, b.w);
  write_state<double>(exec, resumed, state_of(exec, whole));
  std::vector<ParameterCounts> counts = whole.read_counts(exec);
  REQUIRE(counts.size() == 2);
  CHECK(counts[0].name == "adam");
  CHECK(counts[0].group_steps == 5);
  CHECK(counts[0].attempted == 5);
  CHECK(counts[0].applied == std::vector<long long>{5, 4});
  CHECK(counts[1].applied == std::vector<long long>{5});
  std::swap(counts[0], counts[1]);  // names count, not places
  resumed.write_counts(exec, counts);
  CHECK(resumed.skipped_steps(exec, "adam") == 1);
  for (unsigned step = 5; step < 9; ++step) {
    a.new_gradients(step);
    b.new_gradients(step);
    Kokkos::deep_copy(a_twin.g, a.g);
    Kokkos::deep_copy(b_twin.g, b.g);
    whole.step(exec);
    resumed.step(exec);
  }
  exec.fence();
  CHECK(same_bits(matrices_of(a.w), matrices_of(a_twin.w)));
  CHECK(same_bits(matrices_of(b.w), matrices_of(b_twin.w)));
  const auto refused = [&](const auto& change) {
    std::vector<ParameterCounts> wrong = counts;
    change(wrong[0]);
    return message_of([&] { resumed.write_counts(exec, wrong); });
  };
  const std::string function = "schatten::Optimizer::write_counts: ";
  CHECK(refused([](ParameterCounts& c) { c.applied[0] = -1; }) ==
        function + "applied of interval = -1, but it is no count");
  CHECK(refused([](ParameterCounts& c) { c.applied[0] = 6; }) ==
        function + "applied of interval = 6, but it must not exceed attempted = 5");
  CHECK(refused([](ParameterCounts& c) { c.applied.pop_back(); }) ==
        function + "number of applied of interval = 0, but it must be that of the parameter's matrices, 1");
  CHECK(refused([](ParameterCounts& c) { c.name = "other"; }) == function + "name = other, but it is not registered");
}
