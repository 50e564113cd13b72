// SPDX-License-Identifier: BSD-3-Clause
// labels: portable
// The loop over elements as devices run it, in groups of four and one by one, against the host's: the same bits.

#include "support/spaces.hpp"
#include <schatten/optim/apply.hpp>
#include <schatten/optim/skip.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::optim;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Space = Exec::memory_space;

/// (g, m, r) ↦ a number that depends on all, without a function of its own for chunks.
struct Update {
  template <class T>
  KOKKOS_FUNCTION T operator()(T g, T& m, T& r) const {
    m = T(0.75) * m + g;
    r = r > g ? r : g;
    return m * T(0.5) + r;
  }
};

enum class Loop { host, groups, elements };

/// Where the elements of weights and gradients are.
struct Layout {
  const char* name;
  std::size_t pad, shift;  ///< elements between rows, bytes before the first element
  bool transposed;
};

struct Case {
  std::size_t rows, cols;
  ElementType gradient, weight, momentum;
  Layout layout;
  bool master = false, stochastic = false, shared = false;
  double coupled = 0;
  DecayMode mode = DecayMode::decoupled;
  SplitFactor factor{};
  bool turned = false;  ///< WeightUpdate::transposed
};

/// The arrays of three matrices. The second has a gradient that is not finite, and is skipped.
template <class T>
struct Arrays {
  static constexpr std::size_t count = 3;
  using Bits = NumberBatchView<MagnitudeBits<T>, Space>;
  Case its;
  std::vector<std::uint64_t> memory;
  std::size_t used = 0;
  Kokkos::View<MatrixRecord*, Kokkos::LayoutRight, Space> records{"records", count};
  Kokkos::View<int*, Kokkos::LayoutRight, Space> flags{"flags", count};
  Kokkos::View<MatrixCounts*, Kokkos::LayoutRight, Space> counts{"counts", count};
  Kokkos::View<SplitFactor*, Kokkos::LayoutRight, Space> factor{"factor", count};
  Kokkos::View<MagnitudeBits<T>*, Kokkos::LayoutRight, Space> largest{"largest", 2 * count};
  SlotMemory slot[2], master;
  char* out = nullptr;

  explicit Arrays(const Case& c) : its(c), memory(1U << 14) {
    Kokkos::deep_copy(largest, 0);
    unsigned seed = 1;
    for (std::size_t k = 0; k < count; ++k) {
      records(k) = {
          user_matrix(c.gradient, seed), user_matrix(c.weight, seed), k, 0.5, 0.25, c.stochastic, 77 + k, 3 * k};
      counts(k) = {5, 4};
      factor(k) = c.factor;
    }
    store_element<T>(records(1).gradient, c.rows - 1, c.cols - 1, std::numeric_limits<T>::infinity());
    slot[0] = array(c.momentum, c.cols, c.rows, seed);
    slot[1] = c.shared ? array(element_type_of<T>, 1, c.rows, seed) : array(element_type_of<T>, c.cols, c.rows, seed);
    slot[1].rows_each = c.shared ? 1 : 0;
    if (c.master) master = array(element_type_of<T>, c.cols, c.rows, seed);
    out = take(count * c.rows * c.cols * sizeof(T), 0);
  }

  void run(Loop how, bool to_weights) {
    const bool grouped = how == Loop::groups;
    const Exec exec;
    for (std::size_t k = 0; k < count; ++k) flags(k) = 1;
    const FiniteFlags<Space> finite{flags, records};
    CheckFinite<T, Space, &MatrixRecord::gradient> check{finite, its.cols, its.rows * its.cols, 1, 0};
    launch(exec, how, grouped, check);
    const bool exact = flags(0) == 1 && flags(1) == 0 && flags(2) == 1;
    CHECK(exact);
    const WeightReader<T, Space> weights{records, master};
    GroupedArrays arrays{grouped, grouped};
    const GradientSource<T, Space> source{records, weights, {{0, 0, its.coupled}}, arrays};
    if (to_weights) {
      const WeightUpdate<T, Space> update{records,  master,     factor,   counts,   {{0.125, 0.25, 0}},
                                          its.mode, its.turned, its.rows, its.cols, arrays};
      over(exec, how, source, ApplySink<T, Space>{update}, finite);
    } else {
      const auto batch = batch_view<Space>(reinterpret_cast<T*>(out), count, its.rows, its.cols);
      over(exec, how, source, StoreSink<T, Space>{batch, Bits(largest.data() + count, count)}, finite);
    }
  }

 private:
  template <class Sink>
  void over(const Exec& exec, Loop how, const GradientSource<T, Space>& source, const Sink& sink,
            const FiniteFlags<Space>& finite) {
    ElementLoop<T, Space, GradientSource<T, Space>, OneFunctor<Update>, Sink, 2> loop{source, {},       sink,
                                                                                      finite, its.rows, its.cols};
    loop.largest = Bits(largest.data(), count);
    loop.slot[0] = slot[0];
    loop.slot[1] = slot[1];
    loop.blocks = 1;
    if (how == Loop::groups) CHECK(loop.can_group());
    launch(exec, how, how == Loop::groups, loop);
  }
  template <class Body>
  void launch(const Exec& exec, Loop how, bool grouped, const Body& body) {
    if (how == Loop::host) {
      for_each_matrix(exec, "host", count, body);
    } else {
      for_each_group(exec, "device", count, its.rows * its.cols, grouped, body);
    }
    exec.fence();
  }
  char* take(std::size_t bytes, std::size_t shift) {
    char* const data = aligned_to_16() + used + shift;
    used += (bytes + shift + 31) / 16 * 16;
    REQUIRE(used + 16 < memory.size() * 8);
    return data;
  }
  char* aligned_to_16() {
    const auto at = reinterpret_cast<std::uintptr_t>(memory.data());
    return reinterpret_cast<char*>(memory.data()) + (16 - at % 16) % 16;
  }
  TypedMatrix user_matrix(ElementType type, unsigned& seed) {
    const Layout& layout = its.layout;
    const std::size_t line = (layout.transposed ? its.rows : its.cols) + layout.pad;
    const std::size_t lines = layout.transposed ? its.cols : its.rows;
    const std::size_t size = type == ElementType::float64 ? 8 : type == ElementType::float32 ? 4 : 2;
    TypedMatrix a{take(line * lines * size, layout.shift * size), line, 1, type};
    if (layout.transposed) std::swap(a.row_stride, a.col_stride);
    fill(a, its.rows, its.cols, seed);
    return a;
  }
  SlotMemory array(ElementType type, std::size_t cols, std::size_t rows, unsigned& seed) {
    const std::size_t bytes = rows * cols * size_of(type);
    const SlotMemory made{take(count * bytes, 0), type, cols, bytes};
    for (std::size_t k = 0; k < count; ++k) fill(made.matrix(k), rows, cols, seed);
    return made;
  }
  static void fill(const TypedMatrix& a, std::size_t rows, std::size_t cols, unsigned& seed) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) {
        seed = seed * 1664525U + 1013904223U;
        store_element<double>(a, i, j, double(int(seed >> 8) - (1 << 23)) / double(1 << 21));
      }
    }
  }
};

/// Whether the loop leaves the same bits as the host's. to_weights: through ApplySink, else through StoreSink.
template <class T>
bool same(const Case& c, Loop how, bool to_weights) {
  Arrays<T> expected(c), got(c);
  expected.run(Loop::host, to_weights);
  got.run(how, to_weights);
  bool equal = expected.memory.size() == got.memory.size();
  // Both vectors begin at a multiple of 16 bytes, or at the same distance from one.
  const auto first = [](Arrays<T>& a) {
    const auto at = reinterpret_cast<std::uintptr_t>(a.memory.data());
    return reinterpret_cast<const char*>(a.memory.data()) + (16 - at % 16) % 16;
  };
  equal = equal && std::memcmp(first(expected), first(got), expected.used) == 0;
  for (std::size_t k = 0; k < 2 * Arrays<T>::count; ++k) {
    if (k / Arrays<T>::count == 1 && to_weights) continue;
    equal = equal && expected.largest(k) == got.largest(k) && (k % 3 == 1 || got.largest(k) != 0);
  }
  return equal;
}

/// Counts how often each element is seen.
struct Count {
  unsigned* seen;
  std::size_t size;
  template <std::size_t count>
  void operator()(std::size_t k, const ElementsOfThread<count>& elements) const {
    elements.for_each([&](std::size_t at) {
      for (std::size_t c = 0; c < count; ++c) ++seen[k * size + at + c];
    });
  }
};

constexpr Layout even{"contiguous", 0, 0, false}, padded{"padded", 3, 0, false}, shifted{"not aligned", 0, 1, false},
    across{"transposed", 0, 0, true}, ragged{"transposed, padded, not aligned", 1, 3, true};
constexpr ElementType f32 = ElementType::float32, f64 = ElementType::float64, f16 = ElementType::float16,
                      bf16 = ElementType::bfloat16;

template <class T>
void check(Case c) {
  for (const bool to_weights : {true, false}) {
    CAPTURE(to_weights);
    CAPTURE(c.layout.name);
    CAPTURE(c.rows);
    CAPTURE(c.cols);
    CHECK(same<T>(c, Loop::elements, to_weights));
    if (c.layout.name == even.name && c.rows * c.cols % 4 == 0 && !(c.shared && c.cols % 4 != 0)) {
      CHECK(same<T>(c, Loop::groups, to_weights));
    }
  }
}

}  // namespace

TEST_CASE("groups and single elements of a device's loop leave the bits of the host's loop") {
  for (const Layout& layout : {even, padded, shifted, across, ragged}) {
    for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{8, 20}, {6, 6}, {5, 7}, {1, 3}, {3, 4}}) {
      check<float>({rows, cols, f32, f32, f32, layout});
      check<float>({rows, cols, bf16, f16, bf16, layout, true, true});
      check<float>({rows, cols, f64, bf16, f16, layout, false, true, false, 0.5, DecayMode::cautious, {0.5, 3}});
    }
  }
  check<double>({8, 12, f32, f64, f64, even, false, false, true, 0, DecayMode::after_step, {0.25, 1}});
  check<double>({8, 12, f64, f64, bf16, even, true, false, true, 0.5});
  check<float>({7, 20, f32, bf16, f32, even, false, true, true, 0.5, DecayMode::decoupled, {}, true});
  check<float>({20, 8, f16, f16, f16, across, true, true, true, 0.5, DecayMode::decoupled, {}, true});
  check<float>({64, 33, f32, f32, f32, even});  // more than a tile of threads
}

TEST_CASE("a device's loop covers every element once, however many a thread takes") {
  for (const bool grouped : {true, false}) {
    for (const auto& [batch, size] :
         {std::pair<std::size_t, std::size_t>{1, 4}, {3, 1020}, {2, 2052}, {1, std::size_t{5} << 18}}) {
      std::vector<unsigned> seen(batch * size, 0);
      for_each_group(Exec(), "count", batch, size, grouped, Count{seen.data(), size});
      Exec().fence();
      bool all = true;
      for (const unsigned n : seen) all = all && n == 1;
      CHECK(all);
    }
  }
}

TEST_CASE("random bits of neighbours are those of each element") {
  const RandomBits random{123, 45};
  const std::uint64_t element[4] = {6, 7, 8, 100};
  std::uint32_t bits[4];
  random.each<4>(element, bits);
  for (std::size_t k = 0; k < 4; ++k) CHECK(bits[k] == random.sixteen(element[k]));
  for (std::uint64_t e = 0; e < 16; ++e) {
    random.each<1>(&e, bits);
    CHECK(bits[0] == random.sixteen(e));
  }
}
