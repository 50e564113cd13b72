// SPDX-License-Identifier: BSD-3-Clause
// Reads of regular files at any place (POSIX).
#pragma once

#include <schatten/checkpoint/atomic_file.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace schatten::checkpoint {

/// An open regular file.
class InputFile {
 public:
  /// Opens the file. Throws FileError, also for a folder, a pipe and a device.
  explicit InputFile(std::string path)
      : path_(std::move(path)), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (!file_.open()) throw_system_error(path_, "cannot be opened");
    struct ::stat status {};
    if (::fstat(file_.number(), &status) != 0) throw_system_error(path_, "cannot be looked at");
    if (!S_ISREG(status.st_mode)) throw FileError(path_, "is no regular file");
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  /// The path of the file.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// The number of bytes when the file was opened.
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Copies `bytes` bytes from the place `from` on to `to`. Throws FileError.
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

 private:
  std::string path_;
  FileHandle file_;
  std::uint64_t size_ = 0;
};

}  // namespace schatten::checkpoint
