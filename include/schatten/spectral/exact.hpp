// SPDX-License-Identifier: BSD-3-Clause
// The exact methods: U Σ^p Vᵀ through a decomposition. The truth that the matmul-only methods are measured against.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/linalg/eigh.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/svd.hpp>
#include <schatten/spectral/normalization.hpp>

#include <algorithm>
#include <limits>
#include <string>

namespace schatten::spectral {

/// Smallest singular value, relative to the largest, that a decomposition can tell from zero.
template <Scalar T>
inline constexpr double sigma_floor = 4 * double(std::numeric_limits<T>::epsilon());

/// Smallest eigenvalue of the Gram matrix, relative to the largest, that the eigen-decomposition can tell from zero.
template <Scalar Work>
inline constexpr double gram_floor = 4 * double(std::numeric_limits<Work>::epsilon());

namespace detail {

/// σ_k ↦ s^p σ_k^p. For p <= 0, singular values at the rounding level of σ_0 count as zero and map to zero (the map on
/// the numerical range of M); for p > 0 the map is continuous and nothing is cut. @pre value is finite.
template <class T>
struct PowerOfSigma {
  double power;
  KOKKOS_FUNCTION double operator()(double value, double largest, double scale, std::size_t) const {
    if (value == 0.0 || (power <= 0.0 && value <= sigma_floor<T> * largest)) return 0.0;
    return math::pow(scale, power) * math::pow(value, power);
  }
};

/// Column k of U ← f(σ_k, σ_0, s, k) · column k. NaN stays NaN, and is not compared (that would be an invalid operation).
template <class Map, class T, class Space>
struct ScaleLeftVectors {
  Map map;
  VectorBatchView<T, Space> sigma;
  NumberBatchView<double, Space> scale;
  BatchView<T, Space> u;
  KOKKOS_FUNCTION double factor(std::size_t b, std::size_t k) const {
    const double value = double(sigma(b, k));
    return linalg::is_finite(value) ? map(value, double(sigma(b, 0)), scale(b), k) : value;
  }
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t k) const {
    u(b, i, k) = T(factor(b, k) * double(u(b, i, k)));
  }
};

/// Column k of V ← √f_k · column k with f = s^p max(λ, floor)^{(p−1)/2}, so that V Vᵀ becomes s^p (NᵀN)^{(p−1)/2}.
/// The floor is the rounding level of the Gram matrix: directions under it come out damped, never amplified.
template <class Work, class Space>
struct ScaleEigenvectors {
  VectorBatchView<Work, Space> lambda;
  NumberBatchView<double, Space> scale;
  double power, relative_floor;
  BatchView<Work, Space> v;
  KOKKOS_FUNCTION double factor(std::size_t b, std::size_t k) const {
    const double largest = double(lambda(b, lambda.extent(1) - 1)), floor = relative_floor * largest;
    if (largest == 0.0 || !linalg::is_finite(largest)) return largest;
    const double value = double(lambda(b, k)) < floor ? floor : double(lambda(b, k));
    return math::sqrt(math::pow(scale(b), power) * math::pow(value, 0.5 * (power - 1)));
  }
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t k) const {
    v(b, i, k) = Work(factor(b, k) * double(v(b, i, k)));
  }
};

/// out ← U diag(f(σ_k, σ_0, s, k)) Vᵀ by the singular value decomposition of M/s; `map` is f, a functor for kernels.
template <class Backend, ExecutionSpace Exec, class Map, class T, class Space>
void svd_map(const Exec& exec, const std::string& label, const Map& map, const BatchView<const T, Space>& m,
             const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2), k = std::min(rows, cols);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch);
  const auto normalized = workspace.template batch<T>(batch, rows, cols);
  const auto u = workspace.template batch<T>(batch, rows, k);
  const auto sigma = workspace.template vectors<T>(batch, k);
  const auto vt = workspace.template batch<T>(batch, k, cols);
  normalize(exec, m, normalized, scale, workspace);
  linalg::svd<Backend>(exec, normalized, u, sigma, vt, workspace);
  for_each_element(exec, label, batch, rows, k, ScaleLeftVectors<Map, T, Space>{map, sigma, scale, u});
  linalg::gemm<Backend>(exec, T(1), u, vt, T(0), out, workspace);
}

}  // namespace detail

/// out ← U Σ^p Vᵀ by the singular value decomposition.
///
/// M, out (m×n). Works on M / 2^k, so that any scale is legal. Relative error of σ^p: a small multiple of ε(1 + |p|/σ),
/// σ relative to the largest (docs/mathematics.md states the measured multiple). Cost: svd + 2mn·min(m, n) flops.
template <class Backend, ExecutionSpace Exec, class T, class Space>
void svd_power(const Exec& exec, double power, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
               Workspace<Space>& workspace) {
  detail::svd_map<Backend>(exec, "schatten::svd_power/scale", detail::PowerOfSigma<T>{power}, m, out, workspace);
}

/// out ← M (MᵀM)^{(p−1)/2} by the eigen-decomposition of the Gram matrix on the short side, all in precision `Work`.
///
/// M, out (m×n). Squaring halves the digits: relative error of σ^p about (1−p)/2 · ε(Work)/σ², σ relative to the
/// largest; singular values under √gram_floor come out damped. Work = double serves float matrices down to their own
/// rounding level. Cost, n the short side: n²m + eigh(n) + n³ + 2n²m flops.
template <class Work, class Backend, ExecutionSpace Exec, class T, class Space>
void eigh_power(const Exec& exec, double power, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
                Workspace<Space>& workspace) {
  if (m.extent(1) < m.extent(2)) return eigh_power<Work, Backend>(exec, power, transpose(m), transpose(out), workspace);
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch);
  const auto normalized = workspace.template batch<Work>(batch, rows, cols);
  const auto gram = workspace.template batch<Work>(batch, cols, cols);
  const auto lambda = workspace.template vectors<Work>(batch, cols);
  const auto v = workspace.template batch<Work>(batch, cols, cols);
  normalize(exec, m, normalized, scale, workspace);
  linalg::gram<Backend>(exec, normalized, gram, workspace);
  linalg::eigh<Backend>(exec, gram, lambda, v, workspace);
  for_each_element(exec, "schatten::eigh_power/scale", batch, cols, cols,
                   detail::ScaleEigenvectors<Work, Space>{lambda, scale, power, gram_floor<Work>, v});
  linalg::symmetric_product<Backend>(exec, Work(1), v, transpose(v), gram, workspace);
  if constexpr (std::is_same_v<Work, T>) {
    linalg::gemm<Backend>(exec, T(1), normalized, gram, T(0), out, workspace);
  } else {
    const auto product = workspace.template batch<Work>(batch, rows, cols);
    linalg::gemm<Backend>(exec, Work(1), normalized, gram, Work(0), product, workspace);
    copy_elements(exec, "schatten::convert", as_const(product), out);
  }
}

}  // namespace schatten::spectral
