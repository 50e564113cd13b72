// SPDX-License-Identifier: BSD-3-Clause
// Rules with factors or projections of the gradients, and the search for a rule by its name.

#include "rules.hpp"
#include <schatten/optim/rules/galore.hpp>
#include <schatten/optim/rules/soap.hpp>
#include <schatten/optim/rules/splus.hpp>

#include <stdexcept>

namespace character_model {

std::vector<Rule> preconditioned_rules() {
  return {
      rule<schatten::SOAP>(),
      rule<schatten::SPlus>(),
      rule<schatten::GaLore>(),
  };
}

Rule rule_of(const Recipe& recipe) {
  for (const auto& rules : {spectral_rules(), elementwise_rules(), preconditioned_rules()})
    for (const Rule& rule : rules)
      if (rule.name == recipe.name) return rule;
  throw std::logic_error("no rule of the name '" + recipe.name + "'");
}

}  // namespace character_model
