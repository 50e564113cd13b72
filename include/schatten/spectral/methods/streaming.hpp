// SPDX-License-Identifier: BSD-3-Clause
// The method `streaming` of a plan.
#pragma once

#include <schatten/spectral/candidates.hpp>
#include <schatten/spectral/streaming.hpp>

namespace schatten::spectral {

/// SpectralPower applies it with the right singular vectors that the caller keeps. It has no error bound.
struct StreamingMethod {
  static constexpr SpectralMethod method = SpectralMethod::streaming;
};

}  // namespace schatten::spectral
