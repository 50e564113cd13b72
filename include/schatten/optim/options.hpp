// What a user says about a group of parameters: one aggregate with defaults per algorithm.
#pragma once

#include <schatten/spectral/spectral_power.hpp>

#include <cstddef>

namespace schatten {

/// How gradients g are averaged into the momentum m, and the direction u that comes of it (β: the momentum option).
enum class MomentumKind {
  ema,        ///< m ← βm + (1−β)g;  u = m, with Nesterov βm + (1−β)g  (Muon, HTMuon)
  heavy_ball  ///< m ← βm + g;       u = m, with Nesterov g + βm       (SGD as frameworks have it)
};

/// Factor on the mapped direction D (rows×cols), before the learning rate.
enum class ScaleMode {
  none,             ///< 1
  original,         ///< √max(1, rows/cols): Muon and HTMuon as published
  match_rms_adamw,  ///< 0.2 √max(rows, cols): Muon's updates as large as AdamW's (Liu et al., arXiv 2502.16982)
  unit_rms,         ///< √(rows·cols)/‖D‖_F: root mean square 1
  unit_norm,        ///< 1/‖D‖_{S_q}, q = 1 + 1/p: the unit-ball direction of steepest descent; p >= 0
  dual_norm         ///< ‖M‖_{S_q*}/‖D‖_{S_q}: the steepest-descent step with its dual norm; p >= 0
};

/// HTMuon: D = UΣ^pVᵀ of the momentum (Pang et al., arXiv 2603.10067, Algorithm 1). For matrices.
struct HTMuonOptions {
  double lr = 0.03;
  double power = 0.125;      ///< p in (−0.5, 1]
  std::size_t interval = 1;  ///< steps interval, 2·interval, … have the power (from 1 on); the others Muon's quintics
  double momentum = 0.95;
  bool nesterov = true;
  MomentumKind momentum_kind = MomentumKind::ema;
  double weight_decay = 0.1;  ///< decoupled: W ← (1 − lr·weight_decay)W
  ScaleMode scale = ScaleMode::original;
  SpectralMethod method = SpectralMethod::automatic;
  double resolution = 1e-3;           ///< smallest σ/σ_max that must come out within the tolerance
  double tolerance = 3e-2;            ///< relative error of σ^p
  Format format = Format::automatic;  ///< what quintic and iterates store their matrices as
  std::size_t rank = 0;        ///< streaming: leading singular directions that are followed, the others give 0; 0: all
  std::size_t row_blocks = 1;  ///< each matrix is this many stacked ones (3 for fused query, key, value; heads)
};

/// Muon: D ≈ UVᵀ of the momentum, by five quintic steps (K. Jordan et al., 2024). For matrices.
struct MuonOptions {
  double lr = 0.02;
  double momentum = 0.95;
  bool nesterov = true;
  MomentumKind momentum_kind = MomentumKind::ema;
  double weight_decay = 0.0;
  ScaleMode scale = ScaleMode::original;
  SpectralMethod method = SpectralMethod::quintic;
  double resolution = 1e-3;
  double tolerance = 2.0;  ///< the quintics leave singular values in [0, 1.21]; use svd or eigh for less
  Format format = Format::automatic;
  std::size_t row_blocks = 1;
};

/// AdamW: D = m̂/(√v̂ + ε), elementwise (Loshchilov and Hutter, arXiv 1711.05101, Algorithm 2). For any parameter.
struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
};

/// Stochastic gradient descent with momentum: D = u. For any parameter.
struct SGDOptions {
  double lr = 0.1;
  double momentum = 0.9;
  bool nesterov = false;
  MomentumKind momentum_kind = MomentumKind::heavy_ball;
  double weight_decay = 0.0;
};

/// What happens to a matrix whose gradient holds a NaN or an infinity.
enum class NonFinite {
  skip,  ///< its parameter and state stay as they were, and the step is counted as skipped; no host synchronisation
  raise  ///< step() throws NumericalError naming it, before anything is modified; step() then fences once
};

/// What concerns all groups of an Optimizer.
struct OptimizerOptions {
  NonFinite non_finite = NonFinite::skip;
  std::size_t batch_bytes = std::size_t{256} << 20;  ///< largest buffer of directions that go through one spectral call
};

}  // namespace schatten
