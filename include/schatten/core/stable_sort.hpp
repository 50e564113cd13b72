// SPDX-License-Identifier: BSD-3-Clause
// std::stable_sort without its temporary buffer. clang++ 19 warns of the buffer of libstdc++ 12 in programs that
// include the library.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten {

/// Sorts an array or a vector so that before(b, a) holds for no a in front of b. Elements of which neither is before
/// the other keep their order. Numbers that compare with nothing, NaN, end anywhere. Cost: O(n log n) comparisons, two
/// arrays of n.
template <class Values, class Before>
void stable_sort(Values& values, const Before& before) {
  std::vector<std::size_t> place(values.size());
  std::iota(place.begin(), place.end(), std::size_t{0});
  // A heap's: it stays inside the array whatever the comparison says.
  std::partial_sort(place.begin(), place.end(), place.end(), [&](std::size_t a, std::size_t b) {
    return before(values[a], values[b]) || (a < b && !before(values[b], values[a]));
  });
  std::vector<std::remove_cvref_t<decltype(values[0])>> sorted;
  sorted.reserve(values.size());
  for (const std::size_t k : place) sorted.push_back(std::move(values[k]));
  std::move(sorted.begin(), sorted.end(), values.begin());
}

}  // namespace schatten
