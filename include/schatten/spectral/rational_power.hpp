// The rational method: U Σ^p Vᵀ = M·(MᵀM)^{(p−1)/2} with the power replaced by a rational function of the Gram matrix.
#pragma once

#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/largest_eigenvalue.hpp>
#include <schatten/linalg/rational_function.hpp>
#include <schatten/spectral/fit_cache.hpp>
#include <schatten/spectral/normalization.hpp>
#include <schatten/spectral/poles.hpp>
#include <schatten/spectral/weight_fit.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// The estimate of σ₁ is multiplied by this, and the fit reaches as much further down, so that [δσ₁, σ₁] lies in it
/// although the estimate may be that much too small.
inline constexpr double scale_margin = 1.05;

/// r with σ·r(σ²) ≈ σ^p on [δ/scale_margin, 1]: `poles` poles in closed form, weights by the fit.
struct RationalFit {
  linalg::Rational function;
  double error = std::numeric_limits<double>::infinity();  ///< largest relative error on that interval, over its room
};

/// `rounding`: the part of the tolerance, in [0, 1), that rounding takes at σ = δ. It falls as 1/σ², and the fit's error
/// gets the room that is left, 1 − rounding·(δ/σ)².
inline RationalFit fit_rational(std::size_t poles, double power, double resolution, double rounding = 0) {
  const double delta = std::min(resolution / scale_margin, 0.5);
  const std::vector<double> t = rational_poles(poles, power, delta);
  const auto basis = [&](double sigma, double* row) {
    row[0] = sigma;
    row[1] = sigma * sigma * sigma;
    for (std::size_t j = 0; j < t.size(); ++j) row[2 + j] = sigma / (sigma * sigma + t[j]);
  };
  const auto room = [&](double sigma) {
    const double ratio = std::min(resolution / sigma, 1.0);
    return 1 - rounding * ratio * ratio;
  };
  const WeightFit fit = fit_weights(basis, 2 + poles, power, delta, room);
  if (fit.weights.empty()) return {};
  return {{fit.weights[0], fit.weights[1], t, {fit.weights.begin() + 2, fit.weights.end()}}, fit.error};
}

/// fit_rational of the same arguments, remembered.
class RationalFits {
 public:
  const RationalFit& get(std::size_t poles, double power, double resolution, double rounding) {
    return cache_.get({poles, power, resolution, rounding},
                      [&] { return fit_rational(poles, power, resolution, rounding); });
  }

 private:
  FitCache<std::tuple<std::size_t, double, double, double>, RationalFit> cache_;
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

/// A batch of m's shape and order of storage, with leading dimensions that are not powers of two: those use a part of the
/// cache only.
template <class Work, class T, class Space>
BatchView<Work, Space> padded_like(const BatchView<const T, Space>& m, Workspace<Space>& workspace) {
  constexpr std::size_t padding = 16;
  if (m.stride(1) < m.stride(2)) return transpose(padded_like<Work>(transpose(m), workspace));
  const auto padded = workspace.template batch<Work>(m.extent(0), m.extent(1), m.extent(2) + padding);
  return block(padded, 0, 0, m.extent(1), m.extent(2));
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
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto unit = workspace.template numbers<double>(batch), scale = workspace.template numbers<double>(batch),
             factor = workspace.template numbers<double>(batch);
  const auto normalized = detail::padded_like<Work>(m, workspace);
  const auto gram = workspace.template batch<Work>(batch, cols, cols);
  const auto diagonal = workspace.template vectors<double>(batch, cols);
  const auto inverse_power = detail::padded_like<Work>(as_const(gram), workspace);
  normalize(exec, m, normalized, unit, workspace);
  linalg::gram_with_diagonal(exec, as_const(normalized), gram, diagonal);
  linalg::largest_eigenvalue(exec, as_const(gram), scale, workspace);
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
  for_each_element(exec, "schatten::convert", batch, rows, cols, detail::Convert<Work, T, Space>{product, out});
}

}  // namespace schatten::spectral
