// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What references of rules with a spectral map share: the map, the average of gradients, the step of the weights; in
// double by plain Eigen, from the definitions. They read a rule's numbers and call nothing of the library.

#include "optimizer_reference.hpp"
#include "rule_checks.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

namespace schatten::test {

/// UΣ^pVᵀ, or what the quintics make of it.
inline Matrix map_of(const MapOptions& map, double power, const Matrix& m) {
  if (map.method != SpectralMethod::quintic) return reference::spectral_power(m, power, reference::Scale::none).d;
  if (m.rows() > m.cols()) return map_of(map, power, m.transpose()).transpose();
  const bool simple = map.schedule == QuinticSchedule::simple;
  const auto [a, b, c] = simple ? std::array{2.0, -1.5, 0.5} : std::array{3.4445, -4.7750, 2.0315};
  const std::size_t steps = map.quintic_steps > 0 ? map.quintic_steps : (simple ? 12 : 5);
  if (m.norm() == 0) return m;
  Matrix x = m / (m.norm() + map.norm_epsilon);
  for (std::size_t k = 0; k < steps; ++k) {
    const Matrix gram = x * x.transpose();
    x = (a * x + (b * gram + c * gram * gram) * x).eval();
  }
  return x;
}

/// The average of the gradients.
class MomentumReference {
 public:
  MomentumReference(const Momentum& momentum, const Matrix& start) : momentum_(momentum), m_(0 * start) {}

 protected:
  Matrix average(const Matrix& g) {
    const double beta = momentum_.beta, gain = momentum_.kind == MomentumKind::ema ? 1 - beta : 1;
    m_ = beta * m_ + gain * g;
    return momentum_.nesterov ? Matrix(beta * m_ + gain * g) : m_;
  }
  [[nodiscard]] const Matrix& momentum() const { return m_; }

 private:
  Momentum momentum_;
  Matrix m_;
};

/// The factor of the shape.
inline double shape_factor(ScaleMode scale, double rows, double cols) {
  if (scale == ScaleMode::original) return std::sqrt(std::max(1.0, rows / cols));
  if (scale == ScaleMode::match_rms_adamw) return 0.2 * std::sqrt(std::max(rows, cols));
  if (scale == ScaleMode::spectral_unclamped) return std::sqrt(rows / cols);
  return 1;
}

/// W − lr·(weight_decay·W + scale·D).
template <class R>
Matrix apply(const Matrix& w, const R& rule, const Matrix& d) {
  return w - rule.lr * (rule.weight_decay * w + shape_factor(rule.scale, double(w.rows()), double(w.cols())) * d);
}

/// The weight of one matrix after each of the gradients.
template <class R>
std::vector<Matrix> weights_after(const R& rule, const Matrix& start, const std::vector<Matrix>& gradients) {
  Training<double> training(rule);
  const auto& p = training.add("w", {1, std::size_t(start.rows()), std::size_t(start.cols())}, Storage::right, 1);
  p.w.assign(0, start);
  std::vector<Matrix> weights;
  for (const Matrix& g : gradients) {
    p.g.assign(0, g);
    training.step();
    weights.push_back(p.w.matrix(0));
  }
  return weights;
}

/// Largest change of the last weight, of how far it went, when every gradient is multiplied by a number.
template <class R>
double change_by_scale(const R& rule, std::size_t rows, std::size_t cols, double factor) {
  const Matrix zero = Matrix::Zero(Eigen::Index(rows), Eigen::Index(cols));
  std::vector<Matrix> gradients, scaled;
  for (unsigned k = 0; k < 4; ++k) {
    gradients.push_back(conditioned_gaussian(rows, cols, 7 + k));
    scaled.push_back(factor * gradients.back());
  }
  const Matrix w = weights_after(rule, zero, gradients).back();
  return max_abs(weights_after(rule, zero, scaled).back() - w) / max_abs(w);
}

}  // namespace schatten::test
