// SPDX-License-Identifier: BSD-3-Clause
// The blocks of options that rules share, and the options of a parameter and of an Optimizer.
#pragma once

#include <schatten/core/kokkos.hpp>
#include <schatten/optim/fields.hpp>
#include <schatten/spectral/method.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

namespace schatten {

/// How gradients g are averaged into the momentum m, and the direction u (β: Momentum::beta).
enum class MomentumKind {
  ema,        ///< m ← βm + (1−β)g;  u = m, with Nesterov βm + (1−β)g  (Muon, HTMuon)
  heavy_ball  ///< m ← βm + g;       u = m, with Nesterov g + βm       (SGD as frameworks have it)
};

/// The element type of a state array. Sums are computed in the Optimizer's scalar type.
enum class StateStorage {
  scalar,    ///< the Optimizer's scalar
  bfloat16,  ///< BFloat16, rounded to nearest
  float16    ///< Half, rounded to nearest; largest number 65504, momenta below 3e-8/(1 − β) count as zero
};

namespace optim {

/// Lists the numbers of Momentum and HeavyBall by name.
template <class Block, class Fields>
void momentum_fields(Fields& f) {
  f("momentum", &Block::beta, below_one);
  f("nesterov", &Block::nesterov, flag);
  f("momentum_kind", &Block::kind, choice(2));
  f("momentum_storage", &Block::storage, fixed_choice(3));
}

}  // namespace optim

/// The average of the gradients, an option of most rules.
struct Momentum {
  double beta = 0.95;    ///< β, in [0, 1); with 0 there is no array
  bool nesterov = true;  ///< whether u looks one step ahead
  /// The kind of average.
  MomentumKind kind = MomentumKind::ema;
  StateStorage storage = StateStorage::scalar;  ///< of the array; fixed when the group is added

  template <class Fields>
  /// Lists the numbers by name (fields.hpp).
  static void fields(Fields& f) {
    optim::momentum_fields<Momentum>(f);
  }
};

/// The same with the defaults that frameworks have for SGD.
struct HeavyBall {
  double beta = 0.9;      ///< β, in [0, 1)
  bool nesterov = false;  ///< whether u looks one step ahead
  /// The kind of average.
  MomentumKind kind = MomentumKind::heavy_ball;
  StateStorage storage = StateStorage::scalar;  ///< of the array; fixed when the group is added

  /// The same numbers as a Momentum.
  KOKKOS_FUNCTION operator Momentum() const { return {beta, nesterov, kind, storage}; }

  template <class Fields>
  /// Lists the numbers by name (fields.hpp).
  static void fields(Fields& f) {
    optim::momentum_fields<HeavyBall>(f);
  }
};

/// Factor on the mapped direction D (rows×cols), before the learning rate.
enum class ScaleMode {
  none,                ///< 1
  original,            ///< √max(1, rows/cols): Muon and HTMuon as published
  match_rms_adamw,     ///< 0.2 √max(rows, cols): Muon's updates as large as AdamW's (Liu et al., arXiv 2502.16982)
  unit_rms,            ///< √(rows·cols)/‖D‖_F: root mean square 1
  unit_norm,           ///< 1/‖D‖_{S_q}, q = 1 + 1/p: the unit-ball direction of steepest descent; p >= 0
  dual_norm,           ///< ‖M‖_{S_q*}/‖D‖_{S_q}: the steepest-descent step with its dual norm; p >= 0
  spectral_unclamped,  ///< √(rows/cols), torch's name for it (Bernstein, Deriving Muon, 2025)
  adamw_rms  ///< 0.2 √(rows·cols)/‖D‖_F: root mean square 0.2 (AdaMuon, arXiv 2507.11005; NorMuon's paper)
};
/// Number of scale modes.
inline constexpr int scale_modes = 8;

/// The form of weight decay, an option of every rule. D: the direction with all factors except lr.
enum class DecayMode {
  decoupled,   ///< W ← W − (lr·weight_decay·W + lr·D)  (Loshchilov and Hutter, arXiv 1711.05101)
  after_step,  ///< W ← (1 − lr·weight_decay)(W − lr·D): SOAP, SPlus and GaLore as published
  cautious,    ///< decoupled, only for the elements with W·D >= 0 (Chen et al., arXiv 2510.12402)
  fixed,       ///< W ← W − (weight_decay·W + lr·D), independent of lr and its schedule
  coupled      ///< W ← W − lr·D, with D computed from g + weight_decay·W: L2 regularization
};

/// How UΣ^pVᵀ is computed: an option of every rule with a spectral map (see SpectralPowerOptions).
struct MapOptions {
  /// The method, or automatic: the fastest that meets the tolerance.
  SpectralMethod method = SpectralMethod::automatic;
  double resolution = 1e-3;                          ///< smallest σ/σ_max for which the tolerance holds
  double tolerance = 3e-2;                           ///< relative error of σ^p
  Format format = Format::automatic;                 ///< type in which quintic and iterates store matrices
  QuinticSchedule schedule = QuinticSchedule::muon;  ///< quintic only: the quintics
  std::size_t rank = 0;           ///< streaming only: number of directions tracked, other directions give 0; 0: all
  std::size_t quintic_steps = 0;  ///< quintic only: number of the schedule's quintics; 0: as published
  double norm_epsilon = 0;        ///< quintic only: added to the norm before the quintics; published codes have 1e-7

  friend bool operator==(const MapOptions&, const MapOptions&) = default;

  template <class Fields>
  /// Lists the numbers by name (fields.hpp).
  static void fields(Fields& f) {
    f("method", &MapOptions::method, optim::fixed_choice(int(std::size(spectral::methods))));
    f("resolution", &MapOptions::resolution, optim::fixed_number);
    f("tolerance", &MapOptions::tolerance, optim::fixed_number);
    f("format", &MapOptions::format, optim::fixed_choice(6));
    f("schedule", &MapOptions::schedule, optim::fixed_choice(4));
    f("rank", &MapOptions::rank, optim::fixed_number);
    f("quintic_steps", &MapOptions::quintic_steps, optim::fixed_number);
    f("norm_epsilon", &MapOptions::norm_epsilon, optim::fixed_number);
  }
};

/// Muon's five quintics. With tolerance 2 every shape is accepted: the quintics map singular values into [0, 1.21].
inline constexpr MapOptions muon_map{.method = SpectralMethod::quintic, .tolerance = 2.0};

/// What a step does with a matrix whose gradient has a NaN or an infinity.
enum class NonFinite {
  skip,      ///< weight and state do not change, the step counts as skipped; does not fence
  raise,     ///< step() throws NumericalError with the parameter's name and changes nothing; every step() fences once
  propagate  ///< gradients are not checked: the step computes with the number, and state and weight may become NaN
};

/// How 16-bit weights are updated. Most updates are smaller than the spacing of 16-bit numbers.
enum class ReducedWeight {
  master_copy,          ///< a copy in the Optimizer's scalar type is updated and then rounded to the weight
  stochastic_rounding,  ///< rounds up or down at random, reproducibly; the expectation is exact
  nearest               ///< rounds to nearest: small updates have no effect
};

/// Options of one parameter, given to `add`.
struct ParameterOptions {
  std::size_t row_blocks = 1;  ///< number of stacked matrices in each (3 for fused query, key, value; heads)
  bool interleaved = false;    ///< whether the rows of row_blocks alternate: of 2, one has the rows 0, 2, 4, …
  std::vector<std::size_t>
      row_sizes{};                ///< numbers of rows of stacked matrices, {512, 128, 128}; instead of row_blocks
  std::size_t column_blocks = 1;  ///< number of matrices side by side in each (heads of an output projection)
  ReducedWeight reduced_weight = ReducedWeight::master_copy;  ///< for weights of 16 bits
};

/// Options of an Optimizer.
struct OptimizerOptions {
  /// What a step does with gradients that are not finite.
  NonFinite non_finite = NonFinite::skip;
  std::size_t batch_bytes = std::size_t{256} << 20;  ///< largest size of the directions of one call of a map
  std::uint64_t seed = 0;                            ///< of stochastic rounding
};

}  // namespace schatten
