// The kernels of a step. A stage is a functor (b, i, j) that may update its state and returns the element of the
// direction; StoreDirection and ApplyDirection run it. A variant is another functor here, never another step.
#pragma once

#include <schatten/linalg/norms.hpp>
#include <schatten/optim/options.hpp>

#include <limits>

namespace schatten::optim {

/// Which matrices of a step have finite gradients: flag(first + b) is 1 or 0 for matrix b of a parameter.
template <class Space>
struct FiniteFlags {
  NumberBatchView<int, Space> flag;
  std::size_t first;
  [[nodiscard]] KOKKOS_FUNCTION bool operator()(std::size_t b) const { return flag(first + b) != 0; }
};

/// flag ← 1 before the gradients are looked at.
template <class Space>
struct ResetFlags {
  NumberBatchView<int, Space> flag;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { flag(k) = 1; }
};

/// flag ← 0 for a matrix whose row i of the gradient holds a NaN or an infinity.
template <class T, class Space>
struct CheckGradientRow {
  BatchView<const T, Space> gradient;
  FiniteFlags<Space> finite;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    bool row_finite = true;
    for (std::size_t j = 0; j < gradient.extent(2); ++j)
      row_finite = linalg::is_finite(gradient(b, i, j)) && row_finite;
    if (!row_finite) Kokkos::atomic_exchange(&finite.flag(finite.first + b), 0);
  }
};

/// applied ← applied + 1 for the matrices that were not skipped.
template <class Space>
struct CountApplied {
  NumberBatchView<int, Space> flag;
  NumberBatchView<long long, Space> applied;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { applied(k) += flag(k); }
};

/// x, or the largest finite number of its sign where it has overflowed: one huge gradient must not spoil the state for
/// ever. @pre x is not NaN.
template <Scalar T>
KOKKOS_FUNCTION T saturated(T x) {
  constexpr T largest = std::numeric_limits<T>::max();
  return x > largest ? largest : (x < -largest ? -largest : x);
}

/// Momentum stage, MomentumKind::ema or heavy_ball, with or without Nesterov's look-ahead.
template <class T, class Space>
struct MomentumDirection {
  BatchView<const T, Space> gradient;
  BatchView<T, Space> momentum;
  T beta, gain;  ///< gain: 1 − β (ema) or 1 (heavy_ball)
  bool nesterov;
  KOKKOS_FUNCTION T operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const T g = gradient(b, i, j);
    const T m = saturated(beta * momentum(b, i, j) + gain * g);
    momentum(b, i, j) = m;
    return nesterov ? saturated(beta * m + gain * g) : m;
  }
};

template <class T, class Space>
MomentumDirection<T, Space> momentum_direction(const BatchView<const T, Space>& gradient,
                                               const BatchView<T, Space>& momentum, double beta, MomentumKind kind,
                                               bool nesterov) {
  return {gradient, momentum, T(beta), T(kind == MomentumKind::ema ? 1 - beta : 1), nesterov};
}

/// Bias corrections of the coming step t = applied + 1: first(b) = 1 − β₁^t, second(b) = √(1 − β₂^t).
template <class Space>
struct BiasCorrection {
  NumberBatchView<long long, Space> applied;
  std::size_t first_matrix;
  double beta1, beta2;
  NumberBatchView<double, Space> first, second;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    const double t = double(applied(first_matrix + b) + 1);
    first(b) = 1 - math::pow(beta1, t);
    second(b) = math::sqrt(1 - math::pow(beta2, t));
  }
};

/// AdamW's direction m̂/(√v̂ + ε). The state is r = √v, not v: squares of 1e+30 and of 1e-30 are no floats.
template <class T, class Space>
struct AdamDirection {
  BatchView<const T, Space> gradient;
  BatchView<T, Space> momentum, second_moment_root;
  NumberBatchView<double, Space> first_correction, second_correction;
  T beta1, gain1, beta2, gain2, epsilon;  ///< gain: 1 − β, rounded once
  KOKKOS_FUNCTION T operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const T g = gradient(b, i, j), r = second_moment_root(b, i, j), size = g < T(0) ? -g : g;
    const T m = beta1 * momentum(b, i, j) + gain1 * g;
    const T unit = r > size ? r : (size > T(0) ? size : T(1));
    const T relative_r = r / unit, relative_g = g / unit;
    const T root = unit * math::sqrt(beta2 * relative_r * relative_r + gain2 * relative_g * relative_g);
    momentum(b, i, j) = m;
    second_moment_root(b, i, j) = root;
    return m / T(first_correction(b)) / (root / T(second_correction(b)) + epsilon);
  }
};

/// Reads a direction that the spectral map has left in a buffer.
template <class T, class Space>
struct StoredDirection {
  BatchView<const T, Space> direction;
  KOKKOS_FUNCTION T operator()(std::size_t b, std::size_t i, std::size_t j) const { return direction(b, i, j); }
};

/// out ← direction; zero for a skipped matrix, whose state stays untouched.
template <class T, class Space, class Direction>
struct StoreDirection {
  Direction direction;
  FiniteFlags<Space> finite;
  BatchView<T, Space> out;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    out(b, i, j) = finite(b) ? direction(b, i, j) : T(0);
  }
};

/// W ← (1 − lr·weight_decay) W − lr·factor_b·direction; a skipped matrix keeps W and its state.
template <class T, class Space, class Direction>
struct ApplyDirection {
  Direction direction;
  FiniteFlags<Space> finite;
  NumberBatchView<const double, Space> factor;  ///< empty: 1
  double rate;                                  ///< lr times the shape's factor
  T keep;                                       ///< 1 − lr·weight_decay
  BatchView<T, Space> weight;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    if (!finite(b)) return;
    const T d = direction(b, i, j);
    // In double where a factor may lie outside the range of T although its product with d does not.
    const T change = factor.extent(0) == 0 ? T(rate) * d : T(rate * factor(b) * double(d));
    weight(b, i, j) = keep * weight(b, i, j) - change;
  }
};

}  // namespace schatten::optim
