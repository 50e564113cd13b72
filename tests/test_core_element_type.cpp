// SPDX-License-Identifier: BSD-3-Clause
// Elements of a type known at run time: every type, layout and range against a conversion by hand; what lies between
// the elements stays as it is.
// labels: portable

#include <schatten/core/element_type.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace {

using namespace schatten;

static_assert(ParameterElement<float> && ParameterElement<double> && ParameterElement<Half>);
static_assert(ParameterElement<BFloat16> && !ParameterElement<TensorFloat32> && !ParameterElement<int>);
static_assert(!ParameterElement<const float> && !ParameterElement<std::uint16_t>);
static_assert(element_type_of<float> == ElementType::float32 && element_type_of<double> == ElementType::float64);
static_assert(element_type_of<Half> == ElementType::float16 && element_type_of<BFloat16> == ElementType::bfloat16);
static_assert(ParameterElement<Kokkos::Experimental::half_t>);  // as float, where it is that
static_assert(size_of(element_type_of<Kokkos::Experimental::half_t>) == sizeof(Kokkos::Experimental::half_t));
#if KOKKOS_VERSION >= 30700
static_assert(size_of(element_type_of<Kokkos::Experimental::bhalf_t>) == sizeof(Kokkos::Experimental::bhalf_t));
static_assert(sizeof(Kokkos::Experimental::bhalf_t) == 4 ||
              element_type_of<Kokkos::Experimental::bhalf_t> == ElementType::bfloat16);
#endif
static_assert(std::is_trivially_copyable_v<TypedMatrix> && std::is_standard_layout_v<TypedMatrix>);

struct Shape {
  std::size_t rows, cols, row_stride, col_stride;
};

/// Row- and column-major, with and without gaps, extents of 1 with strides that mean nothing, ranges of many sizes.
const std::vector<Shape> shapes = {
    {12, 40, 40, 1},  {12, 40, 43, 1}, {12, 40, 1, 12}, {12, 40, 1, 15},   {12, 40, 120, 3}, {12, 40, 500, 3},
    {300, 1, 1, 999}, {300, 1, 4, 1},  {300, 1, 1, 1},  {1, 300, 9999, 1}, {1, 300, 0, 2},   {2, 256, 256, 1},
    {100, 3, 5, 1},   {100, 3, 3, 1},  {1, 1, 777, 88}, {5, 130, 131, 1},  {3, 2, 2, 1}};

/// Elements of a shape in memory of their own, each byte of which is 0x5a at first.
template <class E>
struct Matrix {
  Shape shape;
  std::vector<unsigned char> bytes;

  explicit Matrix(const Shape& s) : shape(s), bytes((at(s.rows - 1, s.cols - 1) + 1) * sizeof(E), 0x5a) {}
  [[nodiscard]] std::size_t at(std::size_t i, std::size_t j) const {
    return i * shape.row_stride + j * shape.col_stride;
  }
  [[nodiscard]] std::size_t size() const { return shape.rows * shape.cols; }
  [[nodiscard]] TypedMatrix typed() { return {bytes.data(), shape.row_stride, shape.col_stride, element_type_of<E>}; }
  void set(std::size_t k, E x) {
    std::memcpy(bytes.data() + at(k / shape.cols, k % shape.cols) * sizeof(E), &x, sizeof(E));
  }
  [[nodiscard]] E get(std::size_t k) const {
    E x;
    std::memcpy(&x, bytes.data() + at(k / shape.cols, k % shape.cols) * sizeof(E), sizeof(E));
    return x;
  }
};

/// Numbers that need rounding, of all sizes that binary16 has and some beyond.
double number(std::size_t k) {
  return std::ldexp(1 + 0.6180339887 * double(k % 97), int(k % 41) - 26) * (k % 2 == 0 ? 1 : -1);
}

template <Scalar T>
std::vector<T> numbers(std::size_t count) {
  std::vector<T> x(count);
  for (std::size_t k = 0; k < count; ++k) x[k] = static_cast<T>(number(k));
  return x;
}

/// As stochastic rounding should leave it.
template <class E, class T>
E rounded(T x, std::uint32_t bits16) {
  if constexpr (std::same_as<E, Half>) {
    return stochastic_half(x, bits16);
  } else if constexpr (std::same_as<E, BFloat16>) {
    return stochastic_bfloat16(x, bits16);
  } else {
    return static_cast<E>(x);
  }
}

/// use(first, count) over all elements in ranges of `length`, the first of which is shorter.
template <class Use>
void for_each_range(std::size_t size, std::size_t length, const Use& use) {
  for (std::size_t first = 0, end = std::min(size, (length + 1) / 2); first < size;) {
    use(first, end - first);
    first = end;
    end = std::min(size, end + length);
  }
}

const std::vector<std::size_t> lengths = {1, 7, 64, 128, 1000};

template <class E, class T>
struct Pair {
  using Stored = E;
  using Computed = T;
};

struct ThroughKernel {
  TypedMatrix from, nearest, stochastic;
  std::size_t cols;
  RandomBits bits;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const std::size_t i = k / cols, j = k - i * cols;
    store_element(nearest, i, j, load_element<double>(from, i, j));
    store_element_stochastically(stochastic, i, j, load_element<float>(from, i, j), bits.sixteen(k));
  }
};

}  // namespace

TYPE_TO_STRING(Pair<float, float>);
TYPE_TO_STRING(Pair<float, double>);
TYPE_TO_STRING(Pair<double, float>);
TYPE_TO_STRING(Pair<double, double>);
TYPE_TO_STRING(Pair<Half, float>);
TYPE_TO_STRING(Pair<Half, double>);
TYPE_TO_STRING(Pair<BFloat16, float>);
TYPE_TO_STRING(Pair<BFloat16, double>);
#define SCHATTEN_TEST_PAIRS                                                                              \
  Pair<float, float>, Pair<float, double>, Pair<double, float>, Pair<double, double>, Pair<Half, float>, \
      Pair<Half, double>, Pair<BFloat16, float>, Pair<BFloat16, double>

TEST_CASE("names and sizes") {
  CHECK(to_string(ElementType::float32) == "float32");
  CHECK(to_string(ElementType::float64) == "float64");
  CHECK(to_string(ElementType::float16) == "float16");
  CHECK(to_string(ElementType::bfloat16) == "bfloat16");
  static_assert(size_of(ElementType::float32) == 4 && size_of(ElementType::float64) == 8);
  static_assert(size_of(ElementType::float16) == 2 && size_of(ElementType::bfloat16) == 2);
}

TEST_CASE_TEMPLATE("elements are read one by one and in ranges", P, SCHATTEN_TEST_PAIRS) {
  using E = typename P::Stored;
  using T = typename P::Computed;
  for (const Shape& shape : shapes) {
    INFO(shape.rows, "x", shape.cols, ", strides ", shape.row_stride, " and ", shape.col_stride);
    Matrix<E> matrix(shape);
    std::vector<T> expected(matrix.size());
    for (std::size_t k = 0; k < matrix.size(); ++k) {
      matrix.set(k, static_cast<E>(number(k)));
      expected[k] = static_cast<T>(matrix.get(k));
    }
    std::vector<T> single(matrix.size());
    for (std::size_t k = 0; k < matrix.size(); ++k) {
      single[k] = load_element<T>(matrix.typed(), k / shape.cols, k % shape.cols);
    }
    CHECK(single == expected);
    for (const std::size_t length : lengths) {
      std::vector<T> loaded(matrix.size() + 1, T(-7));
      for_each_range(matrix.size(), length, [&](std::size_t first, std::size_t count) {
        load_elements(matrix.typed(), shape.cols, first, count, loaded.data() + first);
      });
      CHECK(loaded.back() == T(-7));
      loaded.pop_back();
      CHECK(loaded == expected);
    }
  }
}

TEST_CASE_TEMPLATE("elements are written one by one and in ranges, and nothing beside them", P, SCHATTEN_TEST_PAIRS) {
  using E = typename P::Stored;
  using T = typename P::Computed;
  const RandomBits random{random_key(2, "w"), 5};
  for (const Shape& shape : shapes) {
    INFO(shape.rows, "x", shape.cols, ", strides ", shape.row_stride, " and ", shape.col_stride);
    Matrix<E> nearest(shape), stochastic(shape), single(shape), single_stochastic(shape);
    const std::vector<T> x = numbers<T>(nearest.size());
    std::vector<std::uint16_t> bits(x.size());
    random.fill(0, bits.size(), bits.data());
    for (std::size_t k = 0; k < x.size(); ++k) {
      const std::size_t i = k / shape.cols, j = k % shape.cols;
      nearest.set(k, static_cast<E>(x[k]));
      stochastic.set(k, rounded<E>(x[k], bits[k]));
      store_element(single.typed(), i, j, x[k]);
      store_element_stochastically(single_stochastic.typed(), i, j, x[k], bits[k]);
    }
    CHECK(single.bytes == nearest.bytes);
    CHECK(single_stochastic.bytes == stochastic.bytes);
    for (const std::size_t length : lengths) {
      Matrix<E> stored(shape), stored_stochastically(shape);
      for_each_range(x.size(), length, [&](std::size_t first, std::size_t count) {
        store_elements(stored.typed(), shape.cols, first, count, x.data() + first);
        store_elements_stochastically(stored_stochastically.typed(), shape.cols, first, count, x.data() + first,
                                      bits.data() + first);
      });
      CHECK(stored.bytes == nearest.bytes);
      CHECK(stored_stochastically.bytes == stochastic.bytes);
    }
  }
}

TEST_CASE("a double is rounded once, not by way of float") {
  Matrix<BFloat16> bfloat16({1, 40, 40, 1});
  Matrix<Half> half({1, 40, 40, 1});
  const std::vector<double> above(40, 1 + 0x1p-8 + 0x1p-40), above_half(40, 1 + 0x1p-11 + 0x1p-40);
  store_elements(bfloat16.typed(), 40, 0, 40, above.data());
  store_elements(half.typed(), 40, 0, 40, above_half.data());
  for (std::size_t k = 0; k < 40; ++k) {
    CHECK(double(bfloat16.get(k)) == 1 + 0x1p-7);
    CHECK(double(half.get(k)) == 1 + 0x1p-10);
  }
  store_element(bfloat16.typed(), 0, 3, 1 + 0x1p-8);
  CHECK(double(bfloat16.get(3)) == 1);
}

TEST_CASE("an empty range and an empty matrix are left alone") {
  const TypedMatrix none;
  double x = 3;
  load_elements(none, 0, 0, 0, &x);
  store_elements(none, 0, 0, 0, &x);
  store_elements_stochastically(none, 5, 0, 0, &x, nullptr);
  CHECK(x == 3);
}

TEST_CASE_TEMPLATE("in a kernel", E, float, double, Half, BFloat16) {
  using Exec = Kokkos::DefaultExecutionSpace;
  using Space = Exec::memory_space;
  constexpr std::size_t rows = 60, cols = 50;
  const Kokkos::View<E*, Space> from("from", rows * cols), nearest("nearest", rows * cols), other("other", rows * cols);
  std::vector<E> values(rows * cols), back(rows * cols), back_stochastic(rows * cols);
  for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<E>(number(k));
  const auto on_host = [](std::vector<E>& x) { return Kokkos::View<E*, Kokkos::HostSpace>(x.data(), x.size()); };
  Kokkos::deep_copy(from, on_host(values));
  const auto typed = [](const auto& view) { return TypedMatrix{view.data(), 1, rows, element_type_of<E>}; };
  Kokkos::parallel_for("through", Kokkos::RangePolicy<Exec>(0, rows * cols),
                       ThroughKernel{typed(from), typed(nearest), typed(other), cols, {1, 2}});
  Kokkos::deep_copy(on_host(back), nearest);
  Kokkos::deep_copy(on_host(back_stochastic), other);
  int failures = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    failures += double(back[k]) == double(values[k]) ? 0 : 1;
    failures += float(back_stochastic[k]) == float(values[k]) ? 0 : 1;  // representable: as it is
  }
  CHECK(failures == 0);
}
