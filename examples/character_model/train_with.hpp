#pragma once
// The model's parameters under a Schatten optimizer: all that this program asks of the library.

#include "model.hpp"
#include "recipes.hpp"
#include <schatten/interop/eigen.hpp>
#include <schatten/schatten.hpp>

#include <vector>

namespace character_model {

class ModelOptimizer {
 public:
  ModelOptimizer(const Recipe& recipe, std::vector<Parameter<float>>& parameters)
      : recipe_(recipe), hidden_(add_hidden_group()), other_(add_adamw_group(recipe.other_lr, 0.0)) {
    for (Parameter<float>& parameter : parameters)
      optimizer_.add(parameter.role == Role::hidden ? hidden_ : other_, parameter.name, schatten::view(parameter.value),
                     schatten::view(parameter.gradient));
  }

  // One step at this part of the peak learning rates; the parameters may be read when it returns.
  void step(double schedule) {
    optimizer_.set_lr(hidden_, schedule * recipe_.hidden_lr);
    optimizer_.set_lr(other_, schedule * recipe_.other_lr);
    optimizer_.step(exec_);
    exec_.fence();
  }

 private:
  schatten::GroupId add_adamw_group(double lr, double weight_decay) {
    return optimizer_.add_group(schatten::AdamWOptions{.lr = lr, .beta2 = 0.95, .weight_decay = weight_decay});
  }

  schatten::GroupId add_hidden_group() {
    const double lr = recipe_.hidden_lr;
    const double weight_decay = recipe_.weight_decay;
    switch (recipe_.algorithm) {
      case Algorithm::muon: return optimizer_.add_group(schatten::MuonOptions{.lr = lr, .weight_decay = weight_decay});
      case Algorithm::htmuon:
        return optimizer_.add_group(
            schatten::HTMuonOptions{.lr = lr, .power = recipe_.power, .weight_decay = weight_decay});
      default: return add_adamw_group(lr, weight_decay);
    }
  }

  using Exec = Kokkos::DefaultHostExecutionSpace;  // Eigen's memory is the host's
  Exec exec_;
  Recipe recipe_;
  schatten::Optimizer<float, Exec> optimizer_;
  schatten::GroupId hidden_;
  schatten::GroupId other_;
};

// Mean over the hidden matrices; heavier-tailed spectra have smaller alpha.
inline double mean_hill_alpha(const std::vector<Parameter<float>>& parameters) {
  double sum = 0;
  int count = 0;
  for (const Parameter<float>& parameter : parameters) {
    if (parameter.role != Role::hidden) continue;
    sum += schatten::hill_alpha(Kokkos::DefaultHostExecutionSpace{}, schatten::view(parameter.value));
    ++count;
  }
  return sum / count;
}

}  // namespace character_model
