// SPDX-License-Identifier: BSD-3-Clause
// Files that are complete or do not exist (POSIX).
#pragma once

#include <schatten/checkpoint/file_error.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace schatten::checkpoint {

/// An open file; the destructor closes it.
class FileHandle {
 public:
  /// Takes the descriptor `number`; −1: no file.
  explicit FileHandle(int number) : number_(number) {}
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  ~FileHandle() { (void)close(); }

  /// The descriptor.
  [[nodiscard]] int number() const { return number_; }
  /// Whether there is an open file.
  [[nodiscard]] bool open() const { return number_ >= 0; }
  /// Closes the file. Returns whether there was no error.
  bool close() {
    const int number = std::exchange(number_, -1);
    return number < 0 || ::close(number) == 0;
  }

 private:
  int number_;
};

/// Writes a temporary file beside `path`, and renames it to `path` at `commit`. So `path` always has the old contents
/// or the new ones, whenever the program or the machine stops. Permissions are those of new files of the process.
/// Without commit the temporary file is removed. A program that is killed leaves it: "<path>.<process>.<number>.tmp".
class AtomicFile {
 public:
  /// Throws FileError if the folder cannot be written to.
  explicit AtomicFile(std::string path) : path_(std::move(path)), file_(create()) {}
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() { remove(); }

  /// Appends. Throws FileError, for example for a full disk.
  void write(const char* data, std::size_t bytes) {
    constexpr std::size_t most = std::size_t{1} << 30;
    while (bytes > 0) {
      const ::ssize_t written = ::write(file_.number(), data, (std::min)(bytes, most));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("cannot be written");
      data += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }

  /// Calls fsync, renames the file to `path`, and calls fsync for the folder. Throws FileError; the file `path` then
  /// has its old contents, unless only the last call has failed. Waits for the disk twice.
  void commit() {
    if (!synchronize(file_)) fail("cannot be brought to the disk");
    if (!file_.close()) fail("cannot be closed");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be replaced");
    temporary_.clear();
    const std::size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!handle.open() || !synchronize(handle)) throw_system_error(path_, "its folder cannot be brought to the disk");
  }

 private:
  int create() {
    static std::atomic<unsigned> files{0};
    for (int attempt = 0; attempt < 1000; ++attempt) {  // a killed process of this number may have left some
      temporary_ = path_ + "." + std::to_string(::getpid()) + "." + std::to_string(files++) + ".tmp";
      const int number = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (number >= 0) return number;
      if (errno != EEXIST) break;
    }
    temporary_.clear();
    throw_system_error(path_, "a temporary file cannot be created in its folder");
  }
  void remove() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }
  /// Removes the file before it throws: a program that does not catch may end without destructors.
  [[noreturn]] void fail(std::string_view what) {
    const int error = errno;
    remove();
    errno = error;
    throw_system_error(path_, what);
  }
  /// fsync. False if the disk has failed; true on file systems without this call.
  static bool synchronize(const FileHandle& file) {
    int status = 0;
    do {
      status = ::fsync(file.number());
    } while (status != 0 && errno == EINTR);
    return status == 0 || errno == EINVAL || errno == ENOTSUP;
  }

  std::string path_, temporary_;
  FileHandle file_;
};

}  // namespace schatten::checkpoint
