// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/elements.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/second_moment.hpp>

#include <array>

namespace schatten {

/// How ε enters Sophia's denominator.
enum class SophiaDenominator {
  larger,  ///< max(ρBh, ε): the paper's
  sum      ///< ρBh + ε: the authors' code's
};

namespace optim {

/// (g, m, r) ↦ m/max(ρBr², ε) or m/(ρBr² + ε), clipped to [−1, 1], with m the average.
template <Scalar T>
struct SophiaElement {
  Average<T> average;
  T weight, epsilon;  ///< ρB
  bool sum;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T g, T& m, T& r) const {
    m = average(m, g);
    const T curvature = weight * r * r, larger = curvature > epsilon ? curvature : epsilon;
    const T d = m / (sum ? curvature + epsilon : larger), above = d < T(-1) ? T(-1) : d;
    return above > T(1) ? T(1) : above;
  }
};

/// (H, r) ↦ r ← √(β₂r² + (1−β₂)H²).
template <Scalar T>
struct HessianElement {
  T gain2;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T h, T& r) const { return r = second_moment_root(r, h, gain2); }
};

}  // namespace optim

/// Sophia-G: D = m/max(ρBh, ε), clipped to [−1, 1], elementwise (Liu et al., arXiv 2305.14342, Algorithms 2 and 3). For
/// any parameter.
///
/// m ← β₁m + (1−β₁)g. Before every k-th step the caller supplies H by observe(exec, name, H): the gradient of the mean
/// loss of B examples with labels drawn from the model. h ← β₂h + (1−β₂)H². Before the first H, h is 0 and D is m/ε
/// clipped.
struct SophiaG {
  double lr = 1e-4;
  double beta1 = 0.965;
  double beta2 = 0.99;
  double rho = 0.04;
  double examples = 5120;  ///< B: number of examples, or tokens, of each H
  double epsilon = 1e-15;
  SophiaDenominator denominator = SophiaDenominator::larger;
  double weight_decay = 0.1;
  DecayMode decay = DecayMode::decoupled;

  static constexpr std::string_view name = "sophia_g";
  static constexpr bool one_region = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("beta1", &SophiaG::beta1, optim::below_one);
    f("beta2", &SophiaG::beta2, optim::below_one);
    f("rho", &SophiaG::rho, optim::positive);
    f("examples", &SophiaG::examples, optim::positive);
    f("epsilon", &SophiaG::epsilon, optim::positive);
    f("denominator", &SophiaG::denominator, optim::choice(2));
  }
  /// hessian_root: √h, which does not over- or underflow where h would.
  [[nodiscard]] std::vector<StateSlot> state() const { return {{"momentum"}, {"hessian_root"}}; }

  template <class Bucket>
  void observe(Bucket& bucket) const {
    using Element = optim::HessianElement<typename Bucket::Scalar>;
    bucket.update(optim::OneFunctor<Element>{{static_cast<typename Bucket::Scalar>(1 - beta2)}},
                  std::array<std::size_t, 1>{1});
  }
  template <Scalar T>
  KOKKOS_FUNCTION auto element(double) const {
    return optim::SophiaElement<T>{optim::moving_average<T>(beta1), optim::saturated_as<T>(rho * examples), T(epsilon),
                                   denominator == SophiaDenominator::sum};
  }
};

}  // namespace schatten
