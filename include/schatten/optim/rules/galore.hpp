// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/projection.hpp>
#include <schatten/optim/stages/rotated_adam.hpp>

namespace schatten {

/// GaLore: Adam on the gradient's projection to a subspace (Zhao et al., arXiv 2403.03507, Algorithm 2). For any
/// parameter. Vectors, and matrices with one row or one column, are updated by Adam.
///
/// A G with more columns than rows is transposed. In every interval-th step, from the first on, P ← the first r right
/// singular vectors of G. D = α·Adam(GP)·Pᵀ, with ε added to √v before the bias correction.
struct GaLore {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-6;
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::after_step;
  std::size_t rank = 128;      ///< r; at most the shorter side; fixed when the group is added
  std::size_t interval = 200;  ///< steps of the group between two computations of the basis
  double alpha = 0.25;
  BasisChange basis_change = BasisChange::keep;  ///< how the moments change with the basis

  static constexpr std::string_view name = "galore";
  static constexpr bool one_region = true;
  static constexpr bool takes_vectors = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("beta1", &GaLore::beta1, optim::below_one);
    f("beta2", &GaLore::beta2, optim::below_one);
    f("epsilon", &GaLore::epsilon, optim::positive);
    f("rank", &GaLore::rank, optim::fixed_at_least_one);
    f("interval", &GaLore::interval, optim::at_least_one);
    f("alpha", &GaLore::alpha, optim::not_negative);
    f("basis_change", &GaLore::basis_change, optim::choice(2));
  }
  /// momentum and second_moment_root (longer side × r): of the projected gradient.
  [[nodiscard]] std::vector<StateSlot> state(std::size_t rows, std::size_t cols) const {
    if (rows == 1 || cols == 1) return {{"momentum"}, {"second_moment_root"}, {"basis", Extent::none}};
    const std::size_t longer = (std::max)(rows, cols), shorter = (std::min)(rows, cols), r = (std::min)(rank, shorter);
    return {optim::given_slot("momentum", longer, r), optim::given_slot("second_moment_root", longer, r),
            optim::given_slot("basis", shorter, r, Start::identity)};
  }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    using T = typename Bucket::Scalar;
    using Backend = typename Bucket::Backend;
    auto adam = optim::adam_of_step(bucket, beta1, beta2, epsilon, EpsilonPlacement::raw);
    const auto m = bucket.state(0), r = bucket.state(1), p = bucket.state(2);
    if (optim::is_identity(p)) return bucket.transform(adam, std::array<std::size_t, 2>{0, 1}, out);
    const bool turns = bucket.rows() < bucket.cols();
    const auto own = bucket.gradient(), g = turns ? transpose(own) : own, d = turns ? transpose(out) : out;
    const auto low = optim::batch_of(bucket, m);
    const bool all = (bucket.step() - 1) % interval == 0;
    if (all || bucket.first_steps()) {
      optim::change_basis(bucket, g, basis_change, optim::chosen(bucket, all ? optim::Which::all : optim::Which::fresh),
                          {m, r, p});
    }
    linalg::gemm<Backend>(bucket.exec(), T(1), g, p, T(0), low, bucket.workspace());
    optim::adam(bucket, low, m, r, adam);
    linalg::gemm<Backend>(bucket.exec(), T(alpha), low, transpose(p), T(0), d, bucket.workspace());
  }
};

}  // namespace schatten
