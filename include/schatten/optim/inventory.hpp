// SPDX-License-Identifier: BSD-3-Clause
// Lists, copies and restores an Optimizer's groups and parameters, bit for bit: all that a run needs to continue.
// Checkpoints use it. Use it for formats of your own.
#pragma once

#include <schatten/optim/optimizer_state.hpp>
#include <schatten/optim/stored_bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten {

/// The present state of a group.
struct GroupInfo {
  std::string rule;               ///< name of the rule: "htmuon"
  std::vector<FieldInfo> fields;  ///< all numbers of the rule
  std::size_t steps = 0;          ///< taken so far
  double lr_factor = 1;           ///< see Optimizer::set_lr_factor
};

/// A parameter as it was registered.
struct ParameterInfo {
  std::string name;                         ///< as given to add; of a part "qkv[0]"
  std::size_t group = 0;                    ///< by number, in the order of add_group
  std::vector<std::size_t> shape;           ///< extents of the user's View
  std::size_t matrices = 0;                 ///< number of matrices
  std::string blocks;                       ///< its blocks: "3 row blocks"; see blocks_of
  ElementType type = ElementType::float32;  ///< of the weight
  bool stochastic = false;                  ///< whether the weight is rounded at random
  bool paused = false;                      ///< see Optimizer::pause
  double decay_factor = 1;                  ///< see Optimizer::set_decay_factor
};

/// A state array of a parameter: (matrices, rows, cols) in the user's rows and columns.
struct ArrayInfo {
  std::string name;                         ///< as in Optimizer::read_state
  ElementType type = ElementType::float32;  ///< as stored
  std::size_t matrices = 0;                 ///< number of matrices
  std::size_t rows = 0;                     ///< of a matrix
  std::size_t cols = 0;                     ///< of a matrix
};

namespace optim {

/// Returns the blocks of a parameter in words: "1 block", "3 row blocks", "3 interleaved row blocks", "2 column
/// blocks". Parts with different sizes are parameters of their own, with one block each.
inline std::string blocks_of(const ParameterOptions& options) {
  if (options.column_blocks > 1) return std::to_string(options.column_blocks) + " column blocks";
  if (options.row_blocks == 1) return "1 block";
  return std::to_string(options.row_blocks) + (options.interleaved ? " interleaved row blocks" : " row blocks");
}

/// Access to one Optimizer, valid until the Optimizer is moved or destroyed. Functions throw InvalidArgument for an
/// unknown parameter name. They do not check the number of a group.
template <Scalar T, ExecutionSpace Exec>
class Inventory {
  using State = OptimizerState<T, Exec>;

 public:
  /// An inventory of the Optimizer whose base is `state`.
  explicit Inventory(State& state) : state_(state) {}

  /// OptimizerOptions::seed.
  [[nodiscard]] std::uint64_t seed() const { return state_.options_.seed; }
  /// Throws InvalidArgument between direction and apply.
  void require_settled(std::string_view function) const { state_.require_settled(function); }

  /// Number of groups.
  [[nodiscard]] std::size_t groups() const { return state_.groups_.size(); }
  /// Group k. @pre k < groups().
  [[nodiscard]] GroupInfo group(std::size_t k) const {
    const auto& group = *state_.groups_[k];
    return {std::string(group.rule_name()), group.fields(), group.steps, group.lr_factor};
  }
  /// As Optimizer::set. Arrays are allocated in the next step or copy.
  void set(std::size_t k, const std::vector<std::pair<std::string_view, double>>& values, std::string_view function) {
    state_.groups_[k]->set(values, function);
  }
  /// As Optimizer::set_lr_factor. @pre the factor is finite and not negative.
  void set_lr_factor(std::size_t k, double factor) { state_.groups_[k]->lr_factor = factor; }
  /// Sets the group's number of steps, which rules with an `interval` use.
  void set_steps(std::size_t k, std::size_t steps) { state_.groups_[k]->steps = steps; }

  /// Returns the parameters in the order of their registration.
  [[nodiscard]] std::vector<ParameterInfo> parameters() const {
    std::vector<ParameterInfo> all;
    state_.registry_->for_each([&](const Parameter& p) {
      all.push_back({p.name, p.group, p.shape, p.matrices(), blocks_of(p.options), p.weight.type, p.stochastic(),
                     p.paused, p.decay_factor});
    });
    return all;
  }
  /// Pauses or resumes a parameter.
  void set_paused(std::string_view name, bool paused) { at(name).paused = paused; }
  /// As Optimizer::set_decay_factor.
  void set_decay_factor(std::string_view name, double factor) { state_.set_decay_factor(name, factor); }

  /// Returns the arrays that the parameter has with its group's present numbers. Allocates nothing.
  [[nodiscard]] std::vector<ArrayInfo> arrays(std::string_view name) const {
    const Parameter& p = at(name);
    const BucketKey& key = state_.bucket_of(p).key();
    std::vector<ArrayInfo> all;
    for (const StateSlot& slot : state_.groups_[p.group]->slots(key)) {
      auto [rows, cols] = slot_shape(slot, key.rows, key.cols);
      if (p.matrices() * rows * cols == 0) continue;
      if (key.transposed && slot.extent == Extent::matrix) std::swap(rows, cols);
      all.push_back({std::string(slot.name), element_type<T>(slot.storage), p.matrices(), rows, cols});
    }
    return all;
  }

  /// Returns the slots of a matrix with this key in group k. @pre k < groups().
  [[nodiscard]] std::vector<StateSlot> slots(std::size_t k, const BucketKey& key) const {
    return state_.groups_[k]->slots(key);
  }

  /// Copies the bytes of an array to `to`, row-major, with the type and extents that arrays() returns. Allocates arrays
  /// that do not exist yet. Fences `exec`.
  void read(const Exec& exec, std::string_view name, std::string_view array, char* to) {
    const Parameter& p = state_.prepared(exec, name, "Inventory::read");
    read_state_bytes(exec, find_state(state_.bucket_of(p).states(), array, "Inventory::read"), p, to);
  }
  /// Writes the array from such bytes. Fences `exec`.
  void write(const Exec& exec, std::string_view name, std::string_view array, const char* from) {
    const Parameter& p = state_.prepared(exec, name, "Inventory::write");
    write_state_bytes(exec, find_state(state_.bucket_of(p).states(), array, "Inventory::write"), p, from);
  }
  /// Copies the bytes of the weight to `to`, row-major, with the parameter's type and shape. Fences `exec`.
  void read_weight(const Exec& exec, std::string_view name, char* to) const { read_weight_bytes(exec, at(name), to); }
  /// Writes the weight from such bytes. Fences `exec`.
  void write_weight(const Exec& exec, std::string_view name, const char* from) {
    write_weight_bytes(exec, at(name), from);
  }

  /// As Optimizer::read_counts. Fences `exec`.
  [[nodiscard]] std::vector<ParameterCounts> read_counts(const Exec& exec) { return state_.read_counts(exec); }
  /// As Optimizer::write_counts. Fences `exec`.
  void write_counts(const Exec& exec, const std::vector<ParameterCounts>& counts) { state_.write_counts(exec, counts); }

 private:
  [[nodiscard]] Parameter& at(std::string_view name) const { return state_.registry_->at(name, "Inventory"); }

  State& state_;
};

}  // namespace optim

}  // namespace schatten
