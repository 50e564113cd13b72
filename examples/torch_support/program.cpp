// SPDX-License-Identifier: BSD-3-Clause
#include "program.hpp"

#include "checkpoint.hpp"
#include "rules.hpp"
#include "training.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <torch/utils.h>
#include <vector>

namespace torch_support {
namespace {

using character_model::Record;

bool parse(Program& program, Arguments given) {
  while (given.next()) {
    if (given.option() == "--help" || given.option() == "-h") {
      std::fputs((program.help + usage(program.options)).c_str(), stdout);
      return false;
    }
    if (!take(given, program.options) && !program.take(given)) given.unknown();
  }
  return true;
}

Record train_one(const Program& program, const Recipe& recipe, std::uint64_t seed) {
  const Options& options = program.options;
  torch::manual_seed(seed);
  const auto task = program.make_task(options, seed);
  const std::filesystem::path out = options.out;
  const std::string checkpoint = (out / (recipe.name + "-" + std::to_string(seed) + ".pt")).string();
  const Record record = train(*task, recipe, options, seed, checkpoint);
  std::printf("%s, seed %" PRIu64 ": digest of the weights %016" PRIx64 "\n", recipe.name.c_str(), seed,
              digest_of(task->model()));
  return record;
}

void print_table(const Program& program, const std::vector<Record>& records) {
  std::size_t width = 4;
  for (const Record& record : records) width = std::max(width, record.optimizer.size());
  std::printf("\n%-*s  %-4s  %-9s  %-40s  %-10s  %s\n", int(width), "rule", "seed", "lr", "held out", "a step",
              "of it the optimizers");
  for (const Record& record : records) {
    const double milliseconds = 1000 / double(record.steps.size());
    std::printf("%-*s  %-4" PRIu64 "  %-9.4g  %.4f nats, %-27s  %7.1f ms  %7.1f ms, %.1f %%\n", int(width),
                record.optimizer.c_str(), record.seed, record.hidden_lr, record.validation_loss,
                program.figure(record).c_str(), milliseconds * record.seconds, milliseconds * record.optimizer_seconds,
                100 * record.optimizer_seconds / record.seconds);
  }
}

void train_all(const Program& program) {
  const Options& options = program.options;
  start_threads(options.threads);
  const std::vector<Recipe> recipes = recipes_of(options, program.prepare(options));
  std::filesystem::create_directories(options.out);  // before the work, to fail early
  std::vector<Record> records;
  for (const Recipe& recipe : recipes)
    for (int k = 0; k < options.seeds; ++k)
      records.push_back(train_one(program, recipe, options.seed + std::uint64_t(k)));
  print_table(program, records);
  const std::filesystem::path out = options.out;
  character_model::write_csv(out / "losses.csv", records);
  character_model::write_trainings_csv(out / "trainings.csv", records);
  character_model::write_svg(out / "losses.svg", records, program.words);
  std::printf("\n%s and losses.svg beside it hold the loss curves, trainings.csv a row a training\n",
              (out / "losses.csv").string().c_str());
}

}  // namespace

int run(Program& program, int count, const char* const* arguments) {
  try {
    if (parse(program, Arguments(count, arguments))) train_all(program);
    return 0;
  } catch (const BadOption& error) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), error.what());
    return 2;
  } catch (const c10::Error& error) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), error.what_without_backtrace());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), error.what());
    return 1;
  }
}

}  // namespace torch_support
