// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints of a ShardedOptimizer: the arrays of whole matrices, in the files of an Optimizer over ranks.
#pragma once

#include <schatten/distributed/checkpoint.hpp>
#include <schatten/distributed/sharded_optimizer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::distributed {

namespace detail {

/// The inventory of the whole matrices of a ShardedOptimizer, with the functions of optim::Inventory.
template <class O>
class ShardInventory;

template <Scalar T, ExecutionSpace Exec, class Backend, class Comm>
class ShardInventory<ShardedOptimizer<T, Exec, Backend, Comm>> {
  using Sharded = ShardedOptimizer<T, Exec, Backend, Comm>;
  using Shard = typename Sharded::Shard;

 public:
  explicit ShardInventory(Sharded& optimizer) : self_(&optimizer), local_(optimizer.local().inventory()) {}

  [[nodiscard]] std::uint64_t seed() const { return local_.seed(); }
  [[nodiscard]] std::size_t groups() const { return self_->groups_.size(); }
  [[nodiscard]] GroupInfo group(std::size_t k) const {
    const auto& group = self_->groups_[k];
    return {group.name, group.rule->fields(), group.steps, group.lr_factor};
  }
  /// Without communication: all ranks read the same file.
  void set(std::size_t k, const std::vector<std::pair<std::string_view, double>>& values, std::string_view function) {
    auto& group = self_->groups_[k];
    group.rule->set(*self_, values, group.sets, function);
  }
  void set_lr_factor(std::size_t k, double factor) {
    auto& group = self_->groups_[k];
    group.lr_factor = factor;
    for (const auto& set : group.sets) local_.set_lr_factor(set.id.index, factor);
  }

  [[nodiscard]] std::vector<ParameterInfo> parameters() const {
    std::vector<ParameterInfo> all = local_.parameters();
    for (ParameterInfo& p : all) {
      const Shard& shard = at(p.name);
      p.group = shard.group;
      p.shape = shape_of(shard);
      p.type = shard.type;
      p.stochastic = shard.stochastic;
    }
    return all;
  }
  [[nodiscard]] std::vector<ArrayInfo> arrays(std::string_view name) const {
    const Shard& shard = at(name);
    std::vector<ArrayInfo> all;
    for (const StateSlot& slot : slots_of(shard)) {
      const auto [rows, cols] = optim::slot_shape(slot, shard.whole.rows, shard.whole.cols);
      if (rows * cols == 0) continue;
      all.push_back({std::string(slot.name), optim::element_type<T>(slot.storage), 1, rows, cols});
    }
    return all;
  }

  // ---- save -------------------------------------------------------------------------------------------------------

  /// Assembles each parameter on one rank that has a part of it, so that all ranks have about the same number of bytes.
  /// Returns those of this rank. All ranks together. Memory: their arrays.
  std::vector<ParameterInfo> assemble(const Exec& exec, bool weights) {
    const auto ranks = std::size_t(self_->comm_->size());
    std::vector<double> load(ranks, 0.0);
    std::vector<ParameterInfo> mine;
    for (const ParameterInfo& p : parameters()) {
      const Shard& shard = at(p.name);
      std::size_t owner = ranks;
      for (std::size_t r = 0; r < ranks; ++r) {
        if (shard.counts[r] > 0 && (owner == ranks || load[r] < load[owner])) owner = r;
      }
      load[owner] += double(shard.whole.rows) * double(shard.whole.cols);
      if (owner == me()) mine.push_back(p);
      if (weights) gather(exec, p.name, {}, shard, owner, size_of(shard.type));
      for (const StateSlot& slot : slots_of(shard)) {
        gather(exec, p.name, slot, shard, owner, size_of(optim::element_type<T>(slot.storage)));
      }
    }
    return mine;
  }
  void read(const Exec&, std::string_view name, std::string_view array, char* to) const {
    const std::vector<char>& bytes = whole_.at({std::string(name), std::string(array)});
    std::memcpy(to, bytes.data(), bytes.size());
  }
  void read_weight(const Exec& exec, std::string_view name, char* to) const { read(exec, name, {}, to); }
  [[nodiscard]] std::vector<ParameterCounts> read_counts(const Exec& exec) { return local_.read_counts(exec); }

  // ---- load -------------------------------------------------------------------------------------------------------

  /// This rank's part of an array.
  void write(const Exec& exec, std::string_view name, std::string_view array, const char* from) {
    const Shard& shard = at(name);
    for (const StateSlot& slot : slots_of(shard)) {
      if (slot.name != array || (slot.name == "master" && shard.counts[me()] == 0)) continue;
      const std::vector<char> part = cut(shard, slot, size_of(optim::element_type<T>(slot.storage)), from);
      if (!part.empty()) local_.write(exec, name, array, part.data());
    }
  }
  void write_weight(const Exec& exec, std::string_view name, const char* from) {
    const Shard& shard = at(name);
    const std::vector<char> part = cut(shard, {}, size_of(shard.type), from);
    if (!part.empty()) local_.write_weight(exec, name, part.data());
  }
  void write_counts(const Exec& exec, const std::vector<ParameterCounts>& counts) {
    local_.write_counts(exec, counts);
    for (const ParameterCounts& c : counts) {
      auto& group = self_->groups_[at(c.name).group];
      group.steps = static_cast<std::size_t>(c.group_steps);
      for (const auto& set : group.sets) local_.set_steps(set.id.index, group.steps);
    }
  }
  void set_paused(std::string_view name, bool paused) { local_.set_paused(name, paused); }
  void set_decay_factor(std::string_view name, double factor) { local_.set_decay_factor(name, factor); }

 private:
  /// An array as rows of bytes, and the part of it that a rank has.
  struct Layout {
    std::size_t rows, bytes;  ///< of a whole row
    bool by_rows, by_columns;
    [[nodiscard]] std::size_t rows_of(std::uint64_t count) const { return by_rows ? std::size_t(count) : rows; }
    [[nodiscard]] std::size_t bytes_of(std::uint64_t count, std::size_t element) const {
      return by_columns ? std::size_t(count) * element : bytes;
    }
    [[nodiscard]] bool cut() const { return by_rows || by_columns; }
  };
  static Layout layout_of(const Shard& shard, const StateSlot& slot, std::size_t element) {
    const auto [rows, cols] = optim::slot_shape(slot, shard.whole.rows, shard.whole.cols);
    const bool whole = slot.extent == Extent::matrix, by_rows = shard.whole.side == Side::rows;
    return {rows, cols * element, by_rows && (whole || slot.extent == Extent::column),
            !by_rows && (whole || slot.extent == Extent::row)};
  }

  [[nodiscard]] std::size_t me() const { return std::size_t(self_->comm_->rank()); }
  [[nodiscard]] const Shard& at(std::string_view name) const {
    const auto found = self_->shards_of_.find(name);
    require(found != self_->shards_of_.end(), "distributed::save, load", "parameter", std::string(name),
            "must have been added by ShardedOptimizer::add, not to local()");
    return found->second;
  }
  static std::vector<std::size_t> shape_of(const Shard& shard) {
    if (shard.vector) return {shard.whole.cols};
    return {shard.whole.rows, shard.whole.cols};
  }
  [[nodiscard]] std::vector<StateSlot> slots_of(const Shard& shard) const {
    return local_.slots(shard.set.index, {shard.whole.rows, shard.whole.cols, false, shard.master});
  }

  /// The owner's copy of an array ← all ranks' parts. slot: without a name for the weight. An array that is not divided
  /// is that of the owner.
  void gather(const Exec& exec, const std::string& name, const StateSlot& slot, const Shard& shard, std::size_t owner,
              std::size_t element) {
    const Layout layout = layout_of(shard, slot, element);
    const std::size_t ranks = shard.counts.size(), size = layout.rows * layout.bytes;
    if (size == 0 || (!layout.cut() && owner != me())) return;
    std::vector<std::size_t> bytes(ranks, size);
    if (layout.cut()) {
      for (std::size_t r = 0; r < ranks; ++r) {
        bytes[r] = layout.rows_of(shard.counts[r]) * layout.bytes_of(shard.counts[r], element);
      }
    }
    std::vector<char> part(bytes[me()]);
    if (!part.empty()) {
      if (slot.name.empty()) {
        local_.read_weight(exec, name, part.data());
      } else {
        local_.read(exec, name, slot.name, part.data());
      }
    }
    if (layout.cut()) part = sent_to(exec, owner, part, bytes);
    if (owner != me()) return;
    std::vector<char>& whole = whole_[{name, std::string(slot.name)}];
    if (!layout.by_columns) {
      whole = std::move(part);
      return;
    }
    whole.resize(size);
    const char* from = part.data();
    std::size_t first = 0;
    for (std::size_t r = 0; r < ranks; ++r) {
      const std::size_t row = layout.bytes_of(shard.counts[r], element);
      for (std::size_t i = 0; i < layout.rows && row > 0; ++i, from += row) {
        std::memcpy(whole.data() + i * layout.bytes + first, from, row);
      }
      first += row;
    }
  }
  /// Returns all ranks' bytes, in the order of ranks, on the owner; nothing on the other ranks.
  std::vector<char> sent_to(const Exec& exec, std::size_t owner, const std::vector<char>& part,
                            const std::vector<std::size_t>& bytes) const {
    const std::size_t ranks = bytes.size();
    std::vector<std::size_t> to(ranks, 0), from(ranks, 0);
    to[owner] = part.size();
    if (owner == me()) from = bytes;
    std::vector<char> all(std::accumulate(from.begin(), from.end(), std::size_t{0}));
    self_->comm_->all_to_all(exec, part.data(), to, all.data(), from);
    exec.fence();  // fences: documented
    return all;
  }
  /// This rank's part of a whole array.
  [[nodiscard]] std::vector<char> cut(const Shard& shard, const StateSlot& slot, std::size_t element,
                                      const char* whole) const {
    const Layout layout = layout_of(shard, slot, element);
    std::uint64_t first = 0;
    for (std::size_t r = 0; r < me(); ++r) first += shard.counts[r];
    const std::uint64_t count = shard.counts[me()];
    const std::size_t rows = layout.rows_of(count), row = layout.bytes_of(count, element);
    const char* from = whole + (layout.by_rows ? std::size_t(first) * layout.bytes : 0) +
                       (layout.by_columns ? std::size_t(first) * element : 0);
    std::vector<char> part(rows * row);
    for (std::size_t i = 0; i < rows && row > 0; ++i) {
      std::memcpy(part.data() + i * row, from + i * layout.bytes, row);
    }
    return part;
  }

  Sharded* self_;
  optim::Inventory<T, Exec> local_;
  std::map<std::pair<std::string, std::string>, std::vector<char>> whole_{};  ///< by parameter and array
};

}  // namespace detail

/// Saves the whole matrices in the format of distributed::Optimizer; each matrix is written by one of the ranks. `load`
/// of all classes of this folder reads it, on any number of ranks with any division. gather_files merges the files into
/// one, which checkpoint::load reads.
///
/// All ranks together, on a file system that they share. Errors are those of `save` in checkpoint.hpp. A rank needs
/// host memory for the arrays that it assembles: about 1/N of all if every rank has a part of every matrix.
template <Scalar T, ExecutionSpace Exec, class Backend, class Comm>
void save(const Exec& exec, ShardedOptimizer<T, Exec, Backend, Comm>& optimizer, const std::string& path,
          const checkpoint::SaveOptions& options = {}) {
  constexpr std::string_view function = "distributed::save";
  detail::ShardInventory<ShardedOptimizer<T, Exec, Backend, Comm>> inventory(optimizer);
  agree(optimizer.communicator(), function, [&] {
    optimizer.local().inventory().require_settled(function);
    (void)inventory.parameters();  // throws for one that is not sharded
    return detail::words_of(path, options);
  });
  const std::vector<ParameterInfo> mine = inventory.assemble(exec, options.weights);
  detail::save_files(optimizer.communicator(), path, options,
                     [&](const std::string& file) { checkpoint::detail::save(exec, inventory, mine, file, options); });
}

/// Loads a save of any number of ranks, or one file. Each rank receives its rows or columns. All ranks together. Errors
/// are those of `load` in checkpoint.hpp. A rank needs host memory for the largest file.
template <Scalar T, ExecutionSpace Exec, class Backend, class Comm>
checkpoint::LoadReport load(const Exec& exec, ShardedOptimizer<T, Exec, Backend, Comm>& optimizer,
                            const std::string& path, const checkpoint::LoadOptions& options = {}) {
  using Inventory = detail::ShardInventory<ShardedOptimizer<T, Exec, Backend, Comm>>;
  const Comm& comm = optimizer.communicator();
  checkpoint::LoadReport report;
  std::map<std::string, checkpoint::Manifest> files;
  agree(comm, "distributed::load", [&] {
    optimizer.local().inventory().require_settled("distributed::load");
    std::vector<std::string> here;
    for (const ParameterInfo& p : Inventory(optimizer).parameters()) here.push_back(p.name);
    files = detail::compare_names(path, here, options, report);
    return detail::words_of(path, options);
  });
  agree(comm, "distributed::load", [&] {
    checkpoint::LoadOptions some = options;
    some.allow_missing = some.allow_extra = true;
    for (const auto& [name, manifest] : files) {
      if (manifest.parameters.empty()) continue;
      (void)checkpoint::detail::Loading<Exec, Inventory>(Inventory(optimizer), name, some).run(exec);
    }
    return std::string();
  });
  return report;
}

}  // namespace schatten::distributed
