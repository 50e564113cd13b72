// SPDX-License-Identifier: BSD-3-Clause
// Named tensors in a safetensors file, which Python's package of that name reads. Needs no Optimizer.
#pragma once

#include <schatten/checkpoint/atomic_file.hpp>
#include <schatten/checkpoint/tensor_header.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
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
  explicit SafetensorsFile(std::string path)
      : path_(std::move(path)), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (!file_.open()) throw_system_error(path_, "cannot be opened");
    struct ::stat status {};
    if (::fstat(file_.number(), &status) != 0) throw_system_error(path_, "cannot be looked at");
    if (!S_ISREG(status.st_mode)) throw FileError(path_, "is no regular file");
    const auto size = static_cast<std::uint64_t>(status.st_size);
    char prefix[8] = {};
    read(0, prefix, std::min<std::uint64_t>(size, sizeof(prefix)));
    const std::uint64_t length = header_length(prefix, size, path_);
    std::string text(length, '\0');
    read(8, text.data(), length);
    data_ = 8 + length;
    header_ = parse_header(text, size - data_, path_);
    for (const Tensor& tensor : header_.tensors) names_.emplace(tensor.name, &tensor);
  }
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  /// The path of the file.
  [[nodiscard]] const std::string& path() const { return path_; }
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
  void read(const Tensor& tensor, void* to) const { read(data_ + tensor.begin, to, tensor.bytes()); }

 private:
  void read(std::uint64_t from, void* to, std::uint64_t bytes) const {
    constexpr std::uint64_t most = std::uint64_t{1} << 30;
    for (std::uint64_t done = 0; done < bytes;) {
      const ::ssize_t count = ::pread(file_.number(), static_cast<char*>(to) + done, (std::min)(bytes - done, most),
                                      static_cast<::off_t>(from + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw_system_error(path_, "cannot be read");
      if (count == 0) throw FileError(path_, "has become shorter while it was read");
      done += static_cast<std::uint64_t>(count);
    }
  }

  std::string path_;
  FileHandle file_;
  std::uint64_t data_ = 0;  ///< where the data begin
  TensorHeader header_;
  std::unordered_map<std::string_view, const Tensor*> names_;
};

}  // namespace schatten::checkpoint
