// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The command line of the program.

#include "arguments.hpp"
#include "recipes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace character_model {

struct Options {
  std::string text;  // empty: the default text
  std::string out = "train_output";
  std::string record_momenta;  // empty: momenta are not recorded
  int steps = 0;               // 0: as many as the default or the quick run has
  bool quick = false;
  int width = 512;
  std::uint64_t seed = 1;
  int threads = 0;  // 0: as many as OpenMP starts
  std::vector<Recipe> recipes;
  int search = 0;  // trainings of each recipe's search for a learning rate
  int seeds = 1;
  bool help = false;
  bool check_gradients = false;
};

// Throws BadOption.
Options parse_options(int count, const char* const* arguments);

std::string usage();

}  // namespace character_model
