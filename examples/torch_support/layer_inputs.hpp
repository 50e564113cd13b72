// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What layers are given, for rules that need it beside gradients.

#include <cstdint>
#include <torch/types.h>
#include <unordered_map>
#include <utility>

namespace torch_support {

// The inputs of each weight's layer: a row for each sample, a column for each column of the weight as a matrix. While
// one exists, linear and convolution below write to it.
class LayerInputs {
 public:
  LayerInputs() : before_(std::exchange(current(), this)) {}
  ~LayerInputs() { current() = before_; }
  LayerInputs(const LayerInputs&) = delete;
  LayerInputs& operator=(const LayerInputs&) = delete;

  // Undefined where no layer has that weight.
  torch::Tensor of(const torch::Tensor& weight) const {
    const auto found = inputs_.find(weight.unsafeGetTensorImpl());
    return found == inputs_.end() ? torch::Tensor() : found->second;
  }
  void keep(const torch::Tensor& weight, const torch::Tensor& inputs) {
    inputs_[weight.unsafeGetTensorImpl()] = inputs.detach().reshape({-1, inputs.size(-1)});
  }

  static LayerInputs*& current() {
    static thread_local LayerInputs* kept = nullptr;
    return kept;
  }

 private:
  std::unordered_map<const void*, torch::Tensor> inputs_;
  LayerInputs* before_;
};

inline torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias = {}) {
  if (LayerInputs* const kept = LayerInputs::current()) kept->keep(weight, x);
  return at::linear(x, weight, bias);
}

// Of 3 by 3 pixels, one of zeros around the image; without a bias.
inline torch::Tensor convolution(const torch::Tensor& x, const torch::Tensor& weight, std::int64_t stride) {
  if (LayerInputs* const kept = LayerInputs::current())
    kept->keep(weight, at::im2col(x, {3, 3}, {1, 1}, {1, 1}, {stride, stride}).transpose(1, 2));
  return at::conv2d(x, weight, {}, {stride, stride}, {1, 1});
}

}  // namespace torch_support
