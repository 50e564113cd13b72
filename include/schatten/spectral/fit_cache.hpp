// SPDX-License-Identifier: BSD-3-Clause
// Fits that were made, remembered.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace schatten::spectral {

/// Bytes of fits that a cache keeps unless told otherwise: those of some hundred powers.
inline constexpr std::size_t fit_cache_bytes = std::size_t{1} << 20;

/// Fits by what they depend on, so that equal plans and a power that comes back cost nothing. Where their memory
/// exceeds a bound, the one that was used least recently is forgotten.
///
/// Key: ordered by <. Fit: bytes_of(fit) tells its memory, found by argument-dependent lookup.
template <class Key, class Fit>
class FitCache {
 public:
  /// Keeps the latest fit and, as far as all of them take at most `most_bytes`, those before it.
  explicit FitCache(std::size_t most_bytes = fit_cache_bytes) : most_bytes_(most_bytes) {}
  FitCache(const FitCache&) = delete;
  FitCache& operator=(const FitCache&) = delete;

  /// The fit of `key`, by make() if it is not remembered. The reference lives until the next call. Cost: O(log size).
  template <class Make>
  const Fit& get(const Key& key, const Make& make) {
    const auto known = places_.find(key);
    if (known != places_.end()) {
      entries_.splice(entries_.begin(), entries_, known->second);
      return entries_.front().second;
    }
    entries_.emplace_front(key, make());
    places_.emplace(key, entries_.begin());
    ++made_;
    bytes_ += bytes(entries_.front());
    while (bytes_ > most_bytes_ && entries_.size() > 1) {
      bytes_ -= bytes(entries_.back());
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return entries_.front().second;
  }

  /// Fits made so far, those that were forgotten included.
  [[nodiscard]] std::size_t made() const { return made_; }
  /// Fits remembered.
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  using Entry = std::pair<Key, Fit>;
  /// Of an entry and of its nodes in the list and the map.
  static std::size_t bytes(const Entry& entry) {
    constexpr std::size_t nodes = 8 * sizeof(void*) + sizeof(Key);
    return nodes + sizeof(Entry) + bytes_of(entry.second);
  }

  std::size_t most_bytes_, bytes_ = 0, made_ = 0;
  std::list<Entry> entries_;  ///< the latest one first
  std::map<Key, typename std::list<Entry>::iterator> places_;
};

}  // namespace schatten::spectral
