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

}  // namespace schatten::test
