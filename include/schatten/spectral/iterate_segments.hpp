// SPDX-License-Identifier: BSD-3-Clause
// The division of the iterate method's steps into segments, its flops and its amplification of errors.
#pragma once

#include <schatten/core/stable_sort.hpp>
#include <schatten/spectral/quintic.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>

namespace schatten::spectral {

/// An upper bound of the number of steps of the library's schedules.
inline constexpr std::size_t most_iterates = 8;

/// The division of the steps into segments. Within a segment only n×n matrices are iterated, and X is multiplied once.
enum class IterateForm {
  direct,  ///< segments of one step: every iterate is computed
  tail,    ///< the last two steps are one segment, each other step is one
  gram     ///< at most three steps
};

/// The first steps of the segments of K steps.
class IterateSegments {
 public:
  /// @pre 1 <= steps <= most_iterates
  IterateSegments(std::size_t steps, IterateForm form) {
    if (form == IterateForm::gram) {
      count_ = (steps + 2) / 3;
      for (std::size_t segment = 0; segment < count_; ++segment) begins_[segment] = segment * steps / count_;
    } else {
      count_ = form == IterateForm::tail && steps > 1 ? steps - 1 : steps;
      for (std::size_t segment = 0; segment < count_; ++segment) begins_[segment] = segment;
    }
    begins_[count_] = steps;
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::size_t begin(std::size_t segment) const { return begins_[segment]; }
  [[nodiscard]] std::size_t end(std::size_t segment) const { return begins_[segment + 1]; }
  [[nodiscard]] std::size_t length(std::size_t segment) const { return end(segment) - begin(segment); }

 private:
  std::array<std::size_t, most_iterates + 1> begins_{};
  std::size_t count_;
};

/// Returns the flops of K steps on X (m×n), n <= m. A symmetric product n×k by k×n counts symmetric·n²k: symmetric is 1
/// if half of it is computed.
inline double iterate_flops(std::size_t steps, IterateForm form, double m, double n, double symmetric = 1) {
  const IterateSegments segments(steps, form);
  double tall = 0, square = double(steps) + 1;  // products with X; every A², and the bracket
  for (std::size_t segment = 0; segment < segments.count(); ++segment) {
    const auto length = double(segments.length(segment));
    const bool last = segments.end(segment) == steps;
    tall += symmetric + (last ? 0 : 2) + (last || length > 1 ? 2 : 0);
    square += 3 * (length - 1);
  }
  return n * n * (tall * m + symmetric * square * n);
}

/// Returns the forms in ascending order of flops. Those of `gram` count a fifth more and those of `tail` a twentieth
/// more, because their products are smaller.
inline std::array<IterateForm, 3> iterate_forms(std::size_t steps, double m, double n, double symmetric = 1) {
  std::array<IterateForm, 3> forms{IterateForm::direct, IterateForm::tail, IterateForm::gram};
  const auto cost = [&](IterateForm form) {
    const double slower = form == IterateForm::gram ? 1.18 : (form == IterateForm::tail ? 1.05 : 1.0);
    return slower * iterate_flops(steps, form, m, n, symmetric);
  };
  schatten::stable_sort(forms, [&](IterateForm a, IterateForm b) { return cost(a) < cost(b); });
  return forms;
}

/// Returns the largest g = Π|a_k| over a segment of several steps, by which the segment multiplies a small singular
/// value. 1 if there is no such segment.
inline double iterate_segment_gain(std::span<const Quintic> steps, IterateForm form) {
  const IterateSegments segments(steps.size(), form);
  double gain = 1;
  for (std::size_t segment = 0; segment < segments.count(); ++segment) {
    if (segments.length(segment) == 1) continue;
    double product = 1;
    for (std::size_t k = segments.begin(segment); k < segments.end(segment); ++k) product *= std::abs(steps[k].a);
    gain = (std::max)(gain, product);
  }
  return gain;
}

}  // namespace schatten::spectral
