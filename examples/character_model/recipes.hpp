// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How each optimizer is set.

#include <schatten/spectral/method.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace character_model {

// What a rule is given beside gradients.
enum class Observed { nothing, sampled_gradients, layer_inputs };

// The hidden matrices follow the rule of that name; embedding and output always follow AdamW.
struct Recipe {
  std::string name;
  double hidden_lr = 0;
  double other_lr = 0;
  double weight_decay = 0.1;         // of the hidden matrices
  std::optional<double> power = {};  // of rules that have one: U S^power V^T of a momentum U S V^T
  bool logistic_power = false;       // instead of one power, the library's LogisticPower over the steps
  // How that is computed, where not the rule's way.
  std::optional<schatten::SpectralMethod> method = {};
  std::optional<double> resolution = {}, tolerance = {};
  std::vector<std::pair<std::string, double>> numbers = {};  // others of the rule, by name, where not its defaults
  Observed observed = Observed::nothing;
  int observe_every = 1;  // steps

  bool observes(Observed what, int step) const { return observed == what && (step - 1) % observe_every == 0; }
};

// Of every optimizer; the demo's three come first. Of hidden matrices of this width.
std::vector<Recipe> known_recipes(int width = 512);

// Their names, separated by commas.
std::string names_of(const std::vector<Recipe>& recipes);

// Those of a list such as "adamw,htmuon", in its order, or of "all". Throws BadOption, which names the option.
std::vector<Recipe> chosen_recipes(const std::string& option, const std::string& list,
                                   const std::vector<Recipe>& known);

// What a run without --optimizer trains with: AdamW, Muon and HTMuon.
std::vector<Recipe> tuned_recipes(int width);

}  // namespace character_model
