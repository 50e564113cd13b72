// Rules with a spectral map: UΣ^pVᵀ of a momentum, and what comes close to it.

#include "rules.hpp"
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/muon.hpp>
#include <schatten/optim/rules/normuon.hpp>

namespace character_model {

std::vector<Rule> spectral_rules() {
  return {
      rule<schatten::HTMuon>(),
      rule<schatten::Muon>(),
      rule<schatten::NorMuon>(),
  };
}

}  // namespace character_model
