// SPDX-License-Identifier: BSD-3-Clause
// Errors of files, with path and reason.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace schatten::checkpoint {

/// A file that cannot be read or written, or whose contents are invalid.
class FileError : public std::runtime_error {
 public:
  /// The message is "schatten::checkpoint: <path>: <reason>".
  FileError(std::string_view path, std::string_view reason)
      : std::runtime_error("schatten::checkpoint: " + std::string(path) + ": " + std::string(reason)),
        path_(path),
        reason_(reason) {}

  /// The path of the file.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The reason.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  std::string path_, reason_;
};

/// Throws FileError with the system's words for errno: "cannot be opened: No such file or directory".
[[noreturn]] inline void throw_system_error(std::string_view path, std::string_view what) {
  throw FileError(path, std::string(what) + ": " + std::generic_category().message(errno));
}

}  // namespace schatten::checkpoint
