// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/kronecker.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/sign.hpp>
#include <schatten/optim/stages/weight_average.hpp>

#include <algorithm>

namespace schatten {

/// SPlus: the sign of the momentum in the eigenbases of Shampoo's two factors (Frans et al., arXiv 2506.07254,
/// Algorithm 1; in the form of the authors' code). For any parameter. For vectors, and matrices with one row or one
/// column, D = sign(m).
///
/// m ← β₁m + (1−β₁)g; D = Q_L·sign(Q_LᵀmQ_R)·Q_Rᵀ with the bases of the previous step, which are I at first. L ← β₂L +
/// (1−β₂)GGᵀ, R ← β₂R + (1−β₂)GᵀG. Q_L and Q_R ← the eigenvectors of L and R, in a matrix's first step and in every
/// interval-th step of the group. The learning rate is lr·2/(rows + cols), for shapes without bases lr·vector_rate. The
/// state array "average" is an average of the weights for evaluation.
struct SPlus {
  double lr = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.999;  ///< β of L and R
  double weight_decay = 0.01;
  DecayMode decay = DecayMode::after_step;
  double average_beta = 0.999;  ///< β of the average of the weights
  std::size_t interval = 100;   ///< steps of the group between two computations of the bases
  double vector_rate = 0.001;
  std::size_t max_side = 10000;  ///< a longer side has no basis (Q = I); fixed when the group is added

  static constexpr std::string_view name = "splus";
  static constexpr bool one_region = true;
  static constexpr bool takes_vectors = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("beta1", &SPlus::beta1, optim::below_one);
    f("beta2", &SPlus::beta2, optim::below_one);
    f("average_beta", &SPlus::average_beta, optim::below_one);
    f("interval", &SPlus::interval, optim::at_least_one);
    f("vector_rate", &SPlus::vector_rate, optim::not_negative);
    f("max_side", &SPlus::max_side, optim::fixed_at_least_one);
  }
  /// "average" is the mean of the weights times 1 − average_beta^t. Divide it by this factor to evaluate.
  [[nodiscard]] std::vector<StateSlot> state(std::size_t rows, std::size_t cols) const {
    std::vector<StateSlot> slots = {{"momentum"}, {"average"}};
    for (const StateSlot& slot : optim::kronecker_slots(rows, cols, max_side)) slots.push_back(slot);
    return slots;
  }
  [[nodiscard]] double lr_at(std::size_t rows, std::size_t cols) const {
    const bool standard = rows > 1 && cols > 1 && (std::max)(rows, cols) <= max_side;
    return lr * (standard ? 2.0 / double(rows + cols) : vector_rate);
  }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    const optim::Kronecker<Bucket> bases(bucket, 2);
    const auto u = bucket.buffer(), turned = bucket.buffer();
    optim::average(bucket, Momentum{.beta = beta1, .nesterov = false}, 0, u);
    optim::rotate(bucket, u, bases.left_vectors, bases.right_vectors, turned);
    optim::take_signs(bucket, turned);
    optim::rotate_back(bucket, turned, bases.left_vectors, bases.right_vectors, out);
    if (optim::is_identity(bases.unit)) return;
    optim::average_factors(bucket, bucket.gradient(), beta2, bases);
    const bool all = bucket.step() % interval == 0;
    if (!all && !bucket.first_steps()) return;
    optim::eigenvectors(bucket, bases, optim::chosen(bucket, all ? optim::Which::all : optim::Which::fresh));
  }
  /// Updates the average with the weights before their decay.
  template <class Bucket>
  void finish(Bucket& bucket) const {
    optim::average_weights(bucket, average_beta, decay == DecayMode::after_step ? bucket.rates() : optim::StepRates{},
                           1);
  }
};

}  // namespace schatten
