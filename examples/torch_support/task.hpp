// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a program trains: a model, its data, and what is measured on held-out data.

#include <optional>
#include <string>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <vector>

namespace torch_support {

struct Evaluation {
  double loss = 0;                 // mean cross-entropy of the held-out data, in nats
  std::optional<double> accuracy;  // share of right answers, where the program has classes
};

// Labels drawn with the probabilities that the logits, a row each, stand for.
inline torch::Tensor sampled_labels(const torch::Tensor& logits) {
  return logits.detach().softmax(1).multinomial(1).squeeze(1);
}

class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  // On the device that is trained on. Its parameters and buffers are what a checkpoint holds of it.
  virtual torch::nn::Module& model() = 0;

  // The matrices that follow the rule; the model's other parameters follow Adam.
  virtual std::vector<torch::Tensor> hidden_matrices() = 0;

  // Draws the next batch and returns its mean loss, a number with a graph behind it.
  virtual torch::Tensor next_loss() = 0;

  // The mean loss of the batch that next_loss has drawn, with labels that are drawn from what the model predicts; and
  // how many labels a batch has.
  virtual torch::Tensor sampled_loss() = 0;
  virtual double labels() const = 0;

  // The same data every time. Called without gradients, with the model in evaluation mode.
  virtual Evaluation evaluate() = 0;

  // In words, what the program's own options say: a checkpoint of other words is refused.
  virtual std::string description() const { return {}; }

  // What next_loss draws from beside LibTorch's generator of the CPU, which a checkpoint holds anyway: a task that is
  // given this text draws the same batches from there on.
  virtual std::string data_state() const = 0;
  virtual void set_data_state(const std::string& state) = 0;
};

}  // namespace torch_support
