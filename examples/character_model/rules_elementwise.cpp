// Rules that work element by element or row by row.

#include "rules.hpp"
#include <schatten/optim/rules/adam.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/cautious_adamw.hpp>
#include <schatten/optim/rules/cautious_lion.hpp>
#include <schatten/optim/rules/lion.hpp>
#include <schatten/optim/rules/rmnp.hpp>
#include <schatten/optim/rules/sgd.hpp>

namespace character_model {

std::vector<Rule> elementwise_rules() {
  return {
      rule<schatten::AdamW>(),         rule<schatten::Adam>(),         rule<schatten::SGD>(),  rule<schatten::Lion>(),
      rule<schatten::CautiousAdamW>(), rule<schatten::CautiousLion>(), rule<schatten::RMNP>(),
  };
}

}  // namespace character_model
