// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints of an Optimizer over ranks: a file of each rank and an index, loaded on any number of ranks.
#pragma once

#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/distributed/optimizer.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
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

inline CheckpointIndex read_index(const std::string& path) {
  const checkpoint::FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) checkpoint::throw_system_error(path, "cannot be opened");
  std::string text;
  char buffer[4096];
  while (true) {
    const ::ssize_t count = ::read(file.number(), buffer, sizeof(buffer));
    if (count < 0) checkpoint::throw_system_error(path, "cannot be read");
    if (count == 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  CheckpointIndex index;
  std::set<std::string> seen;
  checkpoint::JsonReader reader(text, path);
  const auto number = [&] {
    const std::string digits = reader.string();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) reader.fail("expected a number as a string");
    return value;
  };
  reader.object([&](const std::string& room) {
    seen.insert(room);
    if (room == "metadata") {
      reader.object([&](const std::string& name) { (name == "save" ? index.save : index.ranks) = number(); });
    } else {
      reader.object([&](const std::string& name) { index.files[name] = reader.string(); });
    }
  });
  reader.end();
  if (seen != std::set<std::string>{"metadata", "weight_map"} || index.save == 0 || index.ranks == 0) {
    throw checkpoint::FileError(path, "is no index of a checkpoint over ranks");
  }
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
  if (name.ends_with(".json")) name.resize(name.size() - 5);
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

/// Writes a file of each rank beside `path` by write(file), then the index, and removes the files of the previous save.
/// All ranks together. Throws what `write` throws, and RefusedByRank on the other ranks.
template <class Comm, class Write>
void save_files(const Comm& comm, const std::string& path, const Write& write) {
  constexpr std::string_view function = "distributed::save";
  const auto me = std::size_t(comm.rank()), ranks = std::size_t(comm.size());
  CheckpointIndex before;
  const std::vector<std::uint64_t> saves = agree(
      comm, function,
      [&] {
        require(!path.ends_with(".safetensors"), function, "path", path,
                "must not end with .safetensors, which names one file for load; end it with .json");
        if (me == 0 && std::filesystem::exists(path)) before = read_index(path);
        return path;
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

/// Returns the parameters of each file of a checkpoint. Writes to the report which parameters of `here` the checkpoint
/// does not have, which others it has, and the notes of the last file. Throws MismatchError for those that the options
/// do not allow.
inline std::map<std::string, std::set<std::string>> compare_names(const std::string& path,
                                                                  const std::vector<std::string>& here,
                                                                  const checkpoint::LoadOptions& options,
                                                                  checkpoint::LoadReport& report) {
  std::map<std::string, std::set<std::string>> holds;
  std::set<std::string> there;
  std::vector<std::string> mismatches;
  for (const std::string& name : files_of(path)) {
    const checkpoint::SafetensorsFile file(name);
    checkpoint::Manifest manifest = checkpoint::manifest_of(file.metadata(), name);
    for (const auto& [parameter, record] : manifest.parameters) {
      holds[name].insert(parameter);
      there.insert(parameter);
    }
    report.notes = std::move(manifest.notes);
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
  return holds;
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
  detail::save_files(optimizer.communicator(), path,
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
  std::map<std::string, std::set<std::string>> holds;  // by file
  agree(comm, "distributed::load", [&] {
    holds = detail::compare_names(path, optimizer.parts(), options, report);
    return path;
  });
  agree(comm, "distributed::load", [&] {
    std::set<std::string> mine;
    for (const ParameterInfo& p : optimizer.local().inventory().parameters()) mine.insert(p.name);
    checkpoint::LoadOptions some = options;
    some.allow_missing = some.allow_extra = true;
    for (const auto& [name, parameters] : holds) {
      const bool needed = std::any_of(parameters.begin(), parameters.end(),
                                      [&](const std::string& parameter) { return mine.contains(parameter); });
      if (needed) (void)checkpoint::load(exec, optimizer.local(), name, some);
    }
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
