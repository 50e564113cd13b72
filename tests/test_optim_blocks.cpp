// SPDX-License-Identifier: BSD-3-Clause
// Parameters that are cut into blocks, and convolutions in any order of memory: to the last bit what the matrices give
// that are added one by one.
// labels: portable

#include "support/errors.hpp"
#include "support/optimizer_cases.hpp"
#include "support/optimizer_state.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

using Exec = Kokkos::DefaultHostExecutionSpace;
using Tested = Optimizer<double, Exec, linalg::PortableBackend>;
template <class D, class Layout = Kokkos::LayoutRight>
using HostView = Kokkos::View<D, Layout, Kokkos::HostSpace>;
using AnyOrder = HostView<double****, Kokkos::LayoutStride>;
using Rows = HostView<double**>;
using Range = std::pair<std::size_t, std::size_t>;

/// Places in a View that make up a matrix: (i, j) ↦ the element.
struct Place {
  std::size_t rows, cols;
  std::function<double&(std::size_t, std::size_t)> at;
};

Matrix read(const Place& place) {
  Matrix m(Eigen::Index(place.rows), Eigen::Index(place.cols));
  for (std::size_t i = 0; i < place.rows; ++i) {
    for (std::size_t j = 0; j < place.cols; ++j) m(Eigen::Index(i), Eigen::Index(j)) = place.at(i, j);
  }
  return m;
}
void write(const Place& place, const Matrix& m) {
  for (std::size_t i = 0; i < place.rows; ++i) {
    for (std::size_t j = 0; j < place.cols; ++j) place.at(i, j) = m(Eigen::Index(i), Eigen::Index(j));
  }
}

/// Rules of both kinds.
template <class F>
void for_each_rule(const F& f) {
  f(HTMuon{.scale = ScaleMode::match_rms_adamw, .map = {.method = SpectralMethod::svd}});
  f(NorMuon{.weight_decay = 0.1});
  f(AdamW{});
}

/// Three steps of (w, g) beside those of the matrices at `places` of them, added one by one. Returns whether weights
/// and momenta are the same to the last bit. Names the matrices as the parameter's parts if there are several.
template <class Rule, class W, class G, class Places>
void check_one_by_one(const Rule& rule, const W& w, const G& g, const ParameterOptions& options, const Places& places) {
  const Exec exec;
  const std::vector<Place> of_w = places(w), of_g = places(g);
  Tested whole, apart;
  const GroupId in_whole = whole.add_group(rule), in_apart = apart.add_group(rule);
  std::vector<Rows> weights, gradients;
  for (std::size_t k = 0; k < of_w.size(); ++k) {
    const Place& place = of_w[k];
    weights.emplace_back("w", place.rows, place.cols);
    gradients.emplace_back("g", place.rows, place.cols);
    const Matrix start = gaussian(place.rows, place.cols, unsigned(k + 1));
    assign(weights[k], start);
    write(place, start);
    apart.add(in_apart, std::to_string(k), weights[k], gradients[k]);
  }
  whole.add(in_whole, "w", w, g, options);
  for (unsigned step = 0; step < 3; ++step) {
    for (std::size_t k = 0; k < of_g.size(); ++k) {
      const Matrix gradient = conditioned_gaussian(of_g[k].rows, of_g[k].cols, 100 * (step + 1) + unsigned(k));
      assign(gradients[k], gradient);
      write(of_g[k], gradient);
    }
    whole.step(exec);
    apart.step(exec);
    exec.fence();
    for (std::size_t k = 0; k < of_w.size(); ++k) {
      CAPTURE(k);
      CHECK(same_bits(read(of_w[k]), to_matrix(weights[k])));
    }
  }
  std::vector<Matrix> momenta;
  for (const std::string& part : whole.part_names("w")) {
    for (const Matrix& m : matrices_of(whole.read_state(exec, part, "momentum"))) momenta.push_back(m);
  }
  REQUIRE(momenta.size() == of_w.size());
  for (std::size_t k = 0; k < of_w.size(); ++k) {
    CHECK(same_bits(momenta[k], matrices_of(apart.read_state(exec, std::to_string(k), "momentum"))[0]));
  }
}

/// Rows first, first + by, … of a View of rank 2.
template <class V>
Place rows_of(const V& v, std::size_t first, std::size_t count, std::size_t by = 1) {
  return {count, v.extent(1), [=](std::size_t i, std::size_t j) -> double& { return v(first + i * by, j); }};
}

/// The places of a View (out, a, b, c) as one matrix.
template <class V>
std::vector<Place> convolution(const V& v) {
  return {{v.extent(0), v.extent(1) * v.extent(2) * v.extent(3), [=](std::size_t i, std::size_t j) -> double& {
             return v(i, j / (v.extent(2) * v.extent(3)), j / v.extent(3) % v.extent(2), j % v.extent(3));
           }}};
}

/// A View (out, a, b, c) whose indices follow each other in memory in that order, the slowest first, with `gap`
/// elements after each run of the fastest.
AnyOrder ordered(const std::array<std::size_t, 4>& extents, const std::array<int, 4>& slowest_first, std::size_t gap) {
  std::array<std::size_t, 4> strides{};
  std::size_t stride = 1;
  for (int d = 3; d >= 0; --d) {
    const auto index = std::size_t(slowest_first[std::size_t(d)]);
    strides[index] = stride;
    stride = stride * extents[index] + (d == 3 ? gap : 0);
  }
  return AnyOrder("ordered", Kokkos::LayoutStride(extents[0], strides[0], extents[1], strides[1], extents[2],
                                                  strides[2], extents[3], strides[3]));
}

}  // namespace

TEST_CASE("row_sizes: query, key and value of grouped-query attention are three matrices") {
  const auto places = [](const auto& v) {
    return std::vector<Place>{rows_of(v, 0, 8), rows_of(v, 8, 2), rows_of(v, 10, 2)};
  };
  for_each_rule([&](const auto& rule) {
    check_one_by_one(rule, Rows("w", 12, 5), Rows("g", 12, 5), {.row_sizes = {8, 2, 2}}, places);
  });
  check_one_by_one(AdamW{}, HostView<double**, Kokkos::LayoutLeft>("w", 12, 5), Rows("g", 12, 5),
                   {.row_sizes = {8, 2, 2}}, places);
}

TEST_CASE("interleaved: the rows of gate and up take turns") {
  const auto places = [](const auto& v) { return std::vector<Place>{rows_of(v, 0, 6, 2), rows_of(v, 1, 6, 2)}; };
  const ParameterOptions options{.row_blocks = 2, .interleaved = true};
  for_each_rule([&](const auto& rule) { check_one_by_one(rule, Rows("w", 12, 4), Rows("g", 12, 4), options, places); });
  check_one_by_one(AdamW{}, HostView<double**, Kokkos::LayoutLeft>("w", 12, 4),
                   HostView<double**, Kokkos::LayoutLeft>("g", 12, 4), options, places);
}

TEST_CASE("column_blocks: the heads of an output projection") {
  const auto places = [](const auto& v) {
    std::vector<Place> heads;
    for (std::size_t head = 0; head < 3; ++head) {
      heads.push_back({7, 4, [=](std::size_t i, std::size_t j) -> double& { return v(i, 4 * head + j); }});
    }
    return heads;
  };
  for_each_rule([&](const auto& rule) {
    check_one_by_one(rule, Rows("w", 7, 12), Rows("g", 7, 12), {.column_blocks = 3}, places);
  });
}

TEST_CASE("blocks of every matrix of a batch, with gaps between the matrices and in any layout") {
  // Experts (E, 6, 4), blocks of rows.
  const auto blocks = [](const auto& v) {
    std::vector<Place> all;
    for (std::size_t e = 0; e < v.extent(0); ++e) {
      for (std::size_t b = 0; b < 2; ++b) {
        all.push_back({3, 4, [=](std::size_t i, std::size_t j) -> double& { return v(e, 3 * b + i, j); }});
      }
    }
    return all;
  };
  const HostView<double***> wide("wide", 3, 9, 4), wide_g("wide_g", 3, 9, 4);
  const auto gap = Kokkos::subview(wide, Kokkos::ALL, Range(1, 7), Kokkos::ALL);
  const auto gap_g = Kokkos::subview(wide_g, Kokkos::ALL, Range(0, 6), Kokkos::ALL);
  for_each_rule([&](const auto& rule) { check_one_by_one(rule, gap, gap_g, {.row_blocks = 2}, blocks); });
  check_one_by_one(AdamW{}, HostView<double***, Kokkos::LayoutLeft>("w", 3, 6, 4),
                   HostView<double***, Kokkos::LayoutLeft>("g", 3, 6, 4), {.row_blocks = 2}, blocks);
  // Blocks of several sizes: part after part, in each the experts.
  const auto parts = [](const auto& v) {
    std::vector<Place> all;
    for (const auto& [first, rows] : {std::pair<std::size_t, std::size_t>{0, 4}, {4, 2}}) {
      for (std::size_t e = 0; e < v.extent(0); ++e) {
        all.push_back(
            {rows, 4, [=, row = first](std::size_t i, std::size_t j) -> double& { return v(e, row + i, j); }});
      }
    }
    return all;
  };
  check_one_by_one(HTMuon{.map = {.method = SpectralMethod::svd}}, gap, gap_g, {.row_sizes = {4, 2}}, parts);
  // Alternating rows of every expert.
  const auto turns = [](const auto& v) {
    std::vector<Place> all;
    for (std::size_t e = 0; e < v.extent(0); ++e) {
      for (std::size_t b = 0; b < 2; ++b) {
        all.push_back({3, 4, [=](std::size_t i, std::size_t j) -> double& { return v(e, 2 * i + b, j); }});
      }
    }
    return all;
  };
  check_one_by_one(NorMuon{}, gap, gap_g, {.row_blocks = 2, .interleaved = true}, turns);
}

TEST_CASE("convolutions in any order of memory, with gaps, are one matrix (out, a·b·c)") {
  constexpr std::array<std::size_t, 4> extents{4, 3, 2, 5};
  std::array<int, 4> order{0, 1, 2, 3};
  do {  // the last index of the order is the fastest
    CAPTURE(order);
    const bool rows_fastest = order[3] == 0;
    for (const std::size_t gap : {0U, 2U}) {
      const AnyOrder w = ordered(extents, order, gap), g = ordered(extents, {0, 2, 3, 1}, gap);
      check_one_by_one(AdamW{}, w, g, {}, [](const auto& v) { return convolution(v); });
      // Where rows are the fastest index, the transpose is mapped: equal to rounding only.
      if (!rows_fastest) check_one_by_one(NorMuon{}, w, g, {}, [](const auto& v) { return convolution(v); });
    }
  } while (std::next_permutation(order.begin(), order.end()));
  const AnyOrder nhwc = ordered(extents, {0, 2, 3, 1}, 0), nhwc_g = ordered(extents, {0, 2, 3, 1}, 0);
  check_one_by_one(HTMuon{.map = {.method = SpectralMethod::svd}}, nhwc, nhwc_g, {},
                   [](const auto& v) { return convolution(v); });
}

TEST_CASE("convolutions whose rows are the fastest index: within rounding of the reference") {
  const Exec exec;
  const HTMuon rule{.map = {.method = SpectralMethod::svd}};
  for (const bool gradient_too : {true, false}) {
    const AnyOrder w = ordered({6, 3, 2, 2}, {3, 2, 1, 0}, 1);
    const AnyOrder g = ordered({6, 3, 2, 2}, gradient_too ? std::array{3, 2, 1, 0} : std::array{0, 2, 3, 1}, 0);
    const Matrix start = gaussian(6, 12, 1);
    write(convolution(w)[0], start);
    Tested optimizer;
    optimizer.add(optimizer.add_group(rule), "w", w, g);
    reference::Parameter expected(start);
    Matrix gradient;
    for (unsigned step = 0; step < 4; ++step) {
      gradient = conditioned_gaussian(6, 12, 10 + step);
      write(convolution(g)[0], gradient);
      optimizer.step(exec);
      exec.fence();
      expected.step(gradient, reference_of(rule));
    }
    CHECK(distance<double>(read(convolution(w)[0]), expected) < 8);
    const Matrix momentum = matrices_of(optimizer.read_state(exec, "w", "momentum"))[0];
    CHECK(momentum.rows() == 6);
    CHECK(momentum.cols() == 12);
  }
}

TEST_CASE("a convolution with stochastic rounding does not depend on its order in memory") {
  const Exec exec;
  std::vector<Matrix> results;
  for (const bool last : {false, true}) {
    const HostView<BFloat16****, Kokkos::LayoutRight> right("w", 4, 3, 2, 5);
    const HostView<BFloat16*> memory("memory", 120);
    const HostView<BFloat16****, Kokkos::LayoutStride> nhwc(memory.data(),
                                                            Kokkos::LayoutStride(4, 30, 3, 1, 2, 15, 5, 3));
    const HostView<double****> g("g", 4, 3, 2, 5);
    const Matrix numbers = gaussian(120, 1, 3);
    for (std::size_t k = 0; k < 120; ++k) {
      const std::size_t o = k / 30, a = k / 10 % 3, b = k / 5 % 2, c = k % 5;
      g(o, a, b, c) = numbers(Eigen::Index(k), 0);
      (last ? nhwc(o, a, b, c) : right(o, a, b, c)) = BFloat16(float(numbers(Eigen::Index(k), 0)));
    }
    Tested optimizer;
    const GroupId group = optimizer.add_group(AdamW{});
    const ParameterOptions options{.reduced_weight = ReducedWeight::stochastic_rounding};
    if (last) {
      optimizer.add(group, "w", nhwc, g, options);
    } else {
      optimizer.add(group, "w", right, g, options);
    }
    for (int step = 0; step < 3; ++step) optimizer.step(exec);
    exec.fence();
    Matrix result(120, 1);
    for (std::size_t k = 0; k < 120; ++k) {
      const std::size_t o = k / 30, a = k / 10 % 3, b = k / 5 % 2, c = k % 5;
      result(Eigen::Index(k), 0) = double(float(last ? nhwc(o, a, b, c) : right(o, a, b, c)));
    }
    results.push_back(result);
  }
  CHECK(same_bits(results[0], results[1]));
}

TEST_CASE("a parameter of several parts: what goes by its name and what by that of a part") {
  const Exec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(AdamW{.lr = 0.1, .weight_decay = 0});
  const Rows w("w", 6, 2), g("g", 6, 2), other("o", 6, 2), other_g("og", 6, 2);
  optimizer.add(group, "qkv", w, {.row_sizes = {3, 2, 1}});
  optimizer.add(group, "o", other, other_g);
  using Names = std::vector<std::string>;
  CHECK(optimizer.part_names("qkv") == Names{"qkv[0]", "qkv[1]", "qkv[2]"});
  CHECK(optimizer.part_names("o") == Names{"o"});
  assign(other_g, gaussian(6, 2, 2));
  optimizer.step(exec);  // without a gradient it stays
  CHECK(max_abs(to_matrix(w)) == 0);
  assign(g, gaussian(6, 2, 1));
  optimizer.set_gradient("qkv", g);
  optimizer.set_telemetry(true);
  optimizer.step(exec);
  exec.fence();
  CHECK(to_matrix(w).cwiseAbs().minCoeff() > 0.09);
  CHECK(optimizer.telemetry(exec, "qkv").size() == 3);
  CHECK(optimizer.telemetry(exec, "qkv")[1].gradient_norm == doctest::Approx(to_matrix(g).middleRows(3, 2).norm()));
  CHECK(optimizer.telemetry(exec, "qkv[2]").size() == 1);
  CHECK(optimizer.read_state(exec, "qkv[1]", "momentum").extent(1) == 2);
  CHECK(optimizer.read_counts(exec).size() == 4);
  g(4, 1) = std::numeric_limits<double>::quiet_NaN();
  optimizer.step(exec);
  CHECK(optimizer.skipped_steps(exec, "qkv") == 1);
  CHECK(optimizer.skipped_steps(exec, "qkv[1]") == 1);
  CHECK(optimizer.skipped_steps(exec, "qkv[0]") == 0);
  g(4, 1) = 0;
  // The halves of a step, and a pause of one part.
  optimizer.direction(exec);
  CHECK(optimizer.direction_of("qkv[0]").extent(1) == 3);
  optimizer.apply(exec);
  optimizer.pause("qkv[0]");
  const Matrix before = to_matrix(w);
  optimizer.step(exec);
  exec.fence();
  CHECK(same_bits(to_matrix(w).topRows(3), before.topRows(3)));
  CHECK((to_matrix(w).bottomRows(1) - before.bottomRows(1)).cwiseAbs().minCoeff() > 0);
  optimizer.resume("qkv");
  optimizer.set_decay_factor("qkv", 2);
  CHECK(optimizer.decay_factor("qkv[2]") == 2);

  CHECK(contains(message_of([&] { (void)optimizer.read_state(exec, "qkv", "momentum"); }),
                 "name = qkv, but it has several parts: name one of qkv[0] to qkv[2]"));
  CHECK(contains(message_of([&] { optimizer.remove("qkv[1]"); }),
                 "name = qkv[1], but it is a part of the parameter qkv"));
  CHECK(contains(message_of([&] { optimizer.set_gradient("qkv[1]", g); }), "is a part of the parameter qkv"));
  CHECK(contains(message_of([&] { optimizer.add(group, "qkv", Rows("x", 2, 2)); }), "is registered already"));
  CHECK(contains(message_of([&] { optimizer.add(group, "qkv[1]", Rows("x", 2, 2)); }), "is registered already"));
  CHECK(contains(message_of([&] { optimizer.add(group, "v", w); }), "must not overlap the parameter qkv["));
  CHECK(contains(message_of([&] { optimizer.set_gradient("qkv", w); }), "must not overlap w"));
  CHECK(contains(message_of([&] { optimizer.set_gradient("o", Kokkos::subview(w, Kokkos::ALL, Kokkos::ALL)); }),
                 "must not overlap the parameter qkv["));
  optimizer.remove("qkv");
  CHECK(contains(message_of([&] { (void)optimizer.part_names("qkv"); }), "name = qkv, but it is not registered"));
  optimizer.add(group, "qkv", w, g, {.row_blocks = 2});
  optimizer.step(exec);
  CHECK(optimizer.read_state(exec, "qkv", "momentum").extent(0) == 2);
}

TEST_CASE("weights leave and return in the order of the user's View, whatever the blocks are") {
  const Exec exec;
  const auto check = [&](const auto& w, const ParameterOptions& options, std::size_t size) {
    Tested optimizer;
    const GroupId group = optimizer.add_group(SGD{});
    optimizer.add(group, "w", w, options);
    auto inventory = optimizer.inventory();
    std::vector<double> bytes(w.size());
    std::size_t done = 0;
    for (const ParameterInfo& part : inventory.parameters()) {
      std::size_t elements = 1;
      for (const std::size_t extent : part.shape) elements *= extent;
      inventory.read_weight(exec, part.name, reinterpret_cast<char*>(bytes.data() + done));
      for (std::size_t k = done; k < done + elements; ++k) bytes[k] += 0.5;
      inventory.write_weight(exec, part.name, reinterpret_cast<const char*>(bytes.data() + done));
      done += elements;
    }
    CHECK(done == size);
    return bytes;
  };
  std::vector<double> expected(24);
  for (std::size_t k = 0; k < 24; ++k) expected[k] = double(k) + 0.5;
  for (const ParameterOptions& options :
       {ParameterOptions{}, ParameterOptions{.row_blocks = 2}, ParameterOptions{.row_blocks = 3, .interleaved = true},
        ParameterOptions{.row_sizes = {3, 2, 1}}, ParameterOptions{.column_blocks = 2}}) {
    const HostView<double**, Kokkos::LayoutLeft> w("w", 6, 4);
    for (std::size_t k = 0; k < 24; ++k) w(k / 4, k % 4) = double(k);
    CHECK(check(w, options, 24) == expected);
    for (std::size_t k = 0; k < 24; ++k) CHECK(w(k / 4, k % 4) == expected[k]);
  }
  const AnyOrder w = ordered({2, 3, 2, 2}, {0, 2, 3, 1}, 1);
  for (std::size_t k = 0; k < 24; ++k) w(k / 12, k / 4 % 3, k / 2 % 2, k % 2) = double(k);
  CHECK(check(w, {}, 24) == expected);
  CHECK(w(1, 2, 1, 1) == expected[23]);
}

TEST_CASE("blocks that a shape cannot be cut into are refused, each with its own words") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGD{});
  const auto refused = [&](const auto& w, const ParameterOptions& options) {
    return message_of([&] { optimizer.add(group, "w", w, options); });
  };
  const HostView<double*> vector("v", 6);
  const Rows matrix("m", 6, 4);
  const HostView<double****> four("f", 6, 4, 3, 3);
  CHECK(contains(refused(vector, {.row_blocks = 2}), "w of w = 6, but it is a vector and cannot be cut into blocks"));
  CHECK(contains(refused(vector, {.row_sizes = {1}}), "w of w = 6, but it is a vector"));
  CHECK(contains(refused(matrix, {.row_blocks = 0}), "row_blocks of w = 0, but it must be at least 1"));
  CHECK(contains(refused(matrix, {.column_blocks = 0}), "column_blocks of w = 0, but it must be at least 1"));
  CHECK(contains(refused(matrix, {.row_blocks = 4}),
                 "w of w = 6x4, but it must have rows that divide by row_blocks = 4"));
  CHECK(contains(refused(HostView<double***>("t", 2, 3, 4), {.row_blocks = 2}),
                 "w of w = 2x3x4, but it must have rows that divide by row_blocks = 2"));
  CHECK(contains(refused(matrix, {.column_blocks = 3}),
                 "w of w = 6x4, but it must have columns that divide by column_blocks = 3"));
  CHECK(contains(refused(four, {.column_blocks = 2}), "must have rank 2 or 3 to be cut into column_blocks"));
  CHECK(
      contains(refused(matrix, {.row_sizes = {4, 3}}), "row_sizes of w = 4+3, but it must add up to the rows of 6x4"));
  CHECK(contains(refused(matrix, {.row_sizes = {6, 0}}), "row_sizes of w = 0, but it must be at least 1"));
  CHECK(contains(refused(matrix, {.row_sizes = {std::size_t(-1), 7}}), "row_sizes of w = "));
  CHECK(contains(refused(matrix, {.interleaved = true}), "interleaved of w = 1, but it must stand beside row_blocks"));
  CHECK(contains(refused(matrix, {.row_blocks = 2, .row_sizes = {3, 3}}), "row_sizes of w = 2, but it must not stand"));
  CHECK(contains(refused(matrix, {.row_blocks = 2, .column_blocks = 2}),
                 "column_blocks of w = 2, but it must not stand"));
  optimizer.add(group, "w", matrix);
}

TEST_CASE("blocks keep the exact look at whose memory is whose") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGD{});
  const Rows memory("memory", 12, 8), gradients("gradients", 12, 8);
  const auto part = [](const Rows& v, Range rows, Range cols) { return Kokkos::subview(v, rows, cols); };
  // Parts of one array, cut in different ways, side by side.
  const auto add = [&](const char* name, Range rows, Range cols, const ParameterOptions& options) {
    optimizer.add(group, name, part(memory, rows, cols), part(gradients, rows, cols), options);
  };
  add("a", {0, 6}, {0, 4}, {.row_blocks = 2, .interleaved = true});
  add("b", {0, 6}, {4, 8}, {.row_sizes = {4, 2}});
  add("c", {6, 12}, {0, 6}, {.column_blocks = 3});
  CHECK(contains(message_of([&] { add("x", {5, 8}, {6, 8}, {}); }), "must not overlap the parameter b[1]"));
  add("d", {6, 12}, {6, 8}, {.row_blocks = 3});
  // Channels of one convolution, in the order NHWC.
  const HostView<double****> nhwc("c", 4, 2, 2, 6), nhwc_g("dc", 4, 2, 2, 6);
  const auto channels = [](const auto& v, std::size_t first, std::size_t last) {
    const auto* const at = &v(0, 0, 0, first);
    return AnyOrder(const_cast<double*>(at), Kokkos::LayoutStride(4, 24, last - first, 1, 2, 12, 2, 6));
  };
  optimizer.add(group, "channels 0-1", channels(nhwc, 0, 2), channels(nhwc_g, 0, 2));
  optimizer.add(group, "channels 2-5", channels(nhwc, 2, 6), channels(nhwc_g, 2, 6));
  CHECK(
      contains(message_of([&] { optimizer.add(group, "x", channels(nhwc, 1, 3)); }), "must not overlap the parameter"));
  const AnyOrder twice(nhwc.data(), Kokkos::LayoutStride(2, 24, 2, 12, 3, 2, 4, 1));
  CHECK(contains(message_of([&] { optimizer.add(group, "x", twice); }), "must not overlap itself"));
}
