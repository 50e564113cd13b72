// SPDX-License-Identifier: BSD-3-Clause
#include "dataset.hpp"

namespace images {
namespace {

namespace fs = std::filesystem;

// The file or the same with .gz. Throws BadFile where neither is there.
fs::path plain_or_gzip(const fs::path& path) {
  if (fs::exists(path)) return path;
  const fs::path compressed = path.string() + ".gz";
  if (!fs::exists(compressed)) throw BadFile(path, "is missing, and so is " + compressed.filename().string());
  return compressed;
}

Images read_idx_part(const fs::path& directory, const std::string& part) {
  return read_idx(plain_or_gzip(directory / (part + "-images-idx3-ubyte")),
                  plain_or_gzip(directory / (part + "-labels-idx1-ubyte")), 10);
}

void check_same_size(const fs::path& directory, const Dataset& set) {
  if (set.train.height != set.test.height || set.train.width != set.test.width)
    throw BadFile(directory, "images to train on and to test with differ in size");
}

}  // namespace

Dataset read_dataset(const fs::path& directory) {
  if (!fs::is_directory(directory)) throw BadFile(directory, "is no directory");
  Dataset set;
  if (fs::exists(directory / "data_batch_1.bin")) {
    set.name = "CIFAR-10";
    set.classes = 10;
    const CifarFormat format{.label_bytes = 1, .classes = 10};
    for (int k = 1; k <= 5; ++k)
      append_cifar(directory / ("data_batch_" + std::to_string(k) + ".bin"), format, set.train);
    append_cifar(directory / "test_batch.bin", format, set.test);
  } else if (fs::exists(directory / "train.bin")) {
    set.name = "CIFAR-100";
    set.classes = 100;
    const CifarFormat format{.label_bytes = 2, .classes = 100};
    append_cifar(directory / "train.bin", format, set.train);
    append_cifar(directory / "test.bin", format, set.test);
  } else if (fs::exists(directory / "train-images-idx3-ubyte") ||
             fs::exists(directory / "train-images-idx3-ubyte.gz")) {
    set.name = "IDX";
    set.classes = 10;
    set.train = read_idx_part(directory, "train");
    set.test = read_idx_part(directory, "t10k");
  } else {
    throw BadFile(directory, "holds neither data_batch_1.bin nor train.bin nor train-images-idx3-ubyte");
  }
  check_same_size(directory, set);
  return set;
}

}  // namespace images
