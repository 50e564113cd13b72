// SPDX-License-Identifier: BSD-3-Clause
// The iterate method: U Σ^p Vᵀ as a linear combination of the iterates of odd quintics, by matrix products only.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/largest_eigenvalue.hpp>
#include <schatten/spectral/error_model.hpp>
#include <schatten/spectral/iterate_fit.hpp>
#include <schatten/spectral/iterate_kernels.hpp>
#include <schatten/spectral/iterate_segments.hpp>
#include <schatten/spectral/normalization.hpp>
#include <schatten/spectral/quintic.hpp>
#include <schatten/spectral/whole_matrix.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

namespace schatten::spectral {

namespace detail {

/// The matrices of a computation. Arrays with K matrices per matrix of the batch have number k of matrix b at k·batch +
/// b.
template <class W, class Space>
struct IterateState {
  std::size_t batch;
  BatchView<W, Space> x;        ///< the X_k that are computed (m×n)
  BatchView<W, Space> squares;  ///< A_0, A_0², A_1, A_1², ... (n×n)
  BatchView<W, Space> polynomial, factor;
  BatchView<W, Space> sum;
  /// X_0 = first(b)·x_0. Empty: X_0 = x_0.
  NumberBatchView<double, Space> first{};
  double lift = 1;  ///< P_0 is then stored as lift·first(b)·P_0, for a format of few exponents

  [[nodiscard]] BatchView<W, Space> iterate(std::size_t k) const { return matrices(x, k * batch, batch); }
  [[nodiscard]] BatchView<W, Space> gram(std::size_t k) const { return matrices(squares, 2 * k * batch, batch); }
  [[nodiscard]] BatchView<W, Space> square(std::size_t k) const {
    return matrices(squares, (2 * k + 1) * batch, batch);
  }
};

/// Returns 2^h such that the Gram matrix of m rows with entries below 2/2^h does not exceed the range of Work.
template <class Work>
double room_for_gram(std::size_t m) {
  double room = 1;
  while (4 * double(m) / (room * room) > double((std::numeric_limits<Work>::max)())) room *= 2;
  return room;
}

/// Returns a power of two near √(mn), at most 2^11/room. For x (m×n) with a largest entry of 1/room to 2/room,
/// lift/σ₁(x) is then at least about 1/2, or 1/16 for very large x, and at most 2^11: lift·P_0/σ₁ keeps the digits of
/// P_0 and is in the range of Half.
inline double lift_of_first(double m, double n, double room) {
  double lift = 1 / room;
  while (lift * room < 0x1p11 && lift * lift < m * n) lift *= 2;
  return lift;
}

/// The body of sum ← diagonal·I + Σ_k w_k x_k, with the consecutive batches x_k in x.
template <class W, class Space>
WeightedSum<W, Space> weighted_sum(double diagonal, std::span<const double> w, const BatchView<const W, Space>& x,
                                   const BatchView<W, Space>& sum) {
  WeightedSum<W, Space> body{Sum<W>(diagonal), {}, w.size(), x, sum};
  std::transform(w.begin(), w.end(), body.w, [](double weight) { return Sum<W>(weight); });
  return body;
}

/// to ← P_k = a_k I + b_k A_k + c_k A_k². The last P is multiplied by the bracket w_K I + Σ_k (v_k A_k + u_k A_k²), so
/// that X_{K−1} times the result is the sum of all terms with X_K.
template <class Backend, class Exec, class W, class Space>
void iterate_polynomial(const Exec& exec, const IterateFit& fit, std::size_t k, const IterateState<W, Space>& s,
                        const BatchView<W, Space>& to, Workspace<Space>& workspace) {
  using S = Sum<W>;
  const std::size_t n = to.extent(1);
  const auto gram = s.gram(k), square = s.square(k);
  const Quintic& q = fit.steps[k];
  linalg::symmetric_product<Backend>(exec, S(1), gram, gram, square, workspace);
  QuinticPolynomial<W, Space> polynomial{S(q.a), S(q.b), S(q.c), gram, square, to};
  if (k == 0 && s.first.extent(0) > 0) {
    return for_each_element(exec, "schatten::iterate_power/polynomial", s.batch, n, n,
                            FirstPolynomial<W, Space>{polynomial, s.first, s.lift});
  }
  if (k + 1 < fit.steps.size()) {
    return for_each_element(exec, "schatten::iterate_power/polynomial", s.batch, n, n, polynomial);
  }
  std::array<double, 2 * most_iterates> weights{};
  for (std::size_t l = 0; l <= k; ++l) {
    weights[2 * l] = fit.linear[l];
    weights[2 * l + 1] = fit.square[l];
  }
  polynomial.polynomial = square;
  const auto w = std::span(weights).first(2 * (k + 1));
  for_each_element(
      exec, "schatten::iterate_power/polynomial", s.batch, n, n,
      BracketAndPolynomial<W, Space>{weighted_sum(fit.outer.back(), w, as_const(s.squares), s.polynomial), polynomial});
  linalg::symmetric_product<Backend>(exec, S(1), square, s.polynomial, to, workspace);
}

/// sum ← Σ_{a≤k<K} w_k X_k + X_{K−1} P_{K−1} bracket. Returns a: iterate_result adds the terms before.
///
/// In a segment that starts at step r, X_k = X_r Q_k, Q_{k+1} = Q_k P_k and A_{k+1} = A_k P_k²: products of commuting
/// symmetric matrices. The segment adds X_r Σ_k w_k Q_k. The first a segments have one step each and add nothing here.
template <class Backend, class Exec, class W, class Space, class Parts>
std::size_t iterate_in_segments(const Exec& exec, const IterateFit& fit, const IterateSegments& segments,
                                const IterateState<W, Space>& s, Workspace<Space>& workspace, const Parts& parts) {
  using S = Sum<W>;
  const std::size_t n = s.factor.extent(1), count = segments.count(), longest = segments.length(count - 1);
  const auto products = workspace.template aligned_batch<W>(longest > 1 ? longest * s.batch : 0, n, n);
  const auto q = [&](std::size_t k) { return matrices(products, (k - 1) * s.batch, s.batch); };  // Q_{r+k}, k >= 1
  const std::span<const double> outer(fit.outer);
  std::size_t alone = 0;
  while (alone < count && segments.length(alone) == 1) ++alone;
  const std::size_t first =
      (std::min)(alone, count - 1);  // from here on segments have terms of their own; the last one has
  for (std::size_t segment = 0; segment < count; ++segment) {
    const std::size_t begin = segments.begin(segment), end = segments.end(segment), length = end - begin;
    const bool last = end == fit.steps.size();
    const auto x = s.iterate(segment);
    for (std::size_t k = begin; k < end; ++k) {
      const auto factor = k == begin && length > 1 ? q(1) : s.factor;
      iterate_polynomial<Backend>(exec, fit, k, s, factor, workspace);
      if (k > begin) linalg::symmetric_product<Backend>(exec, S(1), q(k - begin), factor, q(k - begin + 1), workspace);
      if (k + 1 < end) {  // A ← (AP)P
        linalg::symmetric_product<Backend>(exec, S(1), s.gram(k), factor, s.polynomial, workspace);
        linalg::symmetric_product<Backend>(exec, S(1), s.polynomial, factor, s.gram(k + 1), workspace);
      }
    }
    auto terms = s.factor;
    if (length > 1) {
      std::array<double, 3> weights{outer[begin + 1], length > 2 ? outer[begin + 2] : 0.0, 0.0};
      weights[length - 1] = 1;  // the last Q holds the bracket
      terms = s.polynomial;
      const auto w = std::span<const double>(weights).first(last ? length : length - 1);
      for_each_element(exec, "schatten::iterate_power/terms", s.batch, n, n,
                       weighted_sum(outer[begin], w, as_const(products), terms));
    }
    if (segment >= first) {
      linalg::gemm<Backend>(exec, S(1), x, terms, S(segment > first ? 1 : 0), s.sum, workspace);
    }
    if (last) break;
    const double alpha = segment == 0 && s.first.extent(0) > 0 ? 1 / s.lift : 1.0;
    linalg::gemm<Backend>(exec, S(alpha), x, length > 1 ? q(length) : s.factor, S(0), s.iterate(segment + 1),
                          workspace);
    parts.template gram<Backend>(exec, s.iterate(segment + 1), s.gram(end), workspace);
  }
  return alone;
}

/// out ← factor_b·(sum + Σ_{k<a} w_k X_k).
template <class W, class Exec, class T, class Space>
void iterate_result(const Exec& exec, std::span<const double> w, const IterateState<W, Space>& s,
                    const NumberBatchView<double, Space>& factor, const BatchView<T, Space>& out) {
  IterateResult<W, T, Space> body{factor, s.first, {}, w.size(), {}, {}, {}};
  std::transform(w.begin(), w.end(), body.w, [](double weight) { return Sum<W>(weight); });
  for_each_element_along(exec, "schatten::iterate_power/result", out, [&](const auto& turn) {
    body.x = turn(as_const(s.x));
    body.sum = turn(as_const(s.sum));
    body.out = turn(out);
    return body;
  });
}

}  // namespace detail

/// Returns the effect of rounding in products over n columns, in ε.
inline double iterate_epsilon(double epsilon, const Shape& shape) {
  return (1 + std::sqrt(double(std::max<std::size_t>(shape.short_side, 1))) / 8) * epsilon;
}

/// Returns the part of other directions that segments of several steps mix into the direction at σ = δ, relative to σ^p
/// there. An error ε of A becomes g²ε within a segment. 0 for the direct form.
template <Element Work>
double iterate_turn(const IterateFit& fit, double power, double resolution, const Shape& shape, IterateForm form) {
  if (ReducedFloat<Work> || form == IterateForm::direct) return 0;
  const double epsilon = iterate_epsilon(double(std::numeric_limits<Work>::epsilon()), shape);
  const double gain = iterate_segment_gain(fit.steps, form), error = epsilon * gain * gain * fit.cancellation;
  return 0.5 * error * std::pow(resolution, -(std::max)(power, 0.0));
}

/// Relative rounding error of σ^p by the iterates at σ = δ: at least twice the largest measured, n = 16 to 512, all
/// schedules of the library (docs/mathematics.md).
///
/// By form. Direct: the rounding of each term, and of X, which counts ε/δ at σ = δ. Tail and gram: also the rounding of
/// A, which grows to g²ε within a segment, changes the result and mixes other directions into the one at δ
/// (iterate_turn).
///
/// 16-bit storage (never gram): relative to M as already rounded to the format, each entry by half an ε (Half: by 3e-8
/// max|M| if it is that small); this rounding counts as part of the input. The rounding of products averages over n
/// columns, and mixes directions in proportion to ε/δ. Measured n = 8 to 256. TensorFloat32: as Half, and 2⁻¹¹ for each
/// factor of a product, because libraries may truncate.
template <Element Work>
double iterate_rounding(const IterateFit& fit, double power, double resolution, const Shape& shape, IterateForm form) {
  const auto m = double(std::max<std::size_t>(shape.long_side, 1)),
             n = double(std::max<std::size_t>(shape.short_side, 1));
  if constexpr (ReducedFloat<Work>) {
    if (form == IterateForm::gram) return std::numeric_limits<double>::infinity();
    const double unit = double(std::numeric_limits<Work>::epsilon()), mixed = unit / resolution;
    const double moved = 1.5 * fit.cancellation + 0.16 * (std::abs(power) + 0.125) / resolution;
    const double cut = std::is_same_v<Work, TensorFloat32> ? 0x1p-11 * 6 * double(fit.steps.size() + 1) : 0.0;
    const double direct = unit * moved / std::sqrt(n) + 0.0015 * mixed * mixed + cut;
    return form == IterateForm::tail ? 2.5 * direct : direct;
  }
  const double epsilon = iterate_epsilon(double(std::numeric_limits<Work>::epsilon()), shape);
  const double direct = epsilon * (3 * fit.cancellation + (0.3 + 0.01 * m / n) / resolution);
  if (form == IterateForm::direct) return direct;
  const double turn = iterate_turn<Work>(fit, power, resolution, shape, form);
  const double error = 2 * turn * std::pow(resolution, (std::max)(power, 0.0));
  return direct + 0.3 * error + 0.5 * turn * turn;
}

/// Returns the bound of the relative error of σ^p at σ >= resolution·σ_max by iterate_power: the fit's bound plus
/// rounding, in 16 bits relative to the map of the stored M. Infinite if the rounding exceeds a tenth, and if
/// directions below the resolution would be larger than the map allows. @pre fit was made for this power and a
/// resolution not above this one.
template <Scalar T, Element Work>
double iterate_error(const IterateFit& fit, double power, double resolution, const Shape& shape, IterateForm form) {
  const double rounding = iterate_rounding<Work>(fit, power, resolution, shape, form);
  const double allowed_under = power > 0 ? 1 + fit.error : 1.25;
  if (!(rounding <= 0.1) || fit.under > allowed_under) return std::numeric_limits<double>::infinity();
  const double storage = double(std::numeric_limits<T>::epsilon()) * (4 + std::pow(resolution, -std::abs(power)));
  const double across = 0.5 * iterate_turn<Work>(fit, power, resolution, shape, form);  // measured worst 0.24
  return (std::max)(fit.error + rounding, std::hypot(fit.error, across)) + storage;
}

/// iterate_power of M (m×n) by its Gram matrix XᵀX (n×n), also for m < n. `parts` may say that other ranks have rows of
/// M too (whole_matrix.hpp): that costs a sum of a Gram matrix over ranks for each segment.
template <class Work, class Backend, ExecutionSpace Exec, class T, class Space, class Parts>
void iterate_power_of_rows(const Exec& exec, const IterateFit& fit, IterateForm form, double power,
                           const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
                           Workspace<Space>& workspace, const Parts& parts) {
  const std::size_t steps = fit.steps.size();
  require(steps >= 1 && steps <= most_iterates, "spectral::iterate_power", "steps", steps, "must be 1 to 8");
  const std::size_t batch = m.extent(0), cols = m.extent(2);
  const IterateSegments segments(steps, form);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto unit = workspace.template numbers<double>(batch), scale = workspace.template numbers<double>(batch),
             square = workspace.template numbers<double>(batch), factor = workspace.template numbers<double>(batch);
  const auto n_by_n = [&](std::size_t count) {
    return workspace.template aligned_batch<Work>(count * batch, cols, cols);
  };
  detail::IterateState<Work, Space> state{
      batch, batch_like<Work>(m, workspace, segments.count()), n_by_n(2 * steps), n_by_n(1), n_by_n(1), {}};
  if constexpr (std::is_same_v<Work, T>) {
    state.sum = out;
  } else {
    state.sum = batch_like<Work>(out, workspace);
  }
  const BatchView<Work, Space> x = state.iterate(0), gram = state.gram(0);
  const double room = detail::room_for_gram<Work>(parts.rows(m.extent(1)));
  power_of_two_scale(exec, m, unit, workspace, room);
  parts.largest(exec, unit);
  divide(exec, m, unit, x);
  parts.template gram<Backend>(exec, x, gram, workspace);
  linalg::largest_eigenvalue<Backend>(exec, as_const(gram), scale, workspace);
  for_each_matrix(exec, "schatten::iterate_power/scale", batch,
                  detail::IterateScale<Space>{unit, scale, square, factor, power});
  if (segments.count() > 1 && segments.length(0) == 1) {  // X_0 has two uses, which take the scale
    state.first = scale;
    state.lift = detail::lift_of_first(double(parts.rows(m.extent(1))), double(cols), room);
  } else {
    divide(exec, m, unit, x, scale);
  }
  scale_elements(exec, "schatten::iterate_power/scale", square, as_const(gram), gram);
  const std::size_t alone = detail::iterate_in_segments<Backend>(exec, fit, segments, state, workspace, parts);
  detail::iterate_result(exec, std::span(fit.outer).first(alone), state, factor, out);
}

/// out ← Σ_k w_k X_k + X_K Σ_k (v_k A_k + u_k A_k²) in precision Work, A_k = X_kᵀX_k, X_0 = M/s, s about 1.05σ₁.
///
/// M, out (m×n); the Gram matrices are those of the short side n <= m. Error: iterate_error. In directions below the
/// resolution |output| is at most a small multiple of the last σ^p that is fitted. The result for a matrix with a NaN
/// or an infinity is NaN in all elements, that for a zero matrix is zero. @pre fit has weights. Cost: iterate_flops,
/// and linalg::largest_eigenvalue. Memory: an iterate (m×n) per segment and 2K + 2 n×n matrices; two or three more if
/// segments have several steps.
template <class Work, class Backend, ExecutionSpace Exec, class T, class Space>
void iterate_power(const Exec& exec, const IterateFit& fit, IterateForm form, double power,
                   const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  const bool turn = m.extent(1) < m.extent(2);
  iterate_power_of_rows<Work, Backend>(exec, fit, form, power, turn ? transpose(m) : m, turn ? transpose(out) : out,
                                       workspace, WholeMatrix{});
}

}  // namespace schatten::spectral
