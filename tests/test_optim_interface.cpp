// SPDX-License-Identifier: BSD-3-Clause
// What programs ask of an Optimizer besides steps: parameters that come late, rest and go; directions before they are
// applied; numbers by name; telemetry; state by name.
// labels: portable

#include "support/errors.hpp"
#include "support/optimizer_state.hpp"
#include "support/spaces.hpp"
#include "support/tool_events.hpp"
#include "support/views.hpp"
#include <schatten/interop/pointers.hpp>
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = SerialExec;
using linalg::PortableBackend;
using Tested = Optimizer<double, Exec, PortableBackend>;
using Right = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;
using Left = Kokkos::View<double**, Kokkos::LayoutLeft, Kokkos::HostSpace>;

template <class V = Right>
V filled(std::size_t rows, std::size_t cols, unsigned seed) {
  const V v("schatten::test::v", rows, cols);
  assign(v, gaussian(rows, cols, seed));
  return v;
}

Tested made_before_kokkos;  // a global: its constructor runs before Kokkos::initialize

}  // namespace

TEST_CASE("an Optimizer that was made before Kokkos::initialize serves, and gives its memory back") {
  const auto w = filled(4, 3, 1), g = filled(4, 3, 2);
  const GroupId group = made_before_kokkos.add_group(HTMuon{});
  made_before_kokkos.add(group, "w", w, g);
  const Matrix before = to_matrix(w);
  made_before_kokkos.step(Exec());
  CHECK(max_abs(to_matrix(w) - before) > 0);
  made_before_kokkos.clear();
  CHECK(contains(message_of([&] { made_before_kokkos.set_lr(group, 1); }), "is a group of another Optimizer"));
  CHECK_NOTHROW(made_before_kokkos.step(Exec()));
}

TEST_CASE("step is direction and apply, to the last bit, and directions may be read and replaced between") {
  const auto add_all = [](Tested& optimizer, std::vector<Right>& w, std::vector<Right>& g, std::vector<Left>& left) {
    unsigned seed = 0;
    const auto add = [&](const auto& rule) {
      const GroupId group = optimizer.add_group(rule);
      for (const auto& [rows, cols] : {std::pair{5, 3}, std::pair{3, 5}, std::pair{5, 3}}) {
        w.push_back(filled(std::size_t(rows), std::size_t(cols), ++seed));
        g.push_back(filled(std::size_t(rows), std::size_t(cols), ++seed));
        optimizer.add(group, std::to_string(seed), w.back(), g.back());
      }
      left.push_back(filled<Left>(6, 4, ++seed));
      left.push_back(filled<Left>(6, 4, ++seed));
      optimizer.add(group, std::to_string(seed), left[left.size() - 2], left.back());
    };
    add(HTMuon{});
    add(HTMuon{.scale = ScaleMode::dual_norm});
    add(Muon{.weight_decay = 0.1});
    add(AdamW{});
    add(SGD{});
    add(Lion{.lr = 0.01});
    add(NorMuon{});
  };
  Tested whole, halves;
  std::vector<Right> w, g, w_twin, g_twin;
  std::vector<Left> left, left_twin;
  add_all(whole, w, g, left);
  add_all(halves, w_twin, g_twin, left_twin);
  for (int step = 0; step < 3; ++step) {
    whole.step(Exec());
    const Matrix before = to_matrix(w_twin[0]);
    halves.direction(Exec());
    CHECK(same_bits(to_matrix(w_twin[0]), before));
    CHECK(contains(message_of([&] { halves.step(Exec()); }), "must be applied first"));
    CHECK(contains(message_of([&] { halves.direction(Exec()); }), "must be applied first"));
    CHECK(contains(message_of([&] { halves.pause("2"); }), "must be applied first"));
    const auto d = halves.direction_of("8");  // 6×4, column-major: the user's rows and columns
    CHECK(d.extent(1) == 6);
    CHECK(d.extent(2) == 4);
    halves.apply(Exec());
    CHECK(contains(message_of([&] { halves.apply(Exec()); }), "must be computed first"));
  }
  for (std::size_t k = 0; k < w.size(); ++k) {
    CAPTURE(k);
    CHECK(same_bits(to_matrix(w[k]), to_matrix(w_twin[k])));
  }
  for (std::size_t k = 0; k < left.size(); ++k) CHECK(same_bits(to_matrix(left[k]), to_matrix(left_twin[k])));

  // A direction from elsewhere.
  Tested optimizer;
  const auto v = filled(3, 2, 1), h = filled(3, 2, 2);
  optimizer.add(optimizer.add_group(SGD{.lr = 0.5}), "v", v, h);
  const Matrix before = to_matrix(v);
  optimizer.direction(Exec());
  Kokkos::deep_copy(optimizer.direction_of("v"), 2.0);
  optimizer.apply(Exec());
  CHECK(max_abs(to_matrix(v) - (before.array() - 1.0).matrix()) < 1e-15);
}

TEST_CASE("step tells which parameters have been stepped, while others have not") {
  Tested told, plain(OptimizerOptions{.batch_bytes = 1});
  Tested* const both[] = {&told, &plain};
  std::vector<Right> w[2], start;
  for (std::size_t k = 0; k < 2; ++k) {
    const GroupId id = both[k]->add_group(HTMuon{});
    for (unsigned seed = 0; seed < 4; ++seed) {
      const std::size_t rows = seed == 3 ? 5 : 4;
      w[k].push_back(filled(rows, 3, seed));
      if (k == 0) start.push_back(filled(rows, 3, seed));
      both[k]->add(id, std::to_string(seed), w[k].back(), filled(rows, 3, 10 + seed));
    }
    both[k]->pause("1");
  }
  std::string names;
  const auto moved = [&](std::size_t k) { return !same_bits(to_matrix(w[0][k]), to_matrix(start[k])); };
  told.step(Exec(), [&](std::string_view name) {
    names.append(name);
    CHECK(moved(0));
    CHECK(moved(3) == (name == "3"));
  });
  plain.step(Exec());
  CHECK(names == "023");
  for (std::size_t k = 0; k < 4; ++k) CHECK(same_bits(to_matrix(w[0][k]), to_matrix(w[1][k])));
  CHECK_THROWS_WITH(told.step(Exec(), [](std::string_view) { throw std::runtime_error("stop"); }), "stop");
  CHECK(told.skipped_steps(Exec(), "3") == 1);
}

TEST_CASE("a parameter waits for its gradient, rests and goes") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(AdamW{.lr = 0.1});
  const auto w = filled(3, 2, 1), g = filled(3, 2, 2), other = filled(3, 2, 3), other_g = filled(3, 2, 4);
  optimizer.add(group, "late", w);
  optimizer.add(group, "other", other, other_g);
  const Matrix start = to_matrix(w);
  optimizer.step(Exec());
  CHECK(same_bits(to_matrix(w), start));
  CHECK(optimizer.read_counts(Exec())[0].attempted == 0);
  optimizer.set_gradient("late", g);
  optimizer.step(Exec());
  const Matrix moved = to_matrix(w);
  CHECK(max_abs(moved - start) > 0);

  optimizer.pause("late");
  const auto state = state_of(Exec(), optimizer, "late/momentum");
  for (int step = 0; step < 3; ++step) optimizer.step(Exec());
  CHECK(same_bits(to_matrix(w), moved));  // it does not move, nor decay
  CHECK(same_bits(state_of(Exec(), optimizer, "late/momentum"), state));
  CHECK(optimizer.read_counts(Exec())[0].applied == std::vector<long long>{1});
  CHECK(optimizer.read_counts(Exec())[1].applied == std::vector<long long>{5});
  CHECK(optimizer.skipped_steps(Exec()) == 0);
  optimizer.resume("late");
  optimizer.step(Exec());
  CHECK(max_abs(to_matrix(w) - moved) > 0);

  const auto kept = state_of(Exec(), optimizer, "other/momentum");
  optimizer.remove("late");
  CHECK(same_bits(state_of(Exec(), optimizer, "other/momentum"), kept));
  CHECK(contains(message_of([&] { optimizer.pause("late"); }), "name = late"));
  const Matrix last = to_matrix(w);
  optimizer.step(Exec());
  CHECK(same_bits(to_matrix(w), last));
  optimizer.add(group, "late", w, g);  // name and memory are free again, the state is new
  CHECK(max_abs(state_of(Exec(), optimizer, "late/momentum")[0]) == 0);
  optimizer.step(Exec());
  CHECK(optimizer.read_counts(Exec()).back().applied == std::vector<long long>{1});
}

TEST_CASE("views that no step could use are refused, with the parameter's name and extents") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(Muon{}), elements = optimizer.add_group(SGD{});
  const auto g = filled(8, 8, 1);
  std::vector<double> memory(65);
  CHECK(contains(message_of([&] { optimizer.add(group, "w", matrix_view(memory.data(), 8, 8, 0, 1), g); }),
                 "w of w = View, but it must not overlap itself"));
  CHECK(contains(message_of([&] { optimizer.add(group, "w", matrix_view(memory.data(), 8, 8, 7, 1), g); }),
                 "must not overlap itself"));
  CHECK(contains(
      message_of([&] { optimizer.add(elements, "w", vector_view(memory.data(), 8, 0), vector_view(g.data(), 8)); }),
      "must not overlap itself"));
  using Raw = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  CHECK(contains(message_of([&] { optimizer.add(group, "w", Raw(nullptr, 8, 8), g); }), "w of w = null"));
  CHECK(contains(message_of([&] { optimizer.add(group, "w", filled(8, 8, 2), Raw(nullptr, 8, 8)); }), "g of w = null"));
  auto* const shifted = reinterpret_cast<double*>(reinterpret_cast<char*>(memory.data()) + 4);
  CHECK(contains(message_of([&] { optimizer.add(group, "w", Raw(shifted, 8, 8), g); }), "must be aligned"));
  optimizer.add(group, "w", matrix_view(memory.data(), 8, 8), g);
  CHECK(contains(message_of([&] { optimizer.set_gradient("w", Raw(nullptr, 8, 8)); }), "g of w = null"));
  CHECK(message_of([&] { optimizer.set_gradient("w", filled(8, 7, 1)); }) ==
        "schatten::Optimizer::set_gradient: g of w = 8x7, but it must have the extents of w, 8x8");
  // Strides that do not nest, and still no two indices of one element.
  std::vector<double> sparse(30);
  CHECK_NOTHROW(optimizer.add(group, "sparse", matrix_view(sparse.data(), 3, 3, 3, 2), filled(3, 3, 3)));
}

TEST_CASE("a step takes every order of memory, and any stride of an extent of 1") {
  using Any =
      Kokkos::View<double****, Kokkos::LayoutStride, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  using Four = std::array<std::size_t, 4>;
  const auto view_of = [](std::vector<double>& memory, const Four& n, const Four& s) {
    return Any(memory.data(), Kokkos::LayoutStride(n[0], s[0], n[1], s[1], n[2], s[2], n[3], s[3]));
  };
  const auto for_each_index = [](const Four& n, const auto& f) {
    std::size_t k = 0;
    for (Four i{}; i[0] < n[0]; ++i[0]) {
      for (i[1] = 0; i[1] < n[1]; ++i[1]) {
        for (i[2] = 0; i[2] < n[2]; ++i[2]) {
          for (i[3] = 0; i[3] < n[3]; ++i[3]) f(k++, i);
        }
      }
    }
  };
  const auto step = [](const auto& rule, const Any& w, const Any& g) {
    Tested optimizer;
    optimizer.add(optimizer.add_group(rule), "w", w, g);
    optimizer.step(Exec());
  };
  const auto check = [&](const auto& rule, const Four& extents) {
    const std::size_t size = extents[0] * extents[1] * extents[2] * extents[3];
    std::vector<double> w(size + 1, 0), g(size + 1);
    for (std::size_t k = 0; k < size; ++k) g[k] = double(k * 7919 % 101) - 50;
    const Four right{extents[1] * extents[2] * extents[3], extents[2] * extents[3], extents[3], 1};
    step(rule, view_of(w, extents, right), view_of(g, extents, right));
    std::array<std::size_t, 4> order{0, 1, 2, 3};  // from the largest stride to the smallest
    do {
      for (const std::size_t of_one : {std::size_t(0), std::size_t(1), ~std::size_t(0) / 16}) {
        Four strides{};
        std::size_t next = 1;
        for (int d = 3; d >= 0; --d) {
          strides[order[std::size_t(d)]] = next;
          next *= std::max<std::size_t>(extents[order[std::size_t(d)]], 1) + (d == 2 ? 1 : 0);  // with a gap
        }
        for (std::size_t d = 0; d < 4; ++d) strides[d] = extents[d] == 1 ? of_one : strides[d];
        std::vector<double> other_w(next, 0), other_g(next, 0);
        const Any stepped = view_of(other_w, extents, strides), gradient = view_of(other_g, extents, strides);
        for_each_index(extents, [&](std::size_t k, const Four& i) { gradient(i[0], i[1], i[2], i[3]) = g[k]; });
        step(rule, stepped, gradient);
        double worst = 0;
        for_each_index(extents, [&](std::size_t k, const Four& i) {
          worst = std::max(worst, std::abs(stepped(i[0], i[1], i[2], i[3]) - w[k]));
        });
        CHECK(worst < 1e-12);
      }
    } while (std::next_permutation(order.begin(), order.end()));
  };
  for (const Four& extents :
       {Four{6, 3, 2, 2}, Four{6, 1, 2, 3}, Four{1, 3, 2, 2}, Four{4, 3, 1, 1}, Four{4, 0, 2, 2}}) {
    check(Muon{}, extents);
    check(SGD{}, extents);
  }
}

TEST_CASE("a gradient may name an element by several indices") {
  std::vector<double> row(6), matrix(24), w(24, 0), other_w(24, 0);
  for (std::size_t j = 0; j < 6; ++j) row[j] = double(j) - 2;
  for (std::size_t k = 0; k < 24; ++k) matrix[k] = row[k % 6];
  const auto step = [](std::vector<double>& weights, const auto& g) {
    Tested optimizer;
    optimizer.add(optimizer.add_group(Muon{}), "w", matrix_view(weights.data(), 4, 6), g);
    optimizer.step(Exec());
  };
  step(w, matrix_view(matrix.data(), 4, 6));
  step(other_w, matrix_view(row.data(), 4, 6, 0, 1));
  CHECK(w[7] != 0);
  for (std::size_t k = 0; k < 24; ++k) CHECK(std::abs(w[k] - other_w[k]) < 1e-15);
}

TEST_CASE("many gradients change at once, or none of them") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGD{.lr = 1, .momentum = {.beta = 0}});
  std::vector<std::pair<std::string, Right>> next;
  std::vector<Right> w;
  for (unsigned k = 0; k < 5; ++k) {
    w.push_back(Right("schatten::test::w", 2, 2));
    optimizer.add(group, std::to_string(k), w.back(), filled(2, 2, k));
    next.emplace_back(std::to_string(k), filled(2, 2, 10 + k));
  }
  auto wrong = next;
  wrong[3].second = Right("schatten::test::g", 2, 3);
  CHECK(contains(message_of([&] { optimizer.set_gradients(wrong); }), "g of 3 = 2x3"));
  optimizer.step(Exec());
  for (unsigned k = 0; k < 5; ++k) CHECK(same_bits(to_matrix(w[k]), -gaussian(2, 2, k)));
  optimizer.set_gradients(next);
  optimizer.step(Exec());
  for (unsigned k = 0; k < 5; ++k) {
    CHECK(max_abs(to_matrix(w[k]) + gaussian(2, 2, k) + gaussian(2, 2, 10 + k)) < 1e-15);
  }
}

TEST_CASE("numbers by name: read, listed, set together or not at all") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(AdamW{.lr = 0.5, .beta2 = 0.95});
  CHECK(optimizer.rule_name(group) == "adamw");
  CHECK(optimizer.get(group, "beta2") == 0.95);
  optimizer.set(group, "beta2", 0.99);
  CHECK(optimizer.get(group, "beta2") == 0.99);
  CHECK(contains(message_of([&] { optimizer.set(group, "beta2", 1); }), "beta2 = 1, but it must lie in [0, 1)"));
  CHECK(contains(message_of([&] { optimizer.set(group, {{"lr", 0.1}, {"epsilon", -1.0}}); }), "epsilon = -1"));
  CHECK(optimizer.get(group, "lr") == 0.5);
  CHECK(contains(message_of([&] { optimizer.set(group, "beta3", 0.5); }), "name = beta3"));
  CHECK(contains(message_of([&] { (void)optimizer.get(group, "beta3"); }), "name = beta3"));
  const std::vector<FieldInfo> fields = optimizer.fields(group);
  REQUIRE(fields.size() == 6);
  CHECK(fields[0].name == "lr");
  CHECK(fields[0].value == 0.5);
  CHECK(fields[0].initial == 1e-3);
  CHECK(fields[2].name == "decay");
  CHECK(fields[4].name == "beta2");
  CHECK(fields[4].range == "must lie in [0, 1)");

  const GroupId spectral = optimizer.add_group(HTMuon{});
  CHECK(contains(message_of([&] { optimizer.set(spectral, "method", 1); }), "is fixed when the group is made"));
  CHECK(contains(message_of([&] { optimizer.set(spectral, "interval", 1.5); }), "interval = 1.5"));
  optimizer.set(spectral, "nesterov", 0);
  CHECK(optimizer.get(spectral, "nesterov") == 0);
  const auto w = filled(2, 8, 1), g = filled(2, 8, 2), twin = filled(2, 8, 1);
  optimizer.add(spectral, "w", w, g);
  optimizer.set(spectral, "scale", double(ScaleMode::spectral_unclamped));
  Tested other;
  other.add(other.add_group(HTMuon{.momentum = {.nesterov = false}, .scale = ScaleMode::spectral_unclamped}), "w", twin,
            g);
  optimizer.step(Exec());
  other.step(Exec());
  CHECK(same_bits(to_matrix(w), to_matrix(twin)));

  // A factor of lr is lr times it, and stays when lr changes.
  optimizer.set_lr_factor(spectral, 0.5);
  optimizer.set_lr(spectral, 0.04);
  other.set_lr(other.add_group(SGD{}), 1);
  CHECK(optimizer.get(spectral, "lr") == 0.04);
  CHECK(optimizer.lr_factor(spectral) == 0.5);
  CHECK(contains(message_of([&] { optimizer.set_lr_factor(spectral, -1); }), "factor = -1"));
}

TEST_CASE("a momentum that begins later gets its array, and keeps it") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGD{.lr = 1, .momentum = {.beta = 0}});
  const auto w = filled(3, 2, 1), g = filled(3, 2, 2);
  optimizer.add(group, "w", w, g);
  optimizer.step(Exec());
  CHECK(optimizer.state_names(Exec(), "w").empty());
  CHECK(contains(message_of([&] { (void)optimizer.read_state(Exec(), "w", "momentum"); }), "slot = momentum"));
  optimizer.set(group, "momentum", 0.5);
  optimizer.step(Exec());
  CHECK(optimizer.state_names(Exec(), "w") == std::vector<std::string>{"momentum"});
  CHECK(same_bits(state_of(Exec(), optimizer, "w/momentum")[0], to_matrix(g)));
}

TEST_CASE("telemetry: sizes of gradients, updates and weights, and the map's promise") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGD{.lr = 0.5, .momentum = {.beta = 0}, .weight_decay = 0.1});
  const auto w = filled(4, 3, 1), g = filled(4, 3, 2);
  optimizer.add(group, "w", w, g);
  optimizer.step(Exec());
  CHECK(optimizer.telemetry(Exec(), "w")[0].update_rms == 0);
  optimizer.set_telemetry(true);
  const Matrix before = to_matrix(w);
  optimizer.step(Exec());
  const MatrixTelemetry seen = optimizer.telemetry(Exec(), "w").at(0);
  const double root = std::sqrt(12.0);
  CHECK(seen.gradient_norm == doctest::Approx(to_matrix(g).norm()).epsilon(1e-12));
  CHECK(seen.weight_rms == doctest::Approx(before.norm() / root).epsilon(1e-12));
  CHECK(seen.update_rms == doctest::Approx((to_matrix(w) - before).norm() / root).epsilon(1e-12));
  CHECK(seen.ratio() == doctest::Approx((to_matrix(w) - before).norm() / before.norm()).epsilon(1e-12));
  CHECK(optimizer.map_error_bound("w") == 0);
  const auto v = filled(4, 3, 3);
  optimizer.add(optimizer.add_group(HTMuon{.map = {.method = SpectralMethod::svd}}), "v", v, g);
  CHECK(optimizer.map_error_bound("v") > 0);
  CHECK(optimizer.map_error_bound("v") < 1e-9);
  optimizer.step(Exec());
  const ToolEvents steady;
  optimizer.step(Exec());
  CHECK(steady.allocations().empty());
}

TEST_CASE("a weight that is not finite is found") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(Lion{});
  const auto w = filled(4, 3, 1), v = filled(4, 3, 2), g = filled(4, 3, 3);
  optimizer.add(group, "w", w, g);
  optimizer.add(group, "v", v, g);
  CHECK(optimizer.non_finite_weights(Exec()).empty());
  v(2, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK(optimizer.non_finite_weights(Exec()) == std::vector<std::string>{"v"});
}

TEST_CASE("state goes by name and in the user's rows and columns, whatever the layouts and the order of add") {
  Tested a, b;
  const auto left = filled<Left>(6, 4, 1), left_g = filled<Left>(6, 4, 2);
  const auto right = filled(6, 4, 1), right_g = filled(6, 4, 2), other = filled(2, 3, 5), other_g = filled(2, 3, 6);
  const auto other_twin = filled(2, 3, 5);
  const GroupId in_a = a.add_group(HTMuon{}), in_b = b.add_group(HTMuon{});
  a.add(in_a, "w", left, left_g);
  for (int step = 0; step < 2; ++step) a.step(Exec());
  a.add(in_a, "other", other, other_g);
  a.step(Exec());
  b.add(in_b, "other", other_twin, other_g);
  b.add(in_b, "w", right, right_g);
  assign(right, to_matrix(left));
  assign(other_twin, to_matrix(other));
  const auto values = a.read_state(Exec(), "w", "momentum");
  CHECK(values.extent(1) == 6);
  CHECK(values.extent(2) == 4);
  CHECK(values.stride(2) == 1);
  write_state<double>(Exec(), b, state_of(Exec(), a));
  b.write_counts(Exec(), a.read_counts(Exec()));
  CHECK(same_bits(state_of(Exec(), a, "w/momentum"), state_of(Exec(), b, "w/momentum")));
  a.step(Exec());
  b.step(Exec());
  CHECK(max_abs(to_matrix(left) - to_matrix(right)) < 1e-14);
  CHECK(same_bits(to_matrix(other), to_matrix(other_twin)));
  const HostState<double> wrong("schatten::test::wrong", 1, 4, 6);
  CHECK(contains(message_of([&] { b.write_state(Exec(), "w", "momentum", wrong); }),
                 "momentum of w = 1x4x6, but it must have the extents 1x6x4"));
}

TEST_CASE("pointers: vectors, batches and the 16-bit types of others") {
  std::vector<float> memory(24, 1), gradients(24, 1);
  std::vector<std::uint16_t> bits(12, 0x3f80), half_bits(12, 0x3c00);  // 1.0
  Optimizer<float, Exec, PortableBackend> optimizer;
  const GroupId group = optimizer.add_group(SGD{.lr = 0.5, .momentum = {.beta = 0}});
  optimizer.add(group, "batch", batch_view(memory.data(), 2, 3, 2), batch_view(gradients.data(), 2, 3, 2));
  optimizer.add(group, "vector", vector_view(memory.data() + 12, 6, 2), vector_view(gradients.data() + 12, 6));
  optimizer.add(group, "bf16", matrix_view(as_bfloat16(bits.data()), 3, 4), matrix_view(gradients.data(), 3, 4));
  optimizer.add(group, "half", matrix_view(as_half(half_bits.data()), 3, 4), matrix_view(gradients.data(), 3, 4));
  optimizer.step(Exec());
  for (std::size_t k = 0; k < 12; ++k) CHECK(memory[k] == 0.5f);
  for (std::size_t k = 12; k < 24; ++k) CHECK(memory[k] == (k % 2 == 0 ? 0.5f : 1.0f));
  for (std::size_t k = 0; k < 12; ++k) CHECK(bits[k] == 0x3f00);
  for (std::size_t k = 0; k < 12; ++k) CHECK(half_bits[k] == 0x3800);
  CHECK(contains(message_of([&] { (void)vector_view(static_cast<float*>(nullptr), 3); }), "data = "));
}

TEST_CASE("adding a parameter runs no kernel and allocates no Kokkos memory") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(HTMuon{});
  const auto w = filled(40, 30, 1), g = filled(40, 30, 2);
  const ToolEvents events;
  for (std::size_t k = 0; k < 10; ++k) {
    const auto part = [&](const Right& v) { return Kokkos::subview(v, std::pair(4 * k, 4 * k + 4), Kokkos::ALL); };
    optimizer.add(group, std::to_string(k), part(w), part(g));
  }
  CHECK(events.kernels().empty());
  CHECK(events.allocations().empty());
}
