// SPDX-License-Identifier: BSD-3-Clause
// Matrices of float in NumPy's format, as examples/character_model records them, and the error of a map of them.
#pragma once

#include "support.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

/// The matrix of a file in NumPy's format: float32, two extents, either order. Throws std::runtime_error.
inline Matrix<float> read_npy(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  char start[10] = {};
  file.read(start, sizeof(start));
  const auto byte = [&](int k) { return std::size_t(static_cast<unsigned char>(start[k])); };
  std::string header(byte(8) + 256 * byte(9), ' ');
  file.read(header.data(), std::streamsize(header.size()));
  const auto shape = header.find("'shape': ("), comma = header.find(',', shape + 1);
  if (!file || header.find("'<f4'") == std::string::npos || shape == std::string::npos) {
    throw std::runtime_error(path.string() + ": not a matrix of float32 in NumPy's format");
  }
  const std::size_t rows = std::strtoull(&header[shape + 10], nullptr, 10);
  const std::size_t cols = std::strtoull(&header[comma + 1], nullptr, 10);
  Matrix<float> m("bench::momentum", rows, cols);
  std::vector<float> elements(rows * cols);
  file.read(reinterpret_cast<char*>(elements.data()), std::streamsize(sizeof(float) * elements.size()));
  if (!file) throw std::runtime_error(path.string() + ": too short");
  const bool by_columns = header.find("'fortran_order': True") != std::string::npos;
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) m(i, j) = elements[by_columns ? i + j * rows : i * cols + j];
  }
  return m;
}

/// The .npy files of a directory, in the order of their names.
inline std::vector<std::filesystem::path> momentum_files(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".npy") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// All matrices of a directory, in the order of their names.
inline std::vector<Matrix<float>> read_momenta(const std::filesystem::path& directory) {
  std::vector<Matrix<float>> matrices;
  for (const auto& path : momentum_files(directory)) matrices.push_back(read_npy(path));
  return matrices;
}

/// The value that a share q of the values does not exceed, between two of them linearly.
inline double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double place = q * double(values.size() - 1);
  const auto below = std::size_t(place), above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - double(below)) * (values[above] - values[below]);
}

}  // namespace bench
