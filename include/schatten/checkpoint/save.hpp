// SPDX-License-Identifier: BSD-3-Clause
// Saves an Optimizer in a file. docs/checkpoints.md describes its contents.
#pragma once

#include <schatten/checkpoint/manifest.hpp>
#include <schatten/checkpoint/safetensors.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/version.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace schatten::checkpoint {

struct SaveOptions {
  bool weights = true;                         ///< whether the weights are saved too
  std::map<std::string, std::string> notes{};  ///< of the program, UTF-8; load returns them
};

namespace detail {

/// The format's name of an element type.
inline std::string type_name(ElementType type) {
  constexpr const char* names[] = {"F32", "F64", "F16", "BF16"};
  return names[static_cast<std::size_t>(type)];
}

inline std::vector<std::uint64_t> tensor_shape(const ArrayInfo& array) {
  return {array.matrices, array.rows, array.cols};
}

/// The manifest of an Optimizer.
template <class Inventory>
Manifest manifest_of(const Inventory& inventory, const std::vector<ParameterInfo>& parameters) {
  Manifest manifest{.version = std::to_string(version_major) + "." + std::to_string(version_minor) + "." +
                               std::to_string(version_patch),
                    .seed = inventory.seed()};
  for (std::size_t k = 0; k < inventory.groups(); ++k) {
    const GroupInfo info = inventory.group(k);
    GroupRecord group{.rule = info.rule, .steps = info.steps, .lr_factor = info.lr_factor};
    for (const FieldInfo& field : info.fields) group.numbers.emplace(field.name, field.value);
    manifest.groups.push_back(std::move(group));
  }
  for (const ParameterInfo& p : parameters) {
    manifest.parameters.emplace(p.name, ParameterRecord{p.group, schatten::detail::shape_text(p.shape), p.blocks,
                                                        p.paused, p.stochastic, p.decay_factor});
  }
  return manifest;
}

/// Writes these parameters of the inventory.
template <class Exec, class Inventory>
void save(const Exec& exec, Inventory& inventory, const std::vector<ParameterInfo>& parameters, const std::string& path,
          const SaveOptions& options) {
  struct Source {
    enum { weight, state, counts } kind;
    std::string parameter, array;
  };
  std::unordered_map<std::string, std::vector<std::int64_t>> counts;
  for (const ParameterCounts& c : inventory.read_counts(exec)) {
    std::vector<std::int64_t>& numbers = counts[c.name];
    numbers.push_back(c.attempted);
    numbers.insert(numbers.end(), c.applied.begin(), c.applied.end());
  }

  std::vector<Tensor> tensors;
  std::unordered_map<std::string, Source> sources;
  const auto add = [&](const std::string& name, const std::string& type, const std::vector<std::uint64_t>& shape,
                       const Source& source) {
    tensors.push_back({.name = name, .type = type, .shape = shape});
    sources.emplace(name, source);
  };
  for (const ParameterInfo& p : parameters) {
    add(counts_tensor(p.name), "I64", {1 + p.matrices}, {Source::counts, p.name, {}});
    if (options.weights) {
      add(weight_tensor(p.name), type_name(p.type), {p.shape.begin(), p.shape.end()}, {Source::weight, p.name, {}});
    }
    for (const ArrayInfo& array : inventory.arrays(p.name)) {
      add(state_tensor(array.name, p.name), type_name(array.type), tensor_shape(array),
          {Source::state, p.name, array.name});
    }
  }
  Manifest manifest = detail::manifest_of(inventory, parameters);
  manifest.notes = options.notes;
  write_safetensors(path, std::move(tensors), to_metadata(manifest), [&](const Tensor& tensor, char* to) {
    const Source& source = sources.at(tensor.name);
    if (source.kind == Source::counts) {
      std::memcpy(to, counts.at(source.parameter).data(), tensor.bytes());
    } else if (source.kind == Source::weight) {
      inventory.read_weight(exec, source.parameter, to);
    } else {
      inventory.read(exec, source.parameter, source.array, to);
    }
  });
}

}  // namespace detail

/// Writes all that a resumed run needs of the Optimizer, and by default the weights, to `path`. The file is replaced
/// atomically: if the program stops at any time, it is the complete old or the complete new file.
///
/// Throws InvalidArgument between direction and apply, and for notes that are not UTF-8, and FileError for errors of
/// the system. The old file then stays. Fences `exec`, and waits for the disk. Needs host memory, and for
/// weights device memory, for the largest array.
template <Scalar T, ExecutionSpace Exec, class Backend>
void save(const Exec& exec, Optimizer<T, Exec, Backend>& optimizer, const std::string& path,
          const SaveOptions& options = {}) {
  constexpr std::string_view function = "checkpoint::save";
  auto inventory = optimizer.inventory();
  inventory.require_settled(function);
  detail::save(exec, inventory, inventory.parameters(), path, options);
}

}  // namespace schatten::checkpoint
