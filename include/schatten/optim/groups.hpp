// SPDX-License-Identifier: BSD-3-Clause
// The groups of an Optimizer, and loops over their buckets.
#pragma once

#include <schatten/core/host_region.hpp>
#include <schatten/optim/group.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace schatten::optim {

/// Groups in the order of their addition; none is removed.
template <Scalar T, ExecutionSpace Exec>
class Groups {
 public:
  using Group = optim::Group<T, Exec>;
  using Storage = BucketStorage<T, Exec>;

  void add(std::unique_ptr<Group> group) { groups_.push_back(std::move(group)); }
  [[nodiscard]] std::size_t size() const { return groups_.size(); }
  [[nodiscard]] const std::unique_ptr<Group>& operator[](std::size_t k) const { return groups_[k]; }
  [[nodiscard]] auto begin() const { return groups_.begin(); }
  [[nodiscard]] auto end() const { return groups_.end(); }

  /// Calls f(group, bucket) for all buckets that have matrices.
  template <class F>
  void for_each_bucket(const F& f) const {
    for (const auto& group : groups_) {
      for (std::size_t k = 0; k < group->buckets(); ++k) {
        if (group->bucket(k).matrices() > 0) f(*group, group->bucket(k));
      }
    }
  }
  /// Calls f(group, bucket, first, count) for the runs of matrices that a step updates.
  template <class F>
  void for_each_run(const F& f) const {
    for_each_bucket([&](Group& group, Storage& storage) {
      storage.for_each_run(group.most_matrices(storage.key()),
                           [&](std::size_t first, std::size_t count) { f(group, storage, first, count); });
    });
  }

  /// As for_each_run, in one region of the host's threads (core/host_region.hpp) if every group may run in one. With
  /// little work the region has one thread.
  template <class F>
  void for_each_run_in_region(const Exec& exec, const F& f) const {
    constexpr std::size_t one_threads = 1 << 14;
    for (const auto& group : groups_) {
      if (!group->one_region()) return for_each_run(f);
    }
    std::size_t elements = 0;
    for_each_bucket(
        [&](Group&, Storage& storage) { elements += storage.matrices() * storage.key().rows * storage.key().cols; });
    in_host_region(exec, elements < one_threads, [&] { for_each_run(f); });
  }

 private:
  std::vector<std::unique_ptr<Group>> groups_;
};

}  // namespace schatten::optim
