// The rational method: U Σ^p Vᵀ = M·(MᵀM)^{(p−1)/2} with the power replaced by a rational function of the Gram matrix.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/largest_eigenvalue.hpp>
#include <schatten/linalg/rational_function.hpp>
#include <schatten/spectral/fit_cache.hpp>
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

/// r with σ·r(σ²) ≈ σ^p on [δ/scale_margin, 1]: `poles` poles in closed form, weights by the fit.
struct RationalFit {
  linalg::Rational function;
  double error = std::numeric_limits<double>::infinity();  ///< largest relative error on that interval
  double bound = error;  ///< with rounding: error(σ) + rounding·(δ/σ)², at its largest
};

/// The fit of least error among those with error(σ) + rounding·(δ/σ)² <= tolerance, or the plain minimax fit where it is
/// one of them or where there are none.
///
/// The error has min(level, tolerance − rounding(σ)) for its room. The least level is the fixed point of level → error
/// of the fit with that room; the iteration comes down to it from the tolerance, every member within the tolerance.
inline RationalFit fit_rational(std::size_t poles, double power, double resolution,
                                double tolerance = std::numeric_limits<double>::infinity(), double rounding = 0) {
  constexpr int most_fits = 6;
  constexpr double settled = 0.98, between_check_points = 1.002;
  const double delta = std::min(resolution / scale_margin, 0.5);
  const std::vector<double> t = rational_poles(poles, power, delta);
  const auto basis = [&](double sigma, double* row) {
    row[0] = sigma;
    row[1] = sigma * sigma * sigma;
    for (std::size_t j = 0; j < t.size(); ++j) row[2 + j] = sigma / (sigma * sigma + t[j]);
  };
  // `share` of the room that rounding leaves at σ = δ.
  const auto result = [&](const WeightFit& fit, double share) {
    const double error = between_check_points * fit.error;
    linalg::Rational function{fit.weights[0], fit.weights[1], t, {fit.weights.begin() + 2, fit.weights.end()}};
    return RationalFit{std::move(function), error, error * share + rounding};
  };
  const WeightFit plain = fit_weights(basis, 2 + poles, power, delta);
  if (plain.weights.empty()) return {};
  RationalFit best = result(plain, 1);
  if (best.bound <= tolerance || rounding >= tolerance) return best;
  double level = tolerance;
  for (int k = 0; k < most_fits; ++k) {
    const auto room = [&](double sigma) {
      const double ratio = std::min(resolution / sigma, 1.0);
      return std::min(1.0, (tolerance - rounding * ratio * ratio) / level);
    };
    const WeightFit fit = fit_weights(basis, 2 + poles, power, delta, room);
    const double error = between_check_points * fit.error;
    if (fit.weights.empty() || error > level) break;
    best = result(fit, room(resolution));
    if (error > settled * level) break;
    level = error;
  }
  return best;
}

/// fit_rational of the same arguments, remembered.
class RationalFits {
 public:
  const RationalFit& get(std::size_t poles, double power, double resolution, double tolerance, double rounding) {
    return cache_.get({poles, power, resolution, tolerance, rounding},
                      [&] { return fit_rational(poles, power, resolution, tolerance, rounding); });
  }

 private:
  FitCache<std::tuple<std::size_t, double, double, double, double>, RationalFit> cache_;
};

namespace detail {

/// λ → scale = margin²·λ, and factor = scale^{(p−1)/2}·unit^p, which undoes both scalings of M.
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

/// A batch whose leading dimension is not a power of two: those use a part of the cache only.
template <class Work, class Space>
BatchView<Work, Space> padded(std::size_t batch, std::size_t rows, std::size_t cols, Workspace<Space>& workspace) {
  std::size_t leading = cols + 16;
  if (std::has_single_bit(leading)) leading += 16;
  return block(workspace.template batch<Work>(batch, rows, leading), 0, 0, rows, cols);
}

/// The same in m's shape and order of storage.
template <class Work, class T, class Space>
BatchView<Work, Space> padded_like(const BatchView<const T, Space>& m, Workspace<Space>& workspace) {
  if (m.stride(1) < m.stride(2)) return transpose(padded_like<Work>(transpose(m), workspace));
  return padded<Work>(m.extent(0), m.extent(1), m.extent(2), workspace);
}

}  // namespace detail

/// out ← M·r(MᵀM/s²) s^{p−1} in precision Work, s ≈ σ₁ from a few Lanczos steps.
///
/// M, out (m×n); works on the short side n <= m. Error: the fit's and rational_rounding_error (error_model.hpp).
/// Directions under the resolution come out damped for p > 0. Cost: n²m + K n³ + 2n²m flops, K poles.
template <class Work, class Backend, ExecutionSpace Exec, class T, class Space>
void rational_power(const Exec& exec, const linalg::Rational& r, double power, const BatchView<const T, Space>& m,
                    const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  if (m.extent(1) < m.extent(2)) {
    return rational_power<Work, Backend>(exec, r, power, transpose(m), transpose(out), workspace);
  }
  const std::size_t batch = m.extent(0), cols = m.extent(2);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto unit = workspace.template numbers<double>(batch), scale = workspace.template numbers<double>(batch),
             factor = workspace.template numbers<double>(batch);
  const auto normalized = detail::padded_like<Work>(m, workspace);
  const auto gram = detail::padded<Work>(batch, cols, cols, workspace);
  const auto diagonal = workspace.template vectors<double>(batch, cols);
  const auto inverse_power = detail::padded<Work>(batch, cols, cols, workspace);
  normalize(exec, m, normalized, unit, workspace);
  linalg::gram_with_diagonal(exec, as_const(normalized), gram, diagonal);
  linalg::largest_eigenvalue<Backend>(exec, as_const(gram), scale, workspace);
  for_each_matrix(exec, "schatten::rational_power/scale", batch,
                  detail::RationalScale<Space>{unit, scale, factor, power});
  linalg::rational_function<Backend>(exec, r, as_const(gram), diagonal, scale, factor, inverse_power, workspace);
  if constexpr (std::is_same_v<Work, T>) {
    if (out.stride(1) == 1 || out.stride(2) == 1) {
      return linalg::times_symmetric(exec, as_const(normalized), as_const(inverse_power), out);
    }
  }
  const auto product = detail::padded_like<Work>(as_const(out), workspace);
  linalg::times_symmetric(exec, as_const(normalized), as_const(inverse_power), product);
  copy_elements(exec, "schatten::convert", as_const(product), out);
}

}  // namespace schatten::spectral
