// Odd quintic iterations on the singular values: Muon's orthogonalisation.
#pragma once

#include <schatten/linalg/gemm.hpp>
#include <schatten/spectral/normalization.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// One step X ← aX + bX(XᵀX) + cX(XᵀX)², that is σ ← aσ + bσ³ + cσ⁵.
struct Quintic {
  double a, b, c;
  /// The step on one singular value.
  [[nodiscard]] constexpr double operator()(double x) const {
    const double square = x * x;
    return x * (a + square * (b + square * c));
  }
};

/// Muon's coefficients, chosen for slope at zero rather than convergence: singular values end in about [0.68, 1.13].
/// Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024).
inline constexpr Quintic muon_quintic{3.4445, -4.7750, 2.0315};
inline constexpr int muon_steps = 5;

namespace detail {

/// x ← x/(‖x‖_F + added/scale) for x = M/scale, that is M/(‖M‖_F + added); a zero matrix stays zero.
template <class T, class Space>
struct DivideByNorm {
  NumberBatchView<double, Space> norm, scale;
  double added;
  BatchView<T, Space> x;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const double length = norm(b) == 0.0 ? 1.0 : norm(b) + added / scale(b);
    x(b, i, j) = T(double(x(b, i, j)) / length);
  }
};

/// second ← b·first + c·second.
template <class T, class Space>
struct Combine {
  T b, c;
  BatchView<const T, Space> first;
  BatchView<T, Space> second;
  KOKKOS_FUNCTION void operator()(std::size_t n, std::size_t i, std::size_t j) const {
    second(n, i, j) = b * first(n, i, j) + c * second(n, i, j);
  }
};

/// quintic_iteration from M/(‖M‖_F + added_to_norm).
template <class Backend, ExecutionSpace Exec, class T, class Space>
void quintic_steps(const Exec& exec, std::span<const Quintic> steps, double added_to_norm,
                   const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  if (m.extent(1) < m.extent(2)) {
    return quintic_steps<Backend>(exec, steps, added_to_norm, transpose(m), transpose(out), workspace);
  }
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2);
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch), norm = workspace.template numbers<double>(batch);
  auto x = workspace.template batch<T>(batch, rows, cols);
  auto next = workspace.template batch<T>(batch, rows, cols);
  const auto gram = workspace.template batch<T>(batch, cols, cols);
  const auto polynomial = workspace.template batch<T>(batch, cols, cols);
  normalize(exec, m, x, scale, workspace);
  linalg::frobenius_norm(exec, x, norm, workspace);
  for_each_element(exec, "schatten::quintic/normalize", batch, rows, cols,
                   DivideByNorm<T, Space>{norm, scale, added_to_norm, x});
  for (const Quintic& step : steps) {  // X ← aX + X(bA + cA²), A = XᵀX
    linalg::gram<Backend>(exec, x, gram);
    linalg::symmetric_product<Backend>(exec, T(1), gram, gram, polynomial);
    for_each_element(exec, "schatten::quintic/polynomial", batch, cols, cols,
                     Combine<T, Space>{T(step.b), T(step.c), gram, polynomial});
    for_each_element(exec, "schatten::quintic/copy", batch, rows, cols, Convert<T, T, Space>{x, next});
    linalg::gemm<Backend>(exec, T(1), x, polynomial, T(step.a), next);
    std::swap(x, next);
  }
  for_each_element(exec, "schatten::quintic/store", batch, rows, cols, Convert<T, T, Space>{x, out});
}

}  // namespace detail

/// out ← U q_K(...q_1(Σ/‖M‖_F)) Vᵀ for the quintics q_1..q_K: approximately the polar factor U Vᵀ.
///
/// M, out (m×n). Iterates on the short side (n <= m below). The published normalisation adds 1e-7 to the norm; here
/// any scale is legal and only the zero matrix stays zero. Cost a step: n²m + n³ + 2n²m flops, symmetric halves used.
template <class Backend, ExecutionSpace Exec, class T, class Space>
void quintic_iteration(const Exec& exec, std::span<const Quintic> steps, const BatchView<const T, Space>& m,
                       const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  detail::quintic_steps<Backend>(exec, steps, 0.0, m, out, workspace);
}

/// An upper bound of |q_K(...q_1(σ/s)) − 1| over σ in [resolution, 1] and every normalisation s = ‖M‖_F/σ_max in
/// [1, √rank]: the largest value on a logarithmic grid, each plus what its slope allows up to the next point half way.
inline double quintic_error(std::span<const Quintic> steps, double resolution, std::size_t rank) {
  const double lowest = std::log(resolution / std::sqrt(double(std::max<std::size_t>(rank, 1))));
  constexpr int points = 4000;
  double worst = 0;
  for (int k = 0; k <= points; ++k) {
    double x = std::exp(lowest * k / points), slope = x;  // slope: dx/d(ln σ)
    for (const Quintic& step : steps) {
      slope *= step.a + x * x * (3 * step.b + x * x * 5 * step.c);
      x = step(x);
    }
    worst = std::max(worst, std::abs(x - 1) - 0.5 * lowest / points * std::abs(slope));
  }
  return worst;
}

}  // namespace schatten::spectral
