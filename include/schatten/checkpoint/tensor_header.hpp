// SPDX-License-Identifier: BSD-3-Clause
// The header of a safetensors file (https://github.com/huggingface/safetensors, "Format"): 8 bytes with its length,
// then JSON that names each tensor's type, shape and place in the data, and holds a map of strings.
#pragma once

#include <schatten/checkpoint/json.hpp>
#include <schatten/core/error.hpp>
#include <schatten/core/stable_sort.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace schatten::checkpoint {

/// A tensor of a file. Its elements are row-major and little-endian.
struct Tensor {
  std::string name;
  std::string type;                  ///< as the format spells it: "F64", "F32", "F16", "BF16", "I64", …
  std::vector<std::uint64_t> shape;  ///< {} for one number
  std::uint64_t begin = 0, end = 0;  ///< its bytes, counted from the end of the header

  [[nodiscard]] std::uint64_t bytes() const { return end - begin; }
  friend bool operator==(const Tensor&, const Tensor&) = default;
};

/// Strings by name: `__metadata__` of the format.
using Metadata = std::map<std::string, std::string>;

struct TensorHeader {
  std::vector<Tensor> tensors;  ///< in the order of their data
  Metadata metadata;
  friend bool operator==(const TensorHeader&, const TensorHeader&) = default;
};

/// Longest header that is written or read; Python's package has the same limit.
inline constexpr std::uint64_t longest_header = 100'000'000;

/// Bytes of an element of that type; 0 for types that the format, or this reader, does not have.
inline std::size_t bytes_of_type(std::string_view type) {
  constexpr std::pair<std::string_view, std::size_t> types[] = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
      {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}, {"C64", 8}};
  for (const auto& [name, bytes] : types) {
    if (name == type) return bytes;
  }
  return 0;
}

/// Bytes of a tensor of that type and shape; false if they do not fit into 63 bits, as no file's do.
inline bool count_bytes(std::string_view type, const std::vector<std::uint64_t>& shape, std::uint64_t& bytes) {
  constexpr std::uint64_t most = (std::numeric_limits<std::int64_t>::max)();
  bytes = bytes_of_type(type);
  for (const std::uint64_t extent : shape) {
    if (extent != 0 && bytes > most / extent) return false;
    bytes *= extent;
  }
  return true;
}

/// "[4, 3]".
inline std::string to_string(const std::vector<std::uint64_t>& shape) {
  std::string text = "[";
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (k > 0) text += ", ";
    text += std::to_string(shape[k]);
  }
  return text += "]";
}

namespace detail {

inline Tensor parse_tensor(JsonReader& json, const std::string& name) {
  Tensor tensor{.name = name, .type = {}, .shape = {}};
  unsigned seen = 0;
  json.object([&](const std::string& key) {
    const unsigned bit = key == "dtype" ? 1 : key == "shape" ? 2 : key == "data_offsets" ? 4 : 0;
    if (bit == 0) json.fail("the tensor " + name + " has a member " + key);
    if ((seen & bit) != 0) json.fail("the tensor " + name + " has two members " + key);
    seen |= bit;
    if (bit == 1) {
      tensor.type = json.string();
    } else if (bit == 2) {
      json.array([&] { tensor.shape.push_back(json.number()); });
    } else {
      int count = 0;
      json.array([&] { (count++ == 0 ? tensor.begin : tensor.end) = json.number(); });
      if (count != 2) json.fail("data_offsets of the tensor " + name + " are not two numbers");
    }
  });
  if (seen != 7) json.fail("the tensor " + name + " lacks dtype, shape or data_offsets");
  if (bytes_of_type(tensor.type) == 0) json.fail("the tensor " + name + " has an unknown type, " + tensor.type);
  std::uint64_t bytes = 0;
  if (!count_bytes(tensor.type, tensor.shape, bytes)) {
    json.fail("the tensor " + name + " is too large: " + to_string(tensor.shape));
  }
  if (tensor.begin > tensor.end || tensor.bytes() != bytes) {
    json.fail("data_offsets of the tensor " + name + " do not give the " + std::to_string(bytes) + " bytes of " +
              tensor.type + to_string(tensor.shape));
  }
  return tensor;
}

/// Throws unless the tensors, in the order of their data, fill the data without gaps or overlaps.
inline void check_places(const std::vector<Tensor>& tensors, std::uint64_t data_bytes, std::string_view path) {
  std::uint64_t end = 0;
  for (const Tensor& tensor : tensors) {
    if (tensor.begin != end) {
      throw FileError(path, "the data of the tensor " + tensor.name +
                                (tensor.begin < end ? " overlap those of another" : " come after a gap"));
    }
    end = tensor.end;
  }
  if (end == data_bytes) return;
  throw FileError(path, std::string(end > data_bytes ? "truncated: " : "too long: ") + std::to_string(data_bytes) +
                            " bytes of data, of " + std::to_string(end));
}

}  // namespace detail

/// The length of the header from the first 8 bytes of a file of `file_bytes`. Throws FileError unless it fits.
inline std::uint64_t header_length(const char (&prefix)[8], std::uint64_t file_bytes, std::string_view path) {
  std::uint64_t length = 0;
  for (int k = 7; k >= 0; --k) length = length << 8 | static_cast<unsigned char>(prefix[k]);
  if (file_bytes >= 8 && length <= file_bytes - 8 && length <= longest_header) return length;
  throw FileError(path, "no safetensors file, or truncated: the first 8 bytes give a header of " +
                            std::to_string(length) + " bytes, and the file has " + std::to_string(file_bytes));
}

/// The header of a file with `data_bytes` of data. Throws FileError for anything that is not the format: other JSON,
/// names that occur twice, sizes that overflow or do not fit the type and shape, and data with gaps or overlaps, or
/// more or less of it than the tensors have. Cost: O(n log n) with n tensors.
inline TensorHeader parse_header(std::string_view text, std::uint64_t data_bytes, std::string_view path) {
  TensorHeader header;
  JsonReader json(text, path);
  std::unordered_set<std::string> names;
  if (text.empty() || text.front() != '{') json.fail("expected {");
  json.object([&](const std::string& name) {
    if (!names.insert(name).second) json.fail("two tensors are called " + name);
    if (name != "__metadata__") {
      header.tensors.push_back(detail::parse_tensor(json, name));
      return;
    }
    json.object([&](const std::string& key) {
      if (!header.metadata.emplace(key, json.string()).second) json.fail("two metadata are called " + key);
    });
  });
  json.end();
  schatten::stable_sort(header.tensors, [](const Tensor& a, const Tensor& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  detail::check_places(header.tensors, data_bytes, path);
  return header;
}

/// Sets the offsets of the tensors, larger elements first, so that each has the alignment of its type. Throws
/// InvalidArgument for unknown types, sizes that overflow, and names that occur twice or are not UTF-8.
inline void place_tensors(std::vector<Tensor>& tensors, std::string_view function) {
  schatten::stable_sort(tensors,
                        [](const Tensor& a, const Tensor& b) { return bytes_of_type(a.type) > bytes_of_type(b.type); });
  std::unordered_set<std::string_view> names;
  std::uint64_t end = 0;
  for (Tensor& tensor : tensors) {
    std::uint64_t bytes = 0;
    require(bytes_of_type(tensor.type) > 0, function, "type", tensor.type, "must be one of the format's");
    require(is_utf8(tensor.name), function, "name", tensor.name, "must be UTF-8");
    require(tensor.name != "__metadata__" && names.insert(tensor.name).second, function, "name", tensor.name,
            "must be that of one tensor");
    require(count_bytes(tensor.type, tensor.shape, bytes) && end + bytes <= std::uint64_t{1} << 62, function, "shape",
            to_string(tensor.shape), "must be that of a tensor that fits into a file");
    tensor.begin = end;
    tensor.end = end += bytes;
  }
}

/// The first bytes of a file: the length, the JSON, and spaces up to a multiple of 8. @pre the tensors have their
/// places (place_tensors), the metadata are UTF-8.
inline std::string to_bytes(const TensorHeader& header) {
  std::string bytes(8, '\0');
  const auto append_numbers = [&](const auto& numbers) {
    bytes += '[';
    std::string_view comma;
    for (const std::uint64_t number : numbers) {
      bytes.append(comma).append(std::to_string(number));
      comma = ",";
    }
    bytes += ']';
  };
  bytes += "{\"__metadata__\":{";
  std::string_view comma;
  for (const auto& [key, value] : header.metadata) {
    bytes += comma;
    append_json(bytes, key);
    bytes += ':';
    append_json(bytes, value);
    comma = ",";
  }
  bytes += '}';
  for (const Tensor& tensor : header.tensors) {
    bytes += ',';
    append_json(bytes, tensor.name);
    bytes += ":{\"dtype\":";
    append_json(bytes, tensor.type);
    bytes += ",\"shape\":";
    append_numbers(tensor.shape);
    bytes += ",\"data_offsets\":";
    append_numbers(std::vector<std::uint64_t>{tensor.begin, tensor.end});
    bytes += '}';
  }
  bytes += '}';
  bytes.resize((bytes.size() + 7) / 8 * 8, ' ');
  std::uint64_t length = bytes.size() - 8;
  for (std::size_t k = 0; k < 8; ++k, length >>= 8) bytes[k] = static_cast<char>(static_cast<unsigned char>(length));
  return bytes;
}

}  // namespace schatten::checkpoint
