#include "recipes.hpp"

namespace character_model {

std::vector<Recipe> tuned_recipes() {
  return {
      {"adamw", Algorithm::adamw, 0.0015, 0.01, 0.1, 0.0},
      {"muon", Algorithm::muon, 0.03, 0.01, 0.1, 0.0},
      {"htmuon", Algorithm::htmuon, 0.07, 0.01, 0.1, 0.125},
  };
}

}  // namespace character_model
