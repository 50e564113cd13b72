// SPDX-License-Identifier: BSD-3-Clause
// The metadata of a checkpoint: an Optimizer's groups, numbers and parameters.
#pragma once

#include <schatten/checkpoint/tensor_header.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace schatten::checkpoint {

/// A group: its rule and its numbers by name.
struct GroupRecord {
  std::string rule;
  std::uint64_t steps = 0;
  double lr_factor = 1;
  std::map<std::string, double> numbers{};
  friend bool operator==(const GroupRecord&, const GroupRecord&) = default;
};

/// A parameter: its group's number, the shape of its View as "4x3", and its blocks (optim::blocks_of).
struct ParameterRecord {
  std::uint64_t group = 0;
  std::string shape, blocks;
  bool paused = false, stochastic = false;
  double decay_factor = 1;
  friend bool operator==(const ParameterRecord&, const ParameterRecord&) = default;
};

struct Manifest {
  static constexpr std::uint64_t format = 1;  ///< a reader refuses others
  std::string version;                        ///< of the library that wrote it
  std::uint64_t seed = 0;                     ///< of stochastic rounding
  std::vector<GroupRecord> groups{};
  std::map<std::string, ParameterRecord> parameters{};
  std::map<std::string, std::string> notes{};  ///< the program's own
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// Names of tensors: a parameter's weight, one of its state arrays, and its counts (attempted, then applied of each
/// matrix).
inline std::string weight_tensor(std::string_view parameter) { return "weight/" + std::string(parameter); }
inline std::string state_tensor(std::string_view array, std::string_view parameter) {
  return "state/" + std::string(array) + "/" + std::string(parameter);
}
inline std::string counts_tensor(std::string_view parameter) { return "count/" + std::string(parameter); }

/// Returns the fewest digits from which the same number is read.
inline std::string exact(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

/// The manifest as metadata:
///
///   schatten/format, schatten/version, schatten/seed
///   group/<k>/rule, group/<k>/steps, group/<k>/lr_factor, group/<k>/number/<name>      k = 0, 1, …
///   parameter/<name>/group, …/shape, …/blocks, …/paused, …/stochastic, …/decay_factor
///   note/<key>
inline Metadata to_metadata(const Manifest& manifest) {
  Metadata all{{"schatten/format", std::to_string(Manifest::format)},
               {"schatten/version", manifest.version},
               {"schatten/seed", std::to_string(manifest.seed)}};
  for (std::size_t k = 0; k < manifest.groups.size(); ++k) {
    const GroupRecord& group = manifest.groups[k];
    const std::string prefix = "group/" + std::to_string(k) + "/";
    all[prefix + "rule"] = group.rule;
    all[prefix + "steps"] = std::to_string(group.steps);
    all[prefix + "lr_factor"] = exact(group.lr_factor);
    for (const auto& [name, value] : group.numbers) all[prefix + "number/" + name] = exact(value);
  }
  for (const auto& [name, parameter] : manifest.parameters) {
    const std::string prefix = "parameter/" + name + "/";
    all[prefix + "group"] = std::to_string(parameter.group);
    all[prefix + "shape"] = parameter.shape;
    all[prefix + "blocks"] = parameter.blocks;
    all[prefix + "paused"] = parameter.paused ? "1" : "0";
    all[prefix + "stochastic"] = parameter.stochastic ? "1" : "0";
    all[prefix + "decay_factor"] = exact(parameter.decay_factor);
  }
  for (const auto& [key, value] : manifest.notes) all["note/" + key] = value;
  return all;
}

namespace detail {

/// Reads the metadata of one file; everything that is not as to_metadata writes it throws FileError.
class ManifestReader {
 public:
  ManifestReader(const Metadata& metadata, std::string_view path) : metadata_(metadata), path_(path) {}

  Manifest read() {
    const auto format = metadata_.find("schatten/format");
    if (format == metadata_.end()) throw FileError(path_, "is a safetensors file, but no checkpoint of an Optimizer");
    if (format->second != std::to_string(Manifest::format)) {
      throw FileError(path_, "is a checkpoint of format " + format->second + "; this library reads format " +
                                 std::to_string(Manifest::format));
    }
    for (const auto& [key, value] : metadata_) take(key, value);
    if (seen_ != 7) throw FileError(path_, "the metadata lack schatten/version or schatten/seed");
    for (auto& [number, group] : groups_) {
      if (number != manifest_.groups.size()) throw FileError(path_, "the metadata lack a group");
      check_all(group.second, 7, "group/" + std::to_string(number));
      manifest_.groups.push_back(std::move(group.first));
    }
    for (auto& [name, parameter] : parameters_) {
      check_all(parameter.second, 63, "parameter/" + name);
      if (parameter.first.group >= manifest_.groups.size()) {
        throw FileError(path_, "the metadata lack the group of the parameter " + name);
      }
      manifest_.parameters.emplace(name, std::move(parameter.first));
    }
    return std::move(manifest_);
  }

 private:
  void take(const std::string& key, const std::string& value) {
    const std::size_t slash = key.find('/');
    const std::string_view room = std::string_view(key).substr(0, slash);
    const std::string rest = slash == std::string::npos ? std::string() : key.substr(slash + 1);
    if (room == "note") {
      manifest_.notes.emplace(rest, value);
    } else if (room == "schatten") {
      take_own(key, rest, value);
    } else if (room == "group") {
      const std::size_t end = rest.find('/');
      const std::string digits = rest.substr(0, end);
      const std::uint64_t number = whole(key, digits);
      if (end == std::string::npos || std::to_string(number) != digits) unknown(key);
      take_group(key, groups_[number], rest.substr(end + 1), value);
    } else if (room == "parameter") {
      const std::size_t end = rest.rfind('/');
      if (end == std::string::npos || end == 0) unknown(key);
      take_parameter(key, parameters_[rest.substr(0, end)], rest.substr(end + 1), value);
    } else {
      unknown(key);
    }
  }
  void take_own(const std::string& key, const std::string& name, const std::string& value) {
    if (name == "format") {
      seen_ |= 1;
    } else if (name == "version") {
      seen_ |= 2;
      manifest_.version = value;
    } else if (name == "seed") {
      seen_ |= 4;
      manifest_.seed = whole(key, value);
    } else {
      unknown(key);
    }
  }
  void take_group(const std::string& key, std::pair<GroupRecord, unsigned>& group, const std::string& name,
                  const std::string& value) {
    if (name == "rule") {
      group.second |= 1;
      group.first.rule = value;
    } else if (name == "steps") {
      group.second |= 2;
      group.first.steps = whole(key, value);
    } else if (name == "lr_factor") {
      group.second |= 4;
      group.first.lr_factor = factor(key, value);
    } else if (name.starts_with("number/")) {
      group.first.numbers.emplace(name.substr(7), number(key, value));
    } else {
      unknown(key);
    }
  }
  void take_parameter(const std::string& key, std::pair<ParameterRecord, unsigned>& parameter, const std::string& name,
                      const std::string& value) {
    const auto flag = [&] {
      if (value != "0" && value != "1") bad(key, value);
      return value == "1";
    };
    if (name == "group") {
      parameter.second |= 1;
      parameter.first.group = whole(key, value);
    } else if (name == "shape") {
      parameter.second |= 2;
      parameter.first.shape = value;
    } else if (name == "blocks") {
      parameter.second |= 32;
      parameter.first.blocks = value;
    } else if (name == "paused") {
      parameter.second |= 4;
      parameter.first.paused = flag();
    } else if (name == "stochastic") {
      parameter.second |= 8;
      parameter.first.stochastic = flag();
    } else if (name == "decay_factor") {
      parameter.second |= 16;
      parameter.first.decay_factor = factor(key, value);
    } else {
      unknown(key);
    }
  }

  [[nodiscard]] std::uint64_t whole(const std::string& key, const std::string& text) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) bad(key, text);
    return value;
  }
  [[nodiscard]] double number(const std::string& key, const std::string& text) const {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) bad(key, text);
    return value;
  }
  [[nodiscard]] double factor(const std::string& key, const std::string& text) const {
    const double value = number(key, text);
    if (!std::isfinite(value) || value < 0) bad(key, text);
    return value;
  }
  void check_all(unsigned seen, unsigned all, const std::string& key) const {
    if (seen != all) throw FileError(path_, "the metadata of " + key + " are not complete");
  }
  [[noreturn]] void bad(const std::string& key, const std::string& value) const {
    throw FileError(path_, "the metadata have " + key + " = " + value);
  }
  [[noreturn]] void unknown(const std::string& key) const {
    throw FileError(path_, "the metadata have the unknown key " + key);
  }

  const Metadata& metadata_;
  std::string_view path_;
  Manifest manifest_;
  unsigned seen_ = 0;
  std::map<std::uint64_t, std::pair<GroupRecord, unsigned>> groups_;  ///< with a bit for each key that was there
  std::map<std::string, std::pair<ParameterRecord, unsigned>> parameters_;
};

}  // namespace detail

/// Returns the manifest from the metadata. Throws FileError with the first key that is unknown, missing or has an
/// invalid value.
inline Manifest manifest_of(const Metadata& metadata, std::string_view path) {
  return detail::ManifestReader(metadata, path).read();
}

}  // namespace schatten::checkpoint
