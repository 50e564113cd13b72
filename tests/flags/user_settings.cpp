// SPDX-License-Identifier: BSD-3-Clause
// A program with the macros that users set, on a thread with a small stack, with matrices far apart.
#define EIGEN_DEFAULT_TO_ROW_MAJOR
#define EIGEN_MAX_ALIGN_BYTES 0
#define EIGEN_NO_DEBUG
#define EIGEN_DONT_PARALLELIZE
#define EIGEN_DEFAULT_DENSE_INDEX_TYPE int  // too narrow for matrices that are far apart
#if defined(SCHATTEN_ENABLE_BLAS)
#define EIGEN_USE_BLAS  // prototypes of the same symbols as ours
#if __has_include(<lapacke.h>)
#include <lapacke.h>
#endif
#endif

#include <Eigen/Core>
#include <Kokkos_Core.hpp>

// All that the library and its dependencies include, before the macros.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <compare>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <numbers>
#include <numeric>
#include <optional>
#include <pthread.h>
#include <random>
#include <semaphore>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

// Of <complex.h>, of windows.h, of Xlib.h, of <sys/sysmacros.h>, and of many a program.
#undef I
#undef major
#undef minor
#define I broken
#define small broken
#define near broken
#define far broken
#define hyper broken
#define interface broken
#define min(a, b) broken
#define max(a, b) broken
#define Bool broken
#define None broken
#define Status broken
#define Success broken
#define True broken
#define False broken
#define Always broken
#define major(x) broken
#define minor(x) broken
#define ERROR broken
#define DELETE broken
#define IN broken
#define OUT broken
#define OPTIONAL broken
#define PI broken
#define EPS broken

#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/distributed/one_process.hpp>
#include <schatten/distributed/sharded_optimizer.hpp>
#include <schatten/interop/eigen.hpp>
#include <schatten/interop/pointers.hpp>
#include <schatten/schatten.hpp>

namespace {

#if defined(KOKKOS_ENABLE_SERIAL)
using Exec = Kokkos::Serial;  // a Kokkos 3 knows OpenMP on one thread alone
#else
using Exec = Kokkos::DefaultHostExecutionSpace;
#endif
using schatten::matrix_view;

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

/// A matrix of small integers, in rows or in columns, `leading` apart.
struct Matrix {
  Matrix(float* memory, std::size_t rows_, std::size_t cols_, bool by_rows, std::size_t leading)
      : view(matrix_view(memory, rows_, cols_, by_rows ? leading : 1, by_rows ? 1 : leading)) {}
  void fill(std::size_t seed) const {
    for (std::size_t i = 0; i < view.extent(0); ++i) {
      for (std::size_t j = 0; j < view.extent(1); ++j) view(i, j) = float(int((7 * i + 5 * j + seed) % 11) - 5);
    }
  }
  decltype(matrix_view(static_cast<float*>(nullptr), 0, 0, 0, 0)) view;
};

bool is_product(const Matrix& c, const Matrix& a, const Matrix& b) {
  bool equal = true;
  for (std::size_t i = 0; i < c.view.extent(0); ++i) {
    for (std::size_t j = 0; j < c.view.extent(1); ++j) {
      float sum = 0;
      for (std::size_t l = 0; l < a.view.extent(1); ++l) sum += a.view(i, l) * b.view(l, j);
      equal = equal && c.view(i, j) == sum;
    }
  }
  return equal;
}

/// Integers have exact products in every order.
template <class Backend>
void products(const char* what) {
  constexpr std::size_t m = 37, k = 29, n = 41, leading = 45;
  for (unsigned orders = 0; orders < 8; ++orders) {
    std::vector<float> memory_a(leading * leading), memory_b(leading * leading), memory_c(leading * leading, 7.0F);
    const Matrix a(memory_a.data(), m, k, (orders & 1U) != 0, leading);
    const Matrix b(memory_b.data(), k, n, (orders & 2U) != 0, leading);
    const Matrix c(memory_c.data(), m, n, (orders & 4U) != 0, leading);
    a.fill(1);
    b.fill(2);
    schatten::Workspace<Kokkos::HostSpace> workspace;
    schatten::linalg::gemm<Backend>(Exec(), 1.0F, a.view, b.view, 0.0F, c.view, workspace);
    check(is_product(c, a, b), what);
  }
}

/// Rows and columns more than 2^31 elements apart, in address space of which a few pages are used.
template <class Backend>
void far_apart(const char* what) {
  constexpr std::size_t stride = (std::size_t{1} << 31) + 64, elements = 3 * stride, bytes = elements * sizeof(float);
  void* const space = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) return (void)std::printf("no address space for matrices far apart\n");
  float* const memory = static_cast<float*>(space);
  for (const bool by_rows : {false, true}) {
    const Matrix a(memory, 3, 3, by_rows, stride), b(memory + 8, 3, 3, !by_rows, stride),
        c(memory + 16, 3, 3, by_rows, stride);
    a.fill(3);
    b.fill(4);
    schatten::Workspace<Kokkos::HostSpace> workspace;
    schatten::linalg::gemm<Backend>(Exec(), 1.0F, a.view, b.view, 0.0F, c.view, workspace);
    check(is_product(c, a, b), what);
  }
  {
    schatten::Optimizer<float, Exec> optimizer;
    std::vector<float> memory_w(9), memory_g(9);
    const Matrix w(memory + 32, 3, 3, true, stride), g(memory + 48, 3, 3, false, stride);
    const Matrix near_w(memory_w.data(), 3, 3, true, 3), near_g(memory_g.data(), 3, 3, true, 3);
    g.fill(5);
    near_g.fill(5);
    const auto group = optimizer.add_group(schatten::HTMuonOptions{});
    optimizer.add(group, "apart", w.view, g.view);
    optimizer.add(group, "close", near_w.view, near_g.view);
    optimizer.step(Exec());
    bool equal = w.view(2, 2) != 0;
    for (std::size_t k = 0; k < 9; ++k) equal = equal && std::abs(w.view(k / 3, k % 3) - memory_w[k]) < 1e-6F;
    check(equal, "a step far apart");
  }
  munmap(space, bytes);
}

/// The map by every method and a step of every kind of group.
void map_and_step() {
  constexpr std::size_t rows = 200, cols = 150;  // more than every block, of which the longest has 128
  std::vector<float> w(rows * cols), g(rows * cols), out(rows * cols);
  const Matrix gradient(g.data(), rows, cols, true, cols);
  gradient.fill(6);
  for (std::size_t k = 0; k < cols; ++k) gradient.view(k, k) += 20;
  using Method = schatten::SpectralMethod;
  for (const Method method : {Method::svd, Method::eigh, Method::rational, Method::iterates, Method::newton_schulz}) {
    schatten::SpectralPower<float, Exec> power({.rows = rows, .cols = cols, .tolerance = 0.3, .method = method});
    power.apply(Exec(), gradient.view, matrix_view(out.data(), rows, cols));
    check(std::isfinite(out[17]), "the map");
  }
  schatten::Optimizer<float, Exec> optimizer;
  const auto add = [&](const char* name, const auto& options) {
    optimizer.add(optimizer.add_group(options), name, matrix_view(w.data(), rows, cols), gradient.view);
    optimizer.step(Exec());
    check(std::isfinite(w[17]) && w[0] != 0, name);
    optimizer.clear();
  };
  add("HTMuon", schatten::HTMuonOptions{});
  add("Muon", schatten::MuonOptions{});
  add("AdamW", schatten::AdamWOptions{});
}

/// A step of rows that are a rank's, and a checkpoint saved and loaded.
void sharded_step_and_checkpoint() {
  constexpr std::size_t rows = 300, cols = 200;
  std::vector<float> w(rows * cols), g(rows * cols), shard(rows * cols);
  const Matrix gradient(g.data(), rows, cols, true, cols);
  gradient.fill(7);
  for (std::size_t k = 0; k < cols; ++k) gradient.view(k, k) += 20;
  const schatten::HTMuonOptions options{.map = {.tolerance = 0.1}};

  using schatten::distributed::OneProcess;
  const OneProcess alone;
  schatten::distributed::ShardedOptimizer<float, Exec, schatten::linalg::DefaultBackend<Exec>, OneProcess> sharded(
      alone);
  sharded.add(sharded.add_group(options), "w", matrix_view(shard.data(), rows, cols), gradient.view,
              {.rows = rows, .cols = cols, .side = schatten::distributed::Side::rows});
  sharded.step(Exec());
  check(std::isfinite(shard[17]) && shard[0] != 0, "a sharded step");

  const std::string path =
      (std::filesystem::temp_directory_path() / ("schatten-user-settings-" + std::to_string(getpid()) + ".safetensors"))
          .string();
  schatten::Optimizer<float, Exec> optimizer;
  optimizer.add(optimizer.add_group(options), "w", matrix_view(w.data(), rows, cols), gradient.view);
  optimizer.step(Exec());
  schatten::checkpoint::save(Exec(), optimizer, path);
  const std::vector<float> saved = w;
  optimizer.step(Exec());
  check(w != saved, "a step after a checkpoint");
  schatten::checkpoint::load(Exec(), optimizer, path);
  std::filesystem::remove(path);
  check(std::memcmp(w.data(), saved.data(), w.size() * sizeof(float)) == 0, "weights of a checkpoint");
}

/// body() on a thread with 128 KiB of stack, fewer than a frame with a packed block of a matrix has.
template <class Body>
void on_a_small_stack(const Body& body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  pthread_t thread;
  void* (*const start)(void*) = [](void* argument) -> void* {
    (*static_cast<const Body*>(argument))();
    return nullptr;
  };
  check(pthread_create(&thread, &attributes, start, const_cast<Body*>(&body)) == 0, "a thread with 128 KiB of stack");
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  products<schatten::linalg::EigenBackend>("a product by Eigen");
  products<schatten::linalg::HostBackend>("a product");
  far_apart<schatten::linalg::EigenBackend>("a product by Eigen, far apart");
  far_apart<schatten::linalg::HostBackend>("a product, far apart");
  on_a_small_stack([] { map_and_step(); });
  on_a_small_stack([] { sharded_step_and_checkpoint(); });
  return failures == 0 ? 0 : 1;
}
