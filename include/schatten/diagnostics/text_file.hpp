// SPDX-License-Identifier: BSD-3-Clause
// Text files that can be read while a training runs.
#pragma once

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

namespace schatten::detail {

/// Throws std::system_error, "schatten::<function>: <path>: cannot be written: <the system's reason>".
[[noreturn]] inline void throw_file_error(int reason, const std::string& path, std::string_view function) {
  throw std::system_error(reason, std::generic_category(),
                          "schatten::" + std::string(function) + ": " + path + ": cannot be written");
}

/// Writes all of the text to a file that fopen opens with `mode`, and closes it. Returns errno, 0 if it is written.
inline int write_all(const std::string& path, const char* mode, std::string_view text) {
  errno = 0;
  std::FILE* const file = std::fopen(path.c_str(), mode);
  if (file == nullptr) return errno == 0 ? EIO : errno;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int reason = errno;
  if (std::fclose(file) != 0 && written) return errno == 0 ? EIO : errno;
  return written ? 0 : reason == 0 ? EIO : reason;
}

/// Writes the text to path.tmp and renames that to `path`, so that a reader has the old text or the new one. Throws
/// std::system_error; the old file then stays.
inline void write_text_file(const std::string& path, std::string_view text, std::string_view function) {
  const std::string temporary = path + ".tmp";
  int reason = write_all(temporary, "wb", text);
  if (reason == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) reason = errno;
  if (reason == 0) return;
  (void)std::remove(temporary.c_str());
  throw_file_error(reason, path, function);
}

/// Appends the text to a file. Throws as write_text_file.
inline void append_text_file(const std::string& path, std::string_view text, std::string_view function) {
  if (const int reason = write_all(path, "ab", text); reason != 0) throw_file_error(reason, path, function);
}

}  // namespace schatten::detail
