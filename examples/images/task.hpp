// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Classification of images, as a task of examples/torch_support.

#include "../torch_support/task.hpp"
#include "dataset.hpp"
#include "models.hpp"

#include <memory>
#include <string>
#include <torch/types.h>

namespace images {

// The images as tensors: bytes, (count, channels, height, width), and labels.
struct TensorSet {
  torch::Tensor pixels, labels;
};

// The first `limit` images, or all where it is 0 or more than there are.
TensorSet to_tensors(const Images& images, std::int64_t limit = 0);

// What every training of a run reads.
struct ImageData {
  TensorSet train, test;
  torch::Tensor mean, deviation;  // of the pixels to train on, each channel's, from 0 to 255
};

ImageData prepare(const Dataset& set, std::int64_t test_limit);

struct ImageOptions {
  int batch = 128;
  bool augment = true;        // batches are shifted by up to two pixels and mirrored
  std::string description{};  // of the data, the model and the above: a checkpoint of another description is refused
};

// Draws from LibTorch's generator of the CPU alone.
class ImageTask : public torch_support::Task {
 public:
  ImageTask(std::shared_ptr<Model> model, std::shared_ptr<const ImageData> data, const ImageOptions& options,
            torch::Device device);

  torch::nn::Module& model() override { return *model_; }
  std::vector<torch::Tensor> hidden_matrices() override { return model_->hidden_matrices(); }
  torch::Tensor next_loss() override;
  torch::Tensor sampled_loss() override;
  double labels() const override { return options_.batch; }
  torch_support::Evaluation evaluate() override;
  std::string description() const override { return options_.description; }
  std::string data_state() const override { return ""; }
  void set_data_state(const std::string&) override {}

 private:
  // Bytes to numbers of mean 0 and deviation 1, on the device.
  torch::Tensor normalized(const torch::Tensor& pixels) const;

  std::shared_ptr<Model> model_;
  std::shared_ptr<const ImageData> data_;
  ImageOptions options_;
  torch::Device device_;
  torch::Tensor batch_;  // as the model is given it
};

}  // namespace images
