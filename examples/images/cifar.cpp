// SPDX-License-Identifier: BSD-3-Clause
// CIFAR's binary format: for each image its label bytes, then 32x32 bytes of red, of green, of blue.
#include "dataset.hpp"

namespace images {

void append_cifar(const std::filesystem::path& path, const CifarFormat& format, Images& images) {
  images.channels = 3;
  images.height = images.width = 32;
  const std::vector<std::uint8_t> bytes = read_bytes(path);
  const std::size_t record = format.label_bytes + images.bytes_each();
  if (bytes.empty() || bytes.size() % record != 0)
    throw BadFile(path, "has " + std::to_string(bytes.size()) + " bytes, must have a multiple of " +
                            std::to_string(record) + ", the bytes of one image");
  for (std::size_t begin = 0; begin < bytes.size(); begin += record) {
    const std::size_t pixels = begin + format.label_bytes;
    const std::uint8_t label = bytes[pixels - 1];
    if (label >= format.classes)
      throw BadFile(path, "the label of image " + std::to_string(begin / record) + " is " + std::to_string(label) +
                              ", must be below " + std::to_string(format.classes));
    images.labels.push_back(label);
    images.pixels.insert(images.pixels.end(), bytes.begin() + std::ptrdiff_t(pixels),
                         bytes.begin() + std::ptrdiff_t(begin + record));
  }
}

}  // namespace images
