// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A LLaMA decoder over bytes (Touvron et al., arXiv 2302.13971), without biases:
//
//   x    = E[bytes]                                              E: 256 x width
//   x   += W_o attention(rotate(W_q n), rotate(W_k n), W_v n)    each layer; n = RMSNorm(x)
//   x   += W_down (silu(W_gate n) * W_up n)                      n = RMSNorm(x)
//   logits = W_head RMSNorm(x)                                   W_head: 256 x width
//
// RMSNorm (Zhang and Sennrich, arXiv 1910.07467) has gains. rotate is RoPE (Su et al., arXiv 2104.09864). The second
// line of a layer is SwiGLU (Shazeer, arXiv 2002.05202).

#include <cstdint>
#include <memory>
#include <string>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <vector>

namespace llama {

inline constexpr std::int64_t symbols = 256;

struct Shape {
  std::string name;
  int layers = 4;
  std::int64_t width = 256;
  std::int64_t heads = 4;
  std::int64_t inner = 688;  // rows of W_gate and W_up
};

// tiny, mini, 60M, 135M, 350M: the last three have the layers of the models of that name in the paper on HTMuon, whose
// vocabulary has 32000 words where this has 256 bytes.
const std::vector<Shape>& presets();

// A layer of the decoder.
class Layer : public torch::nn::Module {
 public:
  explicit Layer(const Shape& shape);

  // x: batch x length x width; cosines, sines: length x half a head's width.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& cosines, const torch::Tensor& sines) const;

  std::vector<torch::Tensor> matrices() const { return {query_, key_, value_, output_, gate_, up_, down_}; }

 private:
  torch::Tensor attend(const torch::Tensor& n, const torch::Tensor& cosines, const torch::Tensor& sines) const;

  std::int64_t heads_;
  torch::Tensor attention_norm_, query_, key_, value_, output_;
  torch::Tensor mlp_norm_, gate_, up_, down_;
};

class Model : public torch::nn::Module {
 public:
  // Weights are normal with standard deviation 0.02, gains 1. `length`: the longest sequence.
  Model(const Shape& shape, std::int64_t length, torch::Device device);

  // Logits, batch x length x 256, of what follows each byte. bytes: batch x length, int64.
  torch::Tensor forward(const torch::Tensor& bytes) const;

  // Those of the layers: all matrices but the embedding and the head.
  std::vector<torch::Tensor> hidden_matrices() const;

 private:
  torch::Tensor embedding_, norm_, head_;
  std::vector<std::shared_ptr<Layer>> layers_;
  torch::Tensor cosines_, sines_;  // no parameters, and no buffers: they follow from the shape
};

}  // namespace llama
