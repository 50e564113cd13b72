// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One training of the model, from initial weights to a Record, and the search for a learning rate.

#include "batches.hpp"
#include "recipes.hpp"
#include "record.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace character_model {

// What every optimizer is given alike.
struct TrainingPlan {
  int steps = 250;
  int sequences = 16;  // of a batch
  int length = 128;    // characters predicted in a sequence
  int width = 512;     // of the model
  int evaluations = 10;
  std::uint64_t seed = 1;
  std::string record_momenta;  // directory for the momenta of the hidden matrices; empty: none are recorded
};

// What every training reads.
struct Data {
  Symbols symbols;
  Split split;
  std::vector<Batch> validation;
};

Record train(const Recipe& recipe, const TrainingPlan& plan, const Data& data);

// The recipe with the hidden learning rate of the least validation loss among `trials`, its own times 2^k with k
// around 0, of one training each on another seed than the plan's and those that follow it. Prints the losses.
Recipe search(Recipe recipe, TrainingPlan plan, const Data& data, int trials);

}  // namespace character_model
