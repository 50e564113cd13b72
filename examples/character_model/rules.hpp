// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The library's rules by name, each as a group with default numbers but those of a recipe. The tables are in three
// translation units, which compile side by side.

#include "recipe_numbers.hpp"
#include "recipes.hpp"
#include <schatten/optim/optimizer.hpp>

#include <string_view>
#include <vector>

namespace character_model {

using Exec = Kokkos::DefaultHostExecutionSpace;  // Eigen's memory is the host's
using RuleOptimizer = schatten::Optimizer<float, Exec>;

struct Rule {
  std::string_view name;
  schatten::GroupId (*add_group)(RuleOptimizer& optimizer, const Recipe& recipe);
};

// A group of the rule with the recipe's numbers.
template <class R>
schatten::GroupId add_group(RuleOptimizer& optimizer, const Recipe& recipe, const R& rule) {
  return optimizer.add_group(with_numbers(rule, recipe));
}

template <class R>
schatten::GroupId add_default(RuleOptimizer& optimizer, const Recipe& recipe) {
  return add_group(optimizer, recipe, R{});
}

template <class R>
Rule rule() {
  return {R::name, &add_default<R>};
}

std::vector<Rule> spectral_rules();
std::vector<Rule> elementwise_rules();
std::vector<Rule> preconditioned_rules();

// Throws std::logic_error where no table has it.
Rule rule_of(const Recipe& recipe);

}  // namespace character_model
