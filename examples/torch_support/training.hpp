// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One training of a task, from initial weights or a checkpoint to a Record.

#include "../character_model/record.hpp"
#include "options.hpp"
#include "task.hpp"

#include <cstdint>
#include <string>

namespace torch_support {

using character_model::Record;

// Trains with the recipe's rule on the task's hidden matrices and Adam on the rest, both under a cosine with warm-up.
// Progress goes to stdout. The seed is the task's, for the record. `checkpoint` is a file that is replaced every
// options.checkpoint_every steps and at the end. With options.resume the training goes on from it if it is there, and
// ends with the weights, bit for bit, of one that was never stopped.
Record train(Task& task, const Recipe& recipe, const Options& options, std::uint64_t seed,
             const std::string& checkpoint);

}  // namespace torch_support
