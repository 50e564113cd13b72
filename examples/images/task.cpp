// SPDX-License-Identifier: BSD-3-Clause
#include "task.hpp"

#include <algorithm>
#include <torch/nn/functional/loss.h>

namespace images {
namespace {

namespace functional = torch::nn::functional;

// Each image shifted by up to two pixels, with zeros from outside, and half of them mirrored.
torch::Tensor augmented(const torch::Tensor& pixels) {
  constexpr std::int64_t reach = 2;
  const std::int64_t count = pixels.size(0), height = pixels.size(2), width = pixels.size(3);
  const torch::Tensor padded = torch::constant_pad_nd(pixels, {reach, reach, reach, reach});
  const torch::Tensor shifts = torch::randint(0, 2 * reach + 1, {count, 2}), mirrored = torch::randint(0, 2, {count});
  const auto shift = shifts.accessor<std::int64_t, 2>();
  const auto mirror = mirrored.accessor<std::int64_t, 1>();
  torch::Tensor result = torch::empty_like(pixels);
  for (std::int64_t k = 0; k < count; ++k) {
    const torch::Tensor image = padded[k].narrow(1, shift[k][0], height).narrow(2, shift[k][1], width);
    result[k].copy_(mirror[k] != 0 ? image.flip({2}) : image);
  }
  return result;
}

}  // namespace

TensorSet to_tensors(const Images& images, std::int64_t limit) {
  const auto all = std::int64_t(images.count());
  const std::int64_t count = limit == 0 ? all : std::min(limit, all);
  TensorSet set;
  set.pixels = torch::empty({count, images.channels, images.height, images.width}, torch::kUInt8);
  std::copy_n(images.pixels.begin(), set.pixels.numel(), set.pixels.data_ptr<std::uint8_t>());
  set.labels = torch::empty({count}, torch::kInt64);
  std::copy_n(images.labels.begin(), count, set.labels.data_ptr<std::int64_t>());
  return set;
}

ImageData prepare(const Dataset& set, std::int64_t test_limit) {
  ImageData data;
  data.train = to_tensors(set.train);
  data.test = to_tensors(set.test, test_limit);
  std::vector<float> means, deviations;
  for (std::int64_t channel = 0; channel < data.train.pixels.size(1); ++channel) {
    const torch::Tensor pixels = data.train.pixels.select(1, channel).to(torch::kFloat32);
    means.push_back(pixels.mean().item<float>());
    deviations.push_back(std::max(1.0f, pixels.std().item<float>()));
  }
  data.mean = torch::tensor(means).view({1, -1, 1, 1});
  data.deviation = torch::tensor(deviations).view({1, -1, 1, 1});
  return data;
}

ImageTask::ImageTask(std::shared_ptr<Model> model, std::shared_ptr<const ImageData> data, const ImageOptions& options,
                     torch::Device device)
    : model_(std::move(model)), data_(std::move(data)), options_(options), device_(device) {
  model_->to(device_);
}

torch::Tensor ImageTask::normalized(const torch::Tensor& pixels) const {
  return ((pixels.to(torch::kFloat32) - data_->mean) / data_->deviation).to(device_);
}

torch::Tensor ImageTask::next_loss() {
  const torch::Tensor chosen = torch::randint(0, data_->train.labels.size(0), {options_.batch});
  torch::Tensor pixels = data_->train.pixels.index_select(0, chosen);
  if (options_.augment) pixels = augmented(pixels);
  const torch::Tensor labels = data_->train.labels.index_select(0, chosen).to(device_);
  batch_ = normalized(pixels);
  return functional::cross_entropy(model_->forward(batch_), labels);
}

torch::Tensor ImageTask::sampled_loss() {
  const torch::Tensor logits = model_->forward(batch_);
  return functional::cross_entropy(logits, torch_support::sampled_labels(logits));
}

torch_support::Evaluation ImageTask::evaluate() {
  constexpr std::int64_t batch = 500;
  double loss = 0, right = 0;
  const std::int64_t count = data_->test.labels.size(0);
  for (std::int64_t begin = 0; begin < count; begin += batch) {
    const std::int64_t end = std::min(begin + batch, count);
    const torch::Tensor labels = data_->test.labels.slice(0, begin, end).to(device_);
    const torch::Tensor logits = model_->forward(normalized(data_->test.pixels.slice(0, begin, end)));
    loss += double(end - begin) * functional::cross_entropy(logits, labels).item<double>();
    right += (logits.argmax(1) == labels).sum().item<double>();
  }
  return {loss / double(count), right / double(count)};
}

}  // namespace images
