// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

#include <algorithm>
#include <iterator>

namespace torch_support {
namespace {

constexpr double paper_lr = 0.03;  // arXiv 2603.10067: of the hidden matrices
constexpr double adam_lr = 0.001;  // there too: of embeddings, gains and head

// Their directions are of the size of HTMuon's.
bool has_paper_lr(const Recipe& recipe) {
  constexpr const char* names[] = {"htmuon", "muon", "normuon", "cautious_muon"};
  return std::find(std::begin(names), std::end(names), recipe.name) != std::end(names);
}

std::vector<Recipe> known_recipes(int width) {
  std::vector<Recipe> recipes = character_model::known_recipes(width);
  for (Recipe& recipe : recipes) {
    recipe.other_lr = adam_lr;
    if (has_paper_lr(recipe)) recipe.hidden_lr = paper_lr;
  }
  return recipes;
}

}  // namespace

bool take(Arguments& arguments, Options& options) {
  const std::string& option = arguments.option();
  const auto count = [&](int low, int high) {
    const std::string words = "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    return arguments.number(low, high, words.c_str());
  };
  const auto rate = [&] { return arguments.number(0.0, 1e3, "a number from 0 to 1000"); };
  if (option == "--rule" || option == "--rules") {
    options.rules = arguments.text("names of rules");
    recipes_of(options, 512);  // to say now which name is wrong
  } else if (option == "--lr") {
    options.lr = rate();
  } else if (option == "--other-lr") {
    options.other_lr = rate();
  } else if (option == "--weight-decay") {
    options.weight_decay = rate();
  } else if (option == "--power") {
    options.power = arguments.number(-0.499, 1.0, "a number above -0.5 and up to 1");
  } else if (option == "--set") {
    options.numbers.push_back(character_model::parse_setting(option, arguments.value()));
  } else if (option == "--steps") {
    options.steps = count(1, 100000000);
  } else if (option == "--warm-up") {
    options.warm_up = arguments.number(0.0, 1.0, "a share from 0 to 1");
  } else if (option == "--seed") {
    options.seed = arguments.number<std::uint64_t>(0, ~std::uint64_t{0}, "a whole number");
  } else if (option == "--seeds") {
    options.seeds = count(1, 100);
  } else if (option == "--threads") {
    options.threads = count(1, 1024);
  } else if (option == "--device") {
    options.device = arguments.value();
    if (options.device != "cpu" && options.device != "cuda")
      throw BadOption(option + ": expected cpu or cuda, got '" + options.device + "'");
  } else if (option == "--out") {
    options.out = arguments.text("a directory");
  } else if (option == "--evaluations") {
    options.evaluations = count(1, 100000);
  } else if (option == "--checkpoint-every") {
    options.checkpoint_every = count(1, 100000000);
  } else if (option == "--resume") {
    options.resume = true;
  } else if (option == "--kill-at") {
    options.kill_at = count(1, 100000000);
  } else {
    return false;
  }
  return true;
}

std::string usage(const Options& options) {
  return "  --rule LIST          rules of the hidden matrices, by name, or all (default: " + options.rules +
         ")\n"
         "  --lr X               their learning rate (default: 0.03 for htmuon, muon, normuon and cautious_muon; "
         "others'\n"
         "                       are of the character model)\n"
         "  --power P            of rules that have one (default: htmuon's 0.125, others' 0)\n"
         "  --weight-decay X     of the hidden matrices (default: 0.1; adam and sgd 0, scion 1)\n"
         "  --set NAME=X         a number of the rule by its name in docs/rules: --set interval=5; repeatable\n"
         "  --other-lr X         learning rate of Adam, which all other parameters follow (default: 0.001)\n"
         "  --steps N            (default: " +
         std::to_string(options.steps) +
         ")\n"
         "  --warm-up X          share of the steps, before the cosine (default: 0.1)\n"
         "  --seed N, --seeds K  of initial weights and batches; K trainings with this seed and the following\n"
         "  --threads N          of LibTorch and of Kokkos (default: as many as OpenMP starts)\n"
         "  --device D           cpu or cuda (default: cpu)\n"
         "  --evaluations N      on held-out data, over the training (default: 10)\n"
         "  --out DIR            where losses.csv, losses.svg and checkpoints go (default: " +
         options.out +
         ")\n"
         "  --checkpoint-every N write DIR/RULE-SEED.pt every N steps and at the end (default: never)\n"
         "  --resume             go on from those files; trainings that they show as done are not repeated\n"
         "  --kill-at N          after step N, end as a kill would, to test --resume\n"
         "  --help               print this, and stop\n"
         "\nRules: " +
         character_model::names_of(known_recipes(512)) + "\n";
}

std::vector<Recipe> recipes_of(const Options& options, int width) {
  std::vector<Recipe> recipes = character_model::chosen_recipes("--rule", options.rules, known_recipes(width));
  for (Recipe& recipe : recipes) {
    recipe.hidden_lr = options.lr.value_or(recipe.hidden_lr);
    recipe.other_lr = options.other_lr.value_or(recipe.other_lr);
    recipe.weight_decay = options.weight_decay.value_or(recipe.weight_decay);
    if (options.power && recipe.power) recipe.power = options.power;
    recipe.numbers.insert(recipe.numbers.end(), options.numbers.begin(), options.numbers.end());
  }
  return recipes;
}

}  // namespace torch_support
