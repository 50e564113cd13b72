// SPDX-License-Identifier: BSD-3-Clause
// The methods that compute U Σ^p Vᵀ, and the options of a plan.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace schatten {

/// How U Σ^p Vᵀ is computed.
enum class SpectralMethod {
  automatic,  ///< the fastest of svd, eigh, quintic, rational and iterates that meets the tolerance
  svd,        ///< singular value decomposition, in the matrix's own precision
  eigh,       ///< eigendecomposition of the Gram matrix, in double if float does not meet the tolerance
  quintic,    ///< a published schedule of quintics, such as Muon's five; p = 0 only
  rational,   ///< a rational function of the Gram matrix, one Cholesky factorisation per pole; on host execution spaces
  iterates,   ///< a linear combination of the iterates of odd quintics: matrix products only
  newton_schulz,  ///< HTMuon_NS as published, p = 1, 1/2, 1/4, ...; no error bound
  streaming,      ///< one QR iteration per call on right singular vectors; no error bound
  rank_power      ///< k^{−p} instead of σ_k^p, k = 1, 2, ... the rank of the singular value
};

namespace spectral {

/// Properties of a method.
struct MethodTraits {
  SpectralMethod method;  ///< its value
  std::string_view name;  ///< its name in messages
  bool promises = true;   ///< whether it has an error bound; the published methods have none
  bool commutes = true;   ///< whether the result for Mᵀ is the transpose of that for M
  bool formats = false;   ///< whether it takes a Format other than automatic: methods of matrix products only
};

/// All methods, in the order of their enumerators.
inline constexpr MethodTraits methods[] = {{SpectralMethod::automatic, "automatic", true, true, true},
                                           {SpectralMethod::svd, "svd"},
                                           {SpectralMethod::eigh, "eigh"},
                                           {SpectralMethod::quintic, "quintic", true, true, true},
                                           {SpectralMethod::rational, "rational"},
                                           {SpectralMethod::iterates, "iterates", true, true, true},
                                           {SpectralMethod::newton_schulz, "newton_schulz", false, false},
                                           {SpectralMethod::streaming, "streaming", false, false},
                                           {SpectralMethod::rank_power, "rank_power", false}};

/// Returns the properties of the method, or null for an integer that is no method.
constexpr const MethodTraits* traits_of(SpectralMethod method) {
  for (const MethodTraits& traits : methods) {
    if (traits.method == method) return &traits;
  }
  return nullptr;
}

}  // namespace spectral

/// "automatic", "svd", ...
inline std::string to_string(SpectralMethod method) {
  const spectral::MethodTraits* const traits = spectral::traits_of(method);
  if (traits != nullptr) return std::string(traits->name);
  return "SpectralMethod(" + std::to_string(static_cast<int>(method)) + ")";
}

/// Whether the method has an error bound.
constexpr bool has_promise(SpectralMethod method) {
  const spectral::MethodTraits* const traits = spectral::traits_of(method);
  return traits != nullptr && traits->promises;
}

/// Whether the result for Mᵀ is the transpose of that for M.
constexpr bool commutes_with_transposes(SpectralMethod method) {
  const spectral::MethodTraits* const traits = spectral::traits_of(method);
  return traits != nullptr && traits->commutes;
}

/// The quintics of the method `quintic`, each schedule with the steps that its authors train with
/// (spectral/schedules.hpp).
enum class QuinticSchedule {
  muon,           ///< five equal ones: singular values end in about [0.68, 1.13] (Jordan et al., 2024)
  polar_express,  ///< the first five of Polar Express, after M/(1.01‖M‖_F) (Amsel et al., arXiv 2505.16932)
  cans,           ///< four that end in [0.7, 1.3] (Grishina et al., arXiv 2506.10935)
  simple          ///< twelve of 2σ − 1.5σ³ + 0.5σ⁵, which converge to 1 (Jordan et al., 2024; Aurora's)
};

/// "muon", "polar_express", "cans", "simple".
inline std::string to_string(QuinticSchedule schedule) {
  switch (schedule) {
    case QuinticSchedule::muon: return "muon";
    case QuinticSchedule::polar_express: return "polar_express";
    case QuinticSchedule::cans: return "cans";
    case QuinticSchedule::simple: return "simple";
  }
  return "QuinticSchedule(" + std::to_string(static_cast<int>(schedule)) + ")";
}

/// The type in which `quintic` and `iterates` store matrices. Products are summed in float, for float64 in double.
enum class Format {
  automatic,  ///< the fastest that the backend multiplies and that meets the tolerance
  scalar,     ///< the matrix's own scalar type
  float64,    ///< double, also for float matrices
  float16,    ///< Half, scaled by an estimate of σ_max; on devices
  bfloat16,   ///< BFloat16; on devices
  tf32,       ///< TensorFloat32, which libraries may truncate instead of rounding; on devices
  mixed       ///< rational, float matrices: Gram matrix and smallest poles in double, the rest in float
};

/// "automatic", "scalar", ...
inline std::string to_string(Format format) {
  switch (format) {
    case Format::automatic: return "automatic";
    case Format::scalar: return "scalar";
    case Format::float64: return "float64";
    case Format::float16: return "float16";
    case Format::bfloat16: return "bfloat16";
    case Format::tf32: return "tf32";
    case Format::mixed: return "mixed";
  }
  return "Format(" + std::to_string(static_cast<int>(format)) + ")";
}

/// The options of a SpectralPower.
struct SpectralPowerOptions {
  std::size_t rows = 0;      ///< of the matrices
  std::size_t cols = 0;      ///< of the matrices
  double power = 0.125;      ///< p in (-0.5, 1]
  double resolution = 1e-3;  ///< smallest σ/σ_max, in (0, 1], for which the tolerance holds
  /// For every σ_k >= resolution·σ_max, relative to σ_k^p: of u_kᵀ·out·v_k, of out·v_k against σ_k^p u_k, and of
  /// outᵀu_k against σ_k^p v_k.
  double tolerance = 3e-2;
  SpectralMethod method = SpectralMethod::automatic;  ///< the method, or the fastest that meets the tolerance
  Format format = Format::automatic;                  ///< for quintic and iterates; eigh and rational choose themselves
  QuinticSchedule schedule = QuinticSchedule::muon;   ///< of the method quintic
  std::size_t quintic_steps = 0;                      ///< method quintic: number of quintics; 0: that of the schedule
  /// Method quintic: M is divided by ‖M‖_F + norm_epsilon (published codes have 1e-7). The error bound needs ‖M‖_F >=
  /// norm_epsilon.
  double norm_epsilon = 0;
};

}  // namespace schatten
