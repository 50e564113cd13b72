// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/momentum.hpp>
#include <schatten/optim/stages/residual.hpp>
#include <schatten/optim/stages/rotated_adam.hpp>
#include <schatten/optim/stages/tracked_basis.hpp>

namespace schatten {

/// COSMOS: Adam in the leading right singular subspace, Muon's map outside of it (Liu et al., arXiv 2502.17410,
/// Algorithm 1; in the form of the authors' code). Vectors, matrices with one row or one column, and matrices with more
/// than max_rows rows are updated by Adam.
///
/// u is the average of the gradients. P (C×r) and S track GᵀG (track_basis). v ← β₂v + (1−β₂)(GP)², A = [ûP/(√v̂ +
/// ε)]Pᵀ, B = UΣ^pVᵀ of u − uPPᵀ, N = √(RC), X = A + γN·B/(‖B‖ + ε), D = ratio·N·X/(‖X‖ + ε_X).
struct COSMOS {
  double lr = 1e-3;
  double beta1 = 0.9;
  bool nesterov = false;
  double beta2 = 0.98;
  double basis_beta = 0.98;  ///< β of P and S
  double epsilon = 1e-8;
  double update_epsilon = 1e-8;  ///< ε_X
  double ratio = 0.1;
  double gamma = 0.2;
  double weight_decay = 0.0;
  DecayMode decay{};
  std::size_t basis_rank = 64;   ///< r; at most the shorter side; fixed when the group is added
  std::size_t max_rows = 10000;  ///< fixed when the group is added
  double power = 0;              ///< p
  MapOptions map = muon_map;

  static constexpr std::string_view name = "cosmos";
  static constexpr bool one_region = true;
  static constexpr bool takes_vectors = true;

  template <class Fields>
  static void fields(Fields& f) {
    f("beta1", &COSMOS::beta1, optim::below_one);
    f("nesterov", &COSMOS::nesterov, optim::flag);
    f("beta2", &COSMOS::beta2, optim::below_one);
    f("basis_beta", &COSMOS::basis_beta, optim::below_one);
    f("epsilon", &COSMOS::epsilon, optim::positive);
    f("update_epsilon", &COSMOS::update_epsilon, optim::positive);
    f("ratio", &COSMOS::ratio, optim::not_negative);
    f("gamma", &COSMOS::gamma, optim::not_negative);
    f("basis_rank", &COSMOS::basis_rank, optim::fixed_at_least_one);
    f("max_rows", &COSMOS::max_rows, optim::fixed_at_least_one);
    f("power", &COSMOS::power, optim::any_number);
    f(&COSMOS::map);
  }
  [[nodiscard]] std::vector<StateSlot> state(std::size_t rows, std::size_t cols) const {
    const std::size_t r = by_adam(rows, cols) ? 0 : (std::min)({basis_rank, rows, cols});
    std::vector<StateSlot> slots = optim::tracked_basis_slots(rows, cols, r);
    slots.insert(slots.begin(), {"momentum"});
    return slots;
  }
  template <class F>
  void maps(const F& f) const {
    f(power, map);
  }
  void check(std::string_view function) const {
    optim::check_map_and_scale(function, power, map, ScaleMode::none, "r is basis_rank");
  }

  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    auto adam = optim::adam_of_step(bucket, beta1, beta2, epsilon, EpsilonPlacement::corrected);
    if (by_adam(bucket.rows(), bucket.cols())) return bucket.transform(adam, std::array<std::size_t, 2>{0, 1}, out);
    const auto u = bucket.buffer(), rest = bucket.buffer();
    const optim::TrackedBasis<Bucket> basis(bucket, 2);
    const auto second = bucket.state(1), low = optim::batch_of(bucket, second), part = optim::batch_of(bucket, second);
    optim::average(bucket, Momentum{.beta = beta1, .nesterov = nesterov}, 0, u);
    optim::track_basis(bucket, bucket.gradient(), basis_beta, basis, low);
    optim::project(bucket, u, basis.vectors, part, rest);
    adam.averages = false;
    adam.ahead = nesterov ? 1 : 0;
    optim::adam(bucket, low, part, second, adam);
    bucket.map(power, map, rest, out);
    optim::add_residual(bucket, low, basis.vectors, part, rest, gamma, epsilon, out);
    optim::set_rms(bucket, out, ratio, update_epsilon);
  }

 private:
  [[nodiscard]] bool by_adam(std::size_t m, std::size_t n) const { return (std::min)(m, n) == 1 || m > max_rows; }
};

}  // namespace schatten
