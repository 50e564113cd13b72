// SPDX-License-Identifier: BSD-3-Clause
// Two rules of your own, outside the library: one that works element by element, one that works on matrices. The
// program compares both with plain loops in double, for both layouts and host execution spaces, and then minimises
// ‖W − C‖²/2.
// docs/add_a_rule.md goes through it step by step.
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/second_moment.hpp>

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

// ---- a rule by elements --------------------------------------------------------------------------------------------
// RMSProp: v ← β₂v + (1 − β₂)g²; D = g/(√v + ε). It keeps r = √v, which has the range of g where v has not.

template <schatten::Scalar T>
struct RMSPropElement {
  T gain, epsilon;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& r) const {
    r = schatten::optim::second_moment_root(r, g, gain);
    return g / (r + epsilon);
  }
};

struct RMSProp {
  double lr = 0.01, weight_decay = 0.0;
  double beta2 = 0.99, epsilon = 1e-8;

  static constexpr std::string_view name = "rmsprop";

  template <class Fields>
  static void fields(Fields& f) {
    f("beta2", &RMSProp::beta2, schatten::optim::below_one);
    f("epsilon", &RMSProp::epsilon, schatten::optim::positive);
  }
  std::vector<schatten::StateSlot> state() const { return {{"second_moment_root"}}; }

  template <schatten::Scalar T>
  KOKKOS_FUNCTION auto element(double) const {
    return RMSPropElement<T>{T(1 - beta2), T(epsilon)};
  }
};

// ---- a rule by matrices --------------------------------------------------------------------------------------------
// u = momentum(g); D_ij = u_ij/(√(mean_j u_ij²) + ε): every row of D has root mean square 1.

template <class Batch>
struct DivideRow {
  Batch u, out;
  double epsilon;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    const std::size_t cols = u.extent(2);
    const double squares = team.sum(cols, [&](std::size_t j) { return double(u(k, i, j)) * double(u(k, i, j)); });
    const double factor = 1 / (schatten::math::sqrt(squares / double(cols)) + epsilon);
    team.for_each(cols, [&](std::size_t j) { out(k, i, j) = typename Batch::value_type(factor * double(u(k, i, j))); });
  }
};

struct RowMomentum {
  double lr = 0.02, weight_decay = 0.0;
  schatten::Momentum momentum{.beta = 0.9, .nesterov = false};
  double epsilon = 1e-20;

  static constexpr std::string_view name = "row_momentum";

  template <class Fields>
  static void fields(Fields& f) {
    f(&RowMomentum::momentum);
    f("epsilon", &RowMomentum::epsilon, schatten::optim::positive);
  }
  std::vector<schatten::StateSlot> state() const { return {schatten::optim::momentum_slot(momentum)}; }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    const auto u = bucket.buffer();
    schatten::optim::average(bucket, momentum, 0, u);
    bucket.rows("row_momentum", DivideRow<typename Bucket::Batch>{u, out, epsilon});
  }
};

// ---- the test: both rules once more, from their definitions, in double ---------------------------------------------

constexpr std::size_t rows = 6, cols = 4, steps = 20;
using Numbers = std::vector<double>;  // rows × cols, row by row

struct RMSPropReference {
  Numbers v = Numbers(rows * cols);
  void step(const RMSProp& rule, const Numbers& g, Numbers& w) {
    for (std::size_t k = 0; k < w.size(); ++k) {
      v[k] = rule.beta2 * v[k] + (1 - rule.beta2) * g[k] * g[k];
      w[k] -= rule.lr * (rule.weight_decay * w[k] + g[k] / (std::sqrt(v[k]) + rule.epsilon));
    }
  }
};

struct RowMomentumReference {
  Numbers m = Numbers(rows * cols);
  void step(const RowMomentum& rule, const Numbers& g, Numbers& w) {
    const double beta = rule.momentum.beta;
    for (std::size_t k = 0; k < w.size(); ++k) m[k] = beta * m[k] + (1 - beta) * g[k];
    for (std::size_t i = 0; i < rows; ++i) {
      double squares = 0;
      for (std::size_t j = 0; j < cols; ++j) squares += m[i * cols + j] * m[i * cols + j];
      const double size = std::sqrt(squares / cols) + rule.epsilon;
      for (std::size_t j = 0; j < cols; ++j) {
        const std::size_t k = i * cols + j;
        w[k] -= rule.lr * (rule.weight_decay * w[k] + m[k] / size);
      }
    }
  }
};

using Exec = Kokkos::DefaultHostExecutionSpace;
template <class Layout>
using Matrix = Kokkos::View<float**, Layout, Kokkos::HostSpace>;

// The largest difference of a weight from the reference after some steps; weights and steps are of the order of 1.
template <class Space, class Layout, class Rule, class Reference>
double difference(const Rule& rule, Reference reference) {
  const Matrix<Layout> w("w", rows, cols), g("g", rows, cols);
  schatten::Optimizer<float, Space> optimizer;
  optimizer.add(optimizer.add_group(rule), "w", w, g);
  Numbers expected(rows * cols), gradient(rows * cols);
  for (std::size_t step = 0; step < steps; ++step) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) {
        g(i, j) = float(std::sin(double(1 + step + 7 * i + 3 * i * j)));
        gradient[i * cols + j] = double(g(i, j));
      }
    }
    optimizer.step(Space());
    Space().fence();
    reference.step(rule, gradient, expected);
  }
  double largest = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      largest = std::max(largest, std::abs(double(w(i, j)) - expected[i * cols + j]));
    }
  }
  return largest;
}

template <class Space, class Rule, class Reference>
bool agrees(const Rule& rule, const Reference& reference) {
  const double by_rows = difference<Space, Kokkos::LayoutRight>(rule, reference);
  const double by_columns = difference<Space, Kokkos::LayoutLeft>(rule, reference);
  std::printf("%-12s  differs from plain loops by %.1e, stored by columns %.1e\n", Rule::name.data(), by_rows,
              by_columns);
  return by_rows < 1e-5 && by_columns < 1e-5;
}

// ---- the use: ‖W − C‖²/2, whose gradient is W − C ------------------------------------------------------------------

double minimise() {
  const Matrix<Kokkos::LayoutRight> w("w", rows, cols), g("g", rows, cols);
  schatten::Optimizer<float, Exec> optimizer;
  const auto group = optimizer.add_group(RowMomentum{.lr = 0.1});
  optimizer.add(group, "w", w, g);
  constexpr int last = 400;
  double distance = 0;
  for (int step = 0; step <= last; ++step) {
    double squares = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) {
        g(i, j) = w(i, j) - (float(i) - 0.5f * float(j));
        squares += double(g(i, j)) * double(g(i, j));
      }
    }
    distance = std::sqrt(squares);
    if (step % 100 == 0) std::printf("step %3d  distance %.4f\n", step, distance);
    optimizer.set_lr_factor(group, 1 - double(step) / (last + 1));
    optimizer.step(Exec());
    Exec().fence();
  }
  return distance;
}

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  const RMSProp by_element{.weight_decay = 0.1};
  const RowMomentum by_matrix{.weight_decay = 0.1};
  bool right = agrees<Exec>(by_element, RMSPropReference()) && agrees<Exec>(by_matrix, RowMomentumReference());
#if defined(KOKKOS_ENABLE_SERIAL)
  using Kokkos::Serial;
  right = right && agrees<Serial>(by_element, RMSPropReference()) && agrees<Serial>(by_matrix, RowMomentumReference());
#endif
  return right && minimise() < 0.05 ? 0 : 1;
}
