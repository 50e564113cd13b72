// SPDX-License-Identifier: BSD-3-Clause
// The rates of a step in memory of a device: what a kernel that a graph keeps reads, and rates that change.
// labels: portable

#include "support/views.hpp"
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/optim/optimizer.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Plain = Optimizer<double, Exec, linalg::PortableBackend>;
using Array = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;

/// Gradient descent.
struct Descent {
  double lr = 0.5, weight_decay = 0.25;
  DecayMode decay = DecayMode::decoupled;
  static constexpr std::string_view name = "descent";
  template <class Fields>
  static void fields(Fields&) {}
  [[nodiscard]] std::vector<StateSlot> state() const { return {}; }
  template <Scalar>
  KOKKOS_FUNCTION auto element(double) const {
    return optim::Same{};
  }
};

/// The same with a rate by step.
struct ByStep : Descent {
  static constexpr std::string_view name = "by_step";
  ByStep() { weight_decay = 0; }
  [[nodiscard]] double lr_at(std::size_t step, std::size_t, std::size_t) const { return lr / double(step); }
};

/// Gradient descent that keeps the kernel of its step, as a CUDA graph does.
struct Recorded {
  double lr = 0.5, weight_decay = 0.25;
  DecayMode decay = DecayMode::decoupled;
  static constexpr std::string_view name = "recorded";
  static constexpr bool takes_vectors = true;
  static inline std::function<void()> launch{};
  static inline optim::StepRates rates{};
  template <class Fields>
  static void fields(Fields&) {}
  [[nodiscard]] std::vector<StateSlot> state() const { return {}; }
  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    bucket.transform(optim::OneFunctor<optim::Same>{}, std::array<std::size_t, 0>{}, out);
  }
  template <class Bucket>
  void finish(Bucket& bucket) const {
    using Space = typename Bucket::Space;
    using Source = optim::GradientSource<double, Space>;
    using Sink = optim::ApplySink<double, Space>;
    rates = bucket.rates();
    const Sink sink{{.records = bucket.records(),
                     .master = {},
                     .factor = {},
                     .counts = bucket.counts(),
                     .rates = rates,
                     .mode = decay,
                     .transposed = false,
                     .rows = bucket.rows(),
                     .cols = bucket.cols()}};
    const optim::ElementLoop<double, Space, Source, optim::OneFunctor<optim::Same>, Sink, 0> loop{
        {bucket.records(), bucket.weights(), rates}, {}, sink, bucket.finite(), bucket.rows(), bucket.cols()};
    launch = [=, exec = bucket.exec(), count = bucket.matrices()] {
      optim::run_elements(exec, "schatten::test::replay", loop, 0, count);
    };
  }
};

}  // namespace

TEST_CASE("a kernel that a graph keeps reads the present rates on a device") {
  const Exec exec;
  for (int number = 0; number < 5; ++number) {
    CAPTURE(number);
    const auto mode = DecayMode(number);
    Plain optimizer, other;
    const GroupId group = optimizer.add_group(Recorded{.decay = mode}), same = other.add_group(Descent{.decay = mode});
    const Array w("w", 2, 2), v("v", 2, 2), g("g", 2, 2);
    Kokkos::deep_copy(w, 3.0);
    Kokkos::deep_copy(v, 3.0);
    Kokkos::deep_copy(g, 2.0);
    optimizer.add(group, "w", w, g);
    other.add(same, "v", v, g);
    optimizer.step(exec);
    other.step(exec);
    const std::function<void()> launch = Recorded::launch;
    const optim::StepRates rates = Recorded::rates;
    CHECK(rates.host.lr == 0.5);
    for (int step = 1; step <= 3; ++step) {
      for (const auto& [changed, id] : {std::pair(&optimizer, group), std::pair(&other, same)}) {
        changed->set_lr(id, 0.25 / step);
        changed->set_lr_factor(id, 1.0 / (1 + step));
        changed->set_weight_decay(id, 0.5 * step);
      }
      optimizer.set_decay_factor("w", 1 + 0.25 * step);
      other.set_decay_factor("v", 1 + 0.25 * step);
      optimizer.update_numbers(exec);
      if (!loops_as_on_device<Exec>) continue;  // there graphs do not exist and a kernel has its rates
      launch();
      other.step(exec);
      exec.fence();
      CHECK(rates.lr() == 0.25 / step / (1 + step));
      CHECK(w(1, 1) == v(1, 1));
    }
    CHECK((rates.memory != nullptr) == loops_as_on_device<Exec>);
  }
}

TEST_CASE("rates that change between the steps of many shapes, and a rate by step") {
  const Exec exec;
  Plain optimizer;
  const GroupId group = optimizer.add_group(Descent{}), by_step = optimizer.add_group(ByStep{});
  std::vector<Array> weights;
  const Array u("u", 1, 1), ug("ug", 1, 1);
  Kokkos::deep_copy(ug, 1.0);
  optimizer.add(by_step, "u", u, ug);
  double expected = 0, rate_by_step = 0;
  for (int step = 1; step <= 4; ++step) {
    for (std::size_t cols = weights.size() + 1; cols <= std::size_t(10 * step); ++cols) {
      weights.emplace_back("w", 1, cols);
      Kokkos::deep_copy(weights.back(), expected);
      const Array gradient("g", 1, cols);
      Kokkos::deep_copy(gradient, 2.0);
      optimizer.add(group, std::to_string(cols), weights.back(), gradient);
    }
    optimizer.set_lr(group, 0.5 / step);
    optimizer.set_weight_decay(group, 0.125 * step);
    optimizer.step(exec);
    exec.fence();
    expected = expected - (0.5 / step * (0.125 * step) * expected + 0.5 / step * 2);
    rate_by_step -= 0.5 / step;
    for (const Array& w : weights) CHECK(w(0, w.extent(1) - 1) == doctest::Approx(expected).epsilon(1e-15));
    CHECK(u(0, 0) == doctest::Approx(rate_by_step).epsilon(1e-15));
  }
}
