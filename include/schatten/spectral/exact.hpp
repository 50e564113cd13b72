// SPDX-License-Identifier: BSD-3-Clause
// The exact methods: U Σ^p Vᵀ by a decomposition.
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

/// Smallest singular value, relative to the largest, that a decomposition distinguishes from zero.
template <Scalar T>
inline constexpr double sigma_floor = 4 * double(std::numeric_limits<T>::epsilon());

/// Smallest eigenvalue of the Gram matrix, relative to the largest, that the eigendecomposition distinguishes from
/// zero.
template <Scalar Work>
inline constexpr double gram_floor = 4 * double(std::numeric_limits<Work>::epsilon());

namespace detail {

/// σ_k ↦ s^p σ_k^p. For p <= 0, singular values at the rounding level of σ_0 count as zero and map to zero. For p > 0
/// there is no threshold. @pre value is finite.
template <class T>
struct PowerOfSigma {
  double power;
  [[nodiscard]] double degree() const { return power; }
  KOKKOS_FUNCTION double operator()(double value, double largest, double scale, std::size_t) const {
    if (value == 0.0 || (power <= 0.0 && value <= sigma_floor<T> * largest)) return 0.0;
    return math::pow(scale, power) * math::pow(value, power);
  }
};

/// Column k of U ← f(σ_k, σ_0, s, k) · column k. NaN stays NaN, and is not compared (that would be an invalid
/// operation).
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

/// The function that eigh_map applies to a Gram matrix for σ^p: h(λ) = s^p λ^{(p−1)/2}, and d ln h/d ln λ.
struct PowerOfGram {
  double power;
  [[nodiscard]] double degree() const { return power; }
  KOKKOS_FUNCTION double operator()(double lambda, double, double scale) const {
    return math::pow(scale, power) * math::pow(lambda, 0.5 * (power - 1));
  }
  KOKKOS_FUNCTION double slope(double, double) const { return 0.5 * (power - 1); }
};

/// h(max(λ, floor)) at the squared lengths λ of the columns of W = NV, which are the diagonal of WᵀW. The floor is the
/// rounding level of the Gram matrix: directions below it are damped, never amplified.
template <class Map, class Work, class Space>
struct GramFunctionValues {
  Map map;  ///< h(λ, λ_max, s)
  BatchView<const Work, Space> gram;
  VectorBatchView<Work, Space> lambda;  ///< of the decomposition, ascending
  NumberBatchView<double, Space> scale;
  double relative_floor;
  VectorBatchView<double, Space> square, value;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t k) const {
    const double largest = double(lambda(b, lambda.extent(1) - 1));
    square(b, k) = double(gram(b, k, k));
    value(b, k) = largest;
    if (largest == 0.0 || !linalg::is_finite(largest)) return;
    const double floor = relative_floor * largest, at = square(b, k) < floor ? floor : square(b, k);
    value(b, k) = map(at, largest, scale(b));
  }
};

/// h(WᵀW) = R H Rᵀ to first order in the elements c_jk of WᵀW outside the diagonal. R = I + Θ rotates columns whose
/// squared norms λ differ by more than a factor of two: θ_jk = c_jk/(λ_k − λ_j). H has h(λ) on its diagonal, and c_jk
/// (h_j − h_k)/(λ_j − λ_k) for the other pairs (Daleckii and Krein). WᵀW is overwritten by H. Pairs of columns that are
/// both below the resolution do not change, because their rotation, and its products with other θ, need not be small.
template <class Map, class Work, class Space>
struct GramFunction {
  Map map;
  double resolution;
  VectorBatchView<Work, Space> lambda;  ///< ascending
  VectorBatchView<double, Space> square, value;
  BatchView<Work, Space> gram, rotation;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t j, std::size_t k) const {
    const double off = double(gram(b, j, k)), hj = value(b, j), hk = value(b, k);
    const bool diagonal = j == k || !linalg::is_finite(hk);
    rotation(b, j, k) = Work(j == k);
    gram(b, j, k) = diagonal ? Work(hk) : Work(0);
    if (diagonal) return;
    const double xj = square(b, j), xk = square(b, k), larger = xj > xk ? xj : xk, apart = xk - xj;
    const double largest = double(lambda(b, lambda.extent(1) - 1)), least = 0.9 * resolution * resolution * largest;
    if (larger < least || larger == 0.0 || magnitude(off) > 0.25 * larger) return;
    if (magnitude(apart) > 0.5 * larger) {
      rotation(b, j, k) = Work(off / apart);
    } else if (magnitude(apart) > 1e-4 * larger) {
      gram(b, j, k) = Work(off * (hk - hj) / apart);
    } else {  // the derivative between them
      gram(b, j, k) = Work(off * map.slope(0.5 * (xj + xk), largest) * (hj + hk) / (xj + xk));
    }
  }
  KOKKOS_FUNCTION static double magnitude(double x) { return x < 0 ? -x : x; }
};

/// Returns h of a map f with f(cσ) = c^h f(σ): map.degree(), or 0.
template <class Map>
double degree_of(const Map& map) {
  if constexpr (requires { map.degree(); }) return map.degree();
  return 0;
}

/// out ← U diag(f(σ_k, σ_0, s, k)) Vᵀ by the singular value decomposition of M/s; `map` is f, a functor for kernels.
template <class Backend, ExecutionSpace Exec, class Map, class T, class Space>
void svd_map(const Exec& exec, const std::string& label, const Map& map, const BatchView<const T, Space>& m,
             const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2), k = (std::min)(rows, cols);
  const typename Workspace<Space>::Frame frame(workspace);
  const double degree = degree_of(map);
  const auto scale = workspace.template numbers<double>(batch), rest = workspace.template numbers<double>(batch),
             unit = workspace.template numbers<double>(batch);
  const auto normalized = workspace.template batch<T>(batch, rows, cols);
  const auto u = workspace.template batch<T>(batch, rows, k);
  const auto sigma = workspace.template vectors<T>(batch, k);
  const auto vt = workspace.template batch<T>(batch, k, cols);
  normalize(exec, m, normalized, scale, workspace);
  split_scale(exec, degree, scale, rest, unit);
  linalg::svd<Backend>(exec, normalized, u, sigma, vt, workspace);
  for_each_element(exec, label, batch, rows, k, ScaleLeftVectors<Map, T, Space>{map, sigma, rest, u});
  linalg::gemm<Backend>(exec, T(1), u, vt, T(0), out, workspace);
  if (degree != 0) scale_elements(exec, "schatten::svd_power/store", unit, as_const(out), out);
}

}  // namespace detail

/// out ← U Σ^p Vᵀ by the singular value decomposition.
///
/// M, out (m×n). M is divided by a power of two, so it may have any scale. Relative error of σ^p: a small multiple of
/// ε(1 + |p|/σ), σ relative to the largest (docs/mathematics.md states the measured multiple). Cost: svd + 2mn·min(m,
/// n) flops.
template <class Backend, ExecutionSpace Exec, class T, class Space>
void svd_power(const Exec& exec, double power, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
               Workspace<Space>& workspace) {
  detail::svd_map<Backend>(exec, "schatten::svd_power/scale", detail::PowerOfSigma<T>{power}, m, out, workspace);
}

namespace detail {

/// out ← M h(MᵀM) by the eigendecomposition of the Gram matrix on the short side, all in precision `Work`. map: h, as
/// PowerOfGram. eigh_power describes the computation.
template <class Work, class Backend, ExecutionSpace Exec, class Map, class T, class Space>
void eigh_map(const Exec& exec, const Map& map, double resolution, const BatchView<const T, Space>& m,
              const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  if (m.extent(1) < m.extent(2)) {
    return eigh_map<Work, Backend>(exec, map, resolution, transpose(m), transpose(out), workspace);
  }
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch), rest = workspace.template numbers<double>(batch),
             unit = workspace.template numbers<double>(batch);
  const auto normalized = workspace.template batch<Work>(batch, rows, cols);
  const auto turned = workspace.template batch<Work>(batch, rows, cols);
  const auto gram = workspace.template batch<Work>(batch, cols, cols);
  const auto lambda = workspace.template vectors<Work>(batch, cols);
  const auto square = workspace.template vectors<double>(batch, cols);
  const auto value = workspace.template vectors<double>(batch, cols);
  const auto v = workspace.template batch<Work>(batch, cols, cols);
  const auto rotation = workspace.template batch<Work>(batch, cols, cols);
  const auto right = workspace.template batch<Work>(batch, cols, cols);
  normalize(exec, m, normalized, scale, workspace);
  split_scale(exec, map.degree(), scale, rest, unit);
  linalg::gram<Backend>(exec, normalized, gram, workspace);
  linalg::eigh<Backend>(exec, gram, lambda, v, workspace);
  linalg::gemm<Backend>(exec, Work(1), normalized, v, Work(0), turned, workspace);
  linalg::gram<Backend>(exec, turned, gram, workspace);
  for_each_row(exec, "schatten::eigh_power/values", batch, cols,
               GramFunctionValues<Map, Work, Space>{map, gram, lambda, rest, gram_floor<Work>, square, value});
  for_each_element(exec, "schatten::eigh_power/function", batch, cols, cols,
                   GramFunction<Map, Work, Space>{map, resolution, lambda, square, value, gram, rotation});
  // out = W R H Rᵀ Vᵀ
  linalg::gemm<Backend>(exec, Work(1), transpose(rotation), transpose(v), Work(0), right, workspace);
  linalg::gemm<Backend>(exec, Work(1), gram, right, Work(0), v, workspace);
  linalg::gemm<Backend>(exec, Work(1), rotation, v, Work(0), right, workspace);
  linalg::gemm<Backend>(exec, Work(1), turned, right, Work(0), normalized, workspace);
  scale_elements(exec, "schatten::eigh_power/store", unit, as_const(normalized), out);
}

}  // namespace detail

/// out ← M (MᵀM)^{(p−1)/2} by the eigen-decomposition of the Gram matrix on the short side, all in precision `Work`.
///
/// M, out (m×n). Squaring halves the digits: MᵀM = VΛVᵀ and the orthogonality of the columns of W = MV hold up to
/// ε(Work)σ₁² only. out = W (WᵀW)^{(p−1)/2} Vᵀ, with the small elements of WᵀW outside the diagonal to first order,
/// restores the accuracy: the relative error of σ^p is about ε(Work)/σ + (ε(Work)/σ²)² for σ >= resolution, with σ
/// relative to the largest. Singular values below √gram_floor are damped. With Work = double float matrices are
/// accurate down to their own rounding level. Cost, with n the short side: 2n²m + eigh(n) + 6n³ + 4n²m flops.
template <class Work, class Backend, ExecutionSpace Exec, class T, class Space>
void eigh_power(const Exec& exec, double power, double resolution, const BatchView<const T, Space>& m,
                const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  detail::eigh_map<Work, Backend>(exec, detail::PowerOfGram{power}, resolution, m, out, workspace);
}

}  // namespace schatten::spectral
