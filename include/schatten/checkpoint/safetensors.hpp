// SPDX-License-Identifier: BSD-3-Clause
// Named tensors in a safetensors file, which Python's package of that name reads. Needs no Optimizer.
#pragma once

#include <schatten/checkpoint/atomic_file.hpp>
#include <schatten/checkpoint/input_file.hpp>
#include <schatten/checkpoint/tensor_header.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace schatten::checkpoint {

static_assert(std::endian::native == std::endian::little, "schatten: safetensors files are little-endian");

/// Writes the tensors, whose name, type and shape are given, and the metadata to `path`, atomically (AtomicFile).
///
/// data(tensor, to) writes the tensor.bytes() bytes of the tensor to `to`. It is called once per tensor, for those with
/// larger elements first. Throws InvalidArgument for names, types and shapes that the format does not allow
/// (place_tensors) and for a header above 100 MB, FileError for errors of the system, and what `data` throws; the file
/// then does not change. Memory: that of the largest tensor.
template <class Data>
void write_safetensors(const std::string& path, std::vector<Tensor> tensors, const Metadata& metadata,
                       const Data& data) {
  constexpr std::string_view function = "checkpoint::write_safetensors";
  place_tensors(tensors, function);
  for (const auto& [key, value] : metadata) {
    require(is_utf8(key) && is_utf8(value), function, "metadata", key, "must be UTF-8, its value too");
  }
  const TensorHeader header{std::move(tensors), metadata};
  const std::string bytes = to_bytes(header);
  require(bytes.size() - 8 <= longest_header, function, "header", bytes.size() - 8, "must not exceed 100 MB");
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  std::vector<char> buffer;
  for (const Tensor& tensor : header.tensors) {
    buffer.resize(tensor.bytes());
    data(tensor, buffer.data());
    file.write(buffer.data(), buffer.size());
  }
  file.commit();
}

/// A safetensors file that is open and whose header has been checked against the format and the size of the file
/// (parse_header).
class SafetensorsFile {
 public:
  /// Opens the file and checks the header. Throws FileError.
  explicit SafetensorsFile(std::string path) : file_(std::move(path)) {
    char prefix[8] = {};
    file_.read(0, prefix, std::min<std::uint64_t>(file_.size(), sizeof(prefix)));
    const std::uint64_t length = header_length(prefix, file_.size(), this->path());
    std::string text(length, '\0');
    file_.read(8, text.data(), length);
    data_ = 8 + length;
    header_ = parse_header(text, file_.size() - data_, this->path());
    for (const Tensor& tensor : header_.tensors) names_.emplace(tensor.name, &tensor);
  }
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  /// The path of the file.
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  /// The tensors, in the order of their data.
  [[nodiscard]] const std::vector<Tensor>& tensors() const { return header_.tensors; }
  /// The metadata: strings by key.
  [[nodiscard]] const Metadata& metadata() const { return header_.metadata; }
  /// Returns the tensor of that name, or null.
  [[nodiscard]] const Tensor* find(std::string_view name) const {
    const auto found = names_.find(name);
    return found == names_.end() ? nullptr : found->second;
  }

  /// Copies a tensor's bytes to `to`. @pre it is one of tensors(). Throws FileError.
  void read(const Tensor& tensor, void* to) const { file_.read(data_ + tensor.begin, to, tensor.bytes()); }

 private:
  InputFile file_;
  std::uint64_t data_ = 0;  ///< where the data begin
  TensorHeader header_;
  std::unordered_map<std::string_view, const Tensor*> names_;
};

}  // namespace schatten::checkpoint
