// SPDX-License-Identifier: BSD-3-Clause
// Steepest descent under a Schatten norm.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <cmath>

namespace schatten {

namespace spectral {

/// Returns the power of the steepest-descent direction under the Schatten-q norm: p = 1/(q − 1), from q = 1 + 1/p (Pang
/// et al., section 4).
inline double power_of_exponent(double q) { return std::isinf(q) ? 0.0 : 1.0 / (q - 1.0); }

/// With s = ⟨G, UΣ^pVᵀ⟩ = Σσ^{1+p}: ‖Σ^p‖_q = s^{1/q} since pq = 1 + p, and the dual norm ‖G‖_{S_{1+p}} = s^{1/(1+p)}.
/// factor ← s^{power of s}, zero for a zero matrix.
template <class Space>
struct PowerOfInnerProduct {
  NumberBatchView<double, Space> inner_product;  ///< one per matrix
  double exponent;                               ///< its power
  NumberBatchView<double, Space> factor;         ///< the results
  /// factor(b) ← inner_product(b)^exponent.
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    factor(b) = inner_product(b) == 0.0 ? 0.0 : math::pow(inner_product(b), exponent);
  }
};

/// factor_b ← ⟨M_b, D_b⟩^exponent for M and D = UΣ^pVᵀ. Every Schatten norm of M and D that is needed is such a power.
template <ExecutionSpace Exec, class T, class Space>
void inner_product_power(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<const T, Space>& d,
                         double exponent, const NumberBatchView<double, Space>& factor, Workspace<Space>& workspace) {
  linalg::inner_product(exec, m, d, factor, workspace);
  for_each_matrix(exec, "schatten::inner_product_power", m.extent(0),
                  PowerOfInnerProduct<Space>{factor, exponent, factor});
}

/// Returns whether steepest_descent takes the types of G and out. The compiler reports only the first requirement that
/// is not met.
template <KokkosView VG, KokkosView VO>
constexpr bool check_descent_types() {
  constexpr bool ranks = view_rank<VG> == 2 && view_rank<VO> == 2;
  constexpr bool same = std::is_same_v<scalar_of<VG>, scalar_of<VO>>;
  constexpr bool writable = !std::is_const_v<typename VO::value_type>;
  static_assert(ranks, "schatten: steepest_descent takes one matrix, a View of rank 2");
  static_assert(!ranks || same, "schatten: G and out must have the same scalar type");
  static_assert(!ranks || !same || writable, "schatten: out is written and must not be const");
  return ranks && same && writable;
}

}  // namespace spectral

/// Returns max ⟨G, D⟩ over ‖D‖_{S_q} <= 1, the dual norm ‖G‖_{S_{1+p}} with p = 1/(q − 1). out ← the D that attains it,
/// U Σ^p Vᵀ / ‖Σ^p‖_q.
///
/// One matrix (rank 2), any layout. q in [2, ∞]: 2 gives G/‖G‖_F, 9 HTMuon's direction, ∞ Muon's UVᵀ. For a zero G
/// `out` is zero and the result 0. Throws InvalidArgument for another q and for other extents of `out`. Fences `exec`
/// and allocates scratch memory; in a training use Optimizer with ScaleMode::dual_norm instead. Cost: one svd.
template <class Backend = void, ExecutionSpace Exec, KokkosView VG, KokkosView VO>
double steepest_descent(const Exec& exec, const VG& g, double q, const VO& out) {
  using T = scalar_of<VO>;
  using Space = typename Exec::memory_space;
  using Chosen = linalg::ChosenBackend<Backend, Exec>;
  if constexpr (spectral::check_descent_types<VG, VO>()) {
    require(!std::isnan(q) && q >= 2.0, "steepest_descent", "q", q, "must lie in [2, infinity]");
    const double p = spectral::power_of_exponent(q);
    SpectralPower<T, Exec, Chosen> power({.rows = g.extent(0),
                                          .cols = g.extent(1),
                                          .power = p,
                                          .resolution = 1.0,
                                          .tolerance = 1.0,
                                          .method = SpectralMethod::svd});
    Workspace<Space> workspace;
    const typename Workspace<Space>::Frame frame(workspace);
    const BatchView<const T, Space> batch_g = as_batch<Exec>(g);
    const BatchView<T, Space> batch_out = as_batch<Exec>(out);
    const auto scale = workspace.template numbers<double>(1);
    const auto inner_product = workspace.template numbers<double>(1);
    const auto factor = workspace.template numbers<double>(1);
    const auto normalized = workspace.template batch<T>(1, g.extent(0), g.extent(1));
    require_shape(batch_out, 1, g.extent(0), g.extent(1), "steepest_descent", "out");
    require_own_elements(batch_out, "steepest_descent", "out");
    require(!overlap(batch_g, batch_out), "steepest_descent", "out", shape_of(batch_out), "must not overlap g");
    if (g.size() == 0) return 0.0;
    // The direction does not depend on G's scale, and without it ⟨G, D⟩ can neither over- nor underflow.
    spectral::normalize(exec, batch_g, normalized, scale, workspace);
    power.apply(exec, normalized, batch_out, workspace);
    linalg::inner_product(exec, normalized, batch_out, inner_product, workspace);
    for_each_matrix(exec, "schatten::steepest_descent/length", 1,
                    spectral::PowerOfInnerProduct<Space>{inner_product, std::isinf(q) ? 0.0 : -1.0 / q, factor});
    scale_elements(exec, "schatten::steepest_descent/scale", factor, as_const(batch_out), batch_out);
    const double length = values_on_host(exec, inner_product)[0];  // fences: documented
    const double unit = values_on_host(exec, scale)[0];            // fences: documented
    return length == 0.0 ? 0.0 : unit * std::pow(length, 1.0 / (1.0 + p));
  } else {
    return 0.0;
  }
}

}  // namespace schatten
