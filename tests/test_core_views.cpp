// SPDX-License-Identifier: BSD-3-Clause
// labels: bare portable
// Views of every layout as strided batches, and what the checks on them say.

#include "support/views.hpp"
#include <schatten/core/copy.hpp>
#include <schatten/core/views.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <tuple>

namespace {

using namespace schatten;
using namespace schatten::test;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Space = Exec::memory_space;

template <class V>
void number(const V& view) {
  for (std::size_t b = 0; b < view.extent(0); ++b) {
    for (std::size_t i = 0; i < view.extent(1); ++i) {
      for (std::size_t j = 0; j < view.extent(2); ++j) view(b, i, j) = float(100 * b + 10 * i + j);
    }
  }
}

template <class F>
InvalidArgument caught(const F& f) {
  try {
    f();
  } catch (const InvalidArgument& error) {
    return error;
  }
  FAIL("no InvalidArgument was thrown");
  return {"", "", "", ""};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE_TEMPLATE("as_batch, transpose, block and matrices name the elements of the View", T,
                   std::integral_constant<Storage, Storage::right>, std::integral_constant<Storage, Storage::left>,
                   std::integral_constant<Storage, Storage::window>,
                   std::integral_constant<Storage, Storage::scattered>) {
  const Batch<float, T::value> storage(3, 4, 5);
  number(storage.view());
  const auto all = as_batch<Exec>(storage.view());
  const auto one = as_batch<Exec>(storage.matrix(2));
  const auto swapped = transpose(all);
  const auto part = block(all, 1, 2, 3, 2);
  const auto last = matrices(all, 1, 2);
  const auto constant = as_const(all);
  REQUIRE(shape_of(all).text() == "3x4x5");
  REQUIRE(shape_of(one).text() == "1x4x5");
  REQUIRE(shape_of(swapped).text() == "3x5x4");
  REQUIRE(shape_of(part).text() == "3x3x2");
  REQUIRE(shape_of(last).text() == "2x4x5");
  for (std::size_t b = 0; b < 3; ++b) {
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t j = 0; j < 5; ++j) {
        const float* const element = &storage.view()(b, i, j);
        CHECK(&all(b, i, j) == element);
        CHECK(&constant(b, i, j) == element);
        CHECK(&swapped(b, j, i) == element);
        if (b == 2) CHECK(&one(0, i, j) == element);
        if (i >= 1 && j >= 2 && j < 4) CHECK(&part(b, i - 1, j - 2) == element);
        if (b >= 1) CHECK(&last(b - 1, i, j) == element);
      }
    }
  }
}

TEST_CASE("as_batch takes empty Views and Views of const") {
  const Kokkos::View<double**, Kokkos::LayoutLeft, Kokkos::HostSpace> empty("schatten::test::empty", 0, 7);
  CHECK(shape_of(as_batch<Exec>(empty)).text() == "1x0x7");
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> matrix("schatten::test::matrix", 2, 3);
  const Kokkos::View<const double**, Kokkos::LayoutRight, Kokkos::HostSpace> constant = matrix;
  static_assert(std::is_same_v<decltype(as_batch<Exec>(constant)), BatchView<const double, Space>>);
  CHECK(as_batch<Exec>(constant).data() == matrix.data());
}

TEST_CASE("as_vectors takes contiguous vectors and refuses others by name and stride") {
  const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> right("schatten::test::right", 3, 4);
  const Kokkos::View<double**, Kokkos::LayoutLeft, Kokkos::HostSpace> left("schatten::test::left", 3, 4);
  const auto vectors = as_vectors<Exec>(right, "f", "sigma");
  for (std::size_t b = 0; b < 3; ++b) {
    for (std::size_t k = 0; k < 4; ++k) CHECK(&vectors(b, k) == &right(b, k));
  }
  const auto one = as_vectors<Exec>(Kokkos::subview(right, 1, Kokkos::ALL), "f", "sigma");
  CHECK(one.extent(0) == 1);
  CHECK(one.extent(1) == 4);
  CHECK(one.data() == &right(1, 0));

  const auto strided = caught([&] { as_vectors<Exec>(left, "linalg::svd", "sigma"); });
  CHECK(strided.argument() == "sigma");
  CHECK(strided.value() == "3");
  CHECK(contains(strided.what(), "schatten::linalg::svd: sigma = 3, but it must have unit stride"));
  const auto column = caught([&] { as_vectors<Exec>(Kokkos::subview(right, Kokkos::ALL, 1), "f", "lambda"); });
  CHECK(column.argument() == "lambda");
  CHECK(column.value() == "4");
  const auto gaps =
      caught([&] { as_vectors<Exec>(Kokkos::subview(right, Kokkos::ALL, std::pair<int, int>(0, 2)), "f", "sigma"); });
  CHECK(gaps.value() == "4");
  CHECK(contains(gaps.what(), "without gaps"));
}

TEST_CASE("an extent of more than 32 bits is kept or refused by name") {
  constexpr std::size_t many = (std::size_t{1} << 32) + 5;
  float number = 0;
  for (const auto& [batch, rows, cols, name] :
       {std::tuple{many, std::size_t{1}, std::size_t{1}, "batch = 4294967301"},
        std::tuple{std::size_t{1}, many, std::size_t{1}, "rows = 4294967301"},
        std::tuple{std::size_t{1}, std::size_t{1}, many, "cols = 4294967301"}}) {
    std::string message;
    std::size_t elements = 0;
    try {
      const auto view = batch_view(&number, batch, rows, cols);
      elements = view.extent(0) * view.extent(1) * view.extent(2);
    } catch (const InvalidArgument& error) {
      message = error.what();
    }
    CAPTURE(message);
    CHECK((elements == many || message.find(name) != std::string::npos));
  }
}

TEST_CASE("require_shape names argument, extents and what was wanted") {
  const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace> matrix("schatten::test::matrix", 2, 3);
  const auto batch = as_batch<Exec>(matrix);
  require_shape(batch, 1, 2, 3, "f", "m");
  const auto error = caught([&] { require_shape(batch, 1, 3, 2, "f", "m"); });
  CHECK(std::string(error.what()) ==
        "schatten::f: m = 1x2x3, but it must have the extents 1x3x2 (batch x rows x cols)");
  CHECK_THROWS_AS(require_shape(batch, 2, 2, 3, "f", "m"), InvalidArgument);
}

namespace {

std::set<const float*> elements(const BatchView<float, Space>& a) {
  std::set<const float*> set;
  for (std::size_t b = 0; b < a.extent(0); ++b) {
    for (std::size_t i = 0; i < a.extent(1); ++i) {
      for (std::size_t j = 0; j < a.extent(2); ++j) set.insert(&a(b, i, j));
    }
  }
  return set;
}

bool share_an_element(const BatchView<float, Space>& a, const BatchView<float, Space>& b) {
  const auto first = elements(a);
  for (const float* element : elements(b)) {
    if (first.count(element) > 0) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("overlap is exact between parts of one array") {
  std::mt19937 generator(11);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(generator); };
  std::size_t meeting = 0;
  for (int trial = 0; trial < 6000; ++trial) {
    // An array of three dimensions in any storage order, with gaps or without.
    const std::size_t extents[3] = {1 + below(3), 1 + below(5), 1 + below(5)};
    std::size_t order[3] = {0, 1, 2}, strides[3];
    std::shuffle(order, order + 3, generator);
    std::size_t stride = 1 + below(2);
    for (const std::size_t dimension : order) {
      strides[dimension] = stride;
      stride = stride * extents[dimension] + below(2);
    }
    std::vector<float> memory(stride + 8);
    const auto part = [&] {
      std::size_t first[3], count[3], offset = 0;
      for (int d = 0; d < 3; ++d) {
        first[d] = below(extents[d]);
        count[d] = 1 + below(extents[d] - first[d]);
        offset += first[d] * strides[d];
      }
      return batch_view<Space>(memory.data() + offset, count[0], count[1], count[2], strides[0], strides[1],
                               strides[2]);
    };
    const auto a = part(), b = part();
    const bool truth = share_an_element(a, b);
    meeting += truth ? 1 : 0;
    if (overlap(a, b) != truth) {
      CAPTURE(trial);
      CHECK(overlap(a, b) == truth);
    }
    CHECK(overlap(b, a) == overlap(a, b));
    CHECK(overlap(transpose(a), transpose(b)) == overlap(a, b));
  }
  CHECK(meeting > 1000);
  CHECK(meeting < 5000);
}

TEST_CASE("overlap between any strided Views never misses a shared element") {
  std::mt19937 generator(12);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(generator); };
  std::vector<float> memory(400);
  std::size_t exact = 0, trials = 6000;
  for (std::size_t trial = 0; trial < trials; ++trial) {
    const auto any = [&] {
      return batch_view<Space>(memory.data() + below(60), below(3), below(4), below(5), below(20), below(12),
                               below(12));
    };
    const auto a = any(), b = any();
    const bool truth = share_an_element(a, b);
    if (truth) CHECK(overlap(a, b));
    exact += overlap(a, b) == truth ? 1 : 0;
  }
  CHECK(exact > trials / 2);
}

TEST_CASE("overlap: the halves of an array and its rows and columns") {
  const Batch<float, Storage::left> left(4, 6, 8);
  const auto a = as_batch<Exec>(left.view());
  CHECK(overlap(a, a));
  CHECK(!overlap(block(a, 0, 0, 3, 8), block(a, 3, 0, 3, 8)));
  CHECK(!overlap(block(a, 0, 0, 6, 4), block(a, 0, 4, 6, 4)));
  CHECK(!overlap(matrices(a, 0, 2), matrices(a, 2, 2)));
  CHECK(overlap(block(a, 0, 0, 4, 4), block(a, 3, 3, 3, 5)));
  CHECK(!overlap(matrices(a, 0, 0), a));
}

TEST_CASE("copies run along the contiguous index of what is written, and round") {
  const Exec exec;
  const Kokkos::View<double***, Kokkos::LayoutRight, Space> from("schatten::test::from", 2, 3, 4);
  const Kokkos::View<schatten::Half***, Kokkos::LayoutRight, Space> to("schatten::test::to", 2, 4, 3);
  for (std::size_t k = 0; k < from.size(); ++k) from.data()[k] = 1.0 + double(k) / 3;
  const BatchView<const double, Space> source = as_batch<Exec>(from);
  copy_elements(exec, "schatten::test::copy", source, transpose(as_batch<Exec>(to)));
  exec.fence();
  for (std::size_t b = 0; b < 2; ++b) {
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 4; ++j) CHECK(float(to(b, j, i)) == float(schatten::Half(from(b, i, j))));
    }
  }
}

TEST_CASE("the words of a message: pieces in their order, integers of any type") {
  const std::string name = "layers.0";
  const Words inner(std::string_view("w"), " of ", name);
  CHECK(inner.text() == "w of layers.0");
  CHECK(Words("a", std::int8_t(-128), " ", (std::numeric_limits<long long>::min)(), " ",
              (std::numeric_limits<unsigned long long>::max)(), " ", inner)
            .text() == "a-128 -9223372036854775808 18446744073709551615 w of layers.0");
  CHECK(Words(0).text() == "0");
  const InvalidArgument error = caught([&] { require(false, "f", {"g of ", name}, {2, "x", 3}, {"must be ", 4}); });
  CHECK(std::string(error.what()) == "schatten::f: g of layers.0 = 2x3, but it must be 4");
  CHECK(error.argument() == "g of layers.0");
  CHECK(error.value() == "2x3");
}
