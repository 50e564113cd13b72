// SPDX-License-Identifier: BSD-3-Clause
#include "batches.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>

namespace character_model {
namespace {

// Windows of length + 1 characters that start inside a run and end inside it.
std::size_t windows_of(const Range& range, int length) {
  const std::size_t characters = range.end - range.begin;
  return characters > std::size_t(length) ? characters - std::size_t(length) : 0;
}

std::size_t windows_of(const std::vector<Range>& ranges, int length) {
  std::size_t windows = 0;
  for (const Range& range : ranges) windows += windows_of(range, length);
  if (windows == 0) {
    throw std::runtime_error("the text is too short: no block of it holds " + std::to_string(length + 1) +
                             " characters");
  }
  return windows;
}

// Where the window of this number starts.
std::size_t start_of(const std::vector<Range>& ranges, int length, std::size_t window) {
  for (const Range& range : ranges) {
    const std::size_t windows = windows_of(range, length);
    if (window < windows) return range.begin + window;
    window -= windows;
  }
  throw std::logic_error("window number out of range");
}

void resize(Batch& batch, int sequences, int length) {
  batch.sequences = sequences;
  batch.length = length;
  batch.inputs.resize(std::size_t(sequences) * length);
  batch.targets.resize(std::size_t(sequences) * length);
}

void copy_window(const Symbols& symbols, std::size_t start, Batch& batch, int sequence) {
  const auto first = symbols.begin() + std::ptrdiff_t(start);
  const auto place = std::ptrdiff_t(sequence) * batch.length;
  std::copy(first, first + batch.length, batch.inputs.begin() + place);
  std::copy(first + 1, first + 1 + batch.length, batch.targets.begin() + place);
}

}  // namespace

Split split_text(std::size_t characters) {
  const std::size_t block = std::clamp<std::size_t>(characters / 40, 1, 65536);
  Split split;
  for (std::size_t begin = 0, number = 0; begin < characters; begin += block, ++number) {
    const Range range{begin, std::min(begin + block, characters)};
    auto& ranges = number % 10 == 9 ? split.validation : split.train;
    if (!ranges.empty() && ranges.back().end == range.begin)
      ranges.back().end = range.end;
    else
      ranges.push_back(range);
  }
  return split;
}

BatchSampler::BatchSampler(const Symbols& symbols, const std::vector<Range>& ranges, int sequences, int length,
                           std::uint64_t seed)
    : symbols_(symbols), ranges_(ranges), sequences_(sequences), length_(length), random_(seed) {
  windows_ = windows_of(ranges_, length_);
}

void BatchSampler::next(Batch& batch) {
  resize(batch, sequences_, length_);
  for (int s = 0; s < sequences_; ++s)
    copy_window(symbols_, start_of(ranges_, length_, random_() % windows_), batch, s);
}

std::string BatchSampler::state() const {
  std::ostringstream text;
  text << random_;
  return text.str();
}

void BatchSampler::set_state(const std::string& state) {
  std::istringstream text(state);
  if (!(text >> random_)) throw std::runtime_error("not the state of a sampler of batches: '" + state + "'");
}

std::vector<Batch> spread_batches(const Symbols& symbols, const std::vector<Range>& ranges, int sequences, int length,
                                  int count) {
  const std::size_t windows = windows_of(ranges, length);
  const std::size_t wanted = std::size_t(count) * sequences;
  std::vector<Batch> batches(static_cast<std::size_t>(count));
  std::size_t number = 0;
  for (Batch& batch : batches) {
    resize(batch, sequences, length);
    for (int s = 0; s < sequences; ++s, ++number)
      copy_window(symbols, start_of(ranges, length, number * windows / wanted), batch, s);
  }
  return batches;
}

double unigram_entropy(const Symbols& symbols, const std::vector<Range>& ranges) {
  std::array<double, 256> counts{};
  double total = 0;
  for (const Range& range : ranges)
    for (std::size_t i = range.begin; i < range.end; ++i, ++total) counts[symbols[i]] += 1;
  double entropy = 0;
  for (double count : counts)
    if (count > 0) entropy -= count / total * std::log(count / total);
  return entropy;
}

}  // namespace character_model
