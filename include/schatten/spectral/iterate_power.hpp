// The iterate method: U Σ^p Vᵀ as a linear combination of the iterates of odd quintics. Matrix products alone.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/largest_eigenvalue.hpp>
#include <schatten/spectral/iterate_fit.hpp>
#include <schatten/spectral/iterate_kernels.hpp>
#include <schatten/spectral/normalization.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

namespace schatten::spectral {

/// Lanczos steps for σ₁. A start drawn from the sphere gives less than σ₁/iterate_margin for at most a fraction
/// 1.65 √n e^{−0.3(2k−1)} of all starts, whatever the spectrum: 5e-3 for k = 16, n = 1024; measured within 1 %.
/// Source: Kuczyński and Woźniakowski, SIAM J. Matrix Anal. Appl. 13 (1992).
inline constexpr std::size_t iterate_lanczos_steps = 16;

/// Flops of K steps on X (m×n), n <= m, symmetric halves used.
inline double iterate_direct_flops(std::size_t steps, double m, double n) {
  return double(steps) * (3 * n * n * m + n * n * n) + 2 * n * n * m;
}

/// Stretches of at most three steps; between two of them the Gram form starts again from X.
inline std::size_t iterate_segments(std::size_t steps) { return (steps + 2) / 3; }

/// Flops of the Gram form, which iterates on n×n matrices alone within a segment.
inline double iterate_gram_flops(std::size_t steps, double m, double n) {
  const auto segments = double(iterate_segments(steps));
  return (5 * segments - 2) * n * n * m + (4 * double(steps) - 3 * segments + 1) * n * n * n;
}

/// Whether iterate_power takes the Gram form for X (m×n), n <= m: it saves a seventh of the flops or more.
inline bool iterate_in_gram(std::size_t steps, std::size_t m, std::size_t n) {
  return iterate_gram_flops(steps, double(m), double(n)) < 0.85 * iterate_direct_flops(steps, double(m), double(n));
}

/// How iterate_power runs.
enum class IterateForm {
  automatic,  ///< the cheaper one, by iterate_in_gram
  direct,     ///< every iterate is formed
  gram        ///< n×n matrices alone, with restarts
};

namespace detail {

/// What both forms work on: X = M/s (m×n), its Gram matrix, the sum of the terms so far.
template <class W, class Space>
struct IterateState {
  BatchView<W, Space> x, gram, polynomial;
  BatchView<Sum<W>, Space> bracket, sum;
};

/// A batch of sums as factors of the next product: the same memory where both are stored alike, `narrow` otherwise.
template <class W, class Exec, class Space>
BatchView<W, Space> as_factor(const Exec& exec, const BatchView<Sum<W>, Space>& sums,
                              const BatchView<W, Space>& narrow) {
  if constexpr (std::is_same_v<W, Sum<W>>) {
    return sums;
  } else {
    copy_elements(exec, "schatten::iterate_power/narrow", as_const(sums), narrow);
    return narrow;
  }
}

/// polynomial ← aI + bA + cA² of step k, and its share of the bracket.
template <class Backend, class Exec, class W, class Space>
void iterate_polynomial(const Exec& exec, const IterateFit& fit, std::size_t k, const IterateState<W, Space>& s,
                        Workspace<Space>& workspace) {
  using S = Sum<W>;
  const std::size_t n = s.gram.extent(1);
  const Quintic& q = fit.steps[k];
  linalg::symmetric_product<Backend>(exec, S(1), s.gram, s.gram, s.polynomial, workspace);
  for_each_element(exec, "schatten::iterate_power/polynomial", s.gram.extent(0), n, n,
                   IteratePolynomial<W, Space>{S(q.a), S(q.b), S(q.c), S(fit.linear[k]), S(fit.square[k]), k == 0,
                                               s.gram, s.polynomial, s.bracket});
}

/// bracket ← bracket + w_K I, as a factor; the polynomial's memory is free then.
template <class Exec, class W, class Space>
BatchView<W, Space> iterate_bracket(const Exec& exec, const IterateFit& fit, const IterateState<W, Space>& s) {
  const std::size_t batch = s.bracket.extent(0), n = s.bracket.extent(1);
  BatchView<W, Space> factor = s.polynomial;
  if constexpr (std::is_same_v<W, Sum<W>>) factor = s.bracket;
  for_each_element(exec, "schatten::iterate_power/bracket", batch, n, n,
                   AddIdentity<Sum<W>, W, Space>{Sum<W>(fit.outer.back()), false, s.bracket, factor});
  return factor;
}

/// sum ← Σ_k w_k X_k + X_K(w_K I + bracket), each X_k formed and kept.
template <class Backend, class Exec, class W, class Space>
void iterate_directly(const Exec& exec, const IterateFit& fit, IterateState<W, Space> s, Workspace<Space>& workspace) {
  const std::size_t steps = fit.steps.size();
  WeightedSum<W, Space> terms{{}, {}, steps, s.sum};
  for (std::size_t k = 0; k < steps; ++k) {
    if (k > 0) linalg::gram<Backend>(exec, s.x, s.gram, workspace);
    iterate_polynomial<Backend>(exec, fit, k, s, workspace);
    terms.w[k] = Sum<W>(fit.outer[k]);
    terms.x[k] = s.x;
    const auto next = batch_like<W>(s.x, workspace);
    linalg::gemm<Backend>(exec, Sum<W>(1), s.x, s.polynomial, Sum<W>(0), next, workspace);
    s.x = next;
  }
  for_each_element_along(exec, "schatten::iterate_power/sum", s.sum, [&](const auto& turn) {
    for (std::size_t k = 0; k < steps; ++k) terms.x[k] = turn(terms.x[k]);
    terms.sum = turn(s.sum);
    return terms;
  });
  linalg::gemm<Backend>(exec, Sum<W>(1), s.x, iterate_bracket(exec, fit, s), Sum<W>(1), s.sum, workspace);
}

/// The same with X_k = X_r Q_k inside a segment that starts at step r: Q_{k+1} = Q_k P_k and A_{k+1} = A_k P_k² are
/// products of commuting symmetric matrices.
template <class Backend, class Exec, class W, class Space>
void iterate_in_gram_form(const Exec& exec, const IterateFit& fit, IterateState<W, Space> s,
                          Workspace<Space>& workspace) {
  using S = Sum<W>;
  const std::size_t batch = s.x.extent(0), cols = s.x.extent(2);
  auto next = batch_like<W>(s.x, workspace);
  auto q = workspace.template aligned_batch<W>(batch, cols, cols),
       product = workspace.template aligned_batch<W>(batch, cols, cols);
  const auto terms = workspace.template batch<S>(batch, cols, cols);  // Σ w_k Q_k of the segment
  const std::size_t steps = fit.steps.size(), segments = iterate_segments(steps);
  for (std::size_t segment = 0; segment < segments; ++segment) {
    const std::size_t begin = segment * steps / segments, end = (segment + 1) * steps / segments;
    for (std::size_t k = begin; k < end; ++k) {
      iterate_polynomial<Backend>(exec, fit, k, s, workspace);
      if (k == begin) {
        for_each_element(exec, "schatten::iterate_power/terms", batch, cols, cols,
                         AddIdentity<S, S, Space>{S(fit.outer[k]), true, terms, terms});
      } else {
        for_each_element(exec, "schatten::iterate_power/terms", batch, cols, cols,
                         AddMultiple<W, Space>{S(fit.outer[k]), q, terms});
      }
      if (k + 1 < end) {  // A ← (AP)P
        linalg::symmetric_product<Backend>(exec, S(1), s.gram, s.polynomial, product, workspace);
        linalg::symmetric_product<Backend>(exec, S(1), product, s.polynomial, s.gram, workspace);
      }
      if (k == begin) {
        std::swap(q, s.polynomial);
      } else {
        linalg::symmetric_product<Backend>(exec, S(1), q, s.polynomial, product, workspace);
        std::swap(q, product);
      }
    }
    if (end == steps) {
      linalg::symmetric_product<Backend>(exec, S(1), q, iterate_bracket(exec, fit, s), product, workspace);
      for_each_element(exec, "schatten::iterate_power/terms", batch, cols, cols,
                       AddMultiple<W, Space>{S(1), product, terms});
    }
    linalg::gemm<Backend>(exec, S(1), s.x, as_factor(exec, terms, product), S(segment == 0 ? 0 : 1), s.sum, workspace);
    if (end == steps) break;
    linalg::gemm<Backend>(exec, S(1), s.x, q, S(0), next, workspace);
    std::swap(s.x, next);
    linalg::gram<Backend>(exec, s.x, s.gram, workspace);
  }
}

}  // namespace detail

/// Largest g = Π|a_k| over a segment of the Gram form: what a small singular value is multiplied by there.
inline double iterate_segment_gain(std::span<const Quintic> steps) {
  const std::size_t segments = iterate_segments(steps.size());
  double gain = 0;
  for (std::size_t segment = 0; segment < segments; ++segment) {
    double product = 1;
    for (std::size_t k = segment * steps.size() / segments; k < (segment + 1) * steps.size() / segments; ++k) {
      product *= std::abs(steps[k].a);
    }
    gain = std::max(gain, product);
  }
  return gain;
}

/// Rounding of the iterates on σ^p, relative, at σ = δ: measured worst × 2 or more, n = 16 to 512, all shipped
/// schedules (docs/mathematics.md).
///
/// Direct: that of the terms, and that of X, which a direction at δ sees as ε/δ. Gram form: an error ε of A becomes g²ε
/// within a segment; it moves the result and mixes the other directions into the one at δ, where the result is δ^p.
/// In 16 bits, direct form alone: of M as the format stores M/s, each entry changed by half an ε of itself (and, as Half,
/// by 3e-8 s where it is that small); that change is the caller's, as the rounding of his gradients is. What the products
/// add averages over n columns, and mixes in directions in proportion to ε/δ. Measured n = 8 to 256. TensorFloat32 like
/// Half, and as the library may cut where it could round: 2⁻¹¹ for each factor of K steps' three products.
template <Element Work>
double iterate_rounding(const IterateFit& fit, double power, double resolution, std::size_t n, IterateForm form) {
  if constexpr (ReducedFloat<Work>) {
    if (form != IterateForm::direct) return std::numeric_limits<double>::infinity();
    const double unit = double(std::numeric_limits<Work>::epsilon()), mixed = unit / resolution;
    const double moved = 1.5 * fit.cancellation + 0.16 * (std::abs(power) + 0.125) / resolution;
    const double cut = std::is_same_v<Work, TensorFloat32> ? 0x1p-11 * 6 * double(fit.steps.size()) : 0.0;
    return unit * moved / std::sqrt(double(std::max<std::size_t>(n, 1))) + 0.0015 * mixed * mixed + cut;
  }
  const double epsilon = (1 + std::sqrt(double(n)) / 8) * double(std::numeric_limits<Work>::epsilon());
  const double direct = epsilon * (2 * fit.cancellation + 0.3 / resolution);
  if (form == IterateForm::direct) return direct;
  const double gain = iterate_segment_gain(fit.steps), error = epsilon * gain * gain * fit.cancellation;
  const double turn = 0.5 * error * std::pow(resolution, -std::max(power, 0.0));
  return direct + 0.3 * error + 0.5 * turn * turn;
}

/// Promised relative error of σ^p at σ >= resolution·σ_max by iterate_power, n = min(rows, cols): the fit's bound and
/// rounding, in 16 bits for M as the format stores it. `automatic` covers both forms. Infinite where rounding alone
/// exceeds a tenth, and where directions under the
/// resolution would come out larger than the map allows.
/// @pre fit was made for this power and a resolution not above this one.
template <Scalar T, Element Work>
double iterate_error(const IterateFit& fit, double power, double resolution, std::size_t n,
                     IterateForm form = IterateForm::automatic) {
  const double rounding = iterate_rounding<Work>(fit, power, resolution, n, form);
  const double allowed_under = power > 0 ? 1 + fit.error : 1.25;
  if (!(rounding <= 0.1) || fit.under > allowed_under) return std::numeric_limits<double>::infinity();
  const double storage = double(std::numeric_limits<T>::epsilon()) * (4 + std::pow(resolution, -std::abs(power)));
  return fit.error + rounding + storage;
}

/// out ← Σ_k w_k X_k + X_K Σ_k (v_k A_k + u_k A_k²) in precision Work, A_k = X_kᵀX_k, X_0 = M/s, s about 1.05σ₁.
///
/// M, out (m×n); works on the short side n <= m. Error: iterate_error. Directions under the resolution: |output| stays
/// below a small multiple of the last σ^p that is fitted. A matrix with a NaN or an infinity becomes NaN throughout, a
/// zero matrix zero. @pre fit has weights. Cost: K(3n²m + n³) + 2n²m flops, or 8n²m + (4K − 5)n³ in the Gram form
/// (K = 4 to 6), and 2·iterate_lanczos_steps·n² for the scale.
template <class Work, class Backend, ExecutionSpace Exec, class T, class Space>
void iterate_power(const Exec& exec, const IterateFit& fit, double power, const BatchView<const T, Space>& m,
                   const BatchView<T, Space>& out, Workspace<Space>& workspace,
                   IterateForm form = IterateForm::automatic) {
  if (m.extent(1) < m.extent(2)) {
    return iterate_power<Work, Backend>(exec, fit, power, transpose(m), transpose(out), workspace, form);
  }
  require(fit.steps.size() <= most_iterates, "spectral::iterate_power", "steps", fit.steps.size(), "must not exceed 8");
  using Sums = Sum<Work>;
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto unit = workspace.template numbers<double>(batch), scale = workspace.template numbers<double>(batch),
             square = workspace.template numbers<double>(batch), factor = workspace.template numbers<double>(batch);
  detail::IterateState<Work, Space> state;
  state.x = batch_like<Work>(m, workspace);
  state.gram = workspace.template aligned_batch<Work>(batch, cols, cols);
  state.polynomial = workspace.template aligned_batch<Work>(batch, cols, cols);
  state.bracket = workspace.template aligned_batch<Sums>(batch, cols, cols);
  if constexpr (std::is_same_v<Sums, T>) {
    state.sum = out;
  } else {
    state.sum = batch_like<Sums>(out, workspace);
  }
  BatchView<Sums, Space> gram = state.bracket;  // of M/unit: its entries may exceed what Work holds
  if constexpr (std::is_same_v<Sums, Work>) gram = state.gram;
  normalize(exec, m, state.x, unit, workspace);
  linalg::gram<Backend>(exec, state.x, gram, workspace);
  linalg::largest_eigenvalue(exec, as_const(gram), scale, workspace, iterate_lanczos_steps);
  for_each_matrix(exec, "schatten::iterate_power/scale", batch,
                  detail::IterateScale<Space>{unit, scale, square, factor, power});
  divide(exec, m, unit, state.x, scale);
  for_each_element(exec, "schatten::iterate_power/scale", batch, cols, cols,
                   detail::ScaleMatrix<Work, Sums, Space>{square, gram, state.gram});
  const bool gram_form =
      form == IterateForm::gram || (form == IterateForm::automatic && iterate_in_gram(fit.steps.size(), rows, cols));
  if (gram_form) {
    detail::iterate_in_gram_form<Backend>(exec, fit, state, workspace);
  } else {
    detail::iterate_directly<Backend>(exec, fit, state, workspace);
  }
  for_each_element_along(exec, "schatten::iterate_power/store", out, [&](const auto& turn) {
    return detail::ScaleMatrix<T, Sums, Space>{factor, turn(state.sum), turn(out)};
  });
}

}  // namespace schatten::spectral
