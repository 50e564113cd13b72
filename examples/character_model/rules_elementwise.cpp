// Rules that work element by element.

#include "rules.hpp"
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/lion.hpp>
#include <schatten/optim/rules/sgd.hpp>

namespace character_model {

std::vector<Rule> elementwise_rules() {
  return {
      rule<schatten::AdamW>(),
      rule<schatten::Lion>(),
      rule<schatten::SGD>(),
  };
}

}  // namespace character_model
