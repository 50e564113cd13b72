// SPDX-License-Identifier: BSD-3-Clause
// A cache of fits.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace schatten::spectral {

/// Default size of a cache in bytes: the fits of some hundred powers.
inline constexpr std::size_t fit_cache_bytes = std::size_t{1} << 20;

/// Fits by key, so that equal plans, and a power that was used before, need no new fit. If their memory exceeds a
/// bound, the least recently used fit is discarded.
///
/// Key: ordered by <. Fit: bytes_of(fit), found by argument-dependent lookup, returns its memory.
template <class Key, class Fit>
class FitCache {
 public:
  /// Keeps the latest fit, and older ones as long as all of them need at most `most_bytes`.
  explicit FitCache(std::size_t most_bytes = fit_cache_bytes) : most_bytes_(most_bytes) {}
  FitCache(const FitCache&) = delete;
  FitCache& operator=(const FitCache&) = delete;

  /// Returns the fit of `key`, which make() computes if the cache does not have it. The reference is valid until the
  /// next call. Cost: O(log size).
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

  /// Returns the number of fits that were computed, discarded ones included.
  [[nodiscard]] std::size_t made() const { return made_; }
  /// Returns the number of fits in the cache.
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  using Entry = std::pair<Key, Fit>;
  /// Returns the bytes of an entry and of its nodes in the list and the map.
  static std::size_t bytes(const Entry& entry) {
    constexpr std::size_t nodes = 8 * sizeof(void*) + sizeof(Key);
    return nodes + sizeof(Entry) + bytes_of(entry.second);
  }

  std::size_t most_bytes_, bytes_ = 0, made_ = 0;
  std::list<Entry> entries_;  ///< the latest one first
  std::map<Key, typename std::list<Entry>::iterator> places_;
};

}  // namespace schatten::spectral
