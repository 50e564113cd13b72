// SPDX-License-Identifier: BSD-3-Clause
// The method `rank_power` of a plan.
#pragma once

#include <schatten/spectral/candidates.hpp>
#include <schatten/spectral/rank_power.hpp>

namespace schatten::spectral {

/// Its result is not UΣ^pVᵀ, so it has no error bound.
struct RankPowerMethod {
  static constexpr SpectralMethod method = SpectralMethod::rank_power;

  template <class Backend, ExecutionSpace Exec, class T, class Space>
  static void apply(const Exec& exec, const SpectralPowerOptions& options, const MethodChoice&,
                    const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
    spectral::rank_power<Backend>(exec, options.power, m, out, workspace);
  }
};

}  // namespace schatten::spectral
