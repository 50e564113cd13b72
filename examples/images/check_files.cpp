// SPDX-License-Identifier: BSD-3-Clause
// Reads good and bad files of images and prints what is wrong with the bad ones. Fails where a good one is refused, or
// where a bad one is not refused by its name and with what is wrong with it.

#include "dataset.hpp"

#include <cstdio>
#include <fstream>
#include <functional>

#if defined(IMAGES_ZLIB)
#include <zlib.h>
#endif

namespace {

namespace fs = std::filesystem;

int failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::printf("failed: %s\n", what.c_str());
  ++failures;
}

void expect_refused(const std::string& file, const std::string& words, const std::function<void()>& read) {
  try {
    read();
    expect(false, file + " is taken, should be refused: " + words);
  } catch (const images::BadFile& error) {
    const std::string said = error.what();
    expect(said.find(file) != std::string::npos && said.find(words) != std::string::npos,
           "'" + said + "' should name " + file + " and say: " + words);
  }
}

void write(const fs::path& path, const std::vector<std::uint8_t>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
}

// The bytes with one of them replaced.
std::vector<std::uint8_t> with(std::vector<std::uint8_t> bytes, std::size_t place, std::uint8_t value) {
  bytes.at(place) = value;
  return bytes;
}

std::vector<std::uint8_t> cut(std::vector<std::uint8_t> bytes, std::size_t size) {
  bytes.resize(size);
  return bytes;
}

void check_idx(const fs::path& directory) {
  const fs::path pixels = directory / "train-images-idx3-ubyte", labels = directory / "train-labels-idx1-ubyte";
  images::write_gratings(directory, 20, 10);
  const images::Dataset set = images::read_dataset(directory);
  expect(set.train.count() == 20 && set.test.count() == 10 && set.classes == 10, "IDX: counts");
  expect(set.train.channels == 1 && set.train.height == 28 && set.train.width == 28, "IDX: size of the images");
  expect(set.train.labels[13] == 3, "IDX: a label");

  const auto good_pixels = images::read_bytes(pixels), good_labels = images::read_bytes(labels);
  expect(set.train.pixels == std::vector<std::uint8_t>(good_pixels.begin() + 16, good_pixels.end()), "IDX: pixels");
  const auto refused_pixels = [&](const std::vector<std::uint8_t>& bytes, const char* words) {
    write(pixels, bytes);
    expect_refused("train-images-idx3-ubyte", words, [&] { images::read_dataset(directory); });
    write(pixels, good_pixels);
  };
  const auto refused_labels = [&](const std::vector<std::uint8_t>& bytes, const char* words) {
    write(labels, bytes);
    expect_refused("train-labels-idx1-ubyte", words, [&] { images::read_dataset(directory); });
    write(labels, good_labels);
  };
  refused_pixels({}, "too few for a header");
  refused_pixels({0, 0, 8, 3, 0, 0}, "too few for a header");
  refused_pixels(with(good_pixels, 0, 80), "must begin with the bytes 0, 0, 8, and begins with 80, 0, 8");
  refused_pixels(with(good_pixels, 2, 13), "begins with 0, 0, 13");
  refused_pixels(with(good_pixels, 3, 1), "has rank 1, must have 3");
  refused_pixels(with(good_pixels, 11, 0), "extent 1 is 0");
  refused_pixels(with(good_pixels, 4, 255), "ends too early");
  refused_pixels(cut(good_pixels, good_pixels.size() - 1), "which announces 15680");
  refused_pixels(cut(good_pixels, good_pixels.size() + 3), "3 bytes more than announced");
  refused_pixels(with(good_pixels, 7, 19), "784 bytes more than announced");
  refused_labels(with(good_labels, 8 + 5, 10), "label 5 is 10, must be below 10");
  refused_labels(with(cut(good_labels, 8 + 19), 7, 19), "has 19 labels, train-images-idx3-ubyte has 20 images");

  const fs::path test = directory / "t10k-labels-idx1-ubyte";
  fs::remove(test);
  expect_refused("t10k-labels-idx1-ubyte", "is missing", [&] { images::read_dataset(directory); });
  fs::create_directory(test);
  expect_refused("t10k-labels-idx1-ubyte", "is a directory", [&] { images::read_dataset(directory); });
}

void check_gzip(const fs::path& directory) {
  images::write_gratings(directory, 20, 10);
  const images::Dataset set = images::read_dataset(directory);
  const fs::path pixels = directory / "train-images-idx3-ubyte", compressed = pixels.string() + ".gz";
#if defined(IMAGES_ZLIB)
  const auto bytes = images::read_bytes(pixels);
  const gzFile file = gzopen(compressed.string().c_str(), "wb");
  gzwrite(file, bytes.data(), unsigned(bytes.size()));
  gzclose(file);
  fs::remove(pixels);
  expect(images::read_dataset(directory).train.pixels == set.train.pixels, "gzip: pixels");

  std::ifstream stored(compressed, std::ios::binary);
  const std::vector<std::uint8_t> good{std::istreambuf_iterator<char>(stored), std::istreambuf_iterator<char>()};
  write(compressed, cut(good, good.size() / 2));
  expect_refused("train-images-idx3-ubyte.gz", "", [&] { images::read_dataset(directory); });
  write(compressed, with(good, good.size() - 6, std::uint8_t(good[good.size() - 6] ^ 1)));  // its checksum
  expect_refused("train-images-idx3-ubyte.gz", "is damaged", [&] { images::read_dataset(directory); });
#else
  fs::remove(pixels);
  write(compressed, {0x1f, 0x8b, 8});
  expect_refused("train-images-idx3-ubyte.gz", "without zlib", [&] { images::read_dataset(directory); });
#endif
}

void check_cifar(const fs::path& directory) {
  std::vector<std::uint8_t> records(2 * 3073);
  for (std::size_t k = 0; k < records.size(); ++k) records[k] = std::uint8_t(k % 251);
  records[0] = 7;
  records[3073] = 2;
  fs::create_directories(directory);
  for (int k = 1; k <= 5; ++k) write(directory / ("data_batch_" + std::to_string(k) + ".bin"), records);
  write(directory / "test_batch.bin", records);
  const images::Dataset ten = images::read_dataset(directory);
  expect(ten.train.count() == 10 && ten.test.count() == 2 && ten.classes == 10, "CIFAR-10: counts");
  expect(ten.train.labels[0] == 7 && ten.train.labels[1] == 2, "CIFAR-10: labels");
  expect(ten.train.pixels[0] == records[1] && ten.train.pixels[3072] == records[3074], "CIFAR-10: pixels");
  const fs::path third = directory / "data_batch_3.bin";
  write(third, cut(records, records.size() - 1));
  expect_refused("data_batch_3.bin", "has 6145 bytes, must have a multiple of 3073",
                 [&] { images::read_dataset(directory); });
  write(third, {});
  expect_refused("data_batch_3.bin", "has 0 bytes", [&] { images::read_dataset(directory); });
  write(third, with(records, 3073, 10));
  expect_refused("data_batch_3.bin", "the label of image 1 is 10", [&] { images::read_dataset(directory); });
  fs::remove(third);
  expect_refused("data_batch_3.bin", "cannot be opened", [&] { images::read_dataset(directory); });

  const fs::path hundred = directory / "hundred";
  fs::create_directory(hundred);
  std::vector<std::uint8_t> two(2 * 3074, 200);
  two[0] = two[3074] = 19;  // the coarse labels
  two[1] = 99;
  two[3075] = 0;
  write(hundred / "train.bin", two);
  write(hundred / "test.bin", two);
  const images::Dataset set = images::read_dataset(hundred);
  expect(set.train.count() == 2 && set.train.labels[0] == 99 && set.classes == 100, "CIFAR-100: labels");
  write(hundred / "test.bin", with(two, 1, 100));
  expect_refused("test.bin", "the label of image 0 is 100, must be below 100", [&] { images::read_dataset(hundred); });
}

}  // namespace

int main() {
  const fs::path directory =
      fs::temp_directory_path() /
      ("schatten-images-" + std::to_string(std::hash<std::string>{}(fs::current_path().string())));
  try {
    fs::remove_all(directory);
    check_idx(directory / "idx");
    check_gzip(directory / "gzip");
    check_cifar(directory / "cifar");
    expect_refused("nowhere", "is no directory", [&] { images::read_dataset(directory / "nowhere"); });
    expect_refused("schatten-images", "holds neither", [&] { images::read_dataset(directory); });
  } catch (const std::exception& error) {
    expect(false, error.what());
  }
  fs::remove_all(directory);
  if (failures == 0) std::printf("good files are read, bad ones refused\n");
  return failures == 0 ? 0 : 1;
}
