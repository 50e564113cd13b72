// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The part of the command line that all programs have: which rules, how long, on what, and where results go.

#include "../character_model/recipes.hpp"
#include "arguments.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace torch_support {

using character_model::Recipe;

struct Options {
  std::string rules = "htmuon";  // names separated by commas, or all
  std::optional<double> lr, other_lr, weight_decay, power;
  std::vector<std::pair<std::string, double>> numbers;  // of every rule of the run, by the rule's name for them
  int steps = 300;
  double warm_up = 0.1;  // share of the steps
  std::uint64_t seed = 1;
  int seeds = 1;    // trainings of each rule, with this seed and the following
  int threads = 0;  // 0: as many as OpenMP starts
  std::string device = "cpu";
  std::string out = "train_output";
  int evaluations = 10;
  int checkpoint_every = 0;  // steps; 0: no checkpoints
  bool resume = false;
  int kill_at = 0;  // the process kills itself after this step, to test resume; 0: never
};

// Takes the option that `arguments` is at, with its value, if it is one of this struct; returns whether it was. Throws
// BadOption for a value out of range.
bool take(Arguments& arguments, Options& options);

// What --help says of these options, for programs whose defaults are those of `options`.
std::string usage(const Options& options);

// How each rule of the run is set, for hidden matrices of this width. Throws BadOption for a rule that is not known.
std::vector<Recipe> recipes_of(const Options& options, int width);

}  // namespace torch_support
