// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/kronecker.hpp>
#include <schatten/optim/stages/rotated_adam.hpp>

namespace schatten {

/// SOAP: Adam in the eigenbases of Shampoo's two factors (Vyas et al., arXiv 2409.11321, Algorithm 3; as the authors'
/// code has it). For any parameter. Vectors, and matrices with one row or one column, are updated by Adam.
///
/// L ← βL + (1−β)GGᵀ, R ← βR + (1−β)GᵀG. The first step of a matrix only computes L, R and their eigenvectors Q_L, Q_R.
/// In the other steps D = Q_L·Adam(Q_LᵀGQ_R)·Q_Rᵀ with the bases of the previous step, and ε added to √v before the
/// bias correction. After every interval-th of them Q ← qr(LQ), with the columns of Q sorted by diag(QᵀLQ).
struct SOAP {
  double lr = 3e-3;
  double beta1 = 0.95;
  double beta2 = 0.95;
  double shampoo_beta = 0.95;  ///< β of L and R
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  DecayMode decay = DecayMode::after_step;
  std::size_t interval = 10;     ///< steps of the group between two computations of the bases
  std::size_t max_side = 10000;  ///< a longer side has no basis (Q = I); fixed when the group is added

  static constexpr std::string_view name = "soap";
  static constexpr bool one_region = true;
  static constexpr bool takes_vectors = true;
  /// The first step of a matrix does not change its weights.
  static constexpr long long waits = 1;

  template <class Fields>
  static void fields(Fields& f) {
    f("beta1", &SOAP::beta1, optim::below_one);
    f("beta2", &SOAP::beta2, optim::below_one);
    f("shampoo_beta", &SOAP::shampoo_beta, optim::below_one);
    f("epsilon", &SOAP::epsilon, optim::positive);
    f("interval", &SOAP::interval, optim::at_least_one);
    f("max_side", &SOAP::max_side, optim::fixed_at_least_one);
  }
  /// momentum and second_moment_root: of the gradient in the bases Q_L, Q_R.
  [[nodiscard]] std::vector<StateSlot> state(std::size_t rows, std::size_t cols) const {
    std::vector<StateSlot> slots = {{"momentum"}, {"second_moment_root"}};
    for (const StateSlot& slot : optim::kronecker_slots(rows, cols, max_side)) slots.push_back(slot);
    return slots;
  }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    auto adam = optim::adam_of_step(bucket, beta1, beta2, epsilon, EpsilonPlacement::raw);
    adam.waits = waits;
    const optim::Kronecker<Bucket> bases(bucket, 2);
    if (optim::is_identity(bases.unit)) return bucket.transform(adam, std::array<std::size_t, 2>{0, 1}, out);
    const auto g = bucket.gradient(), turned = bucket.buffer();
    optim::rotate(bucket, g, bases.left_vectors, bases.right_vectors, turned);
    optim::adam(bucket, turned, bucket.state(0), bucket.state(1), adam);
    optim::rotate_back(bucket, turned, bases.left_vectors, bases.right_vectors, out);
    optim::average_factors(bucket, g, shampoo_beta, bases);
    if (bucket.step() > 1 && (bucket.step() - 1) % interval == 0) {
      optim::turn_bases(bucket, bases, bucket.state(0), bucket.state(1), optim::chosen(bucket, optim::Which::old));
    }
    if (bucket.first_steps()) optim::eigenvectors(bucket, bases, optim::chosen(bucket, optim::Which::fresh));
  }
};

}  // namespace schatten
