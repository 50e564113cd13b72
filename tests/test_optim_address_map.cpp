// SPDX-License-Identifier: BSD-3-Clause
// The map of addresses: against comparison with all, for ranges of every kind, and its cost for many.
// labels: portable

#include <schatten/optim/address_map.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using schatten::optim::AddressMap;

struct Range {
  std::uintptr_t begin, end;
  std::size_t id;
};

const void* address(std::uintptr_t at) { return reinterpret_cast<const void*>(at); }

/// What the map finds, sorted.
std::vector<std::size_t> found(const AddressMap& map, std::uintptr_t begin, std::uintptr_t end) {
  std::vector<std::size_t> ids;
  map.for_each_meeting(address(begin), address(end), [&](std::size_t id) { ids.push_back(id); });
  std::sort(ids.begin(), ids.end());
  return ids;
}

/// What comparison with all finds, sorted.
std::vector<std::size_t> expected(const std::vector<Range>& ranges, std::uintptr_t begin, std::uintptr_t end) {
  std::vector<std::size_t> ids;
  for (const Range& range : ranges) {
    if (std::max(range.begin, begin) < std::min(range.end, end)) ids.push_back(range.id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

using Ids = std::vector<std::size_t>;

}  // namespace

TEST_CASE("ranges meet where they share a byte") {
  AddressMap map;
  CHECK(found(map, 0, 1000).empty());
  map.insert(address(100), address(200), 7);
  CHECK(found(map, 0, 100).empty());  // adjacent
  CHECK(found(map, 200, 300).empty());
  CHECK(found(map, 0, 101) == Ids{7});
  CHECK(found(map, 199, 300) == Ids{7});
  CHECK(found(map, 150, 151) == Ids{7});  // nested either way
  CHECK(found(map, 0, 1000) == Ids{7});
  CHECK(found(map, 150, 150).empty());  // an empty one

  map.insert(address(120), address(120), 8);
  CHECK(found(map, 0, 1000) == Ids{7});
  map.insert(address(100), address(200), 9);  // equal
  map.insert(address(100), address(200), 7);  // the same twice
  CHECK(found(map, 150, 160) == Ids{7, 7, 9});
  CHECK(map.erase(address(100), address(200), 7));
  CHECK(found(map, 150, 160) == Ids{7, 9});
  CHECK(map.erase(address(100), address(200), 7));
  CHECK_FALSE(map.erase(address(100), address(200), 7));
  CHECK_FALSE(map.erase(address(100), address(201), 9));
  CHECK_FALSE(map.erase(address(120), address(120), 8));
  CHECK(found(map, 150, 160) == Ids{9});
  CHECK(map.erase(address(100), address(200), 9));
  CHECK(found(map, 0, 1000).empty());
}

TEST_CASE("the ends of the address space") {
  constexpr std::uintptr_t last = ~std::uintptr_t{0};
  AddressMap map;
  map.insert(address(0), address(last), 1);
  map.insert(address(last - 1), address(last), 2);
  map.insert(address(0), address(1), 3);
  CHECK(found(map, 0, 1) == Ids{1, 3});
  CHECK(found(map, last - 1, last) == Ids{1, 2});
  CHECK(found(map, 0, last) == Ids{1, 2, 3});
  CHECK(found(map, 1, last - 1) == Ids{1});
}

TEST_CASE("as comparison with all, while ranges come and go") {
  std::mt19937 random(1);
  const auto below = [&](std::uintptr_t n) { return static_cast<std::uintptr_t>(random()) % n; };
  for (const std::uintptr_t space : {40U, 1000U, 1000000U}) {
    AddressMap map;
    std::vector<Range> ranges;
    bool right = true;
    for (std::size_t turn = 0; turn < 4000; ++turn) {
      // Lengths of every order of magnitude, empty ones among them.
      const auto length = [&] { return below(below(2) == 0 ? 8 : space / (std::uintptr_t{1} << below(6)) + 1); };
      const std::uintptr_t begin = below(space), end = begin + length();
      if (below(100) < 55 || ranges.empty()) {
        map.insert(address(begin), address(end), turn);
        ranges.push_back({begin, end, turn});
      } else {
        const auto gone = ranges.begin() + static_cast<std::ptrdiff_t>(below(ranges.size()));
        right = right && map.erase(address(gone->begin), address(gone->end), gone->id) == (gone->begin < gone->end);
        ranges.erase(gone);
      }
      const std::uintptr_t from = below(space), to = from + length();
      right = right && found(map, from, to) == expected(ranges, from, to);
    }
    CHECK(right);
  }
}

TEST_CASE("many ranges side by side, within one that holds them all") {
  constexpr std::size_t count = 100000, size = 48;  // compared with all, they would take half a minute
  AddressMap map;
  map.insert(address(size), address(size * (count + 1)), count);
  bool right = true;
  for (std::size_t turn = 0; turn < 2; ++turn) {
    for (std::size_t k = 0; k < count; ++k) {
      const std::uintptr_t begin = size * ((k * 7919) % count + 1), end = begin + size - k % 3;
      right = right && found(map, begin, end) == Ids{count};
      map.insert(address(begin), address(end), k);
    }
    for (std::size_t k = 0; k < count; ++k) {
      const std::uintptr_t begin = size * ((k * 7919) % count + 1), end = begin + size - k % 3;
      right = right && found(map, begin, end) == Ids{k, count} && map.erase(address(begin), address(end), k);
    }
  }
  CHECK(right);
}
