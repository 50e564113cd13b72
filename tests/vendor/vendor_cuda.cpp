// SPDX-License-Identifier: BSD-3-Clause
// Every wrapper of the vendor layer, compiled and linked; run where there is a device.

#include <schatten/linalg/backend/vendor/cublas.hpp>
#include <schatten/linalg/backend/vendor/cusolver.hpp>

#include <cmath>
#include <cstdio>
#include <limits>
#include <type_traits>
#include <vector>

namespace {

using namespace schatten::linalg::vendor;

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

/// Device memory.
template <class T>
class Array {
 public:
  explicit Array(std::size_t size) : size_(size) { check(cudaMalloc(&data_, size * sizeof(T) + 1), "cudaMalloc"); }
  explicit Array(const std::vector<T>& values) : Array(values.size()) {
    check(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { cudaFree(data_); }
  [[nodiscard]] T* data() const { return static_cast<T*>(data_); }
  [[nodiscard]] std::vector<T> values() const {
    std::vector<T> copy(size_);
    check(cudaMemcpy(copy.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return copy;
  }

 private:
  void* data_ = nullptr;
  std::size_t size_;
};

constexpr std::int64_t rows = 7, cols = 4;

/// Entry (i, j) of a matrix of full rank.
double entry(std::int64_t i, std::int64_t j) { return std::sin(double(3 * i + 5 * j + 1)) + (i == j ? 2.0 : 0.0); }

template <class T>
std::vector<T> matrix(std::int64_t m, std::int64_t n) {
  std::vector<T> a;
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t i = 0; i < m; ++i) a.push_back(static_cast<T>(static_cast<float>(entry(i, j))));
  }
  return a;
}

/// Largest |Σ_k left(i, k) middle(k) right(j, k) − A(i, j)|.
template <class T>
double distance(const std::vector<T>& left, const std::vector<T>& middle, const std::vector<T>& right,
                const std::vector<T>& a, std::int64_t m, std::int64_t n) {
  double worst = 0;
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < n; ++k) {
        sum += double(left[std::size_t(i + k * m)]) * double(middle[std::size_t(k)]) *
               double(right[std::size_t(j + k * n)]);
      }
      worst = std::max(worst, std::abs(sum - double(a[std::size_t(i + j * m)])));
    }
  }
  return worst;
}

/// C ← AᵀA of two matrices at once, and by syrk and syrkx where the type has them.
template <class T>
void check_products(const Handles& handles, double tolerance) {
  std::vector<T> pair = matrix<T>(rows, cols);
  const std::vector<T> one = pair;
  pair.insert(pair.end(), one.begin(), one.end());
  const Array<T> a(pair), c(std::size_t(2 * cols * cols));
  const Matrices<const T> m{a.data(), rows, cols, rows, rows * cols};
  Matrices<const T> transposed = m;
  transposed.op = CUBLAS_OP_T;
  const Matrices<T> gram{c.data(), cols, cols, cols, cols * cols};
  const auto right = [&](const std::vector<T>& values, std::int64_t first, const char* what) {
    for (std::int64_t j = 0; j < cols; ++j) {
      for (std::int64_t i = j; i < cols; ++i) {
        double sum = 0;
        for (std::int64_t k = 0; k < rows; ++k) {
          sum += double(static_cast<float>(one[std::size_t(k + i * rows)])) *
                 double(static_cast<float>(one[std::size_t(k + j * rows)]));
        }
        const double value = double(static_cast<typename Type<T>::Sum>(values[std::size_t(first + i + j * cols)]));
        expect(std::abs(value - sum) <= tolerance * 20, what);
      }
    }
  };
  for (const FloatProducts products : {FloatProducts::float32, FloatProducts::tf32}) {
    gemm<T>(handles, 1, transposed, m, 0, gram, 2, products);
    const auto values = c.values();
    const bool rounded = products == FloatProducts::tf32 && std::is_same_v<T, float>;
    if (!rounded) right(values, 0, "gemm, first matrix");
    if (!rounded) right(values, cols * cols, "gemm, second matrix");
  }
  if constexpr (Decomposable<T>) {
    syrk<T>(handles, 1, transposed, 0, gram);
    right(c.values(), 0, "syrk");
    syrkx<T>(handles, 1, transposed, transposed, 0, gram);
    right(c.values(), 0, "syrkx");
  }
}

/// Scratch memory of the size that was asked for.
struct ScratchMemory {
  explicit ScratchMemory(const ScratchBytes& bytes)
      : device(bytes.device), host(bytes.host), info(std::vector<int>{untouched, untouched}), sizes(bytes) {}
  [[nodiscard]] Scratch scratch() { return {device.data(), sizes.device, host.data(), sizes.host, info.data()}; }
  /// The first `statuses` are success, no other was written.
  void check_status(const char* call, std::size_t statuses = 1) const {
    const std::vector<int> values = info.values();
    for (std::size_t k = 0; k < values.size(); ++k) {
      expect(values[k] == (k < statuses ? 0 : untouched), call);
    }
  }
  static constexpr int untouched = -9;
  Array<char> device;
  std::vector<char> host;
  Array<int> info;
  ScratchBytes sizes;
};

template <Decomposable T>
void check_decompositions(const Handles& handles) {
  const double tolerance = 200 * double(std::numeric_limits<T>::epsilon());
  const std::vector<T> values = matrix<T>(rows, cols), ones(std::size_t(cols), T(1));
  {
    const Array<T> a(values), sigma{std::size_t(cols)}, u{std::size_t(rows * cols)}, v{std::size_t(cols * cols)};
    const Matrices<T> m{a.data(), rows, cols, rows}, left{u.data(), rows, cols, rows},
        right{v.data(), cols, cols, cols};
    ScratchMemory memory(svd_scratch<T>(handles, m, sigma.data(), left, right));
    svd<T>(handles, m, sigma.data(), left, right, memory.scratch());
    memory.check_status("svd");
    expect(distance(u.values(), sigma.values(), v.values(), values, rows, cols) <= tolerance, "svd");
  }
  const std::vector<T> square = matrix<T>(cols, cols);
  std::vector<T> definite(square.size());
  for (std::int64_t i = 0; i < cols; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      T sum = i == j ? T(1) : T(0);
      for (std::int64_t k = 0; k < cols; ++k) {
        sum += square[std::size_t(k + i * cols)] * square[std::size_t(k + j * cols)];
      }
      definite[std::size_t(i + j * cols)] = sum;
    }
  }
  {
    const Array<T> a(definite), lambda{std::size_t(cols)};
    const Matrices<T> m{a.data(), cols, cols, cols};
    ScratchMemory memory(eigh_scratch<T>(handles, m, lambda.data()));
    eigh<T>(handles, m, lambda.data(), memory.scratch());
    memory.check_status("eigh");
    expect(distance(a.values(), lambda.values(), a.values(), definite, cols, cols) <= 20 * tolerance, "eigh");
  }
  {
    const Array<T> a(definite);
    const Matrices<T> m{a.data(), cols, cols, cols};
    ScratchMemory memory(cholesky_scratch<T>(handles, m));
    cholesky<T>(handles, m, memory.scratch());
    memory.check_status("cholesky");
    std::vector<T> l = a.values();
    for (std::int64_t j = 0; j < cols; ++j) {
      for (std::int64_t i = 0; i < j; ++i) l[std::size_t(i + j * cols)] = T(0);
    }
    expect(distance(l, ones, l, definite, cols, cols) <= 20 * tolerance, "cholesky");
  }
  {
    const Array<T> a(values), tau{std::size_t(cols)};
    const Matrices<T> m{a.data(), rows, cols, rows};
    ScratchMemory memory(qr_scratch<T>(handles, m, tau.data()));
    qr<T>(handles, m, tau.data(), memory.scratch());
    qr_basis<T>(handles, m, tau.data(), memory.scratch());
    memory.check_status("qr", 2);
    const std::vector<T> q = a.values();
    for (std::int64_t i = 0; i < cols; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < rows; ++k) {
          sum += double(q[std::size_t(k + i * rows)]) * double(q[std::size_t(k + j * rows)]);
        }
        expect(std::abs(sum - (i == j ? 1 : 0)) <= tolerance, "qr_basis");
      }
    }
  }
}

}  // namespace

int main() {
  try {
    check_info(3, "cusolverDnXpotrf");
    expect(false, "a status of 3 is an error");
  } catch (const schatten::NumericalError& error) {
    expect(error.what() == std::string("schatten: cusolverDnXpotrf: no result, info = 3"), error.what());
  }
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("no device: compiled and linked, not run\n");
    return failures;
  }
  const Handles handles;
  check_products<float>(handles, 1e-6);
  check_products<double>(handles, 1e-14);
  check_products<__half>(handles, 2e-3);
  check_products<__nv_bfloat16>(handles, 2e-2);
  check_decompositions<float>(handles);
  check_decompositions<double>(handles);
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
