// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The model's parameters under a Schatten optimizer.

#include "model.hpp"
#include "recipes.hpp"
#include "record.hpp"
#include "rules.hpp"
#include <schatten/diagnostics/hill.hpp>
#include <schatten/interop/eigen.hpp>
#include <schatten/optim/schedules.hpp>

#include <cmath>
#include <vector>

namespace character_model {

class ModelOptimizer {
 public:
  // For a training of that many steps.
  ModelOptimizer(const Recipe& recipe, std::vector<Parameter<float>>& parameters, int steps)
      : steps_(steps),
        recipe_(recipe),
        other_recipe_(adamw(recipe.other_lr)),
        rule_(rule_of(recipe)),
        parameters_(parameters) {
    hidden_ = rule_.add_group(optimizer_, recipe_);
    other_ = rule_of(other_recipe_).add_group(optimizer_, other_recipe_);
    for (Parameter<float>& parameter : parameters)
      optimizer_.add(parameter.role == Role::hidden ? hidden_ : other_, parameter.name, schatten::view(parameter.value),
                     schatten::view(parameter.gradient));
  }

  // Whether observe_gradients is to be called before this step.
  bool wants_sampled_gradients(int step) const { return recipe_.observes(Observed::sampled_gradients, step); }

  // Takes the gradients as they are: those of targets drawn from the model's predictions, of this many positions.
  void observe_gradients(int positions) {
    optimizer_.set(hidden_, "examples", positions);
    for (const Parameter<float>& parameter : parameters_)
      if (parameter.role == Role::hidden) optimizer_.observe(exec_, parameter.name, schatten::view(parameter.gradient));
    exec_.fence();
  }

  // Step number `step` at this part of the peak learning rates; the parameters may be read when it returns.
  void step(int step, double schedule) {
    if (recipe_.observes(Observed::layer_inputs, step)) observe_inputs();
    if (recipe_.logistic_power) optimizer_.set_power(hidden_, logistic_power(step));
    optimizer_.set_lr_factor(hidden_, schedule);
    optimizer_.set_lr_factor(other_, schedule);
    optimizer_.step(exec_);
    exec_.fence();
  }

 private:
  static Recipe adamw(double lr) {
    return {.name = "adamw", .hidden_lr = lr, .weight_decay = 0.0, .numbers = {{"beta2", 0.95}}};
  }

  // To a 64th: every other power is a fit of its own.
  double logistic_power(int step) const {
    const schatten::LogisticPower power({.steps = std::size_t(steps_)});
    return std::round(64 * power(std::size_t(step - 1))) / 64;
  }

  // A column-major width x positions matrix is a row-major positions x width one: a sample a row.
  void observe_inputs() {
    for (const Parameter<float>& parameter : parameters_) {
      if (parameter.role != Role::hidden) continue;
      const Matrix<float>& input = *parameter.input;
      optimizer_.observe(exec_, parameter.name,
                         schatten::matrix_view(input.data(), std::size_t(input.cols()), std::size_t(input.rows())));
    }
  }

  Exec exec_;
  int steps_;
  Recipe recipe_, other_recipe_;
  Rule rule_;
  std::vector<Parameter<float>>& parameters_;
  RuleOptimizer optimizer_;
  schatten::GroupId hidden_{}, other_{};
};

// Hill's alpha of each hidden matrix; heavier-tailed spectra have smaller ones.
inline std::vector<Alpha> hill_alphas(const std::vector<Parameter<float>>& parameters) {
  std::vector<Alpha> alphas;
  for (const Parameter<float>& parameter : parameters)
    if (parameter.role == Role::hidden)
      alphas.push_back({parameter.name, schatten::hill_alpha(Exec{}, schatten::view(parameter.value)), 0});
  return alphas;
}

}  // namespace character_model
