// SPDX-License-Identifier: BSD-3-Clause
#include "checkpoint.hpp"

#include <schatten/checkpoint/atomic_file.hpp>

#include <ATen/Context.h>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <torch/serialize/archive.h>

namespace torch_support {
namespace {

using character_model::Record;
using character_model::StepRecord;
using torch::serialize::InputArchive;
using torch::serialize::OutputArchive;

constexpr double none = std::numeric_limits<double>::quiet_NaN();

template <class Part>
void write_part(OutputArchive& archive, const std::string& name, const Part& part) {
  OutputArchive inner(archive.compilation_unit());
  part.save(inner);
  archive.write(name, inner);
}

template <class Part>
void read_part(InputArchive& archive, const std::string& name, Part& part) {
  InputArchive inner;
  archive.read(name, inner);
  part.load(inner);
}

std::string read_text(InputArchive& archive, const std::string& name) {
  c10::IValue value;
  archive.read(name, value);
  return value.toStringRef();
}

double read_number(InputArchive& archive, const std::string& name) {
  c10::IValue value;
  archive.read(name, value);
  return value.toDouble();
}

at::Generator cpu_generator() { return at::globalContext().defaultGenerator(at::kCPU); }

// A row a step: number, losses, seconds, accuracy.
torch::Tensor table_of(const std::vector<StepRecord>& steps) {
  const torch::Tensor table = torch::empty({std::int64_t(steps.size()), 5}, torch::kFloat64);
  double* row = table.data_ptr<double>();
  for (const StepRecord& step : steps) {
    *row++ = step.step;
    *row++ = step.train_loss;
    *row++ = step.validation_loss.value_or(none);
    *row++ = step.seconds;
    *row++ = step.accuracy.value_or(none);
  }
  return table;
}

std::optional<double> unless_none(double number) {
  return number == number ? std::optional<double>(number) : std::nullopt;
}

std::vector<StepRecord> steps_of(const torch::Tensor& table) {
  std::vector<StepRecord> steps(static_cast<std::size_t>(table.size(0)));
  const double* row = table.data_ptr<double>();
  for (StepRecord& step : steps) {
    step.step = int(*row++);
    step.train_loss = *row++;
    step.validation_loss = unless_none(*row++);
    step.seconds = *row++;
    step.accuracy = unless_none(*row++);
  }
  return steps;
}

}  // namespace

void save_checkpoint(const std::string& path, const TrainingState& state) {
  OutputArchive archive;
  archive.write("plan", c10::IValue(state.plan));
  write_part(archive, "model", state.task.model());
  write_part(archive, "rule", state.rule);
  write_part(archive, "adam", state.adam);
  archive.write("data", c10::IValue(state.task.data_state()));
  archive.write("random", cpu_generator().get_state(), true);
  archive.write("steps", table_of(state.record.steps), true);
  archive.write("seconds", c10::IValue(state.record.seconds));
  archive.write("optimizer_seconds", c10::IValue(state.record.optimizer_seconds));
  schatten::checkpoint::AtomicFile file(path);
  archive.save_to([&](const void* data, std::size_t bytes) {
    file.write(static_cast<const char*>(data), bytes);
    return bytes;
  });
  file.commit();
}

void load_checkpoint(const std::string& path, const TrainingState& state) {
  InputArchive archive;
  archive.load_from(path);
  const std::string plan = read_text(archive, "plan");
  if (plan != state.plan)
    throw std::runtime_error("'" + path + "' is of another training: " + plan + ", not " + state.plan);
  // The optimizers last: they step the memory that the model has from now on.
  read_part(archive, "model", state.task.model());
  read_part(archive, "rule", state.rule);
  read_part(archive, "adam", state.adam);
  state.task.set_data_state(read_text(archive, "data"));
  torch::Tensor random, steps;
  archive.read("random", random, true);
  archive.read("steps", steps, true);
  at::Generator generator = cpu_generator();
  generator.set_state(random);
  state.record.steps = steps_of(steps);
  state.record.seconds = read_number(archive, "seconds");
  state.record.optimizer_seconds = read_number(archive, "optimizer_seconds");
}

std::uint64_t digest_of(const torch::nn::Module& model) {
  std::uint64_t digest = 14695981039346656037u;  // FNV-1a
  for (const torch::Tensor& parameter : model.parameters()) {
    const torch::Tensor numbers = parameter.detach().cpu().contiguous();
    const auto* bytes = static_cast<const unsigned char*>(numbers.data_ptr());
    for (std::size_t k = 0; k < numbers.nbytes(); ++k) digest = (digest ^ bytes[k]) * 1099511628211u;
  }
  return digest;
}

}  // namespace torch_support
