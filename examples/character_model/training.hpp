#pragma once
// One training of the model, from initial weights to a Record.

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
  int evaluations = 10;
  std::uint64_t seed = 1;
  std::string record_momenta;  // directory for the momenta of the hidden matrices; empty: none are recorded
};

// The learning rate of a step (1 to steps) as a part of its peak: up over the first 4 %, level, down to
// zero over the last 60 %.
double schedule(int step, int steps);

Record train(const Recipe& recipe, const TrainingPlan& plan, const Symbols& symbols, const Split& split,
             const std::vector<Batch>& validation);

}  // namespace character_model
