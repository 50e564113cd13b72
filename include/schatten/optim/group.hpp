// SPDX-License-Identifier: BSD-3-Clause
// The interface of a group of parameters, independent of its rule: buckets, numbers by name, and the step of a run of
// matrices. One virtual call per bucket; kernels know the rule's type.
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/telemetry.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten {

/// A group of parameters of one Optimizer, as add_group returns it.
struct GroupId {
  std::size_t index = 0;
  const void* optimizer = nullptr;  ///< whose group it is
};

}  // namespace schatten

namespace schatten::optim {

template <Scalar T, ExecutionSpace Exec>
class Group {
 public:
  using Space = typename Exec::memory_space;
  using Storage = BucketStorage<T, Exec>;
  using Step = StepContext<T, Exec>;

  Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  virtual ~Group() = default;

  // ---- the rule ---------------------------------------------------------------------------------------------------
  [[nodiscard]] virtual std::string_view rule_name() const = 0;
  /// Whether the rule takes matrices only, no vectors.
  [[nodiscard]] virtual bool only_matrices() const = 0;
  [[nodiscard]] virtual bool commutes() const = 0;
  [[nodiscard]] virtual std::vector<FieldInfo> fields() const = 0;
  [[nodiscard]] virtual double lr() const = 0;
  /// Sets numbers by name, all or none. Throws InvalidArgument and changes nothing.
  virtual void set(const std::vector<std::pair<std::string_view, double>>& values, std::string_view function) = 0;
  /// Throws InvalidArgument for a parameter whose shape the rule cannot serve; key: that of its bucket.
  virtual void check_shape(const Parameter& p, const BucketKey& key, std::string_view function) const = 0;
  /// The factor of the learning rate that depends only on the shape.
  [[nodiscard]] virtual double scale(const Parameter& p) const = 0;
  /// The arrays of the rule, then those of the group itself.
  [[nodiscard]] virtual std::vector<StateSlot> slots(const BucketKey& key) const = 0;
  /// Largest number of matrices that go through one call.
  [[nodiscard]] virtual std::size_t most_matrices(const BucketKey& key) const = 0;
  /// Makes the plans of a bucket, so that steps allocate nothing.
  virtual void prepare_plans(Storage& storage) = 0;
  /// The error bound of the spectral map of a bucket; 0 if the rule has no map.
  [[nodiscard]] virtual double map_error(Storage& storage) = 0;

  /// The rates of a bucket in the group's step number `step`, counted from 1.
  [[nodiscard]] virtual Rates rates(const BucketKey& key, std::size_t step) const = 0;

  // ---- a run of matrices --------------------------------------------------------------------------------------------
  /// Computes direction and apply, in as few passes as the rule allows.
  virtual void step(const Step& step, Storage& storage, std::size_t first, std::size_t count) = 0;
  /// out ← D, factor ← the factor between D and lr·scale. Advances the state.
  virtual void direction(const Step& step, Storage& storage, std::size_t first, std::size_t count,
                         const BatchView<T, Space>& out, const NumberBatchView<SplitFactor, Space>& factor) = 0;
  /// W ← W − (lr·weight_decay·W + lr·scale·factor·D).
  virtual void apply(const Step& step, Storage& storage, std::size_t first, std::size_t count,
                     const BatchView<const T, Space>& d, const NumberBatchView<const SplitFactor, Space>& factor) = 0;
  /// telemetry of each matrix ← the change that `apply` with the same arguments will make.
  virtual void measure(const Step& step, Storage& storage, std::size_t first, std::size_t count,
                       const BatchView<const T, Space>& d, const NumberBatchView<const SplitFactor, Space>& factor,
                       const NumberBatchView<MatrixTelemetry, Space>& telemetry) = 0;

  /// Passes the array of Optimizer::observe to the rule. `input`: in the bucket's orientation. Throws InvalidArgument,
  /// with `function` in the message, for a rule that takes no such array.
  virtual void observe(const Step& step, Storage& storage, const Parameter& p, const TypedBatch& input,
                       std::string_view function) = 0;
  /// Whether `observe` takes a layer's inputs.
  [[nodiscard]] virtual bool observes_inputs() const = 0;
  /// Whether its step may run in a parallel region (core/host_region.hpp).
  [[nodiscard]] virtual bool one_region() const = 0;

  // ---- parameters ---------------------------------------------------------------------------------------------------
  /// The shape and orientation in which the rule computes the parameter's matrices: with contiguous columns if the rule
  /// commutes with transposes.
  [[nodiscard]] BucketKey key_of(const Parameter& p) const {
    const bool turn = commutes() && p.rows() > 1 && (p.weight.row_stride < p.weight.col_stride || p.cols() == 1);
    return {turn ? p.cols() : p.rows(), turn ? p.rows() : p.cols(), turn, p.has_master()};
  }
  /// Adds the parameter to the bucket of its key.
  void add(Parameter& p) {
    const BucketKey key = key_of(p);
    p.transposed = key.transposed;
    for (p.bucket = 0; p.bucket < buckets_.size(); ++p.bucket) {
      if (buckets_[p.bucket]->key() == key) break;
    }
    if (p.bucket == buckets_.size()) buckets_.push_back(std::make_unique<Storage>(key));
    buckets_[p.bucket]->add(p);
  }
  void remove(const Parameter& p) { buckets_[p.bucket]->remove(p); }
  [[nodiscard]] Storage& bucket(std::size_t k) const { return *buckets_[k]; }
  [[nodiscard]] std::size_t buckets() const { return buckets_.size(); }

  /// Updates arrays, plans and records to the present parameters and numbers.
  void prepare(const Exec& exec) {
    for (const auto& storage : buckets_) {
      storage->prepare(exec, slots(storage->key()), [&](const Parameter& p) { return scale(p); });
      prepare_plans(*storage);
    }
    stale = false;
  }

  std::size_t steps = 0;  ///< taken by the group
  double lr_factor = 1;   ///< see Optimizer::set_lr_factor
  bool stale = false;     ///< whether arrays or records must be updated after a change of numbers

 protected:
  std::vector<std::unique_ptr<Storage>> buckets_;
};

}  // namespace schatten::optim
