// SPDX-License-Identifier: BSD-3-Clause
// Trains a LLaMA decoder on the bytes of a text with HTMuon, Muon or any other rule of the library.

#include "../torch_support/program.hpp"
#include "text_task.hpp"

#include <cmath>
#include <cstdio>

namespace {

using torch_support::Arguments;
using torch_support::BadOption;
using torch_support::Options;

struct LlamaOptions {
  llama::Shape shape = llama::presets()[1];
  std::string text;   // empty: the default text
  int sequences = 8;  // of a batch
  int length = 256;   // bytes predicted in a sequence
};

llama::Shape preset_of(const Arguments& arguments, const std::string& name) {
  std::string names;
  for (const llama::Shape& shape : llama::presets()) {
    if (shape.name == name) return shape;
    names += (names.empty() ? "" : ", ") + shape.name;
  }
  throw BadOption(arguments.option() + ": expected a name among " + names + ", got '" + name + "'");
}

bool take(Arguments& arguments, LlamaOptions& options) {
  const std::string& option = arguments.option();
  if (option == "--preset") {
    options.shape = preset_of(arguments, arguments.value());
  } else if (option == "--text") {
    options.text = arguments.text("a file");
  } else if (option == "--batch") {
    options.sequences = arguments.number(1, 65536, "a whole number from 1 to 65536");
  } else if (option == "--length") {
    options.length = arguments.number(1, 65536, "a whole number from 1 to 65536");
  } else {
    return false;
  }
  return true;
}

const char* const help =
    R"(Trains a LLaMA decoder on the bytes of a text. The layers' matrices follow a rule, all else follows Adam.

  --preset NAME        tiny, mini, 60M, 135M or 350M (default: mini)
  --text FILE          any file (default: the C++ of the installed Eigen headers)
  --batch N            sequences of a step (default: 8)
  --length N           bytes of a sequence (default: 256)
)";

std::int64_t count(const std::vector<torch::Tensor>& tensors) {
  std::int64_t numbers = 0;
  for (const torch::Tensor& tensor : tensors) numbers += tensor.numel();
  return numbers;
}

}  // namespace

int main(int count_of_arguments, char** arguments) {
  LlamaOptions own;
  llama::Text text;
  torch_support::Program program;
  program.name = "llama";
  program.words = {"LLaMA on bytes: validation loss by optimizer", "loss (nats per byte)"};
  program.help = help;
  program.take = [&](Arguments& given) { return take(given, own); };
  program.prepare = [&](const Options& options) {
    text = llama::read_text(own.text, own.sequences, own.length);
    std::printf("%zu bytes of text, a tenth held out (entropy of single bytes %.3f nats); %d steps of %d x %d bytes\n",
                text.bytes.size(), character_model::unigram_entropy(text.bytes, text.split.validation), options.steps,
                own.sequences, own.length);
    return int(own.shape.width);
  };
  program.make_task = [&](const Options& options, std::uint64_t seed) {
    auto task = std::make_unique<llama::TextTask>(own.shape, text, own.sequences, own.length,
                                                  torch::Device(options.device), seed);
    std::printf("%s: %.2f million parameters, %.2f of them in the layers' matrices\n", own.shape.name.c_str(),
                1e-6 * double(count(task->model().parameters())), 1e-6 * double(count(task->hidden_matrices())));
    return task;
  };
  program.figure = [](const character_model::Record& record) {
    char words[40];
    std::snprintf(words, sizeof words, "perplexity %.3f", std::exp(record.validation_loss));
    return std::string(words);
  };
  return torch_support::run(program, count_of_arguments, arguments);
}
