// SPDX-License-Identifier: BSD-3-Clause
// Eigen-decomposition of one symmetric host matrix: Householder tridiagonalisation, then implicitly shifted QR.
#pragma once

#include <schatten/linalg/host/rotations.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// a ← a − αx − βy and y2 ← y2 + γa; returns Σ_i a_i z_i: n contiguous elements each.
template <class T>
T subtract_add_and_dot(std::ptrdiff_t n, T* a, T alpha, const T* x, T beta, const T* y, const T* z, T gamma, T* sum) {
  using kernel::load;
  constexpr std::ptrdiff_t lanes = kernel::lanes<T>;
  kernel::Vector<T> products{};
  std::ptrdiff_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const kernel::Vector<T> now = load(a + i) - alpha * load(x + i) - beta * load(y + i);
    kernel::store<T>(now, a + i);
    kernel::store<T>(load(sum + i) + gamma * now, sum + i);
    products += now * load(z + i);
  }
  T total = 0;
  for (std::ptrdiff_t l = 0; l < lanes; ++l) total += products[l];
  for (; i < n; ++i) {
    a[i] -= alpha * x[i] + beta * y[i];
    sum[i] += gamma * a[i];
    total += a[i] * z[i];
  }
  return total;
}

/// A = Q T Qᵀ, T tridiagonal with `diagonal` (n) and `beside` (n, the last one zero), Q = H₀H₁⋯H_{n−2}.
///
/// Reads the lower triangle of A (n×n, column-major); leaves reflection k below (k+1, k) and τ in tau (n). `scratch`:
/// 3n. The update A ← A − vwᵀ − wvᵀ of one step and the product Av of the next are one pass. Cost: 4n³/3 flops.
template <class T>
void tridiagonalize(const HostMatrix<T>& a, double* diagonal, double* beside, T* tau, T* scratch) {
  const std::ptrdiff_t n = a.rows;
  T *w = scratch, *y = scratch + n, *const none = scratch + 2 * n;
  std::fill_n(none, n, T(0));
  std::fill_n(w, n, T(0));
  const T* v = none;  // of the step before: v and w are zero before the first
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    for (std::ptrdiff_t i = k; i < n; ++i) a(i, k) -= v[i] * w[k] + w[i] * v[k];
    diagonal[k] = double(a(k, k));
    beside[k] = 0;
    tau[k] = T(0);
    if (k + 1 == n) return;
    tau[k] = make_reflection(a(k + 1, k), &a(k + 1, k) + 1, n - k - 2);
    beside[k] = double(a(k + 1, k));
    a(k + 1, k) = T(1);
    const T* const next = a.data + k * a.col_stride;  // v of this step, at its own rows
    std::fill(y + k + 1, y + n, T(0));
    for (std::ptrdiff_t j = k + 1; j < n; ++j) {
      T* const column = a.data + j * a.col_stride;
      column[j] -= T(2) * v[j] * w[j];
      y[j] += column[j] * next[j] + subtract_add_and_dot(n - j - 1, column + j + 1, w[j], v + j + 1, v[j], w + j + 1,
                                                         next + j + 1, next[j], y + j + 1);
    }
    const T half = T(0.5) * tau[k] * tau[k] * dot(n - k - 1, y + k + 1, next + k + 1);
    for (std::ptrdiff_t i = k + 1; i < n; ++i) y[i] = tau[k] * y[i] - half * next[i];
    std::swap(w, y);
    v = next;
  }
}

/// T ← diag(λ), Q ← Q·G with T = G diag(λ) Gᵀ, T tridiagonal as above; λ in `diagonal`, in no order.
///
/// Q (n columns) as ColumnRotations wants it. Rotations are found in double and applied in T. False without
/// convergence. Shift: the eigenvalue of the last 2×2 block that is nearer to its last entry (Wilkinson).
template <class T>
bool tridiagonal_qr(std::ptrdiff_t n, double* diagonal, double* beside, const HostMatrix<T>& q) {
  constexpr double epsilon = 0.5 * double(std::numeric_limits<T>::epsilon());
  constexpr std::ptrdiff_t steps_each = 60;  // two or three are usual
  double norm = 0;
  for (std::ptrdiff_t k = 0; k < n; ++k) norm = (std::max)({norm, std::abs(diagonal[k]), std::abs(beside[k])});
  ColumnRotations<T> rotations(q);
  for (std::ptrdiff_t left = steps_each * n, high = n - 1; high > 0;) {
    const auto negligible = [&](std::ptrdiff_t k) {
      return std::abs(beside[k]) <= epsilon * (std::abs(diagonal[k]) + std::abs(diagonal[k + 1]) + epsilon * norm);
    };
    if (negligible(high - 1)) {
      --high;
      continue;
    }
    if (left-- == 0) return false;
    std::ptrdiff_t low = high - 1;
    while (low > 0 && !negligible(low - 1)) --low;
    if (low > 0) beside[low - 1] = 0;
    const double half = 0.5 * (diagonal[high - 1] - diagonal[high]), off = beside[high - 1];
    const double root = std::hypot(half, off);
    const double shift = diagonal[high] - off * (off / (half + (half > 0 ? root : -root)));
    double f = diagonal[low] - shift, g = beside[low];
    rotations.begin(low);
    for (std::ptrdiff_t k = low; k < high; ++k) {
      const PlaneRotation r(f, g);
      if (k > low) beside[k - 1] = r.length;
      const double first = diagonal[k], last = diagonal[k + 1], middle = beside[k];
      const double row = r.c * first + r.s * middle, turned = r.c * middle + r.s * last;  // first row of GT
      const double below = r.c * middle - r.s * first, corner = r.c * last - r.s * middle;
      diagonal[k] = r.c * row + r.s * turned;
      diagonal[k + 1] = r.c * corner - r.s * below;
      beside[k] = r.c * turned - r.s * row;
      f = beside[k];
      if (k + 1 < high) {
        g = r.s * beside[k + 1];
        beside[k + 1] *= r.c;
      }
      rotations.add(r);
    }
  }
  rotations.flush();
  return true;
}

/// Scalars of work that host_eigh needs.
inline std::size_t host_eigh_work(std::ptrdiff_t n) {
  return std::size_t(householder::leading(n) * n + 4 * n) + householder::scratch(n, n);
}

/// a (n×n, symmetric, contiguous columns) ← its eigenvectors in columns, lambda (n) ascending. Reads the lower
/// triangle. False without convergence. `work`: host_eigh_work(n) scalars. Backward stable. Cost: about 9n³ flops.
template <class T>
bool host_eigh(std::ptrdiff_t n, T* a, T* lambda, T* work) {
  const HostMatrix<T> matrix = col_major_matrix(a, n, n);
  const std::ptrdiff_t stride = householder::leading(n);
  const HostMatrix<T> q{work, n, n, 1, stride};
  T *const tau = work + stride * n, *const scratch = tau + n;
  std::vector<double> diagonal(std::size_t(n), 0.0), beside(std::size_t(n), 0.0);
  const double scale = divide_by_largest(matrix);
  tridiagonalize(matrix, diagonal.data(), beside.data(), tau, scratch);
  std::fill_n(q.data, stride * n, T(0));
  for (std::ptrdiff_t k = 0; k < n; ++k) q(k, k) = T(1);
  if (n > 1) {
    const HostMatrix<const T> reflections{a + 1, n - 1, n - 1, 1, n};
    apply_reflections(reflections, tau, true, block(q, 1, 1, n - 1, n - 1), scratch);
  }
  if (!tridiagonal_qr(n, diagonal.data(), beside.data(), q)) return false;
  std::vector<std::ptrdiff_t> place(std::size_t(n), 0);
  std::iota(place.begin(), place.end(), std::ptrdiff_t{0});
  std::stable_sort(place.begin(), place.end(), [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    return diagonal[std::size_t(i)] < diagonal[std::size_t(j)];
  });
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    const std::ptrdiff_t from = place[std::size_t(k)];
    lambda[k] = T(diagonal[std::size_t(from)] * scale);
    std::copy_n(q.data + from * stride, n, a + k * n);
    normalize_column(n, a + k * n);
  }
  return true;
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
