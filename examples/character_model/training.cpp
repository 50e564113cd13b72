// SPDX-License-Identifier: BSD-3-Clause
#include "training.hpp"

#include "model.hpp"
#include "momentum_recorder.hpp"
#include "progress.hpp"
#include "schedule.hpp"
#include "train_with.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <limits>
#include <random>
#include <string>

namespace character_model {
namespace {

constexpr std::uint64_t search_seed = 1000;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double processor_seconds_since(std::clock_t start) { return double(std::clock() - start) / CLOCKS_PER_SEC; }

double mean_loss(Model<float>& model, const std::vector<Batch>& batches) {
  double sum = 0;
  for (const Batch& batch : batches) sum += model.loss(batch);
  return sum / double(batches.size());
}

}  // namespace

Record train(const Recipe& recipe, const TrainingPlan& plan, const Data& data) {
  Model<float> model({.width = plan.width}, plan.seed);
  BatchSampler sampler(data.symbols, data.split.train, plan.sequences, plan.length, plan.seed);
  ModelOptimizer optimizer(recipe, model.parameters(), plan.steps);
  Progress progress(recipe.name, plan.steps);
  MomentumRecorder momenta(plan.record_momenta, plan.steps);

  Record record;
  record.optimizer = recipe.name;
  record.hidden_lr = recipe.hidden_lr;
  record.seed = plan.seed;
  record.alphas = hill_alphas(model.parameters());
  const int evaluate_every = std::max(1, plan.steps / plan.evaluations);
  std::mt19937_64 random(plan.seed + 1);  // of sampled targets
  Batch batch, sampled;
  for (int step = 1; step <= plan.steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    sampler.next(batch);
    if (optimizer.wants_sampled_gradients(step)) {
      const auto sampling_start = std::chrono::steady_clock::now();
      const std::clock_t sampling_clock = std::clock();
      sampled = batch;
      model.sample_targets(sampled, random);
      model.loss_and_gradients(sampled);
      optimizer.observe_gradients(sampled.sequences * sampled.length);
      record.optimizer_seconds += seconds_since(sampling_start);
      record.optimizer_processor_seconds += processor_seconds_since(sampling_clock);
    }
    const double loss = model.loss_and_gradients(batch);
    momenta.record(step, model.parameters());
    const auto optimizer_start = std::chrono::steady_clock::now();
    const std::clock_t optimizer_clock = std::clock();
    optimizer.step(step, schedule(step, plan.steps));
    record.optimizer_seconds += seconds_since(optimizer_start);
    record.optimizer_processor_seconds += processor_seconds_since(optimizer_clock);
    const double seconds = seconds_since(start);
    record.seconds += seconds;

    StepRecord& row = record.steps.emplace_back();
    row.step = step;
    row.train_loss = loss;
    row.seconds = record.seconds;
    if (step % evaluate_every == 0 || step == plan.steps) row.validation_loss = mean_loss(model, data.validation);
    progress.update(step, loss, seconds);
  }
  record.validation_loss = *record.steps.back().validation_loss;
  const std::vector<Alpha> after = hill_alphas(model.parameters());
  for (std::size_t k = 0; k < after.size(); ++k) {
    record.alphas[k].after = after[k].before;
    record.alpha_before += record.alphas[k].before / double(after.size());
    record.alpha_after += record.alphas[k].after / double(after.size());
  }
  return record;
}

Recipe search(Recipe recipe, TrainingPlan plan, const Data& data, int trials) {
  plan.seed += search_seed;
  plan.evaluations = 1;
  const double start = recipe.hidden_lr;
  double least = std::numeric_limits<double>::infinity();
  std::vector<std::string> losses;
  for (int trial = 0; trial < trials; ++trial) {
    Recipe changed = recipe;
    changed.hidden_lr = start * std::exp2(trial - trials / 2);
    const double loss = train(changed, plan, data).validation_loss;
    char text[64];
    std::snprintf(text, sizeof text, "%.4g: %.4f", changed.hidden_lr, loss);
    losses.emplace_back(text);
    if (!(loss < least)) continue;  // also where training has ended in NaN
    least = loss;
    recipe.hidden_lr = changed.hidden_lr;
  }
  std::printf("%s, validation loss by hidden lr:", recipe.name.c_str());
  for (const std::string& loss : losses) std::printf("  %s", loss.c_str());
  std::printf("\n");
  return recipe;
}

}  // namespace character_model
