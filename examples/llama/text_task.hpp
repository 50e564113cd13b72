// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The decoder on the bytes of a text.

#include "../character_model/batches.hpp"
#include "../torch_support/task.hpp"
#include "model.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace llama {

// The text, cut once for all trainings.
struct Text {
  character_model::Symbols bytes;
  character_model::Split split;
  std::vector<character_model::Batch> validation;
};

// Throws std::runtime_error where nothing can be read or the text is too short.
Text read_text(const std::string& path, int sequences, int length);

class TextTask : public torch_support::Task {
 public:
  // The text must outlive the task.
  TextTask(const Shape& shape, const Text& text, int sequences, int length, torch::Device device, std::uint64_t seed)
      : description_(shape.name + ", " + std::to_string(sequences) + " x " + std::to_string(length) + " of " +
                     std::to_string(text.bytes.size()) + " bytes"),
        device_(device),
        model_(shape, length, device),
        text_(text),
        sampler_(text.bytes, text.split.train, sequences, length, seed) {
    batch_.sequences = sequences;
    batch_.length = length;
  }

  torch::nn::Module& model() override { return model_; }
  std::vector<torch::Tensor> hidden_matrices() override { return model_.hidden_matrices(); }
  torch::Tensor next_loss() override;
  torch::Tensor sampled_loss() override;
  double labels() const override { return double(batch_.sequences) * batch_.length; }
  torch_support::Evaluation evaluate() override;
  std::string description() const override { return description_; }
  std::string data_state() const override { return sampler_.state(); }
  void set_data_state(const std::string& state) override { sampler_.set_state(state); }

 private:
  torch::Tensor logits_of(character_model::Batch& batch) const;
  torch::Tensor loss_of(character_model::Batch& batch) const;

  std::string description_;
  torch::Device device_;
  Model model_;
  const Text& text_;
  character_model::BatchSampler sampler_;
  character_model::Batch batch_;
};

}  // namespace llama
