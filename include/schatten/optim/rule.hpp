// The canonical form of every algorithm: which stages a step has, with their numbers. Algorithms differ in this data
// alone; the step itself exists once, in optimizer.hpp.
#pragma once

#include <schatten/optim/options.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace schatten::optim {

/// The stage that turns the averaged gradient into the update's direction.
enum class Map {
  identity,  ///< the direction itself
  adam,      ///< elementwise division by the root of the second moment
  spectral   ///< U Σ^p Vᵀ
};

/// gradient → momentum → map → scale → decoupled weight decay → apply.
struct UpdateRule {
  Map map = Map::identity;
  double lr = 0;
  double weight_decay = 0;
  double momentum = 0;
  bool nesterov = false;
  MomentumKind momentum_kind = MomentumKind::ema;
  double beta2 = 0;    ///< adam
  double epsilon = 0;  ///< adam
  ScaleMode scale = ScaleMode::none;
  SpectralPowerOptions spectral{};  ///< rows and cols are filled in per shape
  std::size_t rank = 0;             ///< streaming: columns of V; 0: as many as there can be
  std::size_t row_blocks = 1;
  std::size_t interval = 1;  ///< spectral: steps that are no multiple of it are Muon's
};

/// Whether step `step` of a group, counted from 1, is one of Muon's between two with the power.
inline bool is_between(const UpdateRule& rule, std::size_t step) { return step % rule.interval != 0; }

/// Muon's part of the rule: p = 0 by quintics, at whatever accuracy they have.
inline UpdateRule between_rule(UpdateRule rule) {
  rule.spectral.power = 0;
  rule.spectral.tolerance = 2;
  rule.spectral.method = SpectralMethod::quintic;
  return rule;
}

inline UpdateRule rule_of(const HTMuonOptions& o) {
  return {.map = Map::spectral,
          .lr = o.lr,
          .weight_decay = o.weight_decay,
          .momentum = o.momentum,
          .nesterov = o.nesterov,
          .momentum_kind = o.momentum_kind,
          .scale = o.scale,
          .spectral = {.power = o.power,
                       .resolution = o.resolution,
                       .tolerance = o.tolerance,
                       .method = o.method,
                       .format = o.format},
          .rank = o.rank,
          .row_blocks = o.row_blocks,
          .interval = o.interval};
}

/// Muon is HTMuon at p = 0.
inline UpdateRule rule_of(const MuonOptions& o) {
  return rule_of(HTMuonOptions{.lr = o.lr,
                               .power = 0.0,
                               .momentum = o.momentum,
                               .nesterov = o.nesterov,
                               .momentum_kind = o.momentum_kind,
                               .weight_decay = o.weight_decay,
                               .scale = o.scale,
                               .method = o.method,
                               .resolution = o.resolution,
                               .tolerance = o.tolerance,
                               .format = o.format,
                               .row_blocks = o.row_blocks});
}

inline UpdateRule rule_of(const AdamWOptions& o) {
  return {.map = Map::adam,
          .lr = o.lr,
          .weight_decay = o.weight_decay,
          .momentum = o.beta1,
          .beta2 = o.beta2,
          .epsilon = o.epsilon};
}

inline UpdateRule rule_of(const SGDOptions& o) {
  return {.map = Map::identity,
          .lr = o.lr,
          .weight_decay = o.weight_decay,
          .momentum = o.momentum,
          .nesterov = o.nesterov,
          .momentum_kind = o.momentum_kind};
}

/// Throws InvalidArgument, in the name of `function`, for a number outside its range or outside that of T.
template <Scalar T>
void check(const UpdateRule& rule, std::string_view function) {
  // NaN is asked for first, everywhere: a comparison with it would trap where the program traps invalid operations.
  const auto at_least_zero = [&](double value, std::string_view name) {
    require(std::isfinite(value) && value >= 0 && value <= double(std::numeric_limits<T>::max()), function, name, value,
            "must be finite and not negative, also as the Optimizer's scalar");
  };
  const auto below_one = [&](double value, std::string_view name) {
    require(!std::isnan(value) && value >= 0 && value < 1, function, name, value, "must lie in [0, 1)");
  };
  const bool adam = rule.map == Map::adam;
  at_least_zero(rule.lr, "lr");
  at_least_zero(rule.weight_decay, "weight_decay");
  at_least_zero(rule.lr * rule.weight_decay, "lr * weight_decay");
  below_one(rule.momentum, adam ? "beta1" : "momentum");
  if (adam) below_one(rule.beta2, "beta2");
  if (adam) {
    require(std::isfinite(rule.epsilon) && rule.epsilon >= double(std::numeric_limits<T>::min()) &&
                rule.epsilon <= double(std::numeric_limits<T>::max()),
            function, "epsilon", rule.epsilon, "must be finite and positive, also as the Optimizer's scalar");
  }
  require(rule.row_blocks >= 1, function, "row_blocks", rule.row_blocks, "must be at least 1");
  require(rule.interval >= 1, function, "interval", rule.interval, "must be at least 1");
  require(!std::isnan(rule.spectral.power), function, "power", rule.spectral.power, "must be a number");
  const bool needs_norm = rule.scale == ScaleMode::unit_norm || rule.scale == ScaleMode::dual_norm;
  require(!needs_norm || rule.spectral.power >= 0, function, "power", rule.spectral.power,
          "must not be negative with a ScaleMode that divides by a norm: no ball belongs to it");
  const SpectralMethod method = rule.spectral.method;
  require(!needs_norm || (method != SpectralMethod::streaming && method != SpectralMethod::rank_power), function,
          "method", to_string(method),
          "must not stand with a ScaleMode that divides by a norm: its result is not UΣ^pVᵀ");
  require(rule.rank == 0 || method == SpectralMethod::streaming, function, "rank", rule.rank,
          "must be 0 except for the method streaming");
}

/// The factor that the shape alone decides; 1 for the modes that need the direction itself (scale.hpp).
inline double shape_scale(ScaleMode mode, std::size_t rows, std::size_t cols) {
  const double r = double(rows), c = double(cols);
  switch (mode) {
    case ScaleMode::original: return cols == 0 ? 1.0 : std::sqrt(std::max(1.0, r / c));
    case ScaleMode::match_rms_adamw: return 0.2 * std::sqrt(std::max(r, c));
    case ScaleMode::none:
    case ScaleMode::unit_rms:
    case ScaleMode::unit_norm:
    case ScaleMode::dual_norm: break;
  }
  return 1.0;
}

}  // namespace schatten::optim
