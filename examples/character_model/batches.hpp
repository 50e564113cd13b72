// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Which characters are trained on, which are held out, and the batches drawn from each.

#include "batch.hpp"
#include "text.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace character_model {

// The characters [begin, end) of the text.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// The text cut into equal blocks, every tenth held out. A batch never crosses from one range to
// another, so no held-out character is ever an input or a target of training.
struct Split {
  std::vector<Range> train;
  std::vector<Range> validation;
};

Split split_text(std::size_t characters);

// Draws windows of length + 1 characters uniformly from the ranges. Two samplers with the same seed
// draw the same batches on every platform.
class BatchSampler {
 public:
  BatchSampler(const Symbols& symbols, const std::vector<Range>& ranges, int sequences, int length, std::uint64_t seed);

  void next(Batch& batch);  // allocates only the first time

  // What comes next, as text: a sampler that is given it draws the same batches from there on.
  std::string state() const;
  // Throws std::runtime_error for another text.
  void set_state(const std::string& state);

 private:
  const Symbols& symbols_;
  std::vector<Range> ranges_;
  int sequences_;
  int length_;
  std::size_t windows_ = 0;
  std::mt19937_64 random_;
};

// `count` batches of evenly spaced windows of the ranges: the same ones at every evaluation.
std::vector<Batch> spread_batches(const Symbols& symbols, const std::vector<Range>& ranges, int sequences, int length,
                                  int count);

// Entropy in nats of the characters of these ranges taken one by one: what a model that knows only
// the frequencies reaches.
double unigram_entropy(const Symbols& symbols, const std::vector<Range>& ranges);

}  // namespace character_model
