// SPDX-License-Identifier: BSD-3-Clause
#include "momentum_recorder.hpp"

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace character_model {
namespace {

// NumPy's format, version 1: a magic number, the header's length, the header padded to 64 bytes, the elements.
void write_npy(const std::filesystem::path& path, const Matrix<float>& matrix) {
  static_assert(!Matrix<float>::IsRowMajor);
  std::string header = "{'descr': '<f4', 'fortran_order': True, 'shape': (" + std::to_string(matrix.rows()) + ", " +
                       std::to_string(matrix.cols()) + "), }";
  constexpr std::size_t before = 10, unit = 64;
  header.resize((before + header.size() + 1 + unit - 1) / unit * unit - before - 1, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file.write("\x93NUMPY\x01\x00", 8);
  file.put(char(header.size() & 0xff)).put(char(header.size() >> 8));
  file << header;
  file.write(reinterpret_cast<const char*>(matrix.data()), std::streamsize(sizeof(float)) * matrix.size());
  if (!file.flush()) throw std::runtime_error(path.string() + ": cannot be written");
}

}  // namespace

MomentumRecorder::MomentumRecorder(std::filesystem::path directory, int steps)
    : directory_(std::move(directory)), steps_(steps) {
  if (!directory_.empty()) std::filesystem::create_directories(directory_);
}

void MomentumRecorder::record(int step, const std::vector<Parameter<float>>& parameters) {
  if (directory_.empty()) return;
  constexpr float beta = 0.95F;
  const bool write = step == 5 || step == steps_ / 4 || step == steps_ * 3 / 5;
  means_.resize(parameters.size());
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    const Parameter<float>& parameter = parameters[k];
    if (parameter.role != Role::hidden) continue;
    Matrix<float>& mean = means_[k];
    if (mean.size() == 0) mean.setZero(parameter.gradient.rows(), parameter.gradient.cols());
    mean = beta * mean + (1 - beta) * parameter.gradient;
    if (!write) continue;
    const Matrix<float> momentum = beta * mean + (1 - beta) * parameter.gradient;
    write_npy(directory_ / (parameter.name + "_" + std::to_string(step) + ".npy"), momentum);
  }
}

}  // namespace character_model
