// SPDX-License-Identifier: BSD-3-Clause
// The method `newton_schulz` of a plan: HTMuon_NS as published.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/spectral/candidates.hpp>
#include <schatten/spectral/newton_schulz.hpp>

namespace schatten::spectral {

/// It has no error bound, so it is no candidate of `automatic`.
struct NewtonSchulzMethod {
  static constexpr SpectralMethod method = SpectralMethod::newton_schulz;

  static void check(const SpectralPowerOptions& options, const Capabilities&) {
    require(detail::halvings(options.power) >= 0, "SpectralPower", "power", options.power,
            "must be 1, 1/2, 1/4 or another power of one half for the method newton_schulz");
  }
  template <class Backend, ExecutionSpace Exec, class T, class Space>
  static void apply(const Exec& exec, const SpectralPowerOptions& options, const MethodChoice&,
                    const BatchView<const T, Space>& m, const BatchView<T, Space>& out, Workspace<Space>& workspace) {
    newton_schulz_power<Backend>(exec, options.power, m, out, workspace);
  }
};

}  // namespace schatten::spectral
