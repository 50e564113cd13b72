// SPDX-License-Identifier: BSD-3-Clause
#include "model.hpp"

#include "../torch_support/attention.hpp"
#include "../torch_support/layer_inputs.hpp"

#include <cmath>
#include <torch/version.h>

namespace llama {
namespace {

torch::Tensor random_matrix(std::int64_t rows, std::int64_t cols) { return 0.02 * torch::randn({rows, cols}); }

torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& gain) {
  return x * torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + 1e-6) * gain;
}

// Turns the pairs (k, k + half) of each position by its angles. x: batch x heads x length x head width.
torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& cosines, const torch::Tensor& sines) {
  const std::vector<torch::Tensor> halves = x.chunk(2, -1);
  return torch::cat({halves[0] * cosines - halves[1] * sines, halves[1] * cosines + halves[0] * sines}, -1);
}

}  // namespace

const std::vector<Shape>& presets() {
  static const std::vector<Shape> all = {{"tiny", 2, 64, 4, 172},
                                         {"mini", 4, 256, 4, 688},
                                         {"60M", 8, 512, 8, 1376},
                                         {"135M", 12, 768, 12, 2048},
                                         {"350M", 24, 1024, 16, 2736}};
  return all;
}

Layer::Layer(const Shape& shape) : heads_(shape.heads) {
  const std::int64_t width = shape.width, inner = shape.inner;
  attention_norm_ = register_parameter("attention_norm", torch::ones({width}));
  query_ = register_parameter("query", random_matrix(width, width));
  key_ = register_parameter("key", random_matrix(width, width));
  value_ = register_parameter("value", random_matrix(width, width));
  output_ = register_parameter("output", random_matrix(width, width));
  mlp_norm_ = register_parameter("mlp_norm", torch::ones({width}));
  gate_ = register_parameter("gate", random_matrix(inner, width));
  up_ = register_parameter("up", random_matrix(inner, width));
  down_ = register_parameter("down", random_matrix(width, inner));
}

torch::Tensor Layer::attend(const torch::Tensor& n, const torch::Tensor& cosines, const torch::Tensor& sines) const {
  const auto by_heads = [&](const torch::Tensor& matrix) {
    return torch_support::linear(n, matrix).view({n.size(0), n.size(1), heads_, -1}).transpose(1, 2);
  };
  const torch::Tensor mixed = torch_support::attention(rotate(by_heads(query_), cosines, sines),
                                                       rotate(by_heads(key_), cosines, sines), by_heads(value_), true);
  return torch_support::linear(mixed.transpose(1, 2).reshape(n.sizes()), output_);
}

torch::Tensor Layer::forward(const torch::Tensor& x, const torch::Tensor& cosines, const torch::Tensor& sines) const {
  const torch::Tensor y = x + attend(rms_norm(x, attention_norm_), cosines, sines);
  const torch::Tensor n = rms_norm(y, mlp_norm_);
  return y + torch_support::linear(at::silu(torch_support::linear(n, gate_)) * torch_support::linear(n, up_), down_);
}

Model::Model(const Shape& shape, std::int64_t length, torch::Device device) {
  embedding_ = register_parameter("embedding", random_matrix(symbols, shape.width));
  for (int k = 0; k < shape.layers; ++k)
    layers_.push_back(register_module("layer" + std::to_string(k), std::make_shared<Layer>(shape)));
  norm_ = register_parameter("norm", torch::ones({shape.width}));
  head_ = register_parameter("head", random_matrix(symbols, shape.width));

  const std::int64_t half = shape.width / shape.heads / 2;
  const torch::Tensor frequencies = torch::pow(10000.0, -torch::arange(half, torch::kFloat64) / double(half));
  const torch::Tensor angles = torch::outer(torch::arange(length, torch::kFloat64), frequencies);
  cosines_ = angles.cos().to(device, torch::kFloat32);
  sines_ = angles.sin().to(device, torch::kFloat32);
  to(device);
}

torch::Tensor Model::forward(const torch::Tensor& bytes) const {
  const torch::Tensor cosines = cosines_.slice(0, 0, bytes.size(1)), sines = sines_.slice(0, 0, bytes.size(1));
  torch::Tensor x = at::embedding(embedding_, bytes);
  for (const std::shared_ptr<Layer>& layer : layers_) x = layer->forward(x, cosines, sines);
  return torch_support::linear(rms_norm(x, norm_), head_);
}

std::vector<torch::Tensor> Model::hidden_matrices() const {
  std::vector<torch::Tensor> all;
  for (const std::shared_ptr<Layer>& layer : layers_)
    for (const torch::Tensor& matrix : layer->matrices()) all.push_back(matrix);
  return all;
}

}  // namespace llama
