// SPDX-License-Identifier: BSD-3-Clause
#include "models.hpp"

#include "../torch_support/attention.hpp"
#include "../torch_support/layer_inputs.hpp"

#include <cmath>
#include <optional>
#include <stdexcept>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

namespace images {
namespace {

namespace nn = torch::nn;

nn::Conv2d convolution(int in, int out, int stride = 1) {
  nn::Conv2d layer(nn::Conv2dOptions(in, out, 3).stride(stride).padding(1).bias(false));
  const torch::NoGradGuard without_gradients;
  layer->weight.normal_(0, std::sqrt(2.0 / (9 * in)));
  return layer;
}

torch::Tensor convolve(const nn::Conv2d& layer, const torch::Tensor& x) {
  return torch_support::convolution(x, layer->weight, layer->options.stride()->at(0));
}

// x + F(x). Where the block halves the image and doubles the channels, x has every second pixel, and zeros in the new
// channels.
struct ResidualBlock : nn::Module {
  ResidualBlock(int in, int out)
      : added(out - in),
        first(register_module("first", convolution(in, out, in == out ? 1 : 2))),
        second(register_module("second", convolution(out, out))),
        first_norm(register_module("first_norm", nn::BatchNorm2d(out))),
        second_norm(register_module("second_norm", nn::BatchNorm2d(out))) {}

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor branch = second_norm(convolve(second, torch::relu(first_norm(convolve(first, x)))));
    if (added == 0) return torch::relu(x + branch);
    const torch::Tensor half = x.slice(2, 0, x.size(2), 2).slice(3, 0, x.size(3), 2);
    return torch::relu(torch::constant_pad_nd(half, {0, 0, 0, 0, 0, added}) + branch);
  }

  int added;
  nn::Conv2d first, second;
  nn::BatchNorm2d first_norm, second_norm;
};

class ResNet : public Model {
 public:
  explicit ResNet(const ModelShape& shape)
      : stem_(register_module("stem", convolution(shape.channels, 16))),
        stem_norm_(register_module("stem_norm", nn::BatchNorm2d(16))),
        head_(register_module("head", nn::Linear(64, shape.classes))) {
    int in = 16;
    for (const int out : {16, 16, 32, 32, 64, 64}) {
      blocks_.push_back(
          register_module("blocks_" + std::to_string(blocks_.size()), std::make_shared<ResidualBlock>(in, out)));
      in = out;
    }
  }

  torch::Tensor forward(torch::Tensor x) override {
    x = torch::relu(stem_norm_(stem_(x)));
    for (const auto& block : blocks_) x = block->forward(x);
    return head_(x.mean({2, 3}));
  }

  std::vector<torch::Tensor> hidden_matrices() override {
    std::vector<torch::Tensor> matrices;
    for (const auto& block : blocks_) {
      matrices.push_back(block->first->weight);
      matrices.push_back(block->second->weight);
    }
    return matrices;
  }

  int hidden_width() const override { return 64; }

 private:
  nn::Conv2d stem_;
  nn::BatchNorm2d stem_norm_;
  nn::Linear head_;
  std::vector<std::shared_ptr<ResidualBlock>> blocks_;
};

nn::Linear linear(int in, int out, double gain = 1) {
  nn::Linear layer(in, out);
  const torch::NoGradGuard without_gradients;
  layer->weight.normal_(0, gain / std::sqrt(double(in)));
  layer->bias.zero_();
  return layer;
}

torch::Tensor project(const nn::Linear& layer, const torch::Tensor& x) {
  return torch_support::linear(x, layer->weight, layer->bias);
}

struct TransformerBlock : nn::Module {
  TransformerBlock(int width, int heads, double branch_gain)
      : heads(heads),
        query(register_module("query", linear(width, width))),
        key(register_module("key", linear(width, width))),
        value(register_module("value", linear(width, width))),
        out(register_module("out", linear(width, width, branch_gain))),
        up(register_module("up", linear(width, 2 * width))),
        down(register_module("down", linear(2 * width, width, branch_gain))),
        attention_norm(register_module("attention_norm", nn::LayerNorm(nn::LayerNormOptions({width})))),
        mlp_norm(register_module("mlp_norm", nn::LayerNorm(nn::LayerNormOptions({width})))) {}

  // x: (batch, patches, width).
  torch::Tensor forward(torch::Tensor x) {
    const torch::Tensor y = attention_norm(x);
    const auto by_head = [&](const torch::Tensor& all) {  // (batch, heads, patches, width / heads)
      return all.view({all.size(0), all.size(1), heads, -1}).transpose(1, 2);
    };
    const torch::Tensor attended = torch_support::attention(by_head(project(query, y)), by_head(project(key, y)),
                                                            by_head(project(value, y)), false);
    x = x + project(out, attended.transpose(1, 2).reshape(x.sizes()));
    return x + project(down, torch::gelu(project(up, mlp_norm(x))));
  }

  int heads;
  nn::Linear query, key, value, out, up, down;
  nn::LayerNorm attention_norm, mlp_norm;
};

class ViT : public Model {
 public:
  explicit ViT(const ModelShape& shape)
      : patches_(register_module("patches", nn::Conv2d(nn::Conv2dOptions(shape.channels, width, patch).stride(patch)))),
        places_(register_parameter("places",
                                   0.02 * torch::randn({1, shape.height / patch * (shape.width / patch), width}))),
        norm_(register_module("norm", nn::LayerNorm(nn::LayerNormOptions({width})))),
        head_(register_module("head", linear(width, shape.classes, 0.1))) {
    for (int k = 0; k < depth; ++k)
      blocks_.push_back(register_module("blocks_" + std::to_string(k),
                                        std::make_shared<TransformerBlock>(width, heads, 1 / std::sqrt(2.0 * depth))));
  }

  torch::Tensor forward(torch::Tensor x) override {
    x = patches_(x).flatten(2).transpose(1, 2) + places_;
    for (const auto& block : blocks_) x = block->forward(x);
    return head_(norm_(x).mean(1));
  }

  std::vector<torch::Tensor> hidden_matrices() override {
    std::vector<torch::Tensor> matrices;
    for (const auto& block : blocks_)
      for (nn::Linear* layer : {&block->query, &block->key, &block->value, &block->out, &block->up, &block->down})
        matrices.push_back((*layer)->weight);
    return matrices;
  }

  int hidden_width() const override { return width; }

  static constexpr int patch = 4, width = 96, heads = 3, depth = 4;

 private:
  nn::Conv2d patches_;
  torch::Tensor places_;
  nn::LayerNorm norm_;
  nn::Linear head_;
  std::vector<std::shared_ptr<TransformerBlock>> blocks_;
};

}  // namespace

std::shared_ptr<Model> make_resnet(const ModelShape& shape) { return std::make_shared<ResNet>(shape); }

std::shared_ptr<Model> make_vit(const ModelShape& shape) {
  if (shape.height % ViT::patch != 0 || shape.width % ViT::patch != 0)
    throw std::invalid_argument("images of " + std::to_string(shape.height) + "x" + std::to_string(shape.width) +
                                " pixels cannot be cut into patches of 4x4");
  return std::make_shared<ViT>(shape);
}

}  // namespace images
