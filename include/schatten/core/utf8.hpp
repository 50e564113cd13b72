// SPDX-License-Identifier: BSD-3-Clause
// UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace schatten {

/// Bytes of the UTF-8 character that begins at `at`; 0 if there is none (RFC 3629: shortest forms, no surrogates).
inline std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[at + k]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() - at < length) return 0;
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(k) & 0xc0U) != 0x80) return 0;
  }
  const bool too_long = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool no_character = (first == 0xed && byte(1) >= 0xa0) || (first == 0xf4 && byte(1) >= 0x90);
  return too_long || no_character ? 0 : length;
}

/// Whether the text is UTF-8.
inline bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

/// Returns the text in printable characters: bytes that are not UTF-8 and control characters as \xff.
inline std::string escaped(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string printable;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0 || byte < 0x20 || byte == 0x7f) {
      printable += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
      ++at;
    } else {
      printable += text.substr(at, length);
      at += length;
    }
  }
  return printable;
}

}  // namespace schatten
