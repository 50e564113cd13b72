// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A small residual network and a small vision transformer.

#include "dataset.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <vector>

namespace images {

// What a model is for.
struct ModelShape {
  int channels = 1, height = 28, width = 28;
  int classes = 10;
};

class Model : public torch::nn::Module {
 public:
  // Images, (batch, channels, height, width), to the classes' logits.
  virtual torch::Tensor forward(torch::Tensor x) = 0;

  // The weights of the layers between the first and the last: matrices and convolutions, out x (in·3·3) matrices each.
  virtual std::vector<torch::Tensor> hidden_matrices() = 0;

  // The rows of most of them.
  virtual int hidden_width() const = 0;
};

// A convolution, three stages of two residual blocks with 16, 32 and 64 channels, batch normalisation, the mean over
// the image and a linear layer: the network of He et al. (arXiv 1512.03385, section 4.2) with n = 2. It has about
// 175,000 parameters.
std::shared_ptr<Model> make_resnet(const ModelShape& shape);

// Patches of 4x4 pixels, width 96, four blocks of attention with three heads and of an MLP of twice the width, each
// after a layer normalisation, the mean over the patches and a linear layer (Dosovitskiy et al., arXiv 2010.11929).
// Queries, keys and values have matrices of their own. It has about 300,000 parameters. Throws std::invalid_argument
// for a size that 4 does not divide.
std::shared_ptr<Model> make_vit(const ModelShape& shape);

}  // namespace images
