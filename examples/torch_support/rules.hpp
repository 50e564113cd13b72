// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The library's rules by name, as LibTorch's optimizers.

#include "../character_model/recipes.hpp"

#include <functional>
#include <memory>
#include <torch/optim/optimizer.h>
#include <torch/types.h>
#include <vector>

namespace torch_support {

using character_model::Recipe;

// An optimizer, and how its rule is given what it needs of a parameter beside the gradient, before the step that uses
// it.
struct RuleOptimizer {
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  std::function<void(const torch::Tensor& parameter, const torch::Tensor& x)> observe;
};

// The rule of that name with the recipe's numbers, on parameters of one device. Throws std::invalid_argument for a name
// that no rule has, and where Kokkos does not reach the device.
RuleOptimizer make_rule(const Recipe& recipe, std::vector<torch::Tensor> parameters);

// Adam for what follows no rule: betas 0.9 and 0.95, no weight decay.
std::unique_ptr<torch::optim::Optimizer> make_adam(double lr, std::vector<torch::Tensor> parameters);

// Starts Kokkos on as many threads as LibTorch's loops get; they work in turns. 0: as many as OpenMP starts.
void start_threads(int threads);

// Of all groups.
void set_lr(torch::optim::Optimizer& optimizer, double lr);

}  // namespace torch_support
