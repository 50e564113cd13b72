// SPDX-License-Identifier: BSD-3-Clause
// The methods that compute U Σ^p Vᵀ, by name, and what a plan is asked for.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace schatten {

/// How U Σ^p Vᵀ is computed.
enum class SpectralMethod {
  automatic,  ///< the fastest of svd, eigh, quintic, rational and iterates that meets the tolerance
  svd,        ///< singular value decomposition, in the matrix's own precision
  eigh,       ///< eigen-decomposition of the Gram matrix, in double where float does not meet the tolerance
  quintic,    ///< a published schedule of quintics, Muon's five for one; only p = 0
  rational,   ///< a rational function of the Gram matrix, one Cholesky factorisation per pole; on host execution spaces
  iterates,   ///< a linear combination of the iterates of odd quintics: matrix products only
  newton_schulz,  ///< HTMuon_NS as published, p = 1, 1/2, 1/4, ...; promises nothing
  streaming,      ///< one QR iteration on right singular vectors kept from call to call; promises nothing
  rank_power      ///< not Σ^p but k^{−p}, k = 1, 2, ... the place of the singular value
};

namespace spectral {

/// What is known of a method beside how it computes.
struct MethodTraits {
  SpectralMethod method;  ///< its value
  std::string_view name;  ///< its name in messages
  bool promises = true;   ///< an error of UΣ^pVᵀ; the published methods promise none
  bool commutes = true;   ///< whether the result for Mᵀ is the transposed one
  bool formats = false;   ///< whether a Format other than automatic may be asked for: matrix products alone
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

/// The method's entry; null for an integer that is no method's.
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

/// Whether the method promises an error of UΣ^pVᵀ.
constexpr bool has_promise(SpectralMethod method) {
  const spectral::MethodTraits* const traits = spectral::traits_of(method);
  return traits != nullptr && traits->promises;
}

/// Whether the method's result for Mᵀ is the transposed one.
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

/// What `quintic` and `iterates` store their matrices as. Products are summed in float, in double for float64.
enum class Format {
  automatic,  ///< of those that the backend multiplies, the fastest that meets the tolerance
  scalar,     ///< the matrix's own scalar type
  float64,    ///< double, also for float matrices
  float16,    ///< Half, scaled by an estimate of σ_max; on devices
  bfloat16,   ///< BFloat16; on devices
  tf32,       ///< TensorFloat32, which libraries may cut instead of round; on devices
  mixed  ///< what rational may take for float matrices: Gram matrix and smallest poles in double, the rest in float
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

/// What a SpectralPower is made for.
struct SpectralPowerOptions {
  std::size_t rows = 0;      ///< of the matrices
  std::size_t cols = 0;      ///< of the matrices
  double power = 0.125;      ///< p in (-0.5, 1]
  double resolution = 1e-3;  ///< smallest σ/σ_max, in (0, 1], that must come out within the tolerance
  /// For every σ_k >= resolution·σ_max, relative to σ_k^p: of u_kᵀ·out·v_k, of out·v_k against σ_k^p u_k, and of
  /// outᵀu_k against σ_k^p v_k.
  double tolerance = 3e-2;
  SpectralMethod method = SpectralMethod::automatic;  ///< the method, or the fastest that meets the tolerance
  Format format = Format::automatic;                  ///< for quintic and iterates; eigh and rational choose themselves
  QuinticSchedule schedule = QuinticSchedule::muon;   ///< of the method quintic
  std::size_t quintic_steps = 0;  ///< of the method quintic: how many of them; 0: as the schedule says
  /// Of the method quintic: added to ‖M‖_F before M is divided by it (published codes have 1e-7). Where it is not 0 the
  /// promise is for ‖M‖_F >= norm_epsilon.
  double norm_epsilon = 0;
};

}  // namespace schatten
