// SPDX-License-Identifier: BSD-3-Clause
#include "text_task.hpp"

namespace llama {
namespace {

constexpr std::size_t default_text_limit = 4 << 20;  // bytes of the default text
constexpr int validation_batches = 16;

torch::Tensor tensor_of(std::vector<std::uint8_t>& bytes, const character_model::Batch& batch, torch::Device device) {
  return torch::from_blob(bytes.data(), {batch.sequences, batch.length}, torch::kUInt8).to(device, torch::kInt64);
}

}  // namespace

Text read_text(const std::string& path, int sequences, int length) {
  const std::string content =
      path.empty() ? character_model::read_source_tree(character_model::default_text_directory(), default_text_limit)
                   : character_model::read_file(path);
  Text text;
  text.bytes.assign(content.begin(), content.end());
  text.split = character_model::split_text(text.bytes.size());
  text.validation =
      character_model::spread_batches(text.bytes, text.split.validation, sequences, length, validation_batches);
  return text;
}

torch::Tensor TextTask::logits_of(character_model::Batch& batch) const {
  return model_.forward(tensor_of(batch.inputs, batch, device_)).view({-1, symbols});
}

torch::Tensor TextTask::loss_of(character_model::Batch& batch) const {
  return at::cross_entropy_loss(logits_of(batch), tensor_of(batch.targets, batch, device_).view({-1}));
}

torch::Tensor TextTask::sampled_loss() {
  const torch::Tensor logits = logits_of(batch_);
  return at::cross_entropy_loss(logits, torch_support::sampled_labels(logits));
}

torch::Tensor TextTask::next_loss() {
  sampler_.next(batch_);
  return loss_of(batch_);
}

torch_support::Evaluation TextTask::evaluate() {
  double sum = 0;
  for (character_model::Batch batch : text_.validation) sum += loss_of(batch).item<double>();
  return {sum / double(text_.validation.size()), {}};
}

}  // namespace llama
