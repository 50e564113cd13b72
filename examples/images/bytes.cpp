// SPDX-License-Identifier: BSD-3-Clause
#include "dataset.hpp"

#include <fstream>

#if defined(IMAGES_ZLIB)
#include <zlib.h>
#endif

namespace images {
namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 30;  // no published set has a file of more
constexpr std::size_t piece = 1 << 20;

bool is_gzip(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw BadFile(path, "cannot be opened");
  return file.get() == 0x1f && file.get() == 0x8b;
}

// Calls read(place, size), which returns how many bytes it has written there, until it returns 0.
template <class Read>
std::vector<std::uint8_t> collect(const std::filesystem::path& path, const Read& read) {
  std::vector<std::uint8_t> bytes;
  while (true) {
    const std::size_t before = bytes.size();
    bytes.resize(before + piece);
    const std::size_t added = read(bytes.data() + before, piece);
    bytes.resize(before + added);
    if (added == 0) return bytes;
    if (bytes.size() > most_bytes) throw BadFile(path, "holds more than 1 GiB");
  }
}

std::vector<std::uint8_t> read_plain(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return collect(path, [&](std::uint8_t* place, std::size_t size) {
    file.read(reinterpret_cast<char*>(place), std::streamsize(size));
    if (file.bad()) throw BadFile(path, "cannot be read");
    return std::size_t(file.gcount());
  });
}

#if defined(IMAGES_ZLIB)
std::vector<std::uint8_t> read_gzip(const std::filesystem::path& path) {
  struct File {
    gzFile handle;
    ~File() { gzclose(handle); }
  } file{gzopen(path.string().c_str(), "rb")};
  if (file.handle == nullptr) throw BadFile(path, "cannot be opened");
  const auto bytes = collect(path, [&](std::uint8_t* place, std::size_t size) {
    const int count = gzread(file.handle, place, unsigned(size));
    if (count < 0) throw BadFile(path, "is damaged, says zlib");
    return std::size_t(count);
  });
  int error = Z_OK;
  gzerror(file.handle, &error);
  if (error != Z_OK) throw BadFile(path, "ends too early, says zlib");
  return bytes;
}
#else
std::vector<std::uint8_t> read_gzip(const std::filesystem::path& path) {
  throw BadFile(path, "is compressed, and this program was built without zlib; decompress it with gunzip");
}
#endif

}  // namespace

std::vector<std::uint8_t> read_bytes(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) throw BadFile(path, "is a directory");
  return is_gzip(path) ? read_gzip(path) : read_plain(path);
}

}  // namespace images
