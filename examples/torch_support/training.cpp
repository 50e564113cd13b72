// SPDX-License-Identifier: BSD-3-Clause
#include "training.hpp"

#include "../character_model/progress.hpp"
#include "checkpoint.hpp"
#include "layer_inputs.hpp"
#include "rules.hpp"
#include <schatten/optim/schedules.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

namespace torch_support {
namespace {

using Clock = std::chrono::steady_clock;

// Of all threads of this process, from the first step that it takes; what other processes take is not in it.
struct ProcessorTime {
  double steps = 0, optimizers = 0;  // seconds
  int count = 0;

  static double now() { return double(std::clock()) / CLOCKS_PER_SEC; }
  void print() const {
    if (count == 0) return;
    std::printf("processor time of a step: %.1f ms, of it the optimizers %.1f ms, %.1f %%\n", 1000 * steps / count,
                1000 * optimizers / count, 100 * optimizers / steps);
  }
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<torch::Tensor> all_but(const std::vector<torch::Tensor>& hidden, const torch::nn::Module& model) {
  std::vector<torch::Tensor> others;
  for (const torch::Tensor& parameter : model.parameters())
    if (std::none_of(hidden.begin(), hidden.end(), [&](const torch::Tensor& t) { return t.is_same(parameter); }))
      others.push_back(parameter);
  return others;
}

std::string plan_of(const Task& task, const Record& record, const Recipe& recipe, const Options& options) {
  std::ostringstream words;
  words.precision(12);
  words << record.optimizer << ", lr " << recipe.hidden_lr << " and " << recipe.other_lr << ", weight decay "
        << recipe.weight_decay << ", power " << recipe.power.value_or(0);
  for (const auto& [name, value] : recipe.numbers) words << ", " << name << ' ' << value;
  words << ", " << options.steps << " steps, warm-up " << options.warm_up << ", seed " << record.seed;
  const std::string description = task.description();
  if (!description.empty()) words << ", " << description;
  return words.str();
}

Evaluation evaluate(Task& task) {
  const torch::NoGradGuard without_gradients;
  task.model().eval();
  const Evaluation evaluation = task.evaluate();
  task.model().train();
  return evaluation;
}

// The gradients of a loss with sampled labels, beside those that the parameters have.
void observe_sampled(Task& task, const RuleOptimizer& rule, const std::vector<torch::Tensor>& hidden) {
  const auto gradients = torch::autograd::grad({task.sampled_loss()}, hidden);
  for (std::size_t k = 0; k < hidden.size(); ++k) rule.observe(hidden[k], gradients[k]);
}

void observe_inputs(const LayerInputs& inputs, const RuleOptimizer& rule, const std::vector<torch::Tensor>& hidden) {
  for (const torch::Tensor& weight : hidden) {
    const torch::Tensor x = inputs.of(weight);
    if (!x.defined()) throw std::logic_error("the model does not keep the inputs of each of its layers");
    rule.observe(weight, x);
  }
}

// The recipe with what is known of the task.
Recipe for_task(Recipe recipe, const Task& task) {
  if (recipe.observed == character_model::Observed::sampled_gradients)
    recipe.numbers.insert(recipe.numbers.begin(), {"examples", task.labels()});
  return recipe;
}

}  // namespace

Record train(Task& task, const Recipe& recipe, const Options& options, std::uint64_t seed,
             const std::string& checkpoint) {
  const std::vector<torch::Tensor> hidden = task.hidden_matrices();
  const RuleOptimizer rule = make_rule(for_task(recipe, task), hidden);
  const auto adam = make_adam(recipe.other_lr, all_but(hidden, task.model()));
  Record record;
  record.optimizer = recipe.name;
  record.hidden_lr = recipe.hidden_lr;
  record.seed = seed;
  const TrainingState state{plan_of(task, record, recipe, options), task, *rule.optimizer, *adam, record};
  if (options.resume && std::filesystem::exists(checkpoint)) load_checkpoint(checkpoint, state);

  const auto steps = std::size_t(options.steps);
  const schatten::CosineLr schedule({.steps = steps, .warmup = std::size_t(options.warm_up * double(steps))});
  const int evaluate_every = std::max(1, options.steps / options.evaluations);
  character_model::Progress progress(recipe.name, options.steps);
  ProcessorTime processor;
  task.model().train();
  for (int step = int(record.steps.size()) + 1; step <= options.steps; ++step) {
    const auto start = Clock::now();
    const double processor_start = ProcessorTime::now();
    task.model().zero_grad(/*set_to_none=*/false);  // gradients stay where they are
    std::optional<LayerInputs> inputs;
    if (recipe.observes(character_model::Observed::layer_inputs, step)) inputs.emplace();
    const torch::Tensor loss = task.next_loss();
    loss.backward();
    const double factor = schedule(std::size_t(step - 1));
    set_lr(*rule.optimizer, recipe.hidden_lr * factor);
    set_lr(*adam, recipe.other_lr * factor);
    const double train_loss = loss.item<double>();
    const auto optimizer_start = Clock::now();
    const double processor_optimizers = ProcessorTime::now();
    if (inputs) observe_inputs(*inputs, rule, hidden);
    inputs.reset();  // evaluations have inputs too
    if (recipe.observes(character_model::Observed::sampled_gradients, step)) observe_sampled(task, rule, hidden);
    rule.optimizer->step();
    adam->step();
    record.optimizer_seconds += seconds_since(optimizer_start);
    const double seconds = seconds_since(start), processor_end = ProcessorTime::now();
    processor.steps += processor_end - processor_start;
    processor.optimizers += processor_end - processor_optimizers;
    ++processor.count;
    record.seconds += seconds;

    character_model::StepRecord& row = record.steps.emplace_back();
    row.step = step;
    row.train_loss = train_loss;
    row.seconds = record.seconds;
    if (step % evaluate_every == 0 || step == options.steps) {
      const Evaluation evaluation = evaluate(task);
      row.validation_loss = evaluation.loss;
      row.accuracy = evaluation.accuracy;
    }
    progress.update(step, train_loss, seconds);
    const bool due = options.checkpoint_every > 0 && (step % options.checkpoint_every == 0 || step == options.steps);
    if (due) save_checkpoint(checkpoint, state);
    if (step == options.kill_at) std::raise(SIGKILL);
  }
  processor.print();
  record.optimizer_processor_seconds =
      double(record.steps.size()) * processor.optimizers / std::max(1, processor.count);
  record.validation_loss = *record.steps.back().validation_loss;
  return record;
}

}  // namespace torch_support
