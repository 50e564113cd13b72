// Schatten norms ‖M‖_{S_q} = (Σ σ_k^q)^{1/q} and their duals.
#pragma once

#include <schatten/linalg/svd.hpp>
#include <schatten/spectral/normalization.hpp>

#include <cmath>
#include <limits>

namespace schatten {

/// Exponent of the dual of the Schatten-q norm: 1/q + 1/q* = 1, so 1 ↔ ∞, 2 ↔ 2, 9 ↔ 9/8.
inline double dual_exponent(double q) {
  require(q >= 1.0, "dual_exponent", "q", q, "must lie in [1, infinity]");
  if (std::isinf(q)) return 1.0;
  return q == 1.0 ? std::numeric_limits<double>::infinity() : q / (q - 1);
}

/// ‖M‖_{S_q} of one matrix (rank 2): q = 1 nuclear, 2 Frobenius, ∞ spectral norm. NaN if M holds a NaN or an infinity.
///
/// From the singular values, divided by the largest before they are raised to q. Throws InvalidArgument unless
/// q is in [1, ∞]. Fences `exec` (it returns a number) and allocates scratch. Cost: one svd without vectors.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double schatten_norm(const Exec& exec, const V& m, double q) {
  using T = scalar_of<V>;
  using Space = typename Exec::memory_space;
  static_assert(view_rank<V> == 2, "schatten: schatten_norm takes one matrix, a View of rank 2");
  require(q >= 1.0, "schatten_norm", "q", q, "must lie in [1, infinity]");
  const BatchView<const T, Space> batch = as_batch<Exec>(m);
  const std::size_t rank = std::min(batch.extent(1), batch.extent(2));
  if (rank == 0) return 0.0;
  Workspace<Space> workspace;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(1);
  const auto normalized = workspace.template batch<T>(1, batch.extent(1), batch.extent(2));
  const auto sigma = workspace.template vectors<T>(1, rank);
  spectral::normalize(exec, batch, normalized, scale, workspace);
  linalg::singular_values<Backend>(exec, normalized, sigma, workspace);
  const auto host_sigma = Kokkos::create_mirror_view(sigma);
  const auto host_scale = Kokkos::create_mirror_view(scale);
  Kokkos::deep_copy(exec, host_sigma, sigma);
  Kokkos::deep_copy(exec, host_scale, scale);
  exec.fence();  // fences: documented
  const double largest = double(host_sigma(0, 0));
  if (largest == 0.0 || std::isnan(largest)) return largest;
  if (std::isinf(q)) return host_scale(0) * largest;
  double sum = 0;
  for (std::size_t k = 0; k < rank; ++k) sum += std::pow(double(host_sigma(0, k)) / largest, q);
  return host_scale(0) * largest * std::pow(sum, 1 / q);
}

/// Dual norm of Schatten-q: max ⟨M, D⟩ over ‖D‖_{S_q} <= 1, that is ‖M‖_{S_q*} with 1/q + 1/q* = 1. As schatten_norm.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double dual_norm(const Exec& exec, const V& m, double q) {
  return schatten_norm<Backend>(exec, m, dual_exponent(q));
}

}  // namespace schatten
