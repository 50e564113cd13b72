// SPDX-License-Identifier: BSD-3-Clause
// labels: threads portable
// Weights of 16 bits without a copy: stochastic rounding. Built twice, with the loops of the host and with those of
// devices.

#include "support/rule_suite.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

#if defined(KOKKOS_ENABLE_OPENMP)
using ThreadedExec = Kokkos::OpenMP;
#else
using ThreadedExec = Kokkos::DefaultHostExecutionSpace;
#endif

template <class E>
double spacing = double(std::numeric_limits<E>::epsilon());

constexpr ParameterOptions at_random{.reduced_weight = ReducedWeight::stochastic_rounding};

inline std::uint16_t rounded_by(BFloat16, float x, std::uint32_t bits) { return stochastic_bfloat16(x, bits).bits; }
inline std::uint16_t rounded_by(Half, float x, std::uint32_t bits) { return stochastic_half(x, bits).bits; }

/// SGD without momentum, lr a power of two, against the definition: element e, in the user's row-major order, is
/// rounded by the bits of (seed, step, name, e). The same numbers on every execution space, in every layout.
template <class E, class Exec>
void check_definition(const Shape& shape, Storage storage, const ParameterOptions& options, std::uint64_t seed) {
  const Exec exec;
  Optimizer<float, Exec, linalg::PortableBackend> optimizer({.seed = seed});
  const GroupId group = optimizer.add_group(SGD{.lr = 0x1p-6, .momentum = {.beta = 0}});
  const Strided<E> w(shape, storage), other(shape, storage);
  const Strided<float> g(shape, Storage::right);
  const std::size_t size = shape.batch * shape.rows * shape.cols, cols = shape.cols, rows = shape.rows;
  std::vector<E> expected;
  for (std::size_t b = 0; b < shape.batch; ++b) {
    w.assign(b, gaussian(rows, cols, unsigned(b)));
    other.assign(b, gaussian(rows, cols, 9));
  }
  for (std::size_t e = 0; e < size; ++e) expected.push_back(w.at(e / cols / rows, e / cols % rows, e % cols));
  optimizer.add(group, "other", other.view(), g.view(), at_random);
  if (shape.vector) {
    optimizer.add(group, "layers.1.w", w.vector_view(), g.vector_view(), options);
  } else {
    optimizer.add(group, "layers.1.w", w.view(), g.view(), options);
  }
  const std::uint64_t key = random_key(seed, "layers.1.w");
  std::size_t wrong = 0;
  for (unsigned step = 0; step < 3; ++step) {
    for (std::size_t b = 0; b < shape.batch; ++b)
      g.assign(b, rounded<float>(gaussian(rows, cols, 70 + step + unsigned(b))));
    optimizer.step(exec);
    exec.fence();
    for (std::size_t e = 0; e < size; ++e) {
      const std::size_t b = e / cols / rows, i = e / cols % rows, j = e % cols;
      const float next = float(expected[e]) - 0x1p-6F * g.at(b, i, j);
      expected[e].bits = rounded_by(E(), next, RandomBits{key, step}.sixteen(e));
      if (w.at(b, i, j).bits != expected[e].bits) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

template <class E, class Exec>
void check_definitions() {
  for (const Storage storage : {Storage::right, Storage::left, Storage::window, Storage::scattered}) {
    CAPTURE(to_string(storage));
    check_definition<E, Exec>({1, 9, 5}, storage, at_random, 0);
    check_definition<E, Exec>({3, 4, 7}, storage, at_random, 1);
    check_definition<E, Exec>({1, 120, 190}, storage, at_random, 0xfedcba9876543210ULL);  // several blocks of elements
    check_definition<E, Exec>({1, 1, 300, true}, storage, at_random, 5);
  }
  check_definition<E, Exec>({1, 6, 5}, Storage::right,
                            {.row_blocks = 3, .reduced_weight = ReducedWeight::stochastic_rounding}, 7);
}

/// The weights of a training with AdamW in bfloat16 alone.
struct Reduced {
  std::vector<Matrix> a, b;
};
template <class Exec>
Reduced trained(std::uint64_t seed, bool a_first, Storage storage) {
  const Exec exec;
  Optimizer<float, Exec, linalg::PortableBackend> optimizer({.seed = seed});
  const GroupId group = optimizer.add_group(AdamW{.lr = 0.01});
  TestParameter<BFloat16, BFloat16> a("a", {2, 7, 40}, storage, 1), b("b", {1, 7, 40}, storage, 5);
  if (a_first) optimizer.add(group, "a", a.w.view(), a.g.view(), at_random);
  optimizer.add(group, "b", b.w.view(), b.g.view(), at_random);
  if (!a_first) optimizer.add(group, "a", a.w.view(), a.g.view(), at_random);
  for (unsigned number = 1; number <= 10; ++number) {
    for (std::size_t k = 0; k < 2; ++k) a.g.assign(k, a.gradient(k, number));
    b.g.assign(0, b.gradient(0, number));
    optimizer.step(exec);
    exec.fence();
  }
  return {a.w.matrices(), b.w.matrices()};
}
bool same(const Reduced& x, const Reduced& y) { return same_bits(x.a, y.a) && same_bits(x.b, y.b); }

}  // namespace

TEST_CASE_TEMPLATE("stochastic rounding is by seed, step, name and element alone", E, BFloat16, Half) {
  check_definitions<E, SerialExec>();
  check_definitions<E, ThreadedExec>();
}

TEST_CASE("the bits of stochastic rounding depend on no layout, order or thread, but on the seed") {
  const Reduced expected = trained<SerialExec>(3, true, Storage::right);
  CHECK(same(trained<SerialExec>(3, false, Storage::right), expected));
  CHECK(same(trained<SerialExec>(3, true, Storage::left), expected));
  CHECK(same(trained<SerialExec>(3, false, Storage::scattered), expected));
  CHECK(same(trained<ThreadedExec>(3, true, Storage::window), expected));
  CHECK(!same(trained<SerialExec>(4, true, Storage::right), expected));
}

TEST_CASE("a run in 16 bits with stochastic rounding, resumed with its counts, continues to the bit") {
  const RuleLine line{"AdamW", AdamW{.lr = 0.01}};
  using Run = Training<float, SerialExec, BFloat16, BFloat16>;
  Run whole(line, {.seed = 8}), resumed(line, {.seed = 8});
  whole.add("w", {2, 7, 5}, Storage::right, 1, at_random);
  whole.steps(1, 5);
  resumed.add("other", {1, 7, 5}, Storage::right, 9, at_random);
  const auto& p = resumed.add("w", {2, 7, 5}, Storage::left, 1, at_random);
  for (std::size_t b = 0; b < 2; ++b) p.w.assign(b, whole.at("w").w.matrix(b));
  write_state<float>(resumed.exec, resumed.optimizer, state_of(whole.exec, whole.optimizer));
  resumed.optimizer.write_counts(resumed.exec, whole.optimizer.read_counts(whole.exec));
  whole.steps(6, 10);
  resumed.steps(6, 10);
  CHECK(same_bits(resumed.weights("w"), whole.weights("w")));
}

TEST_CASE_TEMPLATE("stochastic rounding moves the mean of weights as it should where nearest moves none", E, BFloat16,
                   Half) {
  constexpr std::size_t n = 4096;
  constexpr unsigned steps = 200;
  const double lr = spacing<E> / 64;  // of gradients 1: a thirty-second of the spacing below 1.25
  const auto mean = [&](ReducedWeight kind) {
    Training<float, SerialExec, E, float> training(RuleLine{"SGD", SGD{.lr = lr, .momentum = {.beta = 0}}});
    const auto& p = training.add("w", {1, 1, n, true}, Storage::right, 1, {.reduced_weight = kind});
    p.w.assign(0, Matrix::Constant(1, n, 1.25));
    p.g.assign(0, Matrix::Constant(1, n, 1.0));
    for (unsigned k = 0; k < steps; ++k) training.step();
    return p.w.matrix(0).mean();
  };
  CHECK(mean(ReducedWeight::nearest) == 1.25);
  // Up or down by a spacing ε with probability q = 1/64: the mean of n weights after `steps` steps has the standard
  // deviation ε√(steps·q(1 − q)/n). Five of those.
  const double deviation = spacing<E> * std::sqrt(steps / 64.0 / n);
  CHECK(std::abs(mean(ReducedWeight::stochastic_rounding) - (1.25 - steps * lr)) <= 5 * deviation);
  CHECK(std::abs(mean(ReducedWeight::master_copy) - (1.25 - steps * lr)) <= 0.5 * spacing<E>);
}
