#include "training.hpp"

#include "model.hpp"
#include "momentum_recorder.hpp"
#include "progress.hpp"
#include "train_with.hpp"

#include <algorithm>
#include <chrono>

namespace character_model {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double mean_loss(Model<float>& model, const std::vector<Batch>& batches) {
  double sum = 0;
  for (const Batch& batch : batches) sum += model.loss(batch);
  return sum / double(batches.size());
}

}  // namespace

double schedule(int step, int steps) {
  const double warm_up = std::max(1.0, 0.04 * steps);
  const double cool_down = std::max(1.0, 0.6 * steps);
  return std::min({1.0, step / warm_up, (steps - step + 1) / cool_down});
}

Record train(const Recipe& recipe, const TrainingPlan& plan, const Symbols& symbols, const Split& split,
             const std::vector<Batch>& validation) {
  Model<float> model(ModelShape{}, plan.seed);
  BatchSampler sampler(symbols, split.train, plan.sequences, plan.length, plan.seed);
  ModelOptimizer optimizer(recipe, model.parameters());
  Progress progress(recipe.name, plan.steps);
  MomentumRecorder momenta(plan.record_momenta, plan.steps);

  Record record;
  record.optimizer = recipe.name;
  record.alpha_before = mean_hill_alpha(model.parameters());
  const int evaluate_every = std::max(1, plan.steps / plan.evaluations);
  Batch batch;
  for (int step = 1; step <= plan.steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    sampler.next(batch);
    const double loss = model.loss_and_gradients(batch);
    momenta.record(step, model.parameters());
    const auto optimizer_start = std::chrono::steady_clock::now();
    optimizer.step(schedule(step, plan.steps));
    record.optimizer_seconds += seconds_since(optimizer_start);
    const double seconds = seconds_since(start);
    record.seconds += seconds;

    StepRecord& row = record.steps.emplace_back();
    row.step = step;
    row.train_loss = loss;
    row.seconds = record.seconds;
    if (step % evaluate_every == 0 || step == plan.steps) row.validation_loss = mean_loss(model, validation);
    progress.update(step, loss, seconds);
  }
  record.validation_loss = *record.steps.back().validation_loss;
  record.alpha_after = mean_hill_alpha(model.parameters());
  return record;
}

}  // namespace character_model
