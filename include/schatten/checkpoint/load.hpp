// SPDX-License-Identifier: BSD-3-Clause
// Loads a file into an Optimizer. Compares and reads everything before it writes anything.
#pragma once

#include <schatten/checkpoint/save.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::checkpoint {

struct LoadOptions {
  bool allow_missing = false;  ///< whether the Optimizer may have parameters that the file does not have
  bool allow_extra = false;    ///< whether the file may have parameters that the Optimizer does not have
  bool weights = true;         ///< whether the weights are read; the file must have them
  bool numbers = true;         ///< whether numbers, lr factors and decay factors are read
};

struct LoadReport {
  std::vector<std::string> missing;  ///< parameters of the Optimizer that the file does not have
  std::vector<std::string> extra;    ///< parameters of the file that the Optimizer does not have
  std::map<std::string, std::string> notes;
};

/// A checkpoint that does not match the Optimizer. Has all differences, each a sentence that begins with parameter or
/// group.
class MismatchError : public FileError {
 public:
  /// An error with these differences.
  MismatchError(std::string_view path, std::vector<std::string> mismatches)
      : FileError(path, text_of(mismatches)), mismatches_(std::move(mismatches)) {}
  /// All differences, each a sentence.
  [[nodiscard]] const std::vector<std::string>& mismatches() const noexcept { return mismatches_; }

 private:
  static std::string text_of(const std::vector<std::string>& mismatches) {
    std::string text = "does not match the Optimizer";
    for (const std::string& mismatch : mismatches) text += "\n  " + mismatch;
    return text;
  }
  std::vector<std::string> mismatches_;
};

namespace detail {

/// One load: compares, collects what differs and what is to be written, then writes.
template <ExecutionSpace Exec, class Inventory>
class Loading {
  using Numbers = std::vector<std::pair<std::string_view, double>>;

 public:
  Loading(const Inventory& inventory, const std::string& path, const LoadOptions& options)
      : inventory_(inventory),
        options_(options),
        file_(path),
        manifest_(checkpoint::manifest_of(file_.metadata(), path)),
        groups_(inventory.groups()) {}

  LoadReport run(const Exec& exec) {
    match_parameters();
    match_groups();
    try {
      if (options_.numbers) try_numbers();
      for (const Matched& parameter : matched_) match_arrays(parameter);
      match_rest();
      if (!mismatches_.empty()) throw MismatchError(file_.path(), mismatches_);
      for (Write& write : writes_) {
        write.bytes.resize(write.tensor->bytes());
        file_.read(*write.tensor, write.bytes.data());
      }
    } catch (...) {
      restore_numbers();
      throw;
    }
    write(exec);
    report_.notes = std::move(manifest_.notes);
    return std::move(report_);
  }

 private:
  struct Matched {
    ParameterInfo info;
    const ParameterRecord* record;
  };
  struct GroupMatch {
    const GroupRecord* record = nullptr;  ///< null: no parameter of the group is in the file
    bool usable = false;                  ///< whether the rule equals that of the file
    GroupInfo here{};                     ///< as it was
    bool changed = false;                 ///< whether its numbers have been set to those of the file
  };
  struct Write {
    std::string parameter, array;  ///< array: empty for the weight
    const Tensor* tensor;
    std::vector<char> bytes{};
  };
  static constexpr std::int64_t most_steps = std::int64_t{1} << 50;

  void mismatch(const std::string& whose, const std::string& what) { mismatches_.push_back(whose + ": " + what); }

  /// Names, shapes and rounding, and which of the file's groups each group here is.
  void match_parameters() {
    std::set<std::string> here;
    for (ParameterInfo& p : inventory_.parameters()) {
      here.insert(p.name);
      const auto found = manifest_.parameters.find(p.name);
      if (found == manifest_.parameters.end()) {
        if (!options_.allow_missing) mismatch(p.name, "is missing in the file (LoadOptions::allow_missing)");
        report_.missing.push_back(p.name);
        continue;
      }
      const ParameterRecord& record = found->second;
      const GroupRecord* const group = &manifest_.groups[record.group];
      GroupMatch& match = groups_[p.group];
      if (match.record != nullptr && match.record != group) {
        mismatch(p.name, "is in another group of the file than the other parameters of its group");
        continue;
      }
      if (match.record == nullptr) match.record = group;
      const std::string shape = schatten::detail::shape_text(p.shape);
      if (record.shape != shape) {
        mismatch(p.name, "has the shape " + record.shape + " in the file, " + shape + " here");
        continue;
      }
      if (record.blocks != p.blocks) {
        mismatch(p.name, "is cut into " + record.blocks + " in the file, " + p.blocks + " here");
        continue;
      }
      if (record.stochastic != p.stochastic) {
        mismatch(p.name, std::string("is rounded stochastically only ") + (p.stochastic ? "here" : "in the file"));
      } else if (p.stochastic && manifest_.seed != inventory_.seed()) {
        mismatch(p.name, "is rounded with the seed " + std::to_string(manifest_.seed) + " in the file, " +
                             std::to_string(inventory_.seed()) + " here");
      }
      matched_.push_back({std::move(p), &record});
    }
    for (const auto& [name, record] : manifest_.parameters) {
      if (here.contains(name)) continue;
      if (!options_.allow_extra) mismatch(name, "is in the file, but not here (LoadOptions::allow_extra)");
      report_.extra.push_back(name);
    }
  }

  [[nodiscard]] std::string name_of(std::size_t k) const {
    return "group " + std::to_string(k) + " (" + groups_[k].here.rule + ")";
  }

  /// Rules, steps, and the numbers that are fixed.
  void match_groups() {
    for (std::size_t k = 0; k < groups_.size(); ++k) {
      GroupMatch& match = groups_[k];
      match.here = inventory_.group(k);
      if (match.record == nullptr) continue;
      match.usable = match.record->rule == match.here.rule;
      if (!match.usable) {
        const std::string& rule = match.record->rule;
        mismatch(name_of(k), "has the rule " + rule + " in the file; load it with " + rule +
                                 ", then copy the state (docs/checkpoints.md)");
      }
      if (match.record->steps > most_steps) {
        mismatch(name_of(k), "has taken " + std::to_string(match.record->steps) + " steps in the file");
      }
      if (match.usable && options_.numbers) match_numbers(k);
    }
  }
  void match_numbers(std::size_t k) {
    std::set<std::string_view> known;
    for (const FieldInfo& field : groups_[k].here.fields) {
      known.insert(field.name);
      const auto found = groups_[k].record->numbers.find(field.name);
      if (found == groups_[k].record->numbers.end()) {
        mismatch(name_of(k), field.name + " is missing in the file");
      } else if (field.fixed && found->second != field.value) {
        mismatch(name_of(k), field.name + " is " + exact(found->second) + " in the file, " + exact(field.value) +
                                 " here, and fixed when the group is made");
      }
    }
    for (const auto& [name, value] : groups_[k].record->numbers) {
      if (!known.contains(name)) mismatch(name_of(k), "the file has a number " + name + ", which the rule has not");
    }
  }

  /// The numbers of a group that may be set, as `value` gives them by field.
  template <class Value>
  static Numbers numbers_of(const GroupMatch& match, const Value& value) {
    Numbers numbers;
    for (const FieldInfo& field : match.here.fields) {
      if (!field.fixed && match.record->numbers.contains(field.name)) numbers.emplace_back(field.name, value(field));
    }
    return numbers;
  }
  static Numbers before(const GroupMatch& match) {
    return numbers_of(match, [](const FieldInfo& field) { return field.value; });
  }
  /// Sets the groups' numbers to those of the file: the arrays that a rule keeps depend on them.
  void try_numbers() {
    for (std::size_t k = 0; k < groups_.size(); ++k) {
      GroupMatch& match = groups_[k];
      if (!match.usable) continue;
      const Numbers numbers =
          numbers_of(match, [&](const FieldInfo& field) { return match.record->numbers.at(field.name); });
      try {
        inventory_.set(k, numbers, "checkpoint::load");
        match.changed = true;
      } catch (const InvalidArgument& error) {
        if (!name_bad_numbers(k, numbers)) mismatch(name_of(k), error.what());
      }
    }
  }
  /// One mismatch for each number that is refused on its own; false if there is none.
  bool name_bad_numbers(std::size_t k, const Numbers& numbers) {
    bool found = false;
    for (const auto& [name, value] : numbers) {
      try {
        inventory_.set(k, {{name, value}}, "checkpoint::load");
        inventory_.set(k, before(groups_[k]), "checkpoint::load");
      } catch (const InvalidArgument& error) {
        mismatch(name_of(k), error.what());
        found = true;
      }
    }
    return found;
  }
  void restore_numbers() {
    for (std::size_t k = 0; k < groups_.size(); ++k) {
      if (!groups_[k].changed) continue;
      inventory_.set(k, before(groups_[k]), "checkpoint::load");
    }
  }

  /// The file's tensor of that name if it has that type and shape; else a mismatch, and null.
  const Tensor* match_tensor(const std::string& parameter, const std::string& what, const std::string& name,
                             const std::string& type, const std::vector<std::uint64_t>& shape) {
    const Tensor* const found = file_.find(name);
    if (found == nullptr) {
      mismatch(parameter, what + " is missing in the file");
      return nullptr;
    }
    used_.insert(found->name);
    if (found->type == type && found->shape == shape) return found;
    mismatch(parameter, what + " is " + found->type + to_string(found->shape) + " in the file, " + type +
                            to_string(shape) + " here");
    return nullptr;
  }

  void match_arrays(const Matched& parameter) {
    const ParameterInfo& p = parameter.info;
    match_counts(p);
    if (options_.weights) {
      const Tensor* const tensor = match_tensor(p.name, "the weight", weight_tensor(p.name), type_name(p.type),
                                                {p.shape.begin(), p.shape.end()});
      if (tensor != nullptr) writes_.push_back({p.name, {}, tensor});
    }
    if (!groups_[p.group].usable) return;
    for (const ArrayInfo& array : inventory_.arrays(p.name)) {
      const Tensor* const tensor = match_tensor(p.name, "the array " + array.name, state_tensor(array.name, p.name),
                                                type_name(array.type), tensor_shape(array));
      if (tensor != nullptr) writes_.push_back({p.name, array.name, tensor});
    }
  }
  void match_counts(const ParameterInfo& p) {
    const Tensor* const tensor = match_tensor(p.name, "the count", counts_tensor(p.name), "I64", {1 + p.matrices});
    if (tensor == nullptr) return;
    std::vector<std::int64_t> numbers(1 + p.matrices);
    file_.read(*tensor, numbers.data());
    for (const std::int64_t number : numbers) {
      if (number >= 0 && number <= most_steps && number <= numbers[0]) continue;
      return mismatch(p.name, "the counts hold " + std::to_string(number) + " of " + std::to_string(numbers[0]) +
                                  " steps in the file");
    }
    counts_.push_back({p.name, static_cast<long long>(groups_[p.group].record->steps), numbers[0],
                       std::vector<long long>(numbers.begin() + 1, numbers.end())});
  }

  /// Tensors that belong to nothing: an array that a parameter here does not have, or no parameter's of the file.
  void match_rest() {
    std::set<std::string> ignored(report_.extra.begin(), report_.extra.end());
    std::set<std::string> compared;  // those of another shape or rule have been named
    for (const Matched& p : matched_) {
      (groups_[p.info.group].usable ? compared : ignored).insert(p.info.name);
    }
    for (const auto& [name, record] : manifest_.parameters) {
      if (!compared.contains(name)) ignored.insert(name);
    }
    for (const Tensor& tensor : file_.tensors()) {
      if (used_.contains(tensor.name)) continue;
      const std::string_view name = tensor.name;
      std::size_t slash = name.find('/');
      const std::string_view kind = name.substr(0, slash);
      if (kind == "state" && slash != std::string_view::npos) slash = name.find('/', slash + 1);
      const std::string owner(slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1));
      const bool known = kind == "state" || kind == "weight" || kind == "count";
      if (known && ignored.contains(owner)) continue;
      if (kind == "weight" && !options_.weights && compared.contains(owner)) continue;
      if (kind == "state" && compared.contains(owner)) {
        mismatch(owner, "the file has an array " + std::string(name.substr(6, slash - 6)) + ", which is not kept here");
      } else {
        mismatch(tensor.name, "is a tensor of no parameter in the file");
      }
    }
  }

  void write(const Exec& exec) {
    for (const Write& w : writes_) {
      if (w.array.empty()) inventory_.write_weight(exec, w.parameter, w.bytes.data());
    }
    inventory_.write_counts(exec, counts_);
    for (const Write& w : writes_) {
      if (!w.array.empty()) inventory_.write(exec, w.parameter, w.array, w.bytes.data());
    }
    for (const Matched& p : matched_) {
      inventory_.set_paused(p.info.name, p.record->paused);
      if (options_.numbers) inventory_.set_decay_factor(p.info.name, p.record->decay_factor);
    }
    for (std::size_t k = 0; k < groups_.size(); ++k) {
      if (groups_[k].changed) inventory_.set_lr_factor(k, groups_[k].record->lr_factor);
    }
  }

  Inventory inventory_;
  LoadOptions options_;
  SafetensorsFile file_;
  Manifest manifest_;
  std::vector<GroupMatch> groups_;
  std::vector<Matched> matched_;
  std::vector<std::string> mismatches_;
  std::vector<Write> writes_;
  std::vector<ParameterCounts> counts_;
  std::set<std::string_view> used_;  ///< names of tensors
  LoadReport report_;
};

}  // namespace detail

/// Reads a file of `save` into an Optimizer with groups of the same rules and parameters of the same names and shapes,
/// added in any order and with any layouts. On the same backend the resumed run is bitwise equal to one without
/// interruption.
///
/// Throws FileError for a file that cannot be read or is no checkpoint, MismatchError with all differences,
/// InvalidArgument between direction and apply, and then changes nothing. Groups are matched by their parameters;
/// groups without parameters of the file do not change. Fences `exec`. Needs host memory for the whole file.
template <Scalar T, ExecutionSpace Exec, class Backend>
LoadReport load(const Exec& exec, Optimizer<T, Exec, Backend>& optimizer, const std::string& path,
                const LoadOptions& options = {}) {
  auto inventory = optimizer.inventory();
  inventory.require_settled("checkpoint::load");
  return detail::Loading<Exec, optim::Inventory<T, Exec>>(inventory, path, options).run(exec);
}

}  // namespace schatten::checkpoint
