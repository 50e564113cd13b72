// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Runs an Optimizer beside the double-precision reference.

#include "optimizer_reference.hpp"
#include "training.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <string>
#include <type_traits>
#include <vector>

namespace schatten::test {

inline reference::Scale reference_of(ScaleMode scale) {
  switch (scale) {
    case ScaleMode::none: return reference::Scale::none;
    case ScaleMode::original: return reference::Scale::original;
    case ScaleMode::match_rms_adamw: return reference::Scale::match_rms_adamw;
    case ScaleMode::unit_rms: return reference::Scale::unit_rms;
    case ScaleMode::unit_norm: return reference::Scale::unit_norm;
    case ScaleMode::dual_norm: return reference::Scale::dual_norm;
    case ScaleMode::adamw_rms: return reference::Scale::adamw_rms;
    case ScaleMode::spectral_unclamped: return reference::Scale::spectral_unclamped;
  }
  return {};
}

inline reference::Algorithm reference_of(SpectralMethod method) {
  switch (method) {
    case SpectralMethod::quintic: return reference::Algorithm::quintic;
    case SpectralMethod::rank_power: return reference::Algorithm::rank_power;
    case SpectralMethod::newton_schulz: return reference::Algorithm::newton_schulz;
    case SpectralMethod::streaming: return reference::Algorithm::streaming;
    default: return reference::Algorithm::spectral_power;
  }
}

template <class O>
reference::Options reference_of_matrix_options(const O& o, double power) {
  return {.algorithm = reference_of(o.map.method),
          .lr = o.lr,
          .weight_decay = o.weight_decay,
          .power = power,
          .beta1 = o.momentum.beta,
          .nesterov = o.momentum.nesterov,
          .heavy_ball = o.momentum.kind == MomentumKind::heavy_ball,
          .scale = reference_of(o.scale)};
}
inline reference::Options reference_of(const HTMuon& o) { return reference_of_matrix_options(o, o.power); }
inline reference::Options reference_of(const Muon& o) { return reference_of_matrix_options(o, 0); }
inline reference::Options reference_of(const NorMuon& o) {
  reference::Options options = reference_of_matrix_options(o, o.power);
  options.normalize_rows = true;
  options.beta2 = o.beta2;
  options.epsilon = o.epsilon;
  return options;
}
inline reference::Options reference_of(const Lion& o) {
  return {.algorithm = reference::Algorithm::lion,
          .lr = o.lr,
          .weight_decay = o.weight_decay,
          .beta1 = o.beta1,
          .beta2 = o.beta2};
}
inline reference::Options reference_of(const AdamWOptions& o) {
  return {.algorithm = reference::Algorithm::adamw,
          .lr = o.lr,
          .weight_decay = o.weight_decay,
          .beta1 = o.beta1,
          .beta2 = o.beta2,
          .epsilon = o.epsilon};
}
inline reference::Options reference_of(const SGDOptions& o) {
  return {.algorithm = reference::Algorithm::sgd,
          .lr = o.lr,
          .weight_decay = o.weight_decay,
          .beta1 = o.momentum.beta,
          .nesterov = o.momentum.nesterov,
          .heavy_ball = o.momentum.kind == MomentumKind::heavy_ball};
}

/// Largest difference of an entry from the reference, in units of ε(T)·travel.
template <class T>
double distance(const Matrix& w, const reference::Parameter& expected) {
  return max_abs(w - expected.w()) / (epsilon<T> * std::max(expected.travel(), std::numeric_limits<double>::min()));
}

/// Ten steps of one rows×cols parameter with random gradients, and the distance from the reference after the worst.
/// `change(optimizer, group, step)` may alter the group before a step and returns the reference's options for it.
template <class Optimizer, Storage storage, class T, class Exec, class O, class Change>
double distance_after_steps(const Exec& exec, const O& options, std::size_t rows, std::size_t cols, unsigned seed,
                            const Change& change) {
  Optimizer optimizer;
  const GroupId group = optimizer.add_group(options);
  const Batch<T, storage> w(1, rows, cols), g(1, rows, cols);
  const Matrix start = rounded<T>(gaussian(rows, cols, seed));
  assign(w.matrix(), start);
  optimizer.add(group, "w", w.matrix(), g.matrix());
  reference::Parameter expected(start);
  double worst = 0;
  for (unsigned step = 0; step < 10; ++step) {
    const Matrix gradient = rounded<T>(conditioned_gaussian(rows, cols, 1000 * seed + step));
    assign(g.matrix(), gradient);
    const reference::Options now = change(optimizer, group, step);
    optimizer.step(exec);
    exec.fence();
    expected.step(gradient, now);
    worst = std::max(worst, distance<T>(to_matrix(w.matrix()), expected));
  }
  if (!w.surroundings_intact() || !g.surroundings_intact()) return std::numeric_limits<double>::infinity();
  return worst;
}

template <class Optimizer, Storage storage, class T, class Exec, class O>
double distance_after_steps(const Exec& exec, const O& options, std::size_t rows, std::size_t cols, unsigned seed) {
  const reference::Options fixed = reference_of(options);
  return distance_after_steps<Optimizer, storage, T>(exec, options, rows, cols, seed,
                                                     [&](auto&, GroupId, unsigned) { return fixed; });
}

}  // namespace schatten::test
