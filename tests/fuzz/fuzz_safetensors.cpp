// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer's entry: scripts/fuzz builds and runs it.

#include "read_safetensors.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The input as a file; and as the text of a header, whose last byte is the number of bytes of data: a fuzzer seldom
/// finds the length that a changed header has.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)schatten::test::read_safetensors(bytes);
  if (size > 0) (void)schatten::test::read_header_text(bytes.substr(0, size - 1), data[size - 1]);
  return 0;
}
