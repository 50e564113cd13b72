// SPDX-License-Identifier: BSD-3-Clause
// Rules with a spectral map, UΣ^pVᵀ of a matrix. They share its methods, which take longest to compile.

#include "rules.hpp"
#include <schatten/optim/rules/adamuon.hpp>
#include <schatten/optim/rules/aurora.hpp>
#include <schatten/optim/rules/cautious_muon.hpp>
#include <schatten/optim/rules/cosmos.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/lion_muon.hpp>
#include <schatten/optim/rules/mars_m.hpp>
#include <schatten/optim/rules/muon.hpp>
#include <schatten/optim/rules/muon_eq.hpp>
#include <schatten/optim/rules/newton_muon.hpp>
#include <schatten/optim/rules/normuon.hpp>
#include <schatten/optim/rules/scion.hpp>

namespace character_model {
namespace {

// Its steps with signs have a learning rate of their own, a twentieth in the authors' scripts.
schatten::GroupId add_lion_muon(RuleOptimizer& optimizer, const Recipe& recipe) {
  schatten::LionMuon rule;
  rule.lion_lr = recipe.hidden_lr / 20;
  return add_group(optimizer, recipe, rule);
}

schatten::GroupId add_mars_shampoo(RuleOptimizer& optimizer, const Recipe& recipe) {
  return add_group(optimizer, recipe, schatten::mars_shampoo);
}

}  // namespace

std::vector<Rule> spectral_rules() {
  return {
      rule<schatten::HTMuon>(),
      rule<schatten::Muon>(),
      rule<schatten::NorMuon>(),
      rule<schatten::AdaMuon>(),
      rule<schatten::CautiousMuon>(),
      rule<schatten::MARSM>(),
      {"mars_shampoo", &add_mars_shampoo},
      {"lion_muon", &add_lion_muon},
      rule<schatten::MuonEq>(),
      rule<schatten::Scion>(),
      rule<schatten::Aurora>(),
      rule<schatten::NewtonMuon>(),
      rule<schatten::COSMOS>(),
  };
}

}  // namespace character_model
