// SPDX-License-Identifier: BSD-3-Clause
// Functions f of singular values, for maps M = UΣVᵀ ↦ σ₁^h U f(Σ/σ₁) Vᵀ.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/core/kokkos.hpp>
#include <schatten/core/root.hpp>

#include <cmath>
#include <concepts>
#include <string_view>

namespace schatten {

/// A function f of x = σ/σ₁ that SpectralMap takes, with the numbers that its fit needs:
///
/// * `static constexpr std::string_view name`: for messages.
/// * `KOKKOS_FUNCTION double operator()(double x) const`: f(x), positive for 0 < x <= 1.06. x may exceed 1 because σ₁
///   is estimated.
/// * `double order() const`: a with f(x) ~ x^a as x → 0. 0: f(0) > 0; singular values that are zero still map to zero.
/// * `double degree() const`: h; the map of c·M is c^h times the map of M.
///
/// Optional:
///
/// * `template <class Fields> static void fields(Fields& f)`: its numbers by name, f("tau", &F::tau). Rules with this
///   function have these numbers, and so do checkpoints (optim/function_rule.hpp).
/// * `void check(std::string_view function) const`: throws InvalidArgument for numbers that are out of range.
///
/// Kernels copy the object, and objects are compared by their bytes, so F must be trivially copyable.
template <class F>
concept SpectralFunction = std::copyable<F> && requires(const F& f) {
  {std::string_view(F::name)};
  { f(0.5) } -> std::convertible_to<double>;
  { f.order() } -> std::convertible_to<double>;
  { f.degree() } -> std::convertible_to<double>;
};

namespace spectral {

/// Throws InvalidArgument unless τ is finite and positive.
inline void check_tau(std::string_view function, double tau) {
  require(std::isfinite(tau) && tau > 0, function, "tau", tau, "must be finite and positive");
}

}  // namespace spectral

/// f = x^p, h = p: UΣ^pVᵀ (Pang et al., arXiv 2603.10067; Dong and Sawin, arXiv 2606.13867). SpectralPower has more
/// methods for it.
struct PowerFunction {
  double power = 0.125;
  static constexpr std::string_view name = "power";
  KOKKOS_FUNCTION double operator()(double x) const { return math::pow(x, power); }
  [[nodiscard]] double order() const { return power; }
  [[nodiscard]] double degree() const { return power; }
  template <class Fields>
  static void fields(Fields& f) {
    f("power", &PowerFunction::power);
  }
  void check(std::string_view function) const {
    require(std::isfinite(power) && power > -0.5 && power <= 1, function, "power", power, "must lie in (-0.5, 1]");
  }
};

/// f = x/√(x² + τ²): the soft sign. It is near the polar factor for σ ≫ τσ₁ and near M/(τσ₁) for σ ≪ τσ₁. With τ =
/// 1/(temperature·σ₁) it is SoftMuon's map (Feoktistov et al., arXiv 2605.31371).
struct SoftSign {
  double tau = 0.1;
  static constexpr std::string_view name = "soft_sign";
  KOKKOS_FUNCTION double operator()(double x) const { return x / math::sqrt(x * x + tau * tau); }
  [[nodiscard]] double order() const { return 1; }
  [[nodiscard]] double degree() const { return 0; }
  template <class Fields>
  static void fields(Fields& f) {
    f("tau", &SoftSign::tau);
  }
  void check(std::string_view function) const { spectral::check_tau(function, tau); }
};

/// f = x/(x + τ): a soft sign that approaches 1 slowly, M((MᵀM)^{1/2} + τσ₁)^{−1}. This is damped one-sided Shampoo of
/// one gradient (Gupta et al., arXiv 1802.09568).
struct SoftRatio {
  double tau = 0.1;
  static constexpr std::string_view name = "soft_ratio";
  KOKKOS_FUNCTION double operator()(double x) const { return x / (x + tau); }
  [[nodiscard]] double order() const { return 1; }
  [[nodiscard]] double degree() const { return 0; }
  template <class Fields>
  static void fields(Fields& f) {
    f("tau", &SoftRatio::tau);
  }
  void check(std::string_view function) const { spectral::check_tau(function, tau); }
};

/// f = min(x, τ), h = 1: min(σ, τσ₁), the projection to the spectral-norm ball of radius τσ₁ (MuCon: Yi, arXiv
/// 2605.26459, whose τ has the unit of σ). Because of the kink it needs many poles; small tolerances use
/// decompositions.
struct Clip {
  double tau = 0.5;
  static constexpr std::string_view name = "clip";
  KOKKOS_FUNCTION double operator()(double x) const { return x < tau ? x : tau; }
  [[nodiscard]] double order() const { return 1; }
  [[nodiscard]] double degree() const { return 1; }
  template <class Fields>
  static void fields(Fields& f) {
    f("tau", &Clip::tau);
  }
  void check(std::string_view function) const { spectral::check_tau(function, tau); }
};

/// f = 2τx/(x² + τ²): about 2τ/x for x ≫ τ, about 2x/τ for x ≪ τ, at most 1. This is a regularized inverse (Tikhonov
/// and Arsenin, Solutions of Ill-Posed Problems, 1977).
struct CappedInverse {
  double tau = 0.1;
  static constexpr std::string_view name = "capped_inverse";
  KOKKOS_FUNCTION double operator()(double x) const { return 2 * tau * x / (x * x + tau * tau); }
  [[nodiscard]] double order() const { return 1; }
  [[nodiscard]] double degree() const { return 0; }
  template <class Fields>
  static void fields(Fields& f) {
    f("tau", &CappedInverse::tau);
  }
  void check(std::string_view function) const { spectral::check_tau(function, tau); }
};

/// f = x³/(x² + τ²)^{3/2}: near 1 for σ ≫ τσ₁ and near (x/τ)³ for σ ≪ τσ₁. It is the cube of SoftMuon's soft sign.
struct HighPass {
  double tau = 0.05;
  static constexpr std::string_view name = "high_pass";
  KOKKOS_FUNCTION double operator()(double x) const {
    const double ratio = x / math::sqrt(x * x + tau * tau);
    return ratio * ratio * ratio;
  }
  [[nodiscard]] double order() const { return 3; }
  [[nodiscard]] double degree() const { return 0; }
  template <class Fields>
  static void fields(Fields& f) {
    f("tau", &HighPass::tau);
  }
  void check(std::string_view function) const { spectral::check_tau(function, tau); }
};

/// f = (1 − s) + s·x: the weighted mean of Muon's polar factor (K. Jordan et al., 2024) and M/σ₁.
struct SoftPolar {
  double share = 0.5;
  static constexpr std::string_view name = "soft_polar";
  KOKKOS_FUNCTION double operator()(double x) const { return (1 - share) + share * x; }
  [[nodiscard]] double order() const { return share < 1 ? 0 : 1; }
  [[nodiscard]] double degree() const { return 0; }
  template <class Fields>
  static void fields(Fields& f) {
    f("share", &SoftPolar::share);
  }
  void check(std::string_view function) const {
    require(!std::isnan(share) && share >= 0 && share <= 1, function, "share", share, "must lie in [0, 1]");
  }
};

}  // namespace schatten
