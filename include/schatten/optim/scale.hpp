// SPDX-License-Identifier: BSD-3-Clause
// The factor between a mapped direction and the learning rate.
#pragma once

#include <schatten/optim/apply.hpp>
#include <schatten/optim/options.hpp>
#include <schatten/spectral/whole_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

namespace schatten::optim {

/// Returns the factor of the modes that depend only on the shape; 1 for the modes that need the direction.
inline double shape_scale(ScaleMode mode, std::size_t rows, std::size_t cols) {
  const double r = double(rows), c = double(cols);
  switch (mode) {
    case ScaleMode::original: return cols == 0 ? 1.0 : std::sqrt((std::max)(1.0, r / c));
    case ScaleMode::match_rms_adamw: return 0.2 * std::sqrt((std::max)(r, c));
    case ScaleMode::spectral_unclamped: return cols == 0 ? 1.0 : std::sqrt(r / c);
    case ScaleMode::none:
    case ScaleMode::unit_rms:
    case ScaleMode::unit_norm:
    case ScaleMode::dual_norm:
    case ScaleMode::adamw_rms: break;
  }
  return 1.0;
}

/// Whether `mode` divides by a Schatten norm of UΣ^pVᵀ, which is a norm only for p >= 0.
inline bool needs_norm(ScaleMode mode) { return mode == ScaleMode::unit_norm || mode == ScaleMode::dual_norm; }

/// Returns the root mean square of D with `mode`; 0 if the mode does not fix it.
inline double fixed_rms(ScaleMode mode) {
  return mode == ScaleMode::unit_rms ? 1.0 : mode == ScaleMode::adamw_rms ? 0.2 : 0.0;
}

/// Whether `mode` needs a factor per matrix beside shape_scale.
inline bool needs_factor(ScaleMode mode) { return fixed_rms(mode) > 0 || needs_norm(mode); }

/// Throws InvalidArgument for a scale that divides by a Schatten norm, for rules without a map.
inline void check_no_norm(std::string_view function, ScaleMode scale) {
  require(!needs_norm(scale), function, "scale", int(scale), "must not divide by a Schatten norm");
}

/// Throws InvalidArgument for a map or a scale that a rule with a map does not support: `streaming`, which has state,
/// and Schatten norms with p < 0. `why`: the rule's message for MapOptions::rank.
inline void check_map_and_scale(std::string_view function, double power, const MapOptions& map, ScaleMode scale,
                                std::string_view why = "it is HTMuon's, for streaming") {
  require(map.method != SpectralMethod::streaming, function, "method", to_string(map.method),
          "must not be streaming: HTMuon has it");
  require(map.rank == 0, function, "rank", map.rank, {"must be 0: ", why});
  require(!needs_norm(scale) || power >= 0, function, "power", power,
          "must not be negative with a ScaleMode that divides by a norm: no ball belongs to it");
  require(!needs_norm(scale) || map.method != SpectralMethod::rank_power, function, "method", to_string(map.method),
          "must not stand with a ScaleMode that divides by a norm: its result is not UΣ^pVᵀ");
}

/// factor(k) ← multiple·(Π_i s_i(k) · relative(k))^exponent; 0 if the product is 0. The product is a norm or an inner
/// product, given as the largest entries s_i of its arguments times the remaining factor, so that it may exceed the
/// range of double.
template <class Space>
struct PowerOfScaled {
  NumberBatchView<const double, Space> first_scale, second_scale;  ///< second_scale: may be empty
  NumberBatchView<const double, Space> relative;
  double exponent, multiple;
  NumberBatchView<SplitFactor, Space> factor;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const double s = first_scale(k), t = second_scale.extent(0) > 0 ? second_scale(k) : 1.0, rest = relative(k);
    if (!linalg::is_finite(s) || !linalg::is_finite(t) || !linalg::is_finite(rest)) {
      factor(k) = {s + t + rest, 1};
    } else if (s == 0 || t == 0 || rest == 0) {
      factor(k) = {0, 1};
    } else {
      int s_exponent = 0, t_exponent = 0;
      const double fraction = std::frexp(s, &s_exponent) * std::frexp(t, &t_exponent) * rest;
      const double power_of_two = exponent * double(s_exponent + t_exponent), whole = std::floor(power_of_two);
      const double value = math::pow(fraction, exponent) * math::pow(2.0, power_of_two - whole);
      factor(k) = split_factor(multiple * value, long(whole));
    }
  }
};

/// factor(k) for D = UΣ^pVᵀ of M. With s = ⟨M, D⟩ = Σσ^{1+p}: ‖D‖_{S_q} = s^{p/(1+p)} and ‖M‖_{S_q*} = s^{1/(1+p)}, so
/// unit_norm is s^{−p/(1+p)} and dual_norm s^{(1−p)/(1+p)}. @pre needs_factor(mode). parts: of which M and D are parts
/// (spectral/whole_matrix.hpp). Cost: unit_rms and adamw_rms two passes over D, the others three over M and D.
template <ExecutionSpace Exec, class T, class Space, class Parts = spectral::WholeMatrix>
void direction_scale(const Exec& exec, ScaleMode mode, double p, const BatchView<const T, Space>& m,
                     const BatchView<const T, Space>& d, const NumberBatchView<SplitFactor, Space>& factor,
                     Workspace<Space>& workspace, const Parts& parts = {}) {
  const typename Workspace<Space>::Frame frame(workspace);
  const std::size_t count = d.extent(0);
  const auto d_scale = workspace.template numbers<double>(count), relative = workspace.template numbers<double>(count);
  linalg::max_abs(exec, d, d_scale, workspace);
  parts.largest(exec, d_scale);
  if (fixed_rms(mode) > 0) {
    linalg::relative_norm(exec, d, d_scale, relative, workspace);
    parts.norms(exec, relative.data(), count);
    const double root = fixed_rms(mode) * std::sqrt(parts.elements(double(d.extent(1)) * double(d.extent(2))));
    return for_each_matrix(exec, "schatten::scale/rms", count,
                           PowerOfScaled<Space>{d_scale, {}, relative, -1, root, factor});
  }
  const auto m_scale = workspace.template numbers<double>(count);
  linalg::max_abs(exec, m, m_scale, workspace);
  parts.largest(exec, m_scale);
  linalg::detail::scaled_inner_product(exec, m, d, m_scale, d_scale, false, false, relative, workspace);
  parts.sums(exec, relative.data(), count);
  const double exponent = (mode == ScaleMode::unit_norm ? -p : 1 - p) / (1 + p);
  for_each_matrix(exec, "schatten::scale/norm", count,
                  PowerOfScaled<Space>{m_scale, d_scale, relative, exponent, 1, factor});
}

}  // namespace schatten::optim
