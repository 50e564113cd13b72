// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Momenta of the hidden matrices, written to files while the model trains: matrices as they come in practice.

#include "model.hpp"

#include <filesystem>
#include <vector>

namespace character_model {

// What an optimizer with Nesterov momentum hands to its map: with the mean m <- 0.95 m + 0.05 g of the gradients,
// 0.95 m + 0.05 g. After step 5, a quarter of the steps and three fifths of them, directory/<matrix>_<step>.npy.
// An empty directory: records nothing.
class MomentumRecorder {
 public:
  MomentumRecorder(std::filesystem::path directory, int steps);

  // Takes the gradients of one step.
  void record(int step, const std::vector<Parameter<float>>& parameters);

 private:
  std::filesystem::path directory_;
  int steps_;
  std::vector<Matrix<float>> means_;
};

}  // namespace character_model
