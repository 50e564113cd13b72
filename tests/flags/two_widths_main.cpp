// SPDX-License-Identifier: BSD-3-Clause
// Two units of one program that were compiled for different processors compute the same.
#include <Kokkos_Core.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

using Decompose = void(const std::vector<float>& a, std::size_t rows, std::size_t cols, std::vector<float>& sigma,
                       std::vector<float>& gram);
Decompose decompose_plain, decompose_avx2;

namespace {

bool close(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    difference += std::pow(double(a[k]) - double(b[k]), 2);
    size += std::pow(double(a[k]), 2);
  }
  return std::sqrt(difference) < 1e-5 * std::sqrt(size);
}

}  // namespace

int main(int argc, char** argv) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    std::printf("this processor has no AVX2\n");
    return 77;  // skipped
  }
  const Kokkos::ScopeGuard kokkos(argc, argv);
  constexpr std::size_t rows = 201, cols = 101;
  std::vector<float> a(rows * cols);
  for (std::size_t k = 0; k < a.size(); ++k) a[k] = float(k * 7919 % 101) - 50.0F;
  std::vector<float> sigma[2] = {std::vector<float>(cols), std::vector<float>(cols)};
  std::vector<float> gram[2] = {std::vector<float>(cols * cols), std::vector<float>(cols * cols)};
  decompose_plain(a, rows, cols, sigma[0], gram[0]);
  decompose_avx2(a, rows, cols, sigma[1], gram[1]);
  const bool equal = close(sigma[0], sigma[1]) && close(gram[0], gram[1]);
  if (!equal) std::printf("singular values %g and %g\n", double(sigma[0][0]), double(sigma[1][0]));
  return equal ? 0 : 1;
}
