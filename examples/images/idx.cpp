// SPDX-License-Identifier: BSD-3-Clause
// The format IDX: two zero bytes, the type of the elements (8: unsigned bytes), the rank; the extents as big-endian
// numbers of 32 bits; the elements.
#include "dataset.hpp"

#include <cmath>
#include <fstream>
#include <numbers>
#include <random>

namespace images {
namespace {

struct Idx {
  std::vector<std::size_t> extents;
  std::vector<std::uint8_t> elements;
};

Idx read_idx_file(const std::filesystem::path& path, std::size_t rank) {
  std::vector<std::uint8_t> bytes = read_bytes(path);
  const std::size_t header = 4 + 4 * rank;
  if (bytes.size() < 4) throw BadFile(path, "has " + std::to_string(bytes.size()) + " bytes, too few for a header");
  if (bytes[0] != 0 || bytes[1] != 0 || bytes[2] != 8)
    throw BadFile(path, "is no IDX file of unsigned bytes: it must begin with the bytes 0, 0, 8, and begins with " +
                            std::to_string(bytes[0]) + ", " + std::to_string(bytes[1]) + ", " +
                            std::to_string(bytes[2]));
  if (bytes[3] != rank)
    throw BadFile(path, "has rank " + std::to_string(bytes[3]) + ", must have " + std::to_string(rank));
  if (bytes.size() < header)
    throw BadFile(path, "has " + std::to_string(bytes.size()) + " bytes, too few for a header");
  Idx idx;
  // Each factor is below 2^32, and the product of those before is at most the file's size: no overflow.
  std::size_t announced = 1;
  for (std::size_t d = 0; d < rank; ++d) {
    std::size_t extent = 0;
    for (std::size_t k = 0; k < 4; ++k) extent = 256 * extent + bytes[4 + 4 * d + k];
    if (extent == 0) throw BadFile(path, "extent " + std::to_string(d) + " is 0");
    idx.extents.push_back(extent);
    announced *= extent;
    if (announced > bytes.size() - header)
      throw BadFile(path, "ends too early: " + std::to_string(bytes.size() - header) +
                              " bytes follow the header, which announces " +
                              (d + 1 < rank ? "more" : std::to_string(announced)));
  }
  if (announced < bytes.size() - header)
    throw BadFile(path, "has " + std::to_string(bytes.size() - header - announced) + " bytes more than announced");
  bytes.erase(bytes.begin(), bytes.begin() + std::ptrdiff_t(header));
  idx.elements = std::move(bytes);
  return idx;
}

void write_idx_file(const std::filesystem::path& path, const Idx& idx) {
  std::ofstream file(path, std::ios::binary);
  file.put(0).put(0).put(8).put(char(idx.extents.size()));
  for (const std::size_t extent : idx.extents)
    for (int shift = 24; shift >= 0; shift -= 8) file.put(char(extent >> shift & 255));
  file.write(reinterpret_cast<const char*>(idx.elements.data()), std::streamsize(idx.elements.size()));
  file.flush();
  if (!file) throw BadFile(path, "cannot be written");
}

// In (0, 1), the same on every platform.
double uniform(std::mt19937_64& random) { return (double(random() >> 11) + 0.5) * 0x1p-53; }

void write_part(const std::filesystem::path& directory, const std::string& part, std::size_t count,
                std::mt19937_64& random) {
  constexpr std::size_t side = 28, classes = 10;
  Idx pixels{{count, side, side}, {}}, labels{{count}, {}};
  for (std::size_t image = 0; image < count; ++image) {
    const std::size_t label = image % classes;
    labels.elements.push_back(std::uint8_t(label));
    const double angle = std::numbers::pi * double(label) / classes, phase = 2 * std::numbers::pi * uniform(random);
    for (std::size_t i = 0; i < side; ++i) {
      for (std::size_t j = 0; j < side; ++j) {
        const double place = std::cos(angle) * double(i) + std::sin(angle) * double(j);
        const double grating = std::sin(0.9 * place + phase), noise = uniform(random) - 0.5;
        pixels.elements.push_back(std::uint8_t(127.5 + 60 * grating + 120 * noise));
      }
    }
  }
  write_idx_file(directory / (part + "-images-idx3-ubyte"), pixels);
  write_idx_file(directory / (part + "-labels-idx1-ubyte"), labels);
}

}  // namespace

Images read_idx(const std::filesystem::path& images, const std::filesystem::path& labels, int classes) {
  Idx pixels = read_idx_file(images, 3), numbers = read_idx_file(labels, 1);
  if (pixels.extents[0] != numbers.extents[0])
    throw BadFile(labels, "has " + std::to_string(numbers.extents[0]) + " labels, " + images.filename().string() +
                              " has " + std::to_string(pixels.extents[0]) + " images");
  for (std::size_t k = 0; k < numbers.elements.size(); ++k)
    if (numbers.elements[k] >= classes)
      throw BadFile(labels, "label " + std::to_string(k) + " is " + std::to_string(numbers.elements[k]) +
                                ", must be below " + std::to_string(classes));
  constexpr std::size_t most_side = 1024;  // also keeps the extents within int
  if (pixels.extents[1] > most_side || pixels.extents[2] > most_side)
    throw BadFile(images, "images of " + std::to_string(pixels.extents[1]) + "x" + std::to_string(pixels.extents[2]) +
                              " pixels are too large, at most 1024x1024");
  Images result;
  result.channels = 1;
  result.height = int(pixels.extents[1]);
  result.width = int(pixels.extents[2]);
  result.pixels = std::move(pixels.elements);
  result.labels = std::move(numbers.elements);
  return result;
}

void write_gratings(const std::filesystem::path& directory, std::size_t train, std::size_t test) {
  std::filesystem::create_directories(directory);
  std::mt19937_64 random(1);
  write_part(directory, "train", train, random);
  write_part(directory, "t10k", test, random);
}

}  // namespace images
