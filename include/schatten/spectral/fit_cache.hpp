// Fits that were made, remembered.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace schatten::spectral {

/// The latest fits by their arguments, so that equal plans and a power that comes back cost nothing.
template <class Key, class Fit>
class FitCache {
 public:
  /// The fit of `key`, by make() if it is not remembered. The reference lives until the next call.
  template <class Make>
  const Fit& get(const Key& key, const Make& make) {
    for (const auto& entry : entries_) {
      if (entry.first == key) return entry.second;
    }
    if (entries_.size() < capacity) entries_.emplace_back();
    auto& entry = entries_[next_];
    next_ = (next_ + 1) % capacity;
    entry = {key, make()};
    return entry.second;
  }

 private:
  static constexpr std::size_t capacity = 16;
  std::vector<std::pair<Key, Fit>> entries_;
  std::size_t next_ = 0;  ///< the oldest entry
};

}  // namespace schatten::spectral
