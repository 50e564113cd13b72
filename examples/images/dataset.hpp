// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Sets of labelled images, read from the files that they are published in.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace images {

// Images of one size: channels, rows, columns of bytes, image after image, and a label each.
struct Images {
  int channels = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;

  std::size_t count() const { return labels.size(); }
  std::size_t bytes_each() const { return std::size_t(channels) * std::size_t(height) * std::size_t(width); }
};

struct Dataset {
  std::string name;
  int classes = 0;
  Images train, test;
};

// A file that cannot be read or is not what it should be; the message begins with its path.
class BadFile : public std::runtime_error {
 public:
  BadFile(const std::filesystem::path& path, const std::string& what)
      : std::runtime_error(path.string() + ": " + what) {}
};

// Tells by their names which of three sets the files of a directory are:
//   Fashion-MNIST, MNIST     train-images-idx3-ubyte, train-labels-idx1-ubyte, the same with t10k; or all with .gz
//   CIFAR-10, binary         data_batch_1.bin to data_batch_5.bin, test_batch.bin
//   CIFAR-100, binary        train.bin, test.bin; the fine labels
// Throws BadFile.
Dataset read_dataset(const std::filesystem::path& directory);

// Two files of the format IDX: unsigned bytes of rank 3, and of rank 1. Throws BadFile.
Images read_idx(const std::filesystem::path& images, const std::filesystem::path& labels, int classes);

// What stands before the pixels of each image in a file of CIFAR's binary format.
struct CifarFormat {
  std::size_t label_bytes = 1;  // the last of them is the label
  int classes = 10;
};

// The images of a file of that format, 3x32x32, added to `images`. Throws BadFile.
void append_cifar(const std::filesystem::path& path, const CifarFormat& format, Images& images);

// All bytes of a file, decompressed where it is of gzip. Throws BadFile.
std::vector<std::uint8_t> read_bytes(const std::filesystem::path& path);

// Ten classes of gratings with noise, 28x28, as files of the first kind: a set for runs of seconds. Throws BadFile.
void write_gratings(const std::filesystem::path& directory, std::size_t train, std::size_t test);

}  // namespace images
