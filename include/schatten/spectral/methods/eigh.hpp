// SPDX-License-Identifier: BSD-3-Clause
// The method `eigh` of a plan: in T, or in double where float does not meet the tolerance.
#pragma once

#include <schatten/spectral/candidates.hpp>

#include <type_traits>

namespace schatten::spectral {

/// The eigen-decomposition of the Gram matrix.
struct EighMethod {
  static constexpr SpectralMethod method = SpectralMethod::eigh;

  template <Scalar T>
  static void candidates(Candidates<T>& all) {
    const double p = all.options.power, resolution = all.options.resolution, cost = all.cost.eigh();
    all.add({method, Format::scalar, eigh_error<T, T>(p, resolution, all.shape), cost});
    if constexpr (std::is_same_v<T, float>) {
      all.add({method, Format::float64, eigh_error<T, double>(p, resolution, all.shape), 2 * cost});
    }
  }
  template <class Backend, ExecutionSpace Exec, class T, class Space>
  static void apply(const Exec& exec, const SpectralPowerOptions& options, const MethodChoice& choice,
                    const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
    in_format<T>(choice.format, [&]<class Work>() {
      eigh_power<Work, Backend>(exec, options.power, options.resolution, m, out, workspace);
    });
  }
};

}  // namespace schatten::spectral
