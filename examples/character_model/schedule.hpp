// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>

namespace character_model {

// The learning rate of a step (1 to steps) as a part of its peak: up over the first 4 %, level, down to
// zero over the last 60 %.
inline double schedule(int step, int steps) {
  const double warm_up = std::max(1.0, 0.04 * steps);
  const double cool_down = std::max(1.0, 0.6 * steps);
  return std::min({1.0, step / warm_up, (steps - step + 1) / cool_down});
}

}  // namespace character_model
