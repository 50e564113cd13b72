// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A training as a file: weights, optimizers, data, random numbers and the record so far.

#include "../character_model/record.hpp"
#include "task.hpp"

#include <cstdint>
#include <string>
#include <torch/optim/optimizer.h>

namespace torch_support {

// What a checkpoint is written from and read into.
struct TrainingState {
  std::string plan;  // in words, all that a training must have in common with the one that goes on from it
  Task& task;
  torch::optim::Optimizer& rule;
  torch::optim::Optimizer& adam;
  character_model::Record& record;
};

// Replaces the file when all is written: a process that is killed leaves the old one whole.
void save_checkpoint(const std::string& path, const TrainingState& state);

// Before the first step of the optimizers. Throws std::runtime_error for a file of another plan, c10::Error for what is
// no such file.
void load_checkpoint(const std::string& path, const TrainingState& state);

// A number of all bits of the model's parameters: equal for equal weights.
std::uint64_t digest_of(const torch::nn::Module& model);

}  // namespace torch_support
