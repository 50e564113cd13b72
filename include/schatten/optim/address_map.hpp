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

/// A set of ranges [begin, end) of memory, each with a number. Finds those that share a byte with a given range.
///
/// Ranges may be equal, nested or interleaved. Adjacent ranges do not meet. An empty range meets no other. Cost of each
/// call: O(c·log n), with c the number of classes of lengths, by powers of two (c ≤ 64, about ten in practice). Beside
/// the ranges that it finds, for_each_meeting visits only ranges that begin less than twice their own length before the
/// given one. If the ranges of a class do not meet each other, these are at most two per class. On the host.
class AddressMap {
 public:
  /// Adds a range. An equal range with the same number is stored again. Does nothing if the range is empty.
  void insert(const void* begin, const void* end, std::size_t id) {
    const Range range = range_of(begin, end, id);
    if (range.begin < range.end) classes_[length_class(range)].insert(range);
  }

  /// Returns whether the set had this range with this number, and removes it once.
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

  /// Calls f(id) for every range that shares a byte with [begin, end), in any order. @pre f does not change the map.
  template <class F>
  void for_each_meeting(const void* begin, const void* end, const F& f) const {
    const Range given = range_of(begin, end, 0);
    if (given.begin >= given.end) return;
    for (const auto& [width, ranges] : classes_) {
      // All ranges of this class are shorter than 2^width: one that begins that much before `begin` ends before it.
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
  /// Number of bits b of the length: 2^(b−1) <= length < 2^b.
  static int length_class(const Range& range) {  // not std::bit_width, whose type depends on the standard library
    return std::numeric_limits<std::uintptr_t>::digits - std::countl_zero(range.end - range.begin);
  }

  std::map<int, std::multiset<Range>> classes_;  ///< by length_class; none is empty
};

}  // namespace schatten::optim
