// SPDX-License-Identifier: BSD-3-Clause
// QR decomposition in plain Kokkos kernels: the portable backend's orthonormal_basis.
#pragma once

#include <schatten/linalg/backend/portable.hpp>

#include <algorithm>
#include <limits>

namespace schatten::linalg::backend {

/// Start of the reflections: rows of `work` are the columns of A over its largest entry, rows of `q` those of the
/// identity. Where A holds a NaN or an infinity (its scale is NaN then), both are NaN throughout.
template <class T, class Space>
struct QrStart {
  BatchView<const T, Space> a;
  NumberBatchView<double, Space> scale;
  BatchView<double, Space> work, q;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t column) const {
    const bool finite = is_finite(scale(b));
    const double unit = scale(b) == 0.0 ? 1.0 : scale(b);
    for (std::size_t i = 0; i < work.extent(2); ++i) {
      work(b, column, i) = finite ? double(a(b, i, column)) / unit : unit;
      q(b, column, i) = finite ? double(i == column) : unit;
    }
  }
};

/// The reflection I − τvvᵀ that makes entries k+1.. of column k zero: v replaces the entries from k on, sign(b, k) is
/// the sign of R's diagonal. τ = 0 where the column is zero there.
template <class Space>
struct QrReflection {
  BatchView<double, Space> work;
  NumberBatchView<double, Space> scale;
  VectorBatchView<double, Space> tau, sign;
  std::size_t k;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    constexpr double negligible = (std::numeric_limits<double>::min)() / std::numeric_limits<double>::epsilon();
    tau(b, k) = 0;
    sign(b, k) = 1;
    if (!is_finite(scale(b))) return;
    double square = 0;
    for (std::size_t i = k; i < work.extent(2); ++i) square += work(b, k, i) * work(b, k, i);
    if (square < negligible) return;
    const double first = work(b, k, k), norm = math::sqrt(square);
    sign(b, k) = first < 0 ? 1 : -1;  // v₀ = first ± norm without cancellation
    work(b, k, k) = first - sign(b, k) * norm;
    tau(b, k) = 1 / (norm * (norm + (first < 0 ? -first : first)));
  }
};

/// Row first + j of x ← (I − τvvᵀ) times it, v from row k of `work`.
template <class Space>
struct QrApply {
  BatchView<double, Space> work;
  VectorBatchView<double, Space> tau;
  std::size_t k, first;
  BatchView<double, Space> x;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t j) const {
    const double factor = tau(b, k);
    if (factor == 0.0) return;
    double sum = 0;
    for (std::size_t i = k; i < work.extent(2); ++i) sum += work(b, k, i) * x(b, first + j, i);
    for (std::size_t i = k; i < work.extent(2); ++i) x(b, first + j, i) -= factor * sum * work(b, k, i);
  }
};

/// Column `column` of Q with the sign that makes R's diagonal not negative.
template <class T, class Space>
struct QrFinish {
  BatchView<const double, Space> rows;
  VectorBatchView<double, Space> sign;
  BatchView<T, Space> q;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t column) const {
    for (std::size_t i = 0; i < q.extent(1); ++i) q(b, i, column) = T(sign(b, column) * rows(b, column, i));
  }
};

/// Q of the thin QR decomposition by Householder reflections, in double. Cost: 4n²m − 4n³/3 flops in 3n kernels.
template <ExecutionSpace Exec, class T, class Space>
void orthonormal_basis(PortableBackend, const Exec& exec, const BatchView<const T, Space>& a,
                       const BatchView<T, Space>& q, Workspace<Space>& workspace) {
  const std::size_t batch = a.extent(0), m = a.extent(1), n = a.extent(2);
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch);
  const auto work = workspace.template batch<double>(batch, n, m), rows = workspace.template batch<double>(batch, n, m);
  const auto tau = workspace.template vectors<double>(batch, n), sign = workspace.template vectors<double>(batch, n);
  max_abs(exec, a, scale, workspace);
  for_each_row(exec, "schatten::orthonormal_basis/start", batch, n, QrStart<T, Space>{a, scale, work, rows});
  for (std::size_t k = 0; k < n; ++k) {
    for_each_matrix(exec, "schatten::orthonormal_basis/reflection", batch,
                    QrReflection<Space>{work, scale, tau, sign, k});
    for_each_row(exec, "schatten::orthonormal_basis/columns", batch, n - k - 1,
                 QrApply<Space>{work, tau, k, k + 1, work});
  }
  for (std::size_t k = n; k-- > 0;) {
    for_each_row(exec, "schatten::orthonormal_basis/basis", batch, n - k, QrApply<Space>{work, tau, k, k, rows});
  }
  for_each_row(exec, "schatten::orthonormal_basis/finish", batch, n, QrFinish<T, Space>{rows, sign, q});
}

}  // namespace schatten::linalg::backend
