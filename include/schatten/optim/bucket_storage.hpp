// SPDX-License-Identifier: BSD-3-Clause
// The matrices of a group that have one shape and one orientation: their records and the arrays of their state.
#pragma once

#include <schatten/optim/apply.hpp>
#include <schatten/optim/elements.hpp>
#include <schatten/optim/parameter.hpp>
#include <schatten/optim/rates.hpp>
#include <schatten/optim/state.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace schatten::spectral {

struct FitCaches;

}  // namespace schatten::spectral

namespace schatten::optim {

/// Shape and orientation of a bucket's matrices.
struct BucketKey {
  std::size_t rows = 0, cols = 0;  ///< as stored: rows are the user's columns where transposed
  bool transposed = false;
  bool master = false;  ///< whether copies of the weights are kept
  /// The user's rows and columns.
  [[nodiscard]] std::pair<std::size_t, std::size_t> user_shape() const {
    if (transposed) return {cols, rows};
    return {rows, cols};
  }
  /// Whether the matrices have elements. Matrices without elements have counts, but rules are not called for them.
  [[nodiscard]] bool has_elements() const { return rows > 0 && cols > 0; }
  friend bool operator==(const BucketKey&, const BucketKey&) = default;
};

/// Matrices that a step processes in the same launches. `prepare` allocates and enlarges the arrays, so adding a
/// parameter launches no kernel.
template <Scalar T, ExecutionSpace Exec>
class BucketStorage {
 public:
  using Space = typename Exec::memory_space;
  using Bits = MagnitudeBits<T>;

  explicit BucketStorage(const BucketKey& key) : key_(key) {}

  /// Adds the parameter's matrices. Their state has the initial values of the slots.
  void add(Parameter& parameter) {
    parameter.place = matrices_;
    members_.push_back({.parameter = &parameter, .old_place = none});
    matrices_ += parameter.matrices();
    stale_ = true;
  }

  /// Removes the parameter's matrices and their state.
  void remove(const Parameter& parameter) {
    const auto found = std::find_if(members_.begin(), members_.end(),
                                    [&](const Member& member) { return member.parameter == &parameter; });
    members_.erase(found);
    matrices_ = 0;
    for (Member& member : members_) {
      member.parameter->place = matrices_;
      matrices_ += member.parameter->matrices();
    }
    stale_ = true;
  }

  /// To be called when addresses of the parameters have changed.
  void invalidate_records() { records_.invalidate(); }
  /// To be called when the arrays that the rule keeps may have changed.
  void invalidate_slots() { stale_ = true; }

  /// Makes the arrays of `slots` for all matrices, with their previous contents, and the records of the present
  /// parameters. scale(parameter): the factor of the learning rate for the parameter's shape.
  template <class Scale>
  void prepare(const Exec& exec, const std::vector<StateSlot>& slots, const Scale& scale) {
    if (stale_) make_arrays(exec, slots);
    auto member = members_.begin();
    records_.update(exec, key_.rows, key_.cols, [&](std::size_t k) {
      while (k >= member->parameter->place + member->parameter->matrices()) ++member;
      const Parameter& p = *member->parameter;
      const std::size_t b = k - p.place;
      return MatrixRecord{p.oriented(p.gradient).matrix(b),
                          p.oriented(p.weight).matrix(b),
                          p.first_matrix + b,
                          scale(p),
                          p.decay_factor,
                          p.stochastic(),
                          p.key,
                          b * p.rows() * p.cols()};
    });
  }

  [[nodiscard]] const BucketKey& key() const { return key_; }
  [[nodiscard]] std::size_t matrices() const { return matrices_; }
  [[nodiscard]] const RecordTable<Exec>& records() const { return records_; }
  /// The arrays, in the order of the slots that `prepare` was given.
  [[nodiscard]] const std::vector<StateArray<Exec>>& states() const { return states_; }
  /// Memory in which kernels collect the largest entry of each matrix.
  [[nodiscard]] NumberBatchView<Bits, Space> largest(std::size_t first, std::size_t count) const {
    return NumberBatchView<Bits, Space>(largest_.data() + first, count);
  }

  /// Calls f(first, count) for the runs of matrices that a step updates, at most `most` matrices per call.
  template <class F>
  void for_each_run(std::size_t most, const F& f) const {
    std::size_t begin = 0, end = 0;
    const auto give = [&] {
      for (; begin < end; begin += (std::min)(most, end - begin)) f(begin, (std::min)(most, end - begin));
    };
    for (const Member& member : members_) {
      const Parameter& p = *member.parameter;
      if (!p.active()) continue;
      if (p.place != end) {
        give();
        begin = p.place;
      }
      end = p.place + p.matrices();
    }
    give();
  }

  /// Calls f(parameter) for the parameters whose last matrix is in [first, first + count).
  template <class F>
  void for_each_ending_in(std::size_t first, std::size_t count, const F& f) const {
    for (const Member& member : members_) {
      const std::size_t end = member.parameter->place + member.parameter->matrices();
      if (first < end && end <= first + count) f(*member.parameter);
    }
  }

  /// Returns whether some of the matrices [first, first + count) have not been in a step. Marks them as having been in
  /// one.
  bool take_first_steps(std::size_t first, std::size_t count) {
    bool some = false;
    for (Member& member : members_) {
      const std::size_t begin = member.parameter->place, end = begin + member.parameter->matrices();
      if (first + count <= begin || end <= first) continue;
      const std::size_t stepped = (std::min)(first + count, end) - begin;
      some = some || stepped > member.stepped;
      member.stepped = (std::max)(member.stepped, stepped);
    }
    return some;
  }

  /// Allocates memory for the directions of all matrices and their factors, for Optimizer::direction.
  void make_directions() {
    if (directions_.extent(0) == matrices_) return;
    const auto without = [](const std::string& label) {
      return Kokkos::view_alloc(Kokkos::WithoutInitializing, label);
    };
    directions_ = decltype(directions_)(without("schatten::directions"), matrices_, key_.rows, key_.cols);
    factors_ = decltype(factors_)(without("schatten::factors"), matrices_);
  }
  [[nodiscard]] BatchView<T, Space> direction(std::size_t first, std::size_t count) const {
    return batch_view<Space>(directions_.data() + first * key_.rows * key_.cols, count, key_.rows, key_.cols);
  }
  [[nodiscard]] NumberBatchView<SplitFactor, Space> factor(std::size_t first, std::size_t count) const {
    return NumberBatchView<SplitFactor, Space>(factors_.data() + first, count);
  }

  std::shared_ptr<void> plans{};                ///< of the spectral maps, where the rule has some (plans.hpp)
  std::shared_ptr<void> function_plans{};       ///< of those by a SpectralFunction (function_rule.hpp)
  std::shared_ptr<spectral::FitCaches> fits{};  ///< shared by the plans
  const Rates* rates = nullptr;                 ///< where kernels read them; null on hosts (rates.hpp)
  /// To be called when the parameter's counts have been written: its matrices may be in their first step again.
  void forget_steps(const Parameter& parameter) {
    for (Member& member : members_) {
      if (member.parameter == &parameter) member.stepped = 0;
    }
  }

 private:
  static constexpr std::size_t none = std::size_t(-1);
  struct Member {
    Parameter* parameter;
    std::size_t old_place;    ///< of its state in the present arrays; none: it has none yet
    std::size_t stepped = 0;  ///< how many of its matrices, from the first on, have been in a step
  };

  void make_arrays(const Exec& exec, const std::vector<StateSlot>& slots) {
    std::vector<StateArray<Exec>> made;
    for (const StateSlot& slot : slots) {
      StateArray<Exec> array = make_state<T>(exec, slot, key_.rows, key_.cols, matrices_);
      const StateArray<Exec>* const old = find(array);
      for (const Member& member : members_) {
        const Parameter& p = *member.parameter;
        if (old != nullptr && member.old_place != none) {
          copy_state(exec, *old, member.old_place, array, p.place, p.matrices());
        } else if (slot.start != Start::zero) {
          for (std::size_t b = 0; b < p.matrices(); ++b) {
            start_state<T>(exec, array, p.place + b, p.oriented(p.weight).matrix(b));
          }
        }
      }
      made.push_back(array);
    }
    exec.fence();  // fences: documented. The old arrays are read until here
    states_ = std::move(made);
    for (Member& member : members_) member.old_place = member.parameter->place;
    largest_ = decltype(largest_)(Kokkos::view_alloc(exec, "schatten::largest"), matrices_);
    records_.resize(matrices_);
    directions_ = {};
    stale_ = false;
  }

  /// Returns the present array of the same slot if it has the same shape and type, otherwise null.
  [[nodiscard]] const StateArray<Exec>* find(const StateArray<Exec>& wanted) const {
    for (const StateArray<Exec>& array : states_) {
      const bool same = array.slot.name == wanted.slot.name && array.rows == wanted.rows && array.cols == wanted.cols;
      if (same && array.type == wanted.type && array.memory.size() > 0) return &array;
    }
    return nullptr;
  }

  BucketKey key_;
  std::vector<Member> members_;
  std::size_t matrices_ = 0;
  std::vector<StateArray<Exec>> states_;
  RecordTable<Exec> records_;
  Kokkos::View<Bits*, Kokkos::LayoutRight, typename Exec::device_type> largest_{};
  Kokkos::View<T***, Kokkos::LayoutRight, typename Exec::device_type> directions_{};
  Kokkos::View<SplitFactor*, Kokkos::LayoutRight, typename Exec::device_type> factors_{};
  bool stale_ = true;
};

}  // namespace schatten::optim
