#pragma once
// How each optimizer is set.

#include <string>
#include <vector>

namespace character_model {

enum class Algorithm { adamw, muon, htmuon };

// The hidden matrices follow the algorithm; embedding and output always follow AdamW.
struct Recipe {
  std::string name;
  Algorithm algorithm = Algorithm::adamw;
  double hidden_lr = 0;
  double other_lr = 0;
  double weight_decay = 0.1;  // of the hidden matrices
  double power = 0;           // htmuon: the update is U S^power V^T of the momentum U S V^T
};

std::vector<Recipe> tuned_recipes();

}  // namespace character_model
