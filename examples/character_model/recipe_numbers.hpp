// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From a recipe to the options of a rule.

#include "recipes.hpp"
#include <schatten/optim/fields.hpp>
#include <schatten/spectral/method.hpp>

namespace character_model {

// The rule with the recipe's numbers. Throws schatten::InvalidArgument for a name that is no number of the rule.
template <class R>
R with_numbers(R rule, const Recipe& recipe) {
  rule.lr = recipe.hidden_lr;
  rule.weight_decay = recipe.weight_decay;
  if constexpr (requires { rule.power; }) {
    rule.power = recipe.power.value_or(rule.power);
    if (rule.power != 0) rule.map.method = schatten::SpectralMethod::automatic;  // quintics are for power 0 alone
    rule.map.method = recipe.method.value_or(rule.map.method);
    rule.map.resolution = recipe.resolution.value_or(rule.map.resolution);
    rule.map.tolerance = recipe.tolerance.value_or(rule.map.tolerance);
  }
  for (const auto& [name, value] : recipe.numbers)
    schatten::optim::set_field(rule, name, value, "recipe of " + recipe.name, schatten::optim::Fixed::settable);
  return rule;
}

}  // namespace character_model
