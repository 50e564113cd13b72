// SPDX-License-Identifier: BSD-3-Clause
// Attention of LibTorch 1.13 and 2.x.
#pragma once

#include <cmath>
#include <cstdint>
#include <torch/types.h>
#include <torch/version.h>

namespace torch_support {

// softmax(q k^T / sqrt(head width)) v, with q, k and v (batch, heads, positions, head width). causal: over each
// position and those before it.
inline torch::Tensor attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v, bool causal) {
#if TORCH_VERSION_MAJOR >= 2
  return at::scaled_dot_product_attention(q, k, v, {}, 0.0, causal);
#else
  torch::Tensor scores = q.matmul(k.transpose(-2, -1)) / std::sqrt(double(q.size(3)));
  if (causal) {
    const std::int64_t length = q.size(2);
    scores = scores.masked_fill(torch::ones({length, length}, q.options().dtype(torch::kBool)).triu(1), -INFINITY);
  }
  return scores.softmax(-1).matmul(v);
#endif
}

}  // namespace torch_support
