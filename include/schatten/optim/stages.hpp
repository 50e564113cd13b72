// The kernels of a step over the matrices of a bucket. A stage is a functor (b, i, j) that may update its state and
// returns the element of the direction; StoreDirection and ApplyDirection run it. A variant is another functor here,
// never another step.
#pragma once

#include <schatten/linalg/norms.hpp>
#include <schatten/optim/options.hpp>
#include <schatten/optim/records.hpp>
#include <schatten/optim/step_counts.hpp>

#include <limits>

namespace schatten::optim {

/// Which matrices of a bucket have finite gradients: the flag of a matrix is 1 or 0.
template <class T, class Space>
struct FiniteFlags {
  NumberBatchView<int, Space> flag;
  Records<T, Space> records;
  [[nodiscard]] KOKKOS_FUNCTION bool operator()(std::size_t b) const { return flag(records(b).number) != 0; }
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
  Records<T, Space> records;
  std::size_t cols;
  NumberBatchView<int, Space> flag;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t i) const {
    const MatrixRecord<T>& matrix = records(b);
    const int not_finite =
        team.template max<int>(cols, [&](std::size_t j) { return linalg::is_finite(matrix.gradient(i, j)) ? 0 : 1; });
    if (not_finite == 0) return;
    team.once([&] { Kokkos::atomic_exchange(&flag(matrix.number), 0); });
  }
};

/// One step more for every matrix, applied where it was not skipped.
template <class Space>
struct CountStep {
  NumberBatchView<int, Space> flag;
  NumberBatchView<MatrixCounts, Space> counts;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    ++counts(k).attempted;
    counts(k).applied += flag(k);
  }
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
  Records<T, Space> records;
  T beta, gain;  ///< gain: 1 − β (ema) or 1 (heavy_ball)
  bool nesterov;
  KOKKOS_FUNCTION T operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const MatrixRecord<T>& matrix = records(b);
    T& momentum = matrix.momentum(i, j);
    const T g = matrix.gradient(i, j);
    const T m = saturated(beta * momentum + gain * g);
    momentum = m;
    return nesterov ? saturated(beta * m + gain * g) : m;
  }
};

template <class T, class Space>
MomentumDirection<T, Space> momentum_direction(const Records<T, Space>& records, double beta, MomentumKind kind,
                                               bool nesterov) {
  return {records, T(beta), T(kind == MomentumKind::ema ? 1 - beta : 1), nesterov};
}

/// Bias corrections of the coming step t = applied + 1: first(b) = 1 − β₁^t, second(b) = √(1 − β₂^t).
template <class T, class Space>
struct BiasCorrection {
  NumberBatchView<MatrixCounts, Space> counts;
  Records<T, Space> records;
  double beta1, beta2;
  NumberBatchView<double, Space> first, second;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    const double t = double(counts(records(b).number).applied + 1);
    first(b) = 1 - math::pow(beta1, t);
    second(b) = math::sqrt(1 - math::pow(beta2, t));
  }
};

/// AdamW's direction m̂/(√v̂ + ε). The state is r = √v, not v: squares of 1e+30 and of 1e-30 are no floats.
template <class T, class Space>
struct AdamDirection {
  Records<T, Space> records;
  NumberBatchView<double, Space> first_correction, second_correction;
  T beta1, gain1, beta2, gain2, epsilon;  ///< gain: 1 − β, rounded once
  KOKKOS_FUNCTION T operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const MatrixRecord<T>& matrix = records(b);
    T &momentum = matrix.momentum(i, j), &second_moment_root = matrix.second_moment_root(i, j);
    const T g = matrix.gradient(i, j), r = second_moment_root, size = g < T(0) ? -g : g;
    const T m = beta1 * momentum + gain1 * g;
    const T unit = r > size ? r : (size > T(0) ? size : T(1));
    const T relative_r = r / unit, relative_g = g / unit;
    const T root = unit * math::sqrt(beta2 * relative_r * relative_r + gain2 * relative_g * relative_g);
    momentum = m;
    second_moment_root = root;
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
  FiniteFlags<T, Space> finite;
  BatchView<T, Space> out;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    out(b, i, j) = finite(b) ? direction(b, i, j) : T(0);
  }
};

/// W ← (1 − lr·weight_decay) W − lr·factor_b·direction; a skipped matrix keeps W and its state.
template <class T, class Space, class Direction>
struct ApplyDirection {
  Direction direction;
  FiniteFlags<T, Space> finite;
  NumberBatchView<const double, Space> factor;  ///< empty: 1
  double lr;
  T keep;  ///< 1 − lr·weight_decay
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    if (!finite(b)) return;
    const MatrixRecord<T>& matrix = finite.records(b);
    const T d = direction(b, i, j);
    const double rate = lr * matrix.scale;
    // In double where a factor may lie outside the range of T although its product with d does not.
    const T change = factor.extent(0) == 0 ? T(rate) * d : T(rate * factor(b) * double(d));
    T& weight = matrix.weight(i, j);
    weight = keep * weight - change;
  }
};

}  // namespace schatten::optim
