// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What one training leaves behind.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace character_model {

struct StepRecord {
  int step = 0;
  double train_loss = 0;                  // nats a character, of the batch before the update
  std::optional<double> validation_loss;  // after the update, where it was evaluated
  std::optional<double> accuracy = {};    // share of right answers then, of programs that have classes
  double seconds = 0;                     // training time so far, evaluations left out
};

// Hill's alpha of one hidden matrix.
struct Alpha {
  std::string matrix;
  double before = 0, after = 0;  // of the training
};

struct Record {
  std::string optimizer;
  double hidden_lr = 0;
  std::uint64_t seed = 0;
  std::vector<StepRecord> steps;
  double validation_loss = 0;
  double seconds = 0;                      // of all steps: batch, model and optimizer
  double optimizer_seconds = 0;            // of the optimizer's part in them, with what it asks of the model
  double optimizer_processor_seconds = 0;  // of all threads; what other processes take is not in it
  double alpha_before = 0;                 // mean Hill alpha of the hidden matrices
  double alpha_after = 0;
  std::vector<Alpha> alphas = {};  // of each of them
};

}  // namespace character_model
