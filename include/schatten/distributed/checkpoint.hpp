// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints of an Optimizer over ranks: a file of each rank and an index, loaded on any number of ranks.
#pragma once

#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/distributed/optimizer.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace schatten::distributed {

namespace detail {

/// The contents of an index: the number of the save, the number of ranks, and the file of each tensor. The files are in
/// the folder of the index.
///
///   {"metadata": {"save": "3", "ranks": "4"}, "weight_map": {"weight/layers.0": "run.index-3-0-of-4.safetensors", …}}
struct CheckpointIndex {
  std::uint64_t save = 0, ranks = 0;
  std::map<std::string, std::string> files{};
};

/// Throws FileError for a file that write_index has not written.
inline CheckpointIndex read_index(const std::string& path) {
  constexpr std::uint64_t most_ranks = std::uint64_t{1} << 24, most_saves = std::uint64_t{1} << 62;
  const checkpoint::InputFile file(path);
  if (file.size() > checkpoint::longest_header) throw checkpoint::FileError(path, "is longer than 100 MB");
  std::string text(file.size(), '\0');
  file.read(0, text.data(), text.size());
  CheckpointIndex index;
  std::set<std::string> seen;
  checkpoint::JsonReader reader(text, path);
  const auto number = [&](std::uint64_t most) {
    const std::string digits = reader.string();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    if (!whole || value == 0 || value > most) reader.fail("expected a number from 1 to " + std::to_string(most));
    return value;
  };
  const auto once = [&](const std::string& name) {
    if (!seen.insert(name).second) reader.fail("two members are called " + name);
  };
  reader.object([&](const std::string& room) {
    once(room);
    reader.object([&](const std::string& name) {
      if (room == "metadata" && (name == "save" || name == "ranks")) {
        once(name);
        (name == "save" ? index.save : index.ranks) = number(name == "save" ? most_saves : most_ranks);
      } else if (room == "weight_map") {
        const std::string tensor_file = reader.string();
        if (tensor_file.find('/') != std::string::npos) reader.fail("a file in another folder");
        if (!index.files.emplace(name, tensor_file).second) reader.fail("two tensors are called " + name);
      } else {
        reader.fail("an unknown member " + name);
      }
    });
  });
  reader.end();
  if (index.save == 0 || index.ranks == 0 || !seen.contains("weight_map"))
    throw checkpoint::FileError(path, "is no index of a checkpoint over ranks");
  return index;
}

inline void write_index(const std::string& path, const CheckpointIndex& index) {
  std::string json = "{\"metadata\": {\"save\": \"" + std::to_string(index.save) + "\", \"ranks\": \"" +
                     std::to_string(index.ranks) + "\"}, \"weight_map\": {";
  bool first = true;
  for (const auto& [tensor, file] : index.files) {
    json += first ? "\n" : ",\n";
    first = false;
    checkpoint::append_json(json, tensor);
    json += ": ";
    checkpoint::append_json(json, file);
  }
  json += "}}\n";
  checkpoint::AtomicFile file(path);
  file.write(json.data(), json.size());
  file.commit();
}

/// The file of rank k of N in a save, without its folder.
inline std::string rank_file(const std::string& path, std::uint64_t save, std::size_t k, std::size_t ranks) {
  std::string name = std::filesystem::path(path).filename().string();
  if (name.ends_with(".json")) {
    name.resize(name.size() - 5);
  } else {
    name += ".index";  // not the files of NAME.json
  }
  return name + "-" + std::to_string(save) + "-" + std::to_string(k) + "-of-" + std::to_string(ranks) + ".safetensors";
}
inline std::string beside(const std::string& path, const std::string& name) {
  return (std::filesystem::path(path).parent_path() / name).string();
}

/// The files of a checkpoint: those of an index, or the one that `path` is.
inline std::vector<std::string> files_of(const std::string& path) {
  if (path.ends_with(".safetensors")) return {path};
  std::set<std::string> names;
  for (const auto& [tensor, file] : read_index(path).files) names.insert(beside(path, file));
  return {names.begin(), names.end()};
}

/// The path and the options of a save or load as text, which ranks compare.
inline std::string words_of(const std::string& path, const checkpoint::SaveOptions& options) {
  return path + (options.weights ? " with weights" : " without weights");
}
inline std::string words_of(const std::string& path, const checkpoint::LoadOptions& options) {
  const auto flag = [](bool value, const char* name) { return std::string(value ? ", " : ", not ") + name; };
  return path + flag(options.weights, "weights") + flag(options.numbers, "numbers") +
         flag(options.allow_missing, "allow_missing") + flag(options.allow_extra, "allow_extra");
}

/// Writes a file of each rank beside `path` by write(file), then the index, and removes the files of the previous save.
/// All ranks together, with equal options. Throws what `write` throws, and RefusedByRank on the other ranks.
template <class Comm, class Write>
void save_files(const Comm& comm, const std::string& path, const checkpoint::SaveOptions& options, const Write& write) {
  constexpr std::string_view function = "distributed::save";
  const auto me = std::size_t(comm.rank()), ranks = std::size_t(comm.size());
  CheckpointIndex before;
  const std::vector<std::uint64_t> saves = agree(
      comm, function,
      [&] {
        require(!path.ends_with(".safetensors"), function, "path", path,
                "must not end with .safetensors, which names one file for load; end it with .json");
        std::error_code unknown;  // what cannot be looked at cannot be written either
        if (me == 0 && std::filesystem::exists(path, unknown)) before = read_index(path);
        return words_of(path, options);
      },
      before.save);
  const std::uint64_t number = saves[0] + 1;
  agree(comm, function, [&] {
    write(beside(path, rank_file(path, number, me, ranks)));
    return std::string();
  });
  agree(comm, function, [&] {
    if (me != 0) return std::string();
    CheckpointIndex index{number, ranks};
    for (std::size_t k = 0; k < ranks; ++k) {
      const std::string name = rank_file(path, number, k, ranks);
      const checkpoint::SafetensorsFile file(beside(path, name));
      for (const checkpoint::Tensor& tensor : file.tensors()) index.files[tensor.name] = name;
    }
    write_index(path, index);
    std::error_code ignored;  // a file that remains has no effect
    for (std::size_t k = 0; k < before.ranks; ++k) {
      std::filesystem::remove(beside(path, rank_file(path, before.save, k, before.ranks)), ignored);
    }
    return std::string();
  });
}

/// Returns the manifest of each file of a checkpoint. Writes to the report which parameters of `here` the checkpoint
/// does not have, which others it has, and the notes of the last file. Throws MismatchError for those that the options
/// do not allow.
inline std::map<std::string, checkpoint::Manifest> compare_names(const std::string& path,
                                                                 const std::vector<std::string>& here,
                                                                 const checkpoint::LoadOptions& options,
                                                                 checkpoint::LoadReport& report) {
  std::map<std::string, checkpoint::Manifest> files;
  std::set<std::string> there;
  std::vector<std::string> mismatches;
  for (const std::string& name : files_of(path)) {
    const checkpoint::SafetensorsFile file(name);
    const checkpoint::Manifest& manifest =
        files.emplace(name, checkpoint::manifest_of(file.metadata(), name)).first->second;
    for (const auto& [parameter, record] : manifest.parameters) there.insert(parameter);
    report.notes = manifest.notes;
  }
  for (const std::string& parameter : here) {
    if (there.erase(parameter) > 0) continue;
    report.missing.push_back(parameter);
    if (!options.allow_missing)
      mismatches.push_back(parameter + ": is missing in the files (LoadOptions::allow_missing)");
  }
  for (const std::string& parameter : there) {
    report.extra.push_back(parameter);
    if (!options.allow_extra)
      mismatches.push_back(parameter + ": is in the files, but not here (LoadOptions::allow_extra)");
  }
  if (!mismatches.empty()) throw checkpoint::MismatchError(path, mismatches);
  return files;
}

/// Sets steps, lr factors and numbers of the groups to those of the files, also of groups of which no piece is on this
/// rank: pieces that are added later may be. group_of: the group of each piece of all ranks.
template <class Inventory>
void set_groups(Inventory inventory, const std::map<std::string, std::size_t>& group_of,
                const std::map<std::string, checkpoint::Manifest>& files, const checkpoint::LoadOptions& options) {
  std::map<std::size_t, const checkpoint::GroupRecord*> records;
  for (const auto& [name, manifest] : files) {
    for (const auto& [parameter, record] : manifest.parameters) {
      const auto found = group_of.find(parameter);
      if (found != group_of.end()) records.emplace(found->second, &manifest.groups[record.group]);
    }
  }
  for (const auto& [k, record] : records) {
    const GroupInfo group = inventory.group(k);
    if (group.rule != record->rule) continue;  // the ranks that have its pieces refuse it
    if (options.numbers) {
      std::vector<std::pair<std::string_view, double>> numbers;
      for (const FieldInfo& field : group.fields) {
        const auto number = record->numbers.find(field.name);
        if (!field.fixed && number != record->numbers.end()) numbers.emplace_back(field.name, number->second);
      }
      inventory.set(k, numbers, "distributed::load");
      inventory.set_lr_factor(k, record->lr_factor);
    }
    inventory.set_steps(k, std::size_t(record->steps));
  }
}

/// An Optimizer, or an AssembledOptimizer.
template <class O, class Exec>
concept OwnerOptimizer = requires(O& optimizer, const Exec& exec) {
  optimizer.share_weights(exec);
};

template <class Exec, class O>
void find_owners(const Exec& exec, O& optimizer) {
  if constexpr (requires { optimizer.find_owners(exec); }) {
    optimizer.find_owners(exec);
  } else {
    optimizer.find_owners();
  }
}

}  // namespace detail

/// Saves all ranks' Optimizers, and the weights unless the options exclude them: a file of each rank beside `path`,
/// then the index `path`, atomically. If ranks stop at any time, `path` names the files of the complete old save or of
/// the complete new one. The old files are removed afterwards.
///
/// All ranks together, on a file system that they share. Throws what checkpoint::save throws, and RefusedByRank on the
/// other ranks; the old save then does not change.
template <ExecutionSpace Exec, detail::OwnerOptimizer<Exec> O>
void save(const Exec& exec, O& optimizer, const std::string& path, const checkpoint::SaveOptions& options = {}) {
  detail::find_owners(exec, optimizer);
  detail::save_files(optimizer.communicator(), path, options,
                     [&](const std::string& file) { checkpoint::save(exec, optimizer.local(), file, options); });
}

/// Loads a save of any number of ranks, by its index, or one file (gather_files, checkpoint::save). The Optimizer of
/// each rank receives its pieces, and all ranks receive the weights.
///
/// All ranks together. Throws checkpoint::MismatchError for missing and extra pieces, FileError, and RefusedByRank on
/// the other ranks. Names are compared before anything is read. A file with damaged contents may be found after others
/// have been loaded. The notes are those of the last file.
template <ExecutionSpace Exec, detail::OwnerOptimizer<Exec> O>
checkpoint::LoadReport load(const Exec& exec, O& optimizer, const std::string& path,
                            const checkpoint::LoadOptions& options = {}) {
  const auto& comm = optimizer.communicator();
  detail::find_owners(exec, optimizer);
  checkpoint::LoadReport report;
  std::map<std::string, checkpoint::Manifest> files;
  std::map<std::string, std::size_t> group_of;
  agree(comm, "distributed::load", [&] {
    const std::vector<std::string> parts = optimizer.parts();
    const std::vector<std::size_t> groups = optimizer.part_groups();
    for (std::size_t k = 0; k < parts.size(); ++k) group_of.emplace(parts[k], groups[k]);
    files = detail::compare_names(path, parts, options, report);
    return detail::words_of(path, options);
  });
  agree(comm, "distributed::load", [&] {
    std::set<std::string> mine;
    for (const ParameterInfo& p : optimizer.local().inventory().parameters()) mine.insert(p.name);
    checkpoint::LoadOptions some = options;
    some.allow_missing = some.allow_extra = true;
    for (const auto& [name, manifest] : files) {
      const bool needed = std::any_of(manifest.parameters.begin(), manifest.parameters.end(),
                                      [&](const auto& parameter) { return mine.contains(parameter.first); });
      if (needed) (void)checkpoint::load(exec, optimizer.local(), name, some);
    }
    detail::set_groups(optimizer.local().inventory(), group_of, files, options);
    return std::string();
  });
  if (options.weights) optimizer.share_weights(exec);
  return report;
}

/// Writes the save that an index names into one safetensors file, atomically. `load` and checkpoint::load read this
/// file. One rank calls the function. Memory: that of the largest tensor. Throws FileError.
inline void gather_files(const std::string& index, const std::string& path) {
  std::vector<std::unique_ptr<checkpoint::SafetensorsFile>> files;
  std::vector<checkpoint::Tensor> tensors;
  std::map<std::string, const checkpoint::SafetensorsFile*> from;
  checkpoint::Manifest all;
  std::vector<bool> known;  // whose group's numbers are those of a rank that has some of its pieces
  for (const std::string& name : detail::files_of(index)) {
    files.push_back(std::make_unique<checkpoint::SafetensorsFile>(name));
    for (const checkpoint::Tensor& tensor : files.back()->tensors()) {
      tensors.push_back({.name = tensor.name, .type = tensor.type, .shape = tensor.shape});
      from[tensor.name] = files.back().get();
    }
    checkpoint::Manifest manifest = checkpoint::manifest_of(files.back()->metadata(), name);
    if (files.size() == 1) all = {manifest.version, manifest.seed, manifest.groups, {}, manifest.notes};
    known.resize(all.groups.size(), false);
    if (manifest.groups.size() != all.groups.size())
      throw checkpoint::FileError(name, "has other groups than the rest");
    for (auto& [parameter, record] : manifest.parameters) {
      if (!known[record.group]) all.groups[record.group] = manifest.groups[record.group];
      known[record.group] = true;
      all.parameters.emplace(parameter, record);
    }
  }
  checkpoint::write_safetensors(path, std::move(tensors), checkpoint::to_metadata(all),
                                [&](const checkpoint::Tensor& tensor, char* to) {
                                  const checkpoint::SafetensorsFile& file = *from.at(tensor.name);
                                  file.read(*file.find(tensor.name), to);
                                });
}

}  // namespace schatten::distributed
