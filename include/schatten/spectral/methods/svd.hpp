// SPDX-License-Identifier: BSD-3-Clause
// The method `svd` of a plan.
#pragma once

#include <schatten/spectral/candidates.hpp>

namespace schatten::spectral {

/// The singular value decomposition of the matrix, in T.
struct SvdMethod {
  static constexpr SpectralMethod method = SpectralMethod::svd;

  template <Scalar T>
  static void candidates(Candidates<T>& all) {
    all.add(
        {method, Format::scalar, svd_error<T>(all.options.power, all.options.resolution, all.shape), all.cost.svd()});
  }
  template <class Backend, ExecutionSpace Exec, class T, class Space>
  static void apply(const Exec& exec, const SpectralPowerOptions& options, const MethodChoice&,
                    const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
    svd_power<Backend>(exec, options.power, m, out, workspace);
  }
};

}  // namespace schatten::spectral
