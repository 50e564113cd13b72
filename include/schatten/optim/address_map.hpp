// SPDX-License-Identifier: BSD-3-Clause
// Ranges of memory by address: finds those that overlap a new one without comparing it with all.
#pragma once

#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>

namespace schatten::optim {

/// A set of ranges [begin, end) of memory, each with a number: tells which of them share a byte with a given one.
///
/// Ranges may be equal, nested or interleaved. Adjacent ones do not meet, and an empty one meets nothing. Cost of each
/// call: O(c·log n) with c the number of classes that the lengths fall into by their powers of two (c ≤ 64, some ten in
/// practice). for_each_meeting visits, beyond the ranges that it finds, only such as begin less than twice their own
/// length before the given one: at most two a class of ranges that do not meet each other. On the host.
class AddressMap {
 public:
  /// Adds a range. An equal one of the same number counts once more. Does nothing if it is empty.
  void insert(const void* begin, const void* end, std::size_t id) {
    const Range range = range_of(begin, end, id);
    if (range.begin < range.end) classes_[length_class(range)].insert(range);
  }

  /// Takes out a range as it was inserted, once; returns whether it was there.
  bool erase(const void* begin, const void* end, std::size_t id) {
    const Range range = range_of(begin, end, id);
    if (range.begin >= range.end) return false;
    const auto ranges = classes_.find(length_class(range));
    if (ranges == classes_.end()) return false;
    const auto found = ranges->second.find(range);
    if (found == ranges->second.end()) return false;
    ranges->second.erase(found);
    if (ranges->second.empty()) classes_.erase(ranges);
    return true;
  }

  /// f(id) for every range that shares a byte with [begin, end), in no promised order. @pre f leaves the map as it is.
  template <class F>
  void for_each_meeting(const void* begin, const void* end, const F& f) const {
    const Range given = range_of(begin, end, 0);
    if (given.begin >= given.end) return;
    for (const auto& [width, ranges] : classes_) {
      // None of this class is as long as 2^width: what begins that much before cannot reach `begin`.
      const std::uintptr_t reach = width < 64 ? (std::uintptr_t{1} << width) - 1 : ~std::uintptr_t{0};
      const std::uintptr_t from = given.begin > reach ? given.begin - reach : 0;
      for (auto range = ranges.lower_bound({from, 0, 0}); range != ranges.end() && range->begin < given.end; ++range) {
        if (range->end > given.begin) f(range->id);
      }
    }
  }

 private:
  struct Range {
    std::uintptr_t begin, end;
    std::size_t id;
    auto operator<=>(const Range&) const = default;
  };

  static Range range_of(const void* begin, const void* end, std::size_t id) {
    return {reinterpret_cast<std::uintptr_t>(begin), reinterpret_cast<std::uintptr_t>(end), id};
  }
  /// Bits that the length needs: it is below 2 to this power, and not below half of that.
  static int length_class(const Range& range) {  // not std::bit_width, whose type depends on the standard library
    return std::numeric_limits<std::uintptr_t>::digits - std::countl_zero(range.end - range.begin);
  }

  std::map<int, std::multiset<Range>> classes_;  ///< by length_class; none is empty
};

}  // namespace schatten::optim
