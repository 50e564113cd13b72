// SPDX-License-Identifier: BSD-3-Clause
// The part of JSON (RFC 8259) that a safetensors header has: objects, arrays, strings and whole numbers.
#pragma once

#include <schatten/checkpoint/file_error.hpp>
#include <schatten/core/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace schatten::checkpoint {

/// Appends the text as a JSON string. @pre it is UTF-8.
inline void append_json(std::string& json, std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  json += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      json += "\\u00";
      json += digits[byte >> 4];
      json += digits[byte & 15];
    } else {
      if (c == '"' || c == '\\') json += '\\';
      json += c;
    }
  }
  json += '"';
}

/// Reads a text from front to back. The caller states what must come next; anything else throws FileError with the
/// offset. There is no recursion and no tree: memory and time are linear in the length of the text.
class JsonReader {
 public:
  /// path: for errors.
  JsonReader(std::string_view text, std::string_view path) : text_(text), path_(path) {}

  /// Reads an object. Calls member(name) for each member, which must read the value.
  template <class F>
  void object(const F& member) {
    list('{', '}', [&] {
      const std::string name = string();
      expect(':');
      member(name);
    });
  }
  /// Reads an array. Calls element() for each element, which must read it.
  template <class F>
  void array(const F& element) {
    list('[', ']', element);
  }

  /// Reads a string, with its escapes resolved, as UTF-8.
  std::string string() {
    std::string value;
    expect('"');
    while (true) {
      if (at_ == text_.size()) fail("a string does not end");
      const char c = text_[at_];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) fail("a string holds a control character");
      if (c == '\\') {
        ++at_;
        escape(value);
        continue;
      }
      const std::size_t length = utf8_length(text_, at_);
      if (length == 0) fail("a string is not UTF-8");
      value += text_.substr(at_, length);
      at_ += length;
    }
    ++at_;
    return value;
  }

  /// Reads an integer below 2⁶⁴, digits only.
  std::uint64_t number() {
    skip_space();
    const std::size_t first = at_;
    std::uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
      if (value > ((std::numeric_limits<std::uint64_t>::max)() - digit) / 10) fail("a number is not below 2^64");
      value = 10 * value + digit;
    }
    if (at_ == first) fail("expected a whole number");
    if (text_[first] == '0' && at_ - first > 1) fail("a number begins with a zero");
    if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E')) {
      fail("a number is not whole");
    }
    return value;
  }

  /// Throws unless this is the end of the text.
  void end() {
    skip_space();
    if (at_ != text_.size()) fail("expected the end");
  }

  [[noreturn]] void fail(std::string_view reason) const {
    throw FileError(path_, "byte " + std::to_string(at_) + " of the header: " + std::string(reason));
  }

 private:
  void skip_space() {
    const std::size_t next = text_.find_first_not_of(" \t\n\r", at_);
    at_ = next == std::string_view::npos ? text_.size() : next;
  }
  /// Returns whether c is next, and then reads it.
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("expected ") + c);
  }
  template <class F>
  void list(char open, char close, const F& element) {
    expect(open);
    if (accept(close)) return;
    do {
      element();
    } while (accept(','));
    expect(close);
  }

  /// The character of an escape, after its backslash.
  void escape(std::string& value) {
    constexpr std::string_view names = "\"\\/bfnrt", characters = "\"\\/\b\f\n\r\t";
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    const std::size_t known = names.find(c);
    if (known != std::string_view::npos) {
      value += characters[known];
      ++at_;
      return;
    }
    if (c != 'u') fail("an escape that there is not");
    ++at_;
    std::uint32_t code = four_digits();
    if (code >= 0xd800 && code < 0xdc00) {
      if (text_.substr(at_, 2) != "\\u") fail("half of a surrogate pair");
      at_ += 2;
      const std::uint32_t low = four_digits();
      if (low < 0xdc00 || low > 0xdfff) fail("half of a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
      fail("half of a surrogate pair");
    }
    append_utf8(value, code);
  }
  std::uint32_t four_digits() {
    std::uint32_t value = 0;
    for (int k = 0; k < 4; ++k, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail("expected four hexadecimal digits");
      value = 16 * value + static_cast<std::uint32_t>(digit);
    }
    return value;
  }
  static void append_utf8(std::string& text, std::uint32_t code) {
    const auto append = [&](std::uint32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (code < 0x80) return append(code);
    if (code < 0x800) {
      append(0xc0 | code >> 6);
    } else {
      if (code < 0x10000) {
        append(0xe0 | code >> 12);
      } else {
        append(0xf0 | code >> 18);
        append(0x80 | (code >> 12 & 0x3f));
      }
      append(0x80 | (code >> 6 & 0x3f));
    }
    append(0x80 | (code & 0x3f));
  }

  std::string_view text_, path_;
  std::size_t at_ = 0;
};

}  // namespace schatten::checkpoint
