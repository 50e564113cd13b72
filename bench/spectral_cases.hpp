// SPDX-License-Identifier: BSD-3-Clause
// Cases that several benchmark programs time.
#pragma once

#include "support.hpp"

#include <optional>
#include <utility>

namespace bench {

/// The product (m×n)(n×n), n the short side.
template <class T>
void gemm_case(benchmark::State& state, Shape shape) {
  const Exec exec;
  const std::size_t n = shape.short_side(), m = shape.long_side();
  const auto a = gaussian<T>({m, n}), b = gaussian<T>({n, n});
  Matrix<T> c("bench::product", m, n);
  schatten::Workspace<Exec::memory_space> workspace;
  const double rate = gemm_rate<T>(exec, shape);
  const double seconds = timed(state, exec, [&] { schatten::linalg::gemm(exec, T(1), a, b, T(0), c, workspace); });
  report(state, 2.0 * double(n) * double(n) * double(m), seconds, limit_flops(shape) / rate);
}

/// plan.apply(m, out) and `error(out)`. A plan that refuses its tolerance skips the case, with its message.
template <class T, class Error>
void map_case(benchmark::State& state, const schatten::SpectralPowerOptions& options, const Matrix<T>& m,
              const Error& error) {
  const Exec exec;
  const Shape shape{options.rows, options.cols};
  Matrix<T> out("bench::out", shape.rows, shape.cols);
  std::optional<schatten::SpectralPower<T, Exec>> plan;
  try {
    plan.emplace(options);
  } catch (const schatten::InvalidArgument& refusal) {
    state.SkipWithError(refusal.what());
    return;
  }
  const double rate = gemm_rate<T>(exec, shape);
  plan->apply(exec, m, out);
  const double seconds = timed(state, exec, [&] { plan->apply(exec, m, out); });
  report(state, limit_flops(shape), seconds, limit_flops(shape) / rate);
  state.counters["rel_error"] = error(out);
  state.counters["promised"] = plan->error_bound();
  state.counters["steps"] = double(plan->steps());
  state.counters["poles"] = double(plan->poles());
}

/// The same on a Gaussian matrix, with the relative Frobenius error.
template <class T>
void map_case(benchmark::State& state, const schatten::SpectralPowerOptions& options) {
  const Shape shape{options.rows, options.cols};
  map_case(state, options, gaussian<T>(shape),
           [&](const Matrix<T>& out) { return relative_error(out, reference(Exec{}, shape, options.power)); });
}

/// x ← start/‖start‖_F.
template <class T>
void normalize_by_norm(const Matrix<T>& start, const Matrix<T>& x) {
  double square = 0;
  for (std::size_t k = 0; k < start.size(); ++k) square += double(start.data()[k]) * double(start.data()[k]);
  const T inverse = T(1 / std::sqrt(square));
  for (std::size_t k = 0; k < start.size(); ++k) x.data()[k] = inverse * start.data()[k];
}

/// Muon's five quintics as published, every product a full gemm: A = XᵀX, B = bA + cA², X ← aX + XB.
template <class T>
void muon_case(benchmark::State& state, Shape shape) {
  const Exec exec;
  const std::size_t n = shape.short_side(), m = shape.long_side();
  const auto start = gaussian<T>({m, n});
  Matrix<T> x("bench::x", m, n), next("bench::next", m, n), gram("bench::gram", n, n), polynomial("bench::b", n, n);
  constexpr auto q = schatten::spectral::muon_quintic;
  schatten::Workspace<Exec::memory_space> workspace;
  const double rate = gemm_rate<T>(exec, shape);
  const double seconds = timed(state, exec, [&] {
    normalize_by_norm(start, x);
    for (int step = 0; step < schatten::spectral::muon_steps; ++step) {
      const auto batch = schatten::as_batch<Exec>(x);
      schatten::linalg::gemm(exec, T(1), schatten::transpose(batch), batch, T(0), schatten::as_batch<Exec>(gram),
                             workspace);
      Kokkos::deep_copy(exec, polynomial, gram);
      schatten::linalg::gemm(exec, T(q.c), gram, gram, T(q.b), polynomial, workspace);
      Kokkos::deep_copy(exec, next, x);
      schatten::linalg::gemm(exec, T(1), x, polynomial, T(q.a), next, workspace);
      std::swap(x, next);
    }
  });
  const double nn = double(n) * double(n);
  report(state, 5 * (4 * nn * double(m) + 2 * nn * double(n)), seconds, limit_flops(shape) / rate);
  const Shape tall{m, n};
  state.counters["rel_error"] = relative_error(x, reference(exec, tall, 0.0));
}

/// P ← aI + bR + cP.
template <class T>
void add_linear_terms(const schatten::spectral::Quintic& quintic, const Matrix<T>& r, const Matrix<T>& p) {
  const T a = T(quintic.a), b = T(quintic.b), c = T(quintic.c);
  for (std::size_t i = 0; i < p.extent(0); ++i) {
    for (std::size_t j = 0; j < p.extent(1); ++j) p(i, j) = b * r(i, j) + c * p(i, j);
    p(i, i) += a;
  }
}

/// The same five quintics iterated on the Gram matrix (Gram Newton–Schulz): R = XᵀX, then in every step
/// P = aI + bR + cR², Q ← QP, R ← PRP, and X ← XQ at the end. R is formed anew from X after two steps, as published
/// for its stability. The n×n products are symmetric, and half of each is computed.
template <class T>
void gram_muon_case(benchmark::State& state, Shape shape) {
  const Exec exec;
  constexpr int restart = 2;
  const std::size_t n = shape.short_side(), m = shape.long_side();
  const auto start = gaussian<T>({m, n});
  Matrix<T> x("bench::x", m, n), next("bench::next", m, n), gram("bench::gram", n, n), p("bench::p", n, n),
      product("bench::product", n, n), q("bench::q", n, n);
  schatten::Workspace<Exec::memory_space> workspace;
  const auto multiply = [&](const Matrix<T>& a, const Matrix<T>& b, const Matrix<T>& c) {
    schatten::linalg::symmetric_product(exec, T(1), a, b, c, workspace);
  };
  const double rate = gemm_rate<T>(exec, shape);
  const double seconds = timed(state, exec, [&] {
    normalize_by_norm(start, x);
    int since_restart = 0;
    for (int step = 0; step < schatten::spectral::muon_steps; ++step, ++since_restart) {
      const bool last = step + 1 == schatten::spectral::muon_steps || step + 1 == restart;
      if (since_restart == 0) schatten::linalg::gram(exec, x, gram, workspace);
      multiply(gram, gram, p);
      add_linear_terms(schatten::spectral::muon_quintic, gram, p);
      if (since_restart == 0) {
        Kokkos::deep_copy(exec, q, p);
      } else {
        multiply(q, p, product);
        std::swap(q, product);
      }
      if (last) {
        schatten::linalg::gemm(exec, T(1), x, q, T(0), next, workspace);
        std::swap(x, next);
        since_restart = -1;
      } else {
        multiply(gram, p, product);
        multiply(p, product, gram);
      }
    }
  });
  const double nn = double(n) * double(n);
  report(state, 6 * nn * double(m) + 14 * nn * double(n), seconds, limit_flops(shape) / rate);
  const Shape tall{m, n};
  state.counters["rel_error"] = relative_error(x, reference(exec, tall, 0.0));
}

}  // namespace bench
