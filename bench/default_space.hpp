// SPDX-License-Identifier: BSD-3-Clause
// Matrices and the rate of products on Kokkos' default execution space, a device's or the host's.
#pragma once

#include "support.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using DefaultExec = Kokkos::DefaultExecutionSpace;

/// Matrices in its memory, as a training code with row-major arrays has them.
template <class T>
using DefaultMatrices = Kokkos::View<T***, Kokkos::LayoutRight, DefaultExec::memory_space>;
template <class T>
using DefaultMatrix = Kokkos::View<T**, Kokkos::LayoutRight, DefaultExec::memory_space>;

/// Numbers of mean 0 and variance 1, nearly normal: each is a sum of four uniform numbers from the bits of its index's
/// hash.
template <class T, class Space>
struct FillNormal {
  std::uint64_t seed;
  schatten::BatchView<T, Space> a;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const std::uint64_t index = (b * a.extent(1) + i) * a.extent(2) + j + 1;
    std::uint64_t x = 0x9e3779b97f4a7c15ULL * ((seed << 32) + index);  // SplitMix64
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    float sum = 0;
    for (int k = 0; k < 4; ++k) sum += float((x >> (16 * k)) & 0xffff);
    constexpr float mean = 2 * 65535, deviation = 65536 / 1.7320508f;
    a(b, i, j) = T((sum - mean) / deviation);
  }
};

/// Fills a View of rank 2 or 3; the same numbers in every run and on every machine. Asynchronous.
template <class V>
void fill_normal(const DefaultExec& exec, const V& view, std::uint64_t seed) {
  const auto a = schatten::as_batch<DefaultExec>(view);
  using Fill = FillNormal<typename V::value_type, DefaultExec::memory_space>;
  schatten::for_each_element(exec, "bench::fill_normal", a.extent(0), a.extent(1), a.extent(2), Fill{seed, a});
}

template <class T>
DefaultMatrices<T> normal_matrices(const DefaultExec& exec, std::size_t batch, const Shape& shape, std::uint64_t seed) {
  DefaultMatrices<T> a(Kokkos::view_alloc(Kokkos::WithoutInitializing, "bench::normal"), batch, shape.rows, shape.cols);
  fill_normal(exec, a, seed);
  return a;
}

/// Flop/s of the product (m×n)(n×n) of `batch` matrices stored as T, n the short side: the median of nine, measured
/// once a run. Each of the nine is as many calls as take milliseconds, and a fence.
template <class T>
double product_rate(const DefaultExec& exec, const Shape& shape, std::size_t batch) {
  static std::map<std::pair<Shape, std::size_t>, double> known;
  const auto found = known.find({shape, batch});
  if (found != known.end()) return found->second;
  const std::size_t n = shape.short_side(), m = shape.long_side();
  const auto a = normal_matrices<T>(exec, batch, {m, n}, 1), b = normal_matrices<T>(exec, batch, {n, n}, 2),
             c = normal_matrices<T>(exec, batch, {m, n}, 3);
  schatten::Workspace<DefaultExec::memory_space> workspace;
  const auto seconds_of = [&](int calls) {
    exec.fence();
    const auto start = std::chrono::steady_clock::now();
    for (int k = 0; k < calls; ++k) schatten::linalg::gemm(exec, 1, a, b, 0, c, workspace);
    exec.fence();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
  };
  seconds_of(1);  // warms up
  const int calls = int(std::clamp(5e-3 / seconds_of(1), 1.0, 1000.0));
  std::vector<double> seconds;
  for (int k = 0; k < 9; ++k) seconds.push_back(seconds_of(calls));
  std::nth_element(seconds.begin(), seconds.begin() + 4, seconds.end());
  return known[{shape, batch}] = 2.0 * double(batch) * double(m) * double(n) * double(n) / seconds[4];
}

/// Whether the default backend multiplies numbers of 16 bits.
inline constexpr bool has_reduced_floats =
    schatten::linalg::multiplies_reduced_floats<schatten::linalg::DefaultBackend<DefaultExec>>;

/// The same in a plan's format, for float matrices.
inline double product_rate(const DefaultExec& exec, const Shape& shape, std::size_t batch, schatten::Format format) {
  if (format == schatten::Format::float64) return product_rate<double>(exec, shape, batch);
  if constexpr (has_reduced_floats) {
    if (format == schatten::Format::float16) return product_rate<schatten::Half>(exec, shape, batch);
    if (format == schatten::Format::bfloat16) return product_rate<schatten::BFloat16>(exec, shape, batch);
  }
  return product_rate<float>(exec, shape, batch);
}

}  // namespace bench
