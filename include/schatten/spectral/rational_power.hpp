// SPDX-License-Identifier: BSD-3-Clause
// The rational method: U Σ^p Vᵀ = M·(MᵀM)^{(p−1)/2} with the power replaced by a rational function of the Gram matrix.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/largest_eigenvalue.hpp>
#include <schatten/linalg/rational_function.hpp>
#include <schatten/spectral/fit_cache.hpp>
#include <schatten/spectral/minimax_fit.hpp>
#include <schatten/spectral/normalization.hpp>
#include <schatten/spectral/poles.hpp>
#include <schatten/spectral/weight_fit.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// A rational function r with σ·r(σ²) ≈ σ^p on [δ/scale_margin, 1]: poles in closed form, weights by a fit.
struct RationalFit {
  linalg::Rational function;
  double error = std::numeric_limits<double>::infinity();  ///< largest relative error on that interval
  double bound = error;  ///< with rounding: error(σ) + rounding·(δ/σ)², at its largest
};

/// Bytes of a fit on the heap.
inline std::size_t bytes_of(const RationalFit& fit) {
  return (fit.function.poles.capacity() + fit.function.weights.capacity()) * sizeof(double);
}

namespace detail {

/// The functions σ, σ³, σ/(σ² + t_j) at sigma. A combination of these is σ times one of 1, x, 1/(x + t_j) with x = σ² >
/// 0 and t_j > 0, which has at most one zero more than there are poles. So this is a Haar system.
struct PoleBasis {
  std::vector<double> poles;
  void operator()(double sigma, double* row) const {
    const double x = sigma * sigma;
    row[0] = sigma;
    row[1] = sigma * x;
    for (std::size_t j = 0; j < poles.size(); ++j) row[2 + j] = sigma / (x + poles[j]);
  }
};

}  // namespace detail

/// Returns weights with error(σ) + rounding·(δ/σ)² <= tolerance at every σ, if there are any, otherwise those of the
/// plain minimax fit.
///
/// Starts with the plain minimax fit. If that leaves rounding too little near δ, refits with the allowance
/// min(level, tolerance − rounding(σ)) for the error at σ, lowering level from the tolerance until it equals the error
/// reached; every fit on the way is within the tolerance. Cost for four poles: 0.05 ms the plain fit, 0.1 ms with
/// refits.
inline RationalFit fit_rational(std::size_t poles, double power, double resolution,
                                double tolerance = std::numeric_limits<double>::infinity(), double rounding = 0) {
  constexpr int most_fits = 6;
  constexpr double settled = 0.98, between_check_points = 1.002, never = 2;
  const double delta = (std::min)(resolution / scale_margin, 0.5);
  const detail::PoleBasis basis{rational_poles(poles, power, delta)};
  MinimaxFit<detail::PoleBasis> minimax(basis, 2 + poles, power, delta);
  // `share` of the allowance that rounding leaves at σ = δ.
  const auto result = [&](const WeightFit& fit, double share) {
    const double error = between_check_points * fit.error;
    linalg::Rational function{
        fit.weights[0], fit.weights[1], basis.poles, {fit.weights.begin() + 2, fit.weights.end()}};
    return RationalFit{std::move(function), error, error * share + rounding};
  };
  const WeightFit plain = minimax(EqualAllowance());
  if (plain.weights.empty()) return {};
  RationalFit best = result(plain, 1);
  if (best.bound <= tolerance || rounding >= tolerance) return best;
  double level = tolerance;
  for (int k = 0; k < most_fits; ++k) {
    const auto allowance = [&](double sigma) {
      const double ratio = (std::min)(resolution / sigma, 1.0);
      return (std::min)(1.0, (tolerance - rounding * ratio * ratio) / level);
    };
    // Where the level takes over from rounding.
    const double kink = level < tolerance ? resolution * std::sqrt(rounding / (tolerance - level)) : never;
    const WeightFit fit = minimax(allowance, {resolution, kink});
    const double error = between_check_points * fit.error;
    if (fit.weights.empty() || error > level) break;
    best = result(fit, allowance(resolution));
    if (error > settled * level) break;
    level = error;
  }
  return best;
}

/// A cache of fit_rational.
///
/// The plain fit depends on the poles, p and δ. All shapes share it, and it is used wherever it leaves rounding its
/// allowance. Elsewhere the fit depends on rounding as well, and so on the shape. Rounding is then taken up to 2 %
/// larger than it is, which leaves few different values.
class RationalFits {
 public:
  /// As fit_rational; the bound is that for the given rounding or a larger one. The reference is valid until the next
  /// call.
  const RationalFit& get(std::size_t poles, double power, double resolution, double tolerance, double rounding) {
    const RationalFit& plain =
        plain_.get({poles, power, resolution}, [&] { return fit_rational(poles, power, resolution); });
    const double larger = rounded_up(rounding);
    if (plain.error < tolerance && plain.error + rounding > tolerance && larger < tolerance) {
      return shaped_.get({poles, power, resolution, tolerance, larger},
                         [&] { return fit_rational(poles, power, resolution, tolerance, larger); });
    }
    result_ = plain;
    result_.bound = plain.error + rounding;
    return result_;
  }

  /// Returns the number of fits that were computed.
  [[nodiscard]] std::size_t made() const { return plain_.made() + shaped_.made(); }

 private:
  static constexpr double steps_each_octave = 32;

  /// The next power of 2^(1/32). @pre x >= 0
  static double rounded_up(double x) {
    return x > 0 ? std::exp2(std::ceil(std::log2(x) * steps_each_octave) / steps_each_octave) : x;
  }

  FitCache<std::tuple<std::size_t, double, double>, RationalFit> plain_;
  FitCache<std::tuple<std::size_t, double, double, double, double>, RationalFit> shaped_;
  RationalFit result_;
};

namespace detail {

/// Replaces λ by scale = margin²·λ, and sets factor = scale^{(p−1)/2}·unit^p, which reverses both scalings of M.
template <class Space>
struct RationalScale {
  NumberBatchView<double, Space> unit, scale, factor;
  double power;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    if (scale(b) == 0.0) {
      scale(b) = 1;
      factor(b) = 0;
      return;
    }
    scale(b) *= scale_margin * scale_margin;
    factor(b) = math::pow(scale(b), 0.5 * (power - 1)) * math::pow(unit(b), power);
  }
};

/// A batch whose leading dimension is not a power of two, because powers of two use only part of the cache.
template <class Work, class Space>
BatchView<Work, Space> padded(std::size_t batch, std::size_t rows, std::size_t cols, Workspace<Space>& workspace) {
  std::size_t leading = cols + 16;
  if (std::has_single_bit(leading)) leading += 16;
  return block(workspace.template batch<Work>(batch, rows, leading), 0, 0, rows, cols);
}

/// Matrices of so many elements go through all stages together. They are few, so that a stage finds in the cache what
/// the one before it wrote, and enough for all threads.
template <ExecutionSpace Exec>
std::size_t matrices_together(const Exec& exec, std::size_t elements) {
  constexpr std::size_t least_elements = std::size_t{1} << 17;  // of a thread: a stage then outweighs its barrier
  const auto threads = std::size_t(concurrency(exec));
  return (threads == 1 ? 1 : 2 * threads) * (least_elements / (std::max<std::size_t>)(elements, 1) + 1);
}

/// The same with m's shape and storage order.
template <class Work, class T, class Space>
BatchView<Work, Space> padded_like(const BatchView<const T, Space>& m, Workspace<Space>& workspace) {
  if (m.stride(1) < m.stride(2)) return transpose(padded_like<Work>(transpose(m), workspace));
  return padded<Work>(m.extent(0), m.extent(1), m.extent(2), workspace);
}

}  // namespace detail

/// W ← unit^p·r(S/s²) s^{p−1} for the Gram matrix S of M/unit, s ≈ σ₁(M/unit) from a few Lanczos steps: M/unit times W
/// is UΣ^pVᵀ of M.
///
/// R: linalg::Rational, or linalg::ComposedRational, which has no fine poles. S, W (n×n), S's diagonal (n) once more in
/// double; the first `fine` poles are factored in S's precision. Cost: that of linalg::rational_function.
template <class Backend, ExecutionSpace Exec, class R, class Gram, class Work, class Space>
void rational_of_gram(const Exec& exec, const R& r, double power, const BatchView<const Gram, Space>& gram,
                      const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& unit,
                      const BatchView<Work, Space>& inverse_power, Workspace<Space>& workspace, std::size_t fine) {
  const std::size_t batch = gram.extent(0);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch), factor = workspace.template numbers<double>(batch);
  if constexpr (std::is_same_v<Gram, Work>) {
    linalg::largest_eigenvalue<Backend>(exec, gram, scale, workspace);
  } else {  // reading S is what an estimate costs
    copy_elements(exec, "schatten::convert", gram, inverse_power);
    linalg::largest_eigenvalue<Backend>(exec, as_const(inverse_power), scale, workspace);
  }
  for_each_matrix(exec, "schatten::rational_power/scale", batch,
                  detail::RationalScale<Space>{unit, scale, factor, power});
  if constexpr (std::is_same_v<R, linalg::ComposedRational>) {
    linalg::rational_function<Backend>(exec, r, gram, diagonal, scale, factor, inverse_power, workspace);
  } else {
    linalg::rational_function<Backend>(exec, r, fine, gram, diagonal, scale, factor, inverse_power, workspace);
  }
}

/// out ← XW in precision Work, rounded once to T; W of rational_of_gram for an R. X, out (m×n), W (n×n). Cost: 2n²m
/// flops.
template <class Work, class R = linalg::Rational, ExecutionSpace Exec, class T, class Space>
void times_inverse_power(const Exec& exec, const BatchView<const Work, Space>& x,
                         const BatchView<const Work, Space>& inverse_power, const BatchView<T, Space>& out,
                         Workspace<Space>& workspace) {
  const auto multiply = [&](const BatchView<Work, Space>& to) {
    if constexpr (std::is_same_v<R, linalg::ComposedRational>) {
      linalg::times_square(exec, x, inverse_power, to);
    } else {
      linalg::times_symmetric(exec, x, inverse_power, to);
    }
  };
  if constexpr (std::is_same_v<Work, T>) {
    if (out.stride(1) == 1 || out.stride(2) == 1) return multiply(out);
  }
  const typename Workspace<Space>::Frame frame(workspace);
  const auto product = detail::padded_like<Work>(as_const(out), workspace);
  multiply(product);
  copy_elements(exec, "schatten::convert", as_const(product), out);
}

/// out ← M·r(MᵀM/s²) s^{p−1} in precision Work, s ≈ σ₁ from a few Lanczos steps; the Gram matrix in precision Gram, in
/// which the first `fine` poles are factored as well. R: as rational_of_gram has it.
///
/// M, out (m×n); the Gram matrix is that of the short side n <= m. Error: that of the fit plus rational_rounding_error,
/// or mixed_rounding_error or composed_error if Gram is not Work (error_model.hpp). For p > 0 directions below the
/// resolution are damped.
/// Cost: n²m + 2n²m flops and those of linalg::rational_function.
template <class Work, class Backend, class Gram = Work, ExecutionSpace Exec, class R, class T, class Space>
void rational_power(const Exec& exec, const R& r, double power, const BatchView<const T, Space>& m,
                    const BatchView<T, Space>& out, Workspace<Space>& workspace, std::size_t fine = 0) {
  if (m.extent(1) < m.extent(2)) {
    return rational_power<Work, Backend, Gram>(exec, r, power, transpose(m), transpose(out), workspace, fine);
  }
  const std::size_t together = detail::matrices_together(exec, m.extent(1) * m.extent(2));
  for (std::size_t first = 0; first < m.extent(0); first += together) {
    const std::size_t batch = (std::min)(together, m.extent(0) - first), cols = m.extent(2);
    const auto these = matrices(m, first, batch);
    const typename Workspace<Space>::Frame frame(workspace);
    const auto unit = workspace.template numbers<double>(batch);
    const auto normalized = detail::padded_like<Work>(these, workspace);
    const auto gram = detail::padded<Gram>(batch, cols, cols, workspace);
    const auto diagonal = workspace.template vectors<double>(batch, cols);
    const auto inverse_power = detail::padded<Work>(batch, cols, cols, workspace);
    normalize(exec, these, normalized, unit, workspace);
    linalg::gram_with_diagonal(exec, as_const(normalized), gram, diagonal);
    rational_of_gram<Backend>(exec, r, power, as_const(gram), diagonal, unit, inverse_power, workspace, fine);
    times_inverse_power<Work, R>(exec, as_const(normalized), as_const(inverse_power), matrices(out, first, batch),
                                 workspace);
  }
}

}  // namespace schatten::spectral
