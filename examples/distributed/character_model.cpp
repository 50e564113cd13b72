// SPDX-License-Identifier: BSD-3-Clause
// The model of examples/character_model on N ranks, trained with HTMuon and AdamW: mpirun -n 2 train_ranks. A rank
// computes the gradient of some sequences of each batch. With --equal it computes that of all, and the losses are those
// of one rank to the last bit.

#include "../character_model/arguments.hpp"
#include "../character_model/batches.hpp"
#include "../character_model/model.hpp"
#include "../character_model/schedule.hpp"
#include <schatten/distributed/mpi.hpp>
#include <schatten/distributed/optimizer.hpp>
#include <schatten/interop/eigen.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/htmuon.hpp>

#include <Kokkos_Core.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace character_model;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Comm = schatten::distributed::MpiCommunicator;
// In a program of one process: schatten::Optimizer<float, Exec>, without the communicator.
using Optimizer = schatten::distributed::Optimizer<float, Exec, schatten::linalg::DefaultBackend<Exec>, Comm>;

struct Settings {
  int steps = 250, width = 512, sequences = 16, length = 128;
  bool equal = false;
  std::string csv;  // empty: no file
};

Settings settings_of(int count, const char* const* arguments) {
  Settings settings;
  for (int k = 1; k < count; ++k) {
    const std::string option = arguments[k];
    const auto value = [&]() -> std::string {
      if (k + 1 >= count) throw BadOption(option + ": a value is missing");
      return arguments[++k];
    };
    const auto number = [&] { return parse_number(option, value(), 1, 1000000, "a whole number from 1 to 1000000"); };
    if (option == "--equal") {
      settings.equal = true;
    } else if (option == "--steps") {
      settings.steps = number();
    } else if (option == "--width") {
      settings.width = parse_number(option, value(), 4, 1000000, "a whole number from 4 to 1000000") / 4 * 4;
    } else if (option == "--sequences") {
      settings.sequences = number();
    } else if (option == "--csv") {
      settings.csv = value();
    } else {
      throw BadOption(option + ": expected --equal, --steps, --width, --sequences or --csv");
    }
  }
  return settings;
}

// Sequences [first, first + count) of a batch.
Batch part_of(const Batch& batch, std::size_t first, std::size_t count) {
  const std::size_t from = first * std::size_t(batch.length), size = count * std::size_t(batch.length);
  Batch part;
  part.sequences = int(count);
  part.length = batch.length;
  part.inputs.assign(batch.inputs.data() + from, batch.inputs.data() + from + size);
  part.targets.assign(batch.targets.data() + from, batch.targets.data() + from + size);
  return part;
}

// Returns the last loss.
double train(const Comm& comm, const Settings& settings) {
  using schatten::distributed::Gradients;
  const Exec exec;
  const bool first_rank = comm.rank() == 0;
  const Symbols symbols = symbols_of(read_source_tree(default_text_directory(), 4 << 20));
  const Split split = split_text(symbols.size());
  Model<float> model({.width = settings.width}, 1);
  BatchSampler sampler(symbols, split.train, settings.sequences, settings.length, 1);
  Optimizer optimizer(comm, {}, {.gradients = settings.equal ? Gradients::equal : Gradients::summed});
  const auto hidden = optimizer.add_group(schatten::HTMuon{.lr = 0.05, .power = 0.125, .weight_decay = 0.1});
  const auto other = optimizer.add_group(schatten::AdamW{.lr = 0.0025, .beta2 = 0.95, .weight_decay = 0});
  for (Parameter<float>& p : model.parameters()) {
    optimizer.add(p.role == Role::hidden ? hidden : other, p.name, schatten::view(p.value), schatten::view(p.gradient));
  }
  std::FILE* const csv = first_rank && !settings.csv.empty() ? std::fopen(settings.csv.c_str(), "w") : nullptr;
  if (first_rank && !settings.csv.empty() && csv == nullptr) throw BadOption("--csv: cannot write " + settings.csv);
  const auto mine = settings.equal
                        ? schatten::distributed::Share{0, std::size_t(settings.sequences)}
                        : schatten::distributed::Share::of(std::size_t(settings.sequences), std::size_t(comm.rank()),
                                                           std::size_t(comm.size()));
  const float share = float(mine.count) / float(settings.sequences);
  Batch batch;
  double loss = 0;
  for (int step = 1; step <= settings.steps; ++step) {
    sampler.next(batch);
    loss = model.loss_and_gradients(part_of(batch, mine.begin, mine.count));
    if (!settings.equal) {  // means over a rank's positions become their part of the mean over all
      loss *= double(share);
      comm.all_reduce(exec, &loss, 1);
      for (Parameter<float>& p : model.parameters()) p.gradient *= share;
    }
    for (const auto group : {hidden, other}) optimizer.set_lr_factor(group, schedule(step, settings.steps));
    optimizer.step(exec);
    exec.fence();
    if (csv != nullptr) std::fprintf(csv, "%d,%.9g\n", step, loss);
    if (first_rank && (step == 1 || step % 25 == 0 || step == settings.steps)) {
      std::printf("step %4d  loss %.4f\n", step, loss);
    }
  }
  if (csv != nullptr) {
    const bool written = std::ferror(csv) == 0;
    if (std::fclose(csv) != 0 || !written) throw BadOption("--csv: cannot write " + settings.csv);
  }
  return loss;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int status = 1;
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    const Comm comm(MPI_COMM_WORLD);
    try {
      const Settings settings = settings_of(argc, argv);
      if (settings.sequences < comm.size()) throw BadOption("--sequences: must not be fewer than the ranks");
      status = std::isfinite(train(comm, settings)) ? 0 : 1;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "train_ranks: %s\n", error.what());
      MPI_Abort(MPI_COMM_WORLD, 1);
    }
  }
  MPI_Finalize();
  return status;
}
