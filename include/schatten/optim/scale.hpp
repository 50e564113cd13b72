// Scale modes that need the direction itself: one factor a matrix, computed where the matrices are.
#pragma once

#include <schatten/optim/options.hpp>
#include <schatten/spectral/steepest_descent.hpp>

namespace schatten::optim {

/// factor ← √(rows·cols)/norm, 0 for a zero direction.
template <class Space>
struct UnitRootMeanSquare {
  NumberBatchView<double, Space> norm;
  double root_of_size;
  KOKKOS_FUNCTION void operator()(std::size_t b) const { norm(b) = norm(b) == 0.0 ? 0.0 : root_of_size / norm(b); }
};

/// Whether `mode` needs a factor a matrix beside shape_scale.
inline bool needs_factor(ScaleMode mode) {
  return mode == ScaleMode::unit_rms || mode == ScaleMode::unit_norm || mode == ScaleMode::dual_norm;
}

/// factor(b) for D = UΣ^pVᵀ of M. With s = ⟨M, D⟩ = Σσ^{1+p}: ‖D‖_{S_q} = s^{p/(1+p)} and ‖M‖_{S_q*} = s^{1/(1+p)},
/// so unit_norm is s^{−p/(1+p)} and dual_norm s^{(1−p)/(1+p)}. @pre needs_factor(mode).
template <ExecutionSpace Exec, class T, class Space>
void direction_scale(const Exec& exec, ScaleMode mode, double p, const BatchView<const T, Space>& m,
                     const BatchView<const T, Space>& d, const NumberBatchView<double, Space>& factor,
                     Workspace<Space>& workspace) {
  if (mode == ScaleMode::unit_rms) {
    linalg::frobenius_norm(exec, d, factor, workspace);
    const double size = double(d.extent(1)) * double(d.extent(2));
    for_each_matrix(exec, "schatten::scale/unit_rms", d.extent(0), UnitRootMeanSquare<Space>{factor, std::sqrt(size)});
  } else {
    const double exponent = (mode == ScaleMode::unit_norm ? -p : 1 - p) / (1 + p);
    spectral::inner_product_power(exec, m, d, exponent, factor, workspace);
  }
}

}  // namespace schatten::optim
