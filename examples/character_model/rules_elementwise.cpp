// SPDX-License-Identifier: BSD-3-Clause
// Rules that work element by element or row by row.

#include "rules.hpp"
#include <schatten/optim/rules/adam.hpp>
#include <schatten/optim/rules/adam_mini.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/ademamix.hpp>
#include <schatten/optim/rules/cautious_adamw.hpp>
#include <schatten/optim/rules/cautious_lion.hpp>
#include <schatten/optim/rules/lion.hpp>
#include <schatten/optim/rules/mars.hpp>
#include <schatten/optim/rules/mars_lion.hpp>
#include <schatten/optim/rules/rmnp.hpp>
#include <schatten/optim/rules/sgd.hpp>
#include <schatten/optim/rules/sophia_g.hpp>

namespace character_model {

std::vector<Rule> elementwise_rules() {
  return {
      rule<schatten::AdamW>(),   rule<schatten::Adam>(),          rule<schatten::SGD>(),
      rule<schatten::Lion>(),    rule<schatten::CautiousAdamW>(), rule<schatten::CautiousLion>(),
      rule<schatten::MARS>(),    rule<schatten::MARSLion>(),      rule<schatten::AdEMAMix>(),
      rule<schatten::SophiaG>(), rule<schatten::AdamMini>(),      rule<schatten::RMNP>(),
  };
}

}  // namespace character_model
