// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A model of many kinds of arrays, under an Optimizer of one process and under one over ranks.

#include "distributed/ranks.hpp"
#include "support/views.hpp"
#include <schatten/distributed/counted.hpp>
#include <schatten/distributed/optimizer.hpp>
#include <schatten/linalg/backend/portable.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

namespace schatten::test {

using RankExec = Kokkos::DefaultHostExecutionSpace;
using CountedRanks = distributed::Counted<distributed::MpiCommunicator>;
using OneOptimizer = Optimizer<double, RankExec, linalg::PortableBackend>;
using RankOptimizer = distributed::Optimizer<double, RankExec, linalg::PortableBackend, CountedRanks>;

/// The arrays: doubles by rows and by columns, a batch, a row, a vector, floats, 16 bits rounded at random and with a
/// master copy, fused blocks. Weights and gradients follow from the seed and the step.
struct Arrays {
  template <class E, class Layout = Kokkos::LayoutRight>
  using Matrices = Kokkos::View<E**, Layout, Kokkos::HostSpace>;
  Kokkos::View<double***, Kokkos::LayoutRight, Kokkos::HostSpace> experts{"experts", 3, 5, 7}, experts_g{"g", 3, 5, 7};
  Matrices<double> wide{"wide", 6, 15}, wide_g{"g", 6, 15}, row{"row", 1, 11}, row_g{"g", 1, 11};
  Matrices<double, Kokkos::LayoutLeft> tall{"tall", 12, 5}, tall_g{"g", 12, 5};
  Matrices<float> embedding{"embedding", 40, 6}, embedding_g{"g", 40, 6};
  Matrices<BFloat16> random{"random", 5, 4}, random_g{"g", 5, 4}, master{"master", 4, 5}, master_g{"g", 4, 5};
  Matrices<double> fused{"fused", 7, 6}, fused_g{"g", 7, 6};
  Kokkos::View<double*, Kokkos::HostSpace> bias{"bias", 33}, bias_g{"g", 33};

  /// f(weight, gradient) for all arrays.
  template <class F>
  void each(const F& f) const {
    f(experts, experts_g);
    f(wide, wide_g);
    f(row, row_g);
    f(tall, tall_g);
    f(embedding, embedding_g);
    f(random, random_g);
    f(master, master_g);
    f(fused, fused_g);
    f(bias, bias_g);
  }
  template <class V>
  static void draw(const V& view, unsigned seed) {
    const Matrix values = gaussian(view.size(), 1, seed);
    for (std::size_t k = 0; k < view.size(); ++k) {
      view.data()[k] = typename V::value_type(float(values(Eigen::Index(k), 0)));
    }
  }
  Arrays() {
    unsigned seed = 1;
    each([&](const auto& w, const auto&) { draw(w, seed++); });
  }
  void draw_gradients(unsigned step) const {
    unsigned seed = 100 * step;
    each([&](const auto&, const auto& g) { draw(g, seed++); });
  }
  /// Adds all, vectors only where the rule takes them.
  template <class Any>
  void add_to(Any& optimizer, GroupId id, bool vectors) const {
    optimizer.add(id, "experts", experts, experts_g);
    optimizer.add(id, "wide", wide, wide_g);
    optimizer.add(id, "row", row, row_g);
    optimizer.add(id, "tall", tall, tall_g);
    optimizer.add(id, "embedding", embedding, embedding_g);
    optimizer.add(id, "random", random, random_g, {.reduced_weight = ReducedWeight::stochastic_rounding});
    optimizer.add(id, "master", master, master_g);
    optimizer.add(id, "fused", fused, fused_g, {.row_sizes = {4, 3}});
    if (vectors) optimizer.add(id, "bias", bias, bias_g);
  }
  /// All weights, byte by byte.
  [[nodiscard]] std::string bytes() const {
    std::string all;
    each([&](const auto& w, const auto&) {
      all.append(reinterpret_cast<const char*>(w.data()), w.size() * sizeof(w.data()[0]));
    });
    return all;
  }
};

/// Four steps over ranks and in one process: the same bits everywhere. In rounds of few bytes, so that some are sent
/// while others are computed.
template <class R>
void check_same_bits(const R& rule) {
  CAPTURE(R::name);
  const RankExec exec;
  const Arrays one, many;
  const CountedRanks comm(ranks());
  OneOptimizer expected(OptimizerOptions{.seed = 3});
  RankOptimizer optimizer(comm, OptimizerOptions{.seed = 3}, {.piece_elements = 60, .message_bytes = 800});
  one.add_to(expected, expected.add_group(rule), optim::takes_vectors<R>());
  many.add_to(optimizer, optimizer.add_group(rule), optim::takes_vectors<R>());
  for (unsigned step = 1; step <= 4; ++step) {
    one.draw_gradients(step);
    many.draw_gradients(step);
    expected.step(exec);
    optimizer.step(exec);
    exec.fence();
  }
  CHECK(many.bytes() == one.bytes());
}

}  // namespace schatten::test
