// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace character_model {

// Characters (as symbol numbers) and the characters that follow them, sequence after sequence.
struct Batch {
  int sequences = 0;
  int length = 0;
  std::vector<std::uint8_t> inputs;
  std::vector<std::uint8_t> targets;
};

}  // namespace character_model
