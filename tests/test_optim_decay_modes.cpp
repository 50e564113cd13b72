// SPDX-License-Identifier: BSD-3-Clause
// DecayMode, and the optional members of a rule: rates by step, work after the weights have moved, what the caller
// observes.
// labels: portable

#include "support/errors.hpp"
#include "support/views.hpp"
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Plain = Optimizer<double, Exec, linalg::PortableBackend>;
using Array = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;

/// One element's step as options.hpp has it.
double stepped(DecayMode mode, double lr, double wd, double w, double d) {
  switch (mode) {
    case DecayMode::decoupled: return w - (lr * wd * w + lr * d);
    case DecayMode::after_step: return (1 - lr * wd) * (w - lr * d);
    case DecayMode::cautious: return w * d >= 0 ? w - (lr * wd * w + lr * d) : w - lr * d;
    case DecayMode::fixed: return w - (wd * w + lr * d);
    case DecayMode::coupled: return w - lr * (d + wd * w);
  }
  return w;
}

/// D = g times the step's number: a rule with every optional member.
struct Everything {
  double lr = 0.5, weight_decay = 0.25;
  DecayMode decay = DecayMode::decoupled;
  static constexpr std::string_view name = "everything";
  static constexpr bool takes_vectors = true;
  template <class Fields>
  static void fields(Fields&) {}
  [[nodiscard]] std::vector<StateSlot> state(std::size_t rows, std::size_t cols) const {
    return {{.name = "observed"},
            {.name = "after", .extent = Extent::matrix},
            {.name = "square", .extent = Extent::given, .rows = rows + 1, .cols = cols > 4 ? cols : 0}};
  }
  [[nodiscard]] double lr_at(std::size_t step, std::size_t rows, std::size_t cols) const {
    return lr / double(step * rows * cols);
  }
  void check_shape(std::size_t rows, std::size_t, std::string_view function, std::string_view parameter) const {
    require(rows < 9, function, "rows", parameter, "must be fewer than nine");
  }
  template <class Batch>
  struct Store {
    Batch from;
    Batch to;
    KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const { to(k, i, j) = from(k, i, j); }
  };
  template <class Weights, class Batch>
  struct StoreWeight {
    Weights weights;
    Batch to;
    KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
      to(k, i, j) = weights(k, i, j);
    }
  };
  template <class Bucket>
  void observe(Bucket& bucket, const typename Bucket::ConstBatch& input) const {
    bucket.elements("observe", StoreInput<typename Bucket::ConstBatch, typename Bucket::Batch>{input, bucket.state(0)});
  }
  template <class In, class Out>
  struct StoreInput {
    In from;
    Out to;
    KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const { to(k, i, j) = from(k, i, j); }
  };
  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    bucket.elements("direction", Store<typename Bucket::Batch>{bucket.gradient(), out});
  }
  template <class Bucket>
  void finish(Bucket& bucket) const {
    using Batch = typename Bucket::Batch;
    const auto weights = bucket.weights();
    bucket.elements("finish", StoreWeight<decltype(weights), Batch>{weights, bucket.state(1)});
  }
};

/// Gradient descent whose rate has a factor for matrices of more than two rows.
struct TallRate {
  double lr = 1, weight_decay = 0, factor = 1;
  static constexpr std::string_view name = "tall_rate";
  template <class Fields>
  static void fields(Fields& f) {
    f("factor", &TallRate::factor, optim::positive);
  }
  [[nodiscard]] std::vector<StateSlot> state() const { return {}; }
  [[nodiscard]] double shape_factor(std::size_t rows, std::size_t) const { return rows > 2 ? factor : 1; }
  template <Scalar>
  KOKKOS_FUNCTION auto element(double) const {
    return optim::Same{};
  }
};

}  // namespace

TEST_CASE("a factor of the shape that changes between steps") {
  const Exec exec;
  Plain optimizer;
  const GroupId group = optimizer.add_group(TallRate{});
  const Array w("w", 3, 2), g("g", 3, 2), small("small", 2, 2), small_g("small_g", 2, 2);
  Kokkos::deep_copy(g, 1.0);
  Kokkos::deep_copy(small_g, 1.0);
  optimizer.add(group, "w", w, g);
  optimizer.add(group, "small", small, small_g);
  optimizer.step(exec);
  optimizer.set(group, "factor", 4);
  optimizer.step(exec);
  exec.fence();
  CHECK(w(2, 1) == -5);
  CHECK(small(1, 1) == -2);
}

TEST_CASE("weight decay is what its mode says, for rules by element and by matrix, in one call and in two") {
  const Exec exec;
  const auto run = [&](const auto& rule_of, bool split) {
    for (int number = 0; number < 5; ++number) {
      const auto mode = DecayMode(number);
      Plain optimizer;
      auto rule = rule_of();
      rule.lr = 0.5;
      rule.weight_decay = 0.25;
      rule.decay = mode;
      const GroupId group = optimizer.add_group(rule);
      CHECK(optimizer.get(group, "decay") == number);
      optimizer.set_lr_factor(group, 0.5);
      const Array w("w", 3, 3), g("g", 3, 3);
      const double start[3] = {2, -3, 0}, gradient[3] = {0.5, -0.125, 0};
      for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t j = 0; j < 3; ++j) w(i, j) = start[i], g(i, j) = gradient[j];
      }
      optimizer.add(group, "w", w, g);
      if (split) {
        optimizer.direction(exec);
        optimizer.apply(exec);
      } else {
        optimizer.step(exec);
      }
      exec.fence();
      for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t j = 0; j < 3; ++j) {
          CAPTURE(number);
          CHECK(w(i, j) == doctest::Approx(stepped(mode, 0.25, 0.25, start[i], gradient[j])).epsilon(1e-15));
        }
      }
    }
  };
  for (const bool split : {false, true}) {
    run([] { return SGD{.momentum = {.beta = 0}}; }, split);
    run(
        [] {
          return HTMuon{.power = 1,
                        .momentum = {.beta = 0, .nesterov = false},
                        .scale = ScaleMode::none,
                        .map = {.method = SpectralMethod::svd}};
        },
        split);
  }
}

TEST_CASE("a rule's rate by step, its work after the weights have moved, and what it observes") {
  const Exec exec;
  Plain optimizer;
  const GroupId group = optimizer.add_group(Everything{});
  const Array w("w", 2, 2), g("g", 2, 2), h("h", 2, 2), wide("wide", 2, 5), wide_g("wide_g", 2, 5), tall("tall", 9, 2);
  const Kokkos::View<double*, Kokkos::HostSpace> v("v", 4), vg("vg", 4);
  Kokkos::deep_copy(w, 1.0);
  Kokkos::deep_copy(g, 2.0);
  Kokkos::deep_copy(h, 7.0);
  Kokkos::deep_copy(vg, 2.0);
  optimizer.add(group, "w", w, g);
  optimizer.add(group, "wide", wide, wide_g);
  optimizer.add(group, "v", v, vg);
  CHECK(message_of<InvalidArgument>([&] { optimizer.add(group, "tall", tall); }).find("fewer than nine") !=
        std::string::npos);
  const std::vector<std::string> names{"observed", "after", "recent_size", "last_size"};
  CHECK(optimizer.state_names(exec, "w") == names);
  CHECK(optimizer.read_state(exec, "wide", "square").extent(1) == 3);
  CHECK(optimizer.read_state(exec, "wide", "square").extent(2) == 5);
  double expected = 1, vector = 0;
  for (int step = 1; step <= 3; ++step) {
    optimizer.step(exec);
    const double lr = 0.5 / (4 * step);
    expected = expected - (lr * 0.25 * expected + lr * 2);
    vector = vector - (lr * 0.25 * vector + lr * 2);
  }
  exec.fence();
  CHECK(w(1, 1) == doctest::Approx(expected).epsilon(1e-15));
  CHECK(v(3) == doctest::Approx(vector).epsilon(1e-15));
  CHECK(optimizer.read_state(exec, "w", "after")(0, 1, 0) == w(1, 0));
  optimizer.observe(exec, "w", h);
  CHECK(optimizer.read_state(exec, "w", "observed")(0, 1, 1) == 7);
  h(0, 0) = std::numeric_limits<double>::infinity();
  h(1, 1) = 8;
  optimizer.observe(exec, "w", h);
  CHECK(optimizer.read_state(exec, "w", "observed")(0, 1, 1) == 7);
  optimizer.step(exec);
  exec.fence();
  CHECK(optimizer.skipped_steps(exec, "w") == 0);
  CHECK(w(1, 1) < expected);
  CHECK(message_of<InvalidArgument>([&] { optimizer.observe(exec, "w", wide); }).find("x of w") != std::string::npos);
  const GroupId plain = optimizer.add_group(SGD{});
  const Array other("other", 2, 2);
  optimizer.add(plain, "other", other);
  CHECK(message_of<InvalidArgument>([&] { optimizer.observe(exec, "other", h); }).find("sgd") != std::string::npos);
}
