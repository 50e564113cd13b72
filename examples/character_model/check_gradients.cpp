// SPDX-License-Identifier: BSD-3-Clause
#include "check_gradients.hpp"

#include "model.hpp"

#include <cstdio>
#include <random>

namespace character_model {

bool check_gradients() {
  // Sequences shorter than the reach of the second shift: its edge cases are all visited.
  Model<double> model({.symbols = 11, .width = 24, .blocks = {{4, 1}, {3, 3}, {2, 2}}}, 1);
  Batch batch{.sequences = 2, .length = 5, .inputs = {}, .targets = {}};
  std::mt19937_64 random(2);
  for (int i = 0; i < batch.sequences * batch.length; ++i) {
    batch.inputs.push_back(std::uint8_t(random() % 11));
    batch.targets.push_back(std::uint8_t(random() % 11));
  }
  // Differences err by h^2 and by 1e-16 / h.
  constexpr double h = 1e-5;
  constexpr double tolerance = 1e-7;
  model.loss_and_gradients(batch);
  model.loss_and_gradients(batch);  // again: gradients are overwritten, not accumulated
  bool all_agree = true;
  for (Parameter<double>& parameter : model.parameters()) {
    const Matrix<double> gradient = parameter.gradient;
    Matrix<double> difference(gradient.rows(), gradient.cols());
    for (Eigen::Index i = 0; i < gradient.size(); ++i) {
      double& weight = parameter.value.data()[i];
      const double before = weight;
      weight = before + h;
      const double above = model.loss(batch);
      weight = before - h;
      const double below = model.loss(batch);
      weight = before;
      difference.data()[i] = (above - below) / (2.0 * h);
    }
    const double error = (gradient - difference).norm() / difference.norm();
    const bool agrees = error < tolerance;  // false for NaN
    std::printf("%-14s |gradient| %.3e  relative error %.1e  %s\n", parameter.name.c_str(), gradient.norm(), error,
                agrees ? "ok" : "WRONG");
    all_agree = all_agree && agrees;
  }
  return all_agree;
}

}  // namespace character_model
