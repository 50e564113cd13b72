// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Bytes as a safetensors file and as a checkpoint: what must hold whatever they are. For the fuzzer and for the corpus
// test.

#include <schatten/checkpoint/manifest.hpp>
#include <schatten/checkpoint/tensor_header.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace schatten::test {

inline void must(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

/// The header, whose tensors must fill the data; written and read again it must be the same.
inline checkpoint::TensorHeader read_header(std::string_view text, std::uint64_t data) {
  const checkpoint::TensorHeader header = checkpoint::parse_header(text, data, "input");
  std::uint64_t end = 0;
  for (const checkpoint::Tensor& tensor : header.tensors) {
    std::uint64_t size = 0;
    must(checkpoint::count_bytes(tensor.type, tensor.shape, size), "a size overflows");
    must(tensor.begin == end && tensor.bytes() == size && schatten::is_utf8(tensor.name), "a tensor is out of place");
    end = tensor.end;
  }
  must(end == data, "there are data of no tensor");
  const std::string again = checkpoint::to_bytes(header);
  must(checkpoint::parse_header(std::string_view(again).substr(8), data, "again") == header, "the header changes");
  return header;
}

/// 0: no header of a safetensors file; 1: one; 2: a checkpoint's. Throws std::logic_error where something does not hold
/// that must.
inline int read_header_text(std::string_view text, std::uint64_t data) {
  int level = 0;
  try {
    const checkpoint::TensorHeader header = read_header(text, data);
    level = 1;
    const checkpoint::Manifest manifest = checkpoint::manifest_of(header.metadata, "input");
    must(checkpoint::manifest_of(checkpoint::to_metadata(manifest), "again") == manifest, "the manifest changes");
    level = 2;
  } catch (const checkpoint::FileError&) {
  }
  return level;
}

/// The same of a whole file.
inline int read_safetensors(std::string_view bytes) {
  char prefix[8] = {};
  std::copy_n(bytes.data(), std::min<std::size_t>(bytes.size(), 8), prefix);
  std::uint64_t length = 0;
  try {
    length = checkpoint::header_length(prefix, bytes.size(), "input");
  } catch (const checkpoint::FileError&) {
    return 0;
  }
  return read_header_text(bytes.substr(8, length), bytes.size() - 8 - length);
}

}  // namespace schatten::test
