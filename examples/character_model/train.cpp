// SPDX-License-Identifier: BSD-3-Clause
// Trains a character-level language model with AdamW, Muon, HTMuon or any other rule of the library.

#include "check_gradients.hpp"
#include "options.hpp"
#include "report.hpp"
#include "text.hpp"
#include "threads.hpp"
#include "training.hpp"

#include <Kokkos_Core.hpp>

#include <cstdio>
#include <exception>
#include <filesystem>

namespace {

using namespace character_model;

Symbols load_text(const Options& options) {
  constexpr std::size_t limit = 4 << 20;  // characters of the default text
  return symbols_of(options.text.empty() ? read_source_tree(default_text_directory(), limit) : read_file(options.text));
}

TrainingPlan plan_of(const Options& options) {
  TrainingPlan plan;
  if (options.quick) {
    plan.steps = 16;
    plan.sequences = 8;
    plan.length = 64;
    plan.evaluations = 4;
  }
  if (options.steps > 0) plan.steps = options.steps;
  plan.seed = options.seed;
  plan.width = options.width;
  plan.record_momenta = options.record_momenta;
  return plan;
}

std::vector<Record> train_all(const Options& options, const TrainingPlan& first, const Data& data) {
  std::vector<Record> records;
  for (Recipe recipe : options.recipes) {
    if (options.search > 0) recipe = search(recipe, first, data, options.search);
    TrainingPlan plan = first;
    for (int k = 0; k < options.seeds; ++k, ++plan.seed) records.push_back(train(recipe, plan, data));
    if (options.seeds > 1) print_means({records.end() - options.seeds, records.end()});  // a long run may be cut off
  }
  return records;
}

void run(const Options& options) {
  Data data;
  data.symbols = load_text(options);
  data.split = split_text(data.symbols.size());
  const TrainingPlan plan = plan_of(options);
  const int batches = options.quick ? 8 : 16;
  data.validation = spread_batches(data.symbols, data.split.validation, plan.sequences, plan.length, batches);
  std::filesystem::create_directories(options.out);  // before the work, to fail early
  std::printf("%zu characters of text, a tenth held out (unigram entropy %.3f nats); %d threads\n", data.symbols.size(),
              unigram_entropy(data.symbols, data.split.validation), thread_count());
  std::printf("%d steps of %d x %d characters\n\n", plan.steps, plan.sequences, plan.length);

  const std::vector<Record> records = train_all(options, plan, data);
  if (options.search > 0 || options.seeds > 1)
    print_means(records);
  else
    print_table(records);
  const std::filesystem::path out = options.out;
  write_csv(out / "losses.csv", records);
  write_trainings_csv(out / "trainings.csv", records);
  write_svg(out / "losses.svg", records);
  std::printf("\n%s and losses.svg beside it hold the loss curves, trainings.csv a row a training\n",
              (out / "losses.csv").string().c_str());
}

// Kokkos takes its number of threads from OpenMP. Its advice on binding them is for runs of hours.
struct KokkosScope {
  KokkosScope() {
    char program[] = "train";
    char quiet[] = "--kokkos-disable-warnings";
    char* arguments[] = {program, quiet, nullptr};
    int count = 2;
    Kokkos::initialize(count, arguments);
  }
  ~KokkosScope() { Kokkos::finalize(); }
  KokkosScope(const KokkosScope&) = delete;
  KokkosScope& operator=(const KokkosScope&) = delete;
};

}  // namespace

int main(int count, char** arguments) {
  try {
    const Options options = parse_options(count, arguments);
    if (options.help) {
      std::fputs(usage().c_str(), stdout);
      return 0;
    }
    if (options.threads > 0) set_thread_count(options.threads);
    if (options.check_gradients) return check_gradients() ? 0 : 1;
    const KokkosScope kokkos;
    run(options);
    return 0;
  } catch (const BadOption& error) {
    std::fprintf(stderr, "train: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train: %s\n", error.what());
    return 1;
  }
}
