// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the programs have in common from the command line to the files that a run ends with.

#include "../character_model/report.hpp"
#include "options.hpp"
#include "task.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace torch_support {

// What one program is.
struct Program {
  std::string name;
  character_model::PictureWords words;
  std::string help;  // what --help says before the common options
  Options options;   // the program's defaults of them

  // Takes the program's own option that the arguments are at; returns whether it was one.
  std::function<bool(Arguments&)> take;
  // Called once, when all options are known: reads the data. Returns the width of the hidden matrices.
  std::function<int(const Options&)> prepare;
  // The task with initial weights and batches of this seed, on options.device.
  std::function<std::unique_ptr<Task>(const Options&, std::uint64_t seed)> make_task;
  // What is shown of a training beside the held-out loss in nats: perplexity, accuracy.
  std::function<std::string(const character_model::Record&)> figure;
};

// Trains each rule with each seed, prints a table, and writes losses.csv, losses.svg and the checkpoints into
// options.out. Returns the exit status; errors go to stderr.
int run(Program& program, int count, const char* const* arguments);

}  // namespace torch_support
