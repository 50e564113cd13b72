// SPDX-License-Identifier: BSD-3-Clause
// Weight decays computed from weights and gradients: AlphaDecay, a factor for each weight from the tail of its
// spectrum, and AWD, one decay for all weights from the norms of gradients and weights.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/diagnostics/hill.hpp>
#include <schatten/diagnostics/tail_factors.hpp>
#include <schatten/linalg/norms.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace schatten {

/// Returns AlphaDecay's estimate of the tail exponent of a weight's spectrum (He et al., arXiv 2506.14562, in the form
/// of the authors' code): α = 1 + n/Σ_{i<=n} ln(λ_i/λ_n), where λ_1 >= … >= λ_n are the n = N − ⌊N/2⌋ largest of the N
/// eigenvalues of WᵀW.
///
/// The sum is that of hill_alpha with k = n − 1, whose numerator is n − 1 instead of n. W: one matrix (rank 2), any
/// layout. Infinite for N < 3 and if λ_1 = λ_n; NaN if W holds a NaN or an infinity or λ_n = 0.
/// Throws InvalidArgument for a matrix without elements. Fences `exec`. Cost: one svd without vectors.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
double alpha_decay_exponent(const Exec& exec, const V& w) {
  const std::size_t rank = (std::min)(w.extent(0), w.extent(1)), n = rank - rank / 2;
  require(rank >= 1, "alpha_decay_exponent", "min(rows, cols)", rank, "must be at least 1");
  if (n < 2) return std::numeric_limits<double>::infinity();
  const double k = double(n - 1);
  return 1 + (hill_alpha<Backend>(exec, w, n - 1) - 1) * ((k + 1) / k);
}

/// Smallest and largest factor of AlphaDecay.
struct AlphaDecayOptions {
  double least = 2.0 / 3;         ///< s₁, of the weight with the heaviest tail; 0 <= s₁ <= s₂
  double most = 5;                ///< s₂, of the weight with the lightest tail; finite
  std::size_t least_values = 50;  ///< set_alpha_decay: weights with fewer singular values have the factor 1
};

/// Returns the factor of the weight decay of each weight, from the exponents α of all: s₁ + (s₂ − s₁)(α − α_min)/(α_max
/// − α_min) (arXiv 2506.14562). A weight with a smaller α, a heavier tail, has less decay.
///
/// If all exponents are equal, each factor is (s₁ + s₂)/2; the published code has no value in this case. A weight whose
/// exponent is not finite has the factor 1 and does not change the others. The published code treats the first and the
/// last matrix of a model, and those with fewer than 50 singular values, in this way: leave them out, or give them NaN.
/// Throws InvalidArgument.
inline std::vector<double> alpha_decay_factors(const std::vector<double>& exponents,
                                               const AlphaDecayOptions& options = {}) {
  return detail::tail_factors(exponents, options.least, options.most, "alpha_decay_factors");
}

/// Sets the decay factors of some weights of an Optimizer by AlphaDecay: alpha_decay_exponent of each weight,
/// alpha_decay_factors of all, and Optimizer::set_decay_factor. Returns the factors.
///
/// weights: a range of pairs (name of a parameter, its View of rank 2). The factors apply from the next step on, until
/// they are set again; the published interval is 500 steps. Throws InvalidArgument, and then sets nothing, for an
/// unknown name and options out of range. Fences `exec`. Cost: one svd without vectors for each weight.
template <class Backend = void, ExecutionSpace Exec, class Optimizer, class Weights>
std::vector<double> set_alpha_decay(const Exec& exec, Optimizer& optimizer, const Weights& weights,
                                    const AlphaDecayOptions& options = {}) {
  if constexpr (require_keyed_views<Weights>()) {
    std::vector<double> exponents;
    for (const auto& [name, w] : weights) {
      (void)optimizer.decay_factor(name);  // refuses an unknown name
      const bool takes_part = (std::min)(w.extent(0), w.extent(1)) >= options.least_values;
      exponents.push_back(takes_part ? alpha_decay_exponent<Backend>(exec, w)
                                     : std::numeric_limits<double>::quiet_NaN());
    }
    const std::vector<double> factors = alpha_decay_factors(exponents, options);
    auto next = factors.begin();
    for (const auto& [name, w] : weights) optimizer.set_decay_factor(name, *next++);
    return factors;
  }
  return {};
}

/// The Frobenius norm of several arrays together.
class GlobalNorm {
 public:
  /// Adds a View of rank 1 to 4, of any layout. Fences `exec` and allocates scratch. Cost: two passes.
  template <ExecutionSpace Exec, KokkosView V>
  void add(const Exec& exec, const V& view) {
    using Space = typename Exec::memory_space;
    static_assert(view_rank<V> >= 1 && view_rank<V> <= 4, "schatten: the View must have rank 1 to 4");
    if constexpr (view_rank<V> == 1) {
      add_batch(exec, batch_view<Space>(view.data(), 1, 1, view.extent(0), 0, 0, view.stride(0)));
    } else if constexpr (view_rank<V> == 4) {
      for (std::size_t b = 0; b < view.extent(0); ++b) {
        add_batch(exec, Kokkos::subview(view, b, Kokkos::ALL, Kokkos::ALL, Kokkos::ALL));
      }
    } else {
      add_batch(exec, view);
    }
  }
  /// The norm; NaN if some array holds a NaN or an infinity.
  [[nodiscard]] double value() const { return value_; }

 private:
  template <ExecutionSpace Exec, KokkosView V>
  void add_batch(const Exec& exec, const V& view) {
    using Space = typename Exec::memory_space;
    if (view.size() == 0) return;
    Workspace<Space> workspace;
    const typename Workspace<Space>::Frame frame(workspace);
    const auto norms = workspace.template numbers<double>(view_rank<V> == 2 ? 1 : view.extent(0));
    linalg::frobenius_norm(exec, view, norms, workspace);
    for (const double norm : values_on_host(exec, norms)) value_ = std::hypot(value_, norm);  // fences: documented
  }

  double value_ = 0;
};

/// AWD, adaptive weight decay (Ghiasi et al., arXiv 2210.00094, in the form of the code of AlphaDecay's authors): one
/// weight decay for all groups. λ̄ ← 0.1·λ̄ + 0.9·λ_t with λ_t = ratio·‖g‖/(‖W‖ + 1e-8), norms over all weights and
/// their gradients. λ̄ begins at 0. `keep` is the weight of the old value.
class AdaptiveWeightDecay {
 public:
  struct Options {
    double ratio = 0.1;  ///< λ_awd; finite and not negative
    double keep = 0.1;   ///< weight of the old λ̄, in [0, 1)
  };
  /// Throws InvalidArgument.
  explicit AdaptiveWeightDecay(const Options& options) : options_(options) {
    require(std::isfinite(options.ratio) && options.ratio >= 0, "AdaptiveWeightDecay", "ratio", options.ratio,
            "must be finite and not negative");
    require(std::isfinite(options.keep) && options.keep >= 0 && options.keep < 1, "AdaptiveWeightDecay", "keep",
            options.keep, "must lie in [0, 1)");
  }
  AdaptiveWeightDecay() : AdaptiveWeightDecay(Options()) {}

  /// Returns λ̄ of the next step, for Optimizer::set_weight_decay. Norms that are not finite do not change it.
  double operator()(double gradient_norm, double weight_norm) {
    const double now = options_.ratio * gradient_norm / (weight_norm + 1e-8);
    if (std::isfinite(now)) value_ = options_.keep * value_ + (1 - options_.keep) * now;
    return value_;
  }
  /// λ̄, for checkpoints.
  [[nodiscard]] double value() const { return value_; }
  /// Continues from a λ̄. Throws InvalidArgument unless it is finite and not negative.
  void set_value(double value) {
    require(std::isfinite(value) && value >= 0, "AdaptiveWeightDecay::set_value", "value", value,
            "must be finite and not negative");
    value_ = value;
  }

 private:
  Options options_;
  double value_ = 0;
};

}  // namespace schatten
