// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <schatten/core/stable_sort.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

namespace character_model {

namespace {

int name_width(const std::vector<Record>& records) {
  std::size_t width = std::string("optimizer").size();
  for (const Record& record : records) width = std::max(width, record.optimizer.size());
  return int(width);
}

bool has_accuracy(const std::vector<Record>& records) {
  return std::any_of(records.begin(), records.end(), [](const Record& record) {
    return std::any_of(record.steps.begin(), record.steps.end(),
                       [](const StepRecord& s) { return s.accuracy.has_value(); });
  });
}

// Of one optimizer's trainings.
struct Means {
  std::string optimizer;
  double hidden_lr = 0, loss = 0, least = 0, most = 0;
  double step_seconds = 0, optimizer_step_seconds = 0, alpha = 0;
};

Means means_of(const std::vector<Record>& trainings) {
  Means means{trainings[0].optimizer, trainings[0].hidden_lr};
  means.least = means.most = trainings[0].validation_loss;
  for (const Record& training : trainings) {
    const double steps = double(training.steps.size()), share = 1 / double(trainings.size());
    means.loss += share * training.validation_loss;
    means.least = std::min(means.least, training.validation_loss);
    means.most = std::max(means.most, training.validation_loss);
    means.step_seconds += share * training.seconds / steps;
    means.optimizer_step_seconds += share * training.optimizer_seconds / steps;
    means.alpha += share * training.alpha_after;
  }
  return means;
}

// The trainings of each optimizer, which follow one another.
std::vector<std::vector<Record>> by_optimizer(const std::vector<Record>& records) {
  std::vector<std::vector<Record>> groups;
  for (const Record& record : records) {
    if (groups.empty() || groups.back()[0].optimizer != record.optimizer) groups.emplace_back();
    groups.back().push_back(record);
  }
  return groups;
}

}  // namespace

void print_table(const std::vector<Record>& records) {
  constexpr double nats_per_bit = 0.6931471805599453;
  const int width = name_width(records);
  std::printf("\n%-*s  %-28s  %-8s  %-14s  %s\n", width, "", "validation loss", "training", "share of the",
              "Hill alpha of the");
  std::printf("%-*s  %-28s  %-8s  %-14s  %s\n", width, "optimizer", "at the end", "time", "optimizer step",
              "hidden matrices");
  for (const Record& record : records)
    std::printf("%-*s  %.4f nats, %.3f bits/char  %6.1f s  %12.1f %%  %6.2f -> %.2f\n", width, record.optimizer.c_str(),
                record.validation_loss, record.validation_loss / nats_per_bit, record.seconds,
                100.0 * record.optimizer_seconds / record.seconds, record.alpha_before, record.alpha_after);
}

void print_means(const std::vector<Record>& records) {
  std::vector<Means> rows;
  for (const auto& trainings : by_optimizer(records)) rows.push_back(means_of(trainings));
  schatten::stable_sort(rows, [](const Means& a, const Means& b) { return a.loss < b.loss; });
  const int width = name_width(records);
  std::printf("\n%-*s  %-9s  %-24s  %-9s  %-14s  %s\n", width, "", "hidden", "validation loss (nats)", "time of",
              "the optimizer", "Hill");
  std::printf("%-*s  %-9s  %-24s  %-9s  %-14s  %s\n", width, "optimizer", "lr", "mean, largest - smallest", "a step",
              "in it", "alpha");
  for (const Means& row : rows)
    std::printf("%-*s  %-9.4g  %.4f     %-13.4f  %6.1f ms  %9.1f ms  %8.2f\n", width, row.optimizer.c_str(),
                row.hidden_lr, row.loss, row.most - row.least, 1000 * row.step_seconds,
                1000 * row.optimizer_step_seconds, row.alpha);
}

void write_csv(const std::filesystem::path& path, const std::vector<Record>& records) {
  const bool accuracy = has_accuracy(records);
  std::ofstream file(path);
  file << "optimizer,step,train_loss,validation_loss,seconds,seed" << (accuracy ? ",accuracy\n" : "\n");
  for (const Record& record : records)
    for (const StepRecord& step : record.steps) {
      file << record.optimizer << ',' << step.step << ',' << step.train_loss << ',';
      if (step.validation_loss) file << *step.validation_loss;
      file << ',' << step.seconds << ',' << record.seed;
      if (accuracy) file << ',';
      if (step.accuracy) file << *step.accuracy;
      file << '\n';
    }
  file.flush();
  if (!file) throw std::runtime_error("cannot write '" + path.string() + "'");
}

void write_trainings_csv(const std::filesystem::path& path, const std::vector<Record>& records) {
  const bool accuracy = has_accuracy(records);
  std::ofstream file(path);
  file << "optimizer,hidden_lr,seed,steps,validation_loss,step_ms,optimizer_ms,optimizer_processor_ms"
       << (accuracy ? ",accuracy" : "");
  for (const Alpha& alpha : records.at(0).alphas)
    file << ",alpha_before." << alpha.matrix << ",alpha_after." << alpha.matrix;
  file << '\n';
  for (const Record& record : records) {
    const double steps = double(record.steps.size());
    file << record.optimizer << ',' << record.hidden_lr << ',' << record.seed << ',' << record.steps.size() << ','
         << record.validation_loss << ',' << 1000 * record.seconds / steps << ','
         << 1000 * record.optimizer_seconds / steps << ',' << 1000 * record.optimizer_processor_seconds / steps;
    if (accuracy) file << ',' << record.steps.back().accuracy.value_or(0);
    for (const Alpha& alpha : record.alphas) file << ',' << alpha.before << ',' << alpha.after;
    file << '\n';
  }
  file.flush();
  if (!file) throw std::runtime_error("cannot write '" + path.string() + "'");
}

}  // namespace character_model
