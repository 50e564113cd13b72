// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One line of progress: redrawn in place on a terminal, printed now and then elsewhere.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <unistd.h>

namespace character_model {

class Progress {
 public:
  Progress(std::string label, int steps)
      : label_(std::move(label)),
        steps_(steps),
        in_place_(isatty(fileno(stdout)) != 0),
        line_every_(std::max(1, steps / 5)) {}

  // After every step; `seconds` is the time of that step, averaged here for the line.
  void update(int step, double loss, double seconds) {
    mean_seconds_ = mean_seconds_ == 0 ? seconds : 0.9 * mean_seconds_ + 0.1 * seconds;
    const auto now = std::chrono::steady_clock::now();
    const bool last = step == steps_;
    if (in_place_) {
      if (!last && now - drawn_ < std::chrono::milliseconds(100)) return;
      drawn_ = now;
      std::printf("\r%s\x1b[K%s", line(step, loss).c_str(), last ? "\n" : "");
    } else if (last || step % line_every_ == 0) {
      std::printf("%s\n", line(step, loss).c_str());
    }
    std::fflush(stdout);
  }

 private:
  // At most 79 characters, the width of a narrow terminal.
  std::string line(int step, double loss) const {
    const int width = std::max(1, 29 - std::max(7, int(label_.size())));
    const int full = int(width * std::int64_t(step) / steps_);
    const std::string bar = std::string(std::size_t(full), '=') + std::string(std::size_t(width - full), ' ');
    const int left = int(mean_seconds_ * (steps_ - step) + 0.5);
    char text[160];
    std::snprintf(text, sizeof text, "%-7s [%s] %4d/%d  loss %.3f  %.3f s/step  ETA %d:%02d", label_.c_str(),
                  bar.c_str(), step, steps_, loss, mean_seconds_, left / 60, left % 60);
    return text;
  }

  std::string label_;
  int steps_;
  bool in_place_;
  int line_every_;
  double mean_seconds_ = 0;
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace character_model
