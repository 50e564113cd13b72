// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

namespace character_model {
namespace {

schatten::SpectralMethod parse_method(const std::string& option, const std::string& name) {
  using schatten::SpectralMethod;
  std::string names;
  for (int k = int(SpectralMethod::automatic); k <= int(SpectralMethod::rank_power); ++k) {
    const std::string known = to_string(SpectralMethod(k));
    if (letters_of(known) == letters_of(name)) return SpectralMethod(k);
    names += (names.empty() ? "" : ", ") + known;
  }
  throw BadOption(option + ": expected a name among " + names + ", got '" + name + "'");
}

}  // namespace

Options parse_options(int count, const char* const* arguments) {
  Options options;
  std::string list_option, list;
  std::optional<double> power, hidden_lr, other_lr, resolution, tolerance;
  bool logistic_power = false;
  std::vector<std::pair<std::string, double>> numbers;
  std::optional<schatten::SpectralMethod> method;
  for (int i = 1; i < count; ++i) {
    const std::string option = arguments[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= count) throw BadOption(option + ": a value is missing");
      return arguments[++i];
    };
    const auto rate = [&] { return parse_number(option, value(), 0.0, 1e3, "a number from 0 to 1000"); };
    if (option == "--help" || option == "-h") {
      options.help = true;
    } else if (option == "--check-gradients") {
      options.check_gradients = true;
    } else if (option == "--quick") {
      options.quick = true;
    } else if (option == "--text") {
      options.text = value();
      if (options.text.empty()) throw BadOption(option + ": expected a file, got ''");
    } else if (option == "--out") {
      options.out = value();
      if (options.out.empty()) throw BadOption(option + ": expected a directory, got ''");
    } else if (option == "--record-momenta") {
      options.record_momenta = value();
    } else if (option == "--steps") {
      options.steps = parse_number(option, value(), 1, 1000000, "a whole number from 1 to 1000000");
    } else if (option == "--width") {
      options.width = parse_number(option, value(), 4, 8192, "a multiple of 4 from 4 to 8192");
      if (options.width % 4 != 0) throw BadOption(option + ": expected a multiple of 4, got " + arguments[i]);
    } else if (option == "--seed") {
      options.seed = parse_number<std::uint64_t>(option, value(), 0, ~std::uint64_t{0}, "a whole number");
    } else if (option == "--threads") {
      options.threads = parse_number(option, value(), 1, 1024, "a whole number from 1 to 1024");
    } else if (option == "--optimizer" || option == "--optimizers") {
      list_option = option;
      list = value();
    } else if (option == "--search") {
      options.search = parse_number(option, value(), 1, 100, "a whole number from 1 to 100");
    } else if (option == "--seeds") {
      options.seeds = parse_number(option, value(), 1, 100, "a whole number from 1 to 100");
    } else if (option == "--power") {
      const std::string text = value();
      logistic_power = text == "logistic";
      power = logistic_power ? 0.125
                             : parse_number(option, text, -0.499, 1.0, "logistic, or a number above -0.5 and up to 1");
    } else if (option == "--set") {
      numbers.push_back(parse_setting(option, value()));
    } else if (option == "--method") {
      method = parse_method(option, value());
    } else if (option == "--resolution") {
      resolution = parse_number(option, value(), 1e-300, 1.0, "a number above 0 and up to 1");
    } else if (option == "--tolerance") {
      tolerance = parse_number(option, value(), 1e-300, 1e3, "a positive number");
    } else if (option == "--hidden-lr") {
      hidden_lr = rate();
    } else if (option == "--other-lr") {
      other_lr = rate();
    } else {
      throw BadOption(option + ": no such option (--help lists them)");
    }
  }
  options.recipes = list_option.empty() ? tuned_recipes(options.width)
                                        : chosen_recipes(list_option, list, known_recipes(options.width));
  for (Recipe& recipe : options.recipes) {
    if (power && recipe.power) recipe.power = power;
    recipe.logistic_power = logistic_power && recipe.power;
    recipe.numbers.insert(recipe.numbers.end(), numbers.begin(), numbers.end());
    recipe.method = method;
    recipe.resolution = resolution;
    recipe.tolerance = tolerance;
    recipe.hidden_lr = hidden_lr.value_or(recipe.hidden_lr);
    recipe.other_lr = other_lr.value_or(recipe.other_lr);
  }
  return options;
}

std::string usage() {
  return R"(Trains a character-level language model with each of some optimizers, from the same start and on the same
batches, and compares them.

  --text FILE        train on this text (default: the C++ of the installed Eigen headers)
  --steps N          steps of each training (default: 250, with --quick 16)
  --quick            a run of seconds: fewer steps, smaller batches
  --width N          rows and columns of the hidden matrices (default: 512; learning rates follow)
  --out DIR          where losses.csv and losses.svg go (default: train_output)
  --record-momenta D write momenta of the hidden matrices there, as .npy files; the last optimizer's stay
  --seed N           of the initial weights and the batches (default: 1)
  --threads N        OpenMP threads (default: as many as OpenMP starts)
  --optimizer LIST   names separated by commas, or all (default: adamw,muon,htmuon); also --optimizers
  --search N         first N trainings of each optimizer on another seed, with hidden learning rates that are powers
                     of two apart; the best goes on
  --seeds K          K trainings of each optimizer, with this seed and the following; the table has means
  --power P          of the optimizers that have one, above -0.5 and up to 1 (default: HTMuon's is 0.125, others' 0)
                     logistic: LogisticPower over the steps of each training, from 0.45 to -0.25
  --set NAME=X       a number of the rule of the hidden matrices, by its name in docs/rules: --set interval=5;
                     repeatable
  --method NAME      how their U S^P V^T is computed: automatic, svd, eigh, rational, ... (default: as the rule says)
  --resolution X     of that: the smallest singular value, over the largest, that must come out within the tolerance
  --tolerance X      of that: relative error of S^P
  --hidden-lr X      learning rate of the hidden matrices, instead of the tuned one
  --other-lr X       learning rate of embedding and output, instead of the tuned one
  --check-gradients  compare the model's gradients with differences, and stop
  --help             print this, and stop

Optimizers: )" +
         names_of(known_recipes()) + "\n";
}

}  // namespace character_model
