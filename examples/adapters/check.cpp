// SPDX-License-Identifier: BSD-3-Clause
// What the adapters compute beside UΣ^pVᵀ in double, at p = 0 and p = 1/8, for host memory.
#include "puffer_muon.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

extern "C" {
void* muon_plan_create(int Bmax, int M, int N);
void muon_plan_destroy(void* plan);
int schatten_muon_plan_set_power(void* plan, double power);
void muon_plan_run(void* plan, void* x_bf16, long long B, int M, int N, int steps, int coeff_mode, void* stream);
void muon(void* x_bf16, long long B, int M, int N, int steps, int coeff_mode, void* stream);
}

namespace {

using Bits = std::uint16_t;
using schatten::BFloat16;

// A row-major matrix in double.
struct Matrix {
  int rows, cols;
  std::vector<double> x;
  Matrix(int m, int n) : rows(m), cols(n), x(std::size_t(m) * std::size_t(n)) {}
  double& operator()(int i, int j) { return x[std::size_t(i) * std::size_t(cols) + std::size_t(j)]; }
  double operator()(int i, int j) const { return x[std::size_t(i) * std::size_t(cols) + std::size_t(j)]; }
};

// UΣ^pVᵀ by one-sided Jacobi: plane rotations of the columns until they are orthogonal. rows >= cols.
Matrix power_of_tall(Matrix a, double p) {
  Matrix v(a.cols, a.cols);
  for (int j = 0; j < a.cols; ++j) v(j, j) = 1;
  for (int sweep = 0; sweep < 30; ++sweep) {
    for (int j = 0; j < a.cols; ++j) {
      for (int k = j + 1; k < a.cols; ++k) {
        double jj = 0, kk = 0, jk = 0;
        for (int i = 0; i < a.rows; ++i) {
          jj += a(i, j) * a(i, j);
          kk += a(i, k) * a(i, k);
          jk += a(i, j) * a(i, k);
        }
        const double angle = 0.5 * std::atan2(2 * jk, jj - kk), c = std::cos(angle), s = std::sin(angle);
        const auto rotate = [&](Matrix& m) {
          for (int i = 0; i < m.rows; ++i) {
            const double x = m(i, j), y = m(i, k);
            m(i, j) = c * x + s * y;
            m(i, k) = c * y - s * x;
          }
        };
        rotate(a);
        rotate(v);
      }
    }
  }
  Matrix out(a.rows, a.cols);
  for (int k = 0; k < a.cols; ++k) {
    double sigma = 0;
    for (int i = 0; i < a.rows; ++i) sigma += a(i, k) * a(i, k);
    sigma = std::sqrt(sigma);
    for (int i = 0; i < a.rows; ++i) {
      for (int j = 0; j < a.cols; ++j) out(i, j) += a(i, k) * std::pow(sigma, p - 1) * v(j, k);
    }
  }
  return out;
}

Matrix transpose(const Matrix& a) {
  Matrix t(a.cols, a.rows);
  for (int i = 0; i < a.rows; ++i) {
    for (int j = 0; j < a.cols; ++j) t(j, i) = a(i, j);
  }
  return t;
}

Matrix power_of(const Matrix& a, double p) {
  return a.rows >= a.cols ? power_of_tall(a, p) : transpose(power_of_tall(transpose(a), p));
}

// Random bfloat16 numbers whose rows shrink by a factor of 20 from the first to the last.
std::vector<Bits> random_bits(int batch, int rows, int cols, unsigned seed) {
  std::vector<Bits> bits;
  for (int k = 0; k < batch * rows * cols; ++k) {
    seed = 1664525u * seed + 1013904223u;
    const double row = double(k / cols % rows) / rows;
    bits.push_back(BFloat16((double(seed >> 8) / double(1 << 23) - 1.0) * std::pow(0.05, row)).bits);
  }
  return bits;
}

Matrix matrix_at(const Bits* bits, int rows, int cols) {
  Matrix a(rows, cols);
  for (std::size_t k = 0; k < a.x.size(); ++k) a.x[k] = double(std::bit_cast<BFloat16>(bits[k]));
  return a;
}

// ‖a − b‖_F/‖b‖_F.
double error_of(const Matrix& a, const Matrix& b) {
  double difference = 0, norm = 0;
  for (std::size_t k = 0; k < a.x.size(); ++k) {
    difference += (a.x[k] - b.x[k]) * (a.x[k] - b.x[k]);
    norm += b.x[k] * b.x[k];
  }
  return std::sqrt(difference / norm);
}

bool passed = true;

void report(const std::string& what, double error, double most) {
  std::printf("%-6s %s: off by %.4f, at most %.4f\n", error <= most ? "ok" : "FAILED", what.c_str(), error, most);
  passed = passed && error <= most;
}

void check_nmoe(int rows, int cols) {
  const int batch = 3;
  const std::vector<Bits> x = random_bits(batch, rows, cols, 1);
  void* const plan = muon_plan_create(batch, rows, cols);
  report("nmoe, a plan is made", plan == nullptr ? 1 : 0, 0);
  if (plan == nullptr) return;
  for (const double p : {0.0, 0.125}) {
    std::vector<Bits> y = x;
    schatten_muon_plan_set_power(plan, p);
    muon_plan_run(plan, y.data(), batch, rows, cols, 5, 0, nullptr);
    double worst = 0;
    for (int b = 0; b < batch; ++b) {
      const auto at = std::size_t(b * rows * cols);
      const Matrix wanted = power_of(matrix_at(x.data() + at, rows, cols), p);
      worst = std::max(worst, error_of(matrix_at(y.data() + at, rows, cols), wanted));
    }
    // 3 % are promised, and rounding to bfloat16 is 0.4 % at most.
    report("nmoe " + std::to_string(rows) + "x" + std::to_string(cols) + ", p = " + std::to_string(p), worst, 0.034);
  }
  std::vector<Bits> y = x;
  muon_plan_run(plan, y.data(), batch + 1, rows, cols, 5, 0, nullptr);
  report("nmoe, more matrices than the plan has room for: nothing is touched", y == x ? 0 : 1, 0);
  muon_plan_destroy(plan);
  muon(y.data(), batch, rows, cols, 5, 0, nullptr);
  report("nmoe, without a plan",
         error_of(matrix_at(y.data(), rows, cols), power_of(matrix_at(x.data(), rows, cols), 0)), 0.034);
}

// What of PufferLib's types the adapter uses.
struct Registered {
  long shape[8];
};
struct Allocator {
  int num_regs;
  std::vector<Registered> regs;
};
struct FloatTensor {
  float* data;
};
struct PrecisionTensor {
  Bits* data;
};

void check_puffer(double p) {
  Allocator parameters{3, {{{10, 6}}, {{5}}, {{4, 3, 3}}}};  // 60, 5 and 36 elements at 0, 64 and 72
  Muon m;
  muon_init(&m, &parameters, 0.9, &parameters);
  *m.lr = 0.5F;
  muon_set_power(&m, p);
  std::vector<float> weights(112, 1.0F);
  std::vector<Bits> gradients(112, 0);
  const std::vector<Bits> first = random_bits(1, 10, 6, 2), last = random_bits(1, 4, 9, 3);
  std::copy(first.begin(), first.end(), gradients.begin());
  std::copy(last.begin(), last.end(), gradients.begin() + 72);
  gradients[64] = BFloat16(0.25F).bits;
  muon_step(&m, FloatTensor{weights.data()}, PrecisionTensor{gradients.data()}, 1e9F);

  // The first step's momentum is g, with Nesterov (1 + 0.9)g; the map multiplies that factor's p-th power.
  const auto check = [&](const std::string& name, int rows, int cols, std::size_t offset) {
    Matrix wanted = power_of(matrix_at(gradients.data() + offset, rows, cols), p), moved(rows, cols);
    for (std::size_t k = 0; k < moved.x.size(); ++k) {
      wanted.x[k] *= 0.5 * std::pow(1.9, p) * std::sqrt(std::max(1.0, double(rows) / cols));
      moved.x[k] = 1.0 - double(weights[offset + k]);
    }
    report("puffer " + name + ", p = " + std::to_string(p), error_of(moved, wanted), 0.03);
  };
  check("10x6", 10, 6, 0);
  check("4x3x3", 4, 9, 72);
  report("puffer vector", std::abs(1.0 - double(weights[64]) - 0.5 * 1.9 * 0.25), 1e-6);
  double padding = 0;
  for (const std::size_t k : {60, 63, 69, 71, 108, 111}) padding += std::abs(double(weights[k]) - 1.0);
  report("puffer, what lies between the entries", padding, 0);

  muon_step(&m, FloatTensor{weights.data()}, PrecisionTensor{gradients.data()}, 0.5F);
  double squares = 0;
  for (const Bits g : gradients) squares += std::pow(double(std::bit_cast<BFloat16>(g)), 2);
  report("puffer, gradients clipped to a norm of 0.5", std::abs(std::sqrt(squares) - 0.5), 0.002);
}

}  // namespace

int main() {
  schatten::start_kokkos(2);
  check_nmoe(24, 16);
  check_nmoe(16, 24);
  check_puffer(0.0);
  check_puffer(0.125);
  Kokkos::finalize();
  return passed ? 0 : 1;
}
