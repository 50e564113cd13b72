// SPDX-License-Identifier: BSD-3-Clause
// Batched decompositions by cuSOLVER.
//
// The library sees contiguous column-major matrices with rows >= cols, largest entry in [1, 2), all entries finite;
// strides, transposes, scales and NaN are dealt with here. Matrices of a batch follow each other on the stream.
#pragma once

#include <schatten/linalg/backend/cuda.hpp>

#include <algorithm>
#include <limits>
#include <vector>

namespace schatten::linalg::backend {

/// to ← from / unit, or the identity, which every library can decompose, where the matrix is not finite.
template <class T, class Space>
struct LibraryInput {
  BatchView<const T, Space> from;
  NumberBatchView<double, Space> unit;  ///< a power of two, or NaN
  BatchView<T, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    to(b, i, j) = is_finite(unit(b)) ? T(double(from(b, i, j)) / unit(b)) : T(i == j);
  }
};

/// to ← factor·from, or NaN where the matrix is not finite; the factor is the unit or one.
template <class T, class Space>
struct LibraryOutput {
  BatchView<const T, Space> from;
  NumberBatchView<double, Space> unit;
  bool scaled;
  BatchView<T, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const bool finite = is_finite(unit(b));
    const T value = scaled && finite ? T(double(from(b, i, j)) * unit(b)) : from(b, i, j);
    to(b, i, j) = finite ? value : std::numeric_limits<T>::quiet_NaN();
  }
};

/// scale ← the power of two below it.
template <class Space>
struct UnitOfLargest {
  NumberBatchView<double, Space> scale;
  KOKKOS_FUNCTION void operator()(std::size_t b) const { scale(b) = power_of_two_below(scale(b)); }
};

/// unit(b): the power of two below the largest entry, 1 for a zero matrix, NaN for one that is not finite.
template <class Exec, class T, class Space>
NumberBatchView<double, Space> library_units(const Exec& exec, const BatchView<const T, Space>& a,
                                             Workspace<Space>& workspace) {
  const auto unit = workspace.template numbers<double>(a.extent(0));
  max_abs(exec, a, unit, workspace);
  for_each_matrix(exec, "schatten::decomposition/unit", a.extent(0), UnitOfLargest<Space>{unit});
  return unit;
}

/// Vectors as a batch of matrices of one row.
template <class T, class Space>
BatchView<T, Space> as_rows(const VectorBatchView<T, Space>& v) {
  return batch_view<Space>(v.data(), v.extent(0), 1, v.extent(1));
}

/// A batch of column-major matrices.
template <class T, class Space>
BatchView<T, Space> column_major(std::size_t batch, std::size_t rows, std::size_t cols, Workspace<Space>& workspace) {
  return transpose(workspace.template batch<T>(batch, cols, rows));
}

/// What cuSOLVER works in, for one matrix after the other, and the statuses of all of them.
template <class Space>
class CudaScratch {
 public:
  CudaScratch(const vendor::ScratchBytes& bytes, std::size_t batch, Workspace<Space>& workspace)
      : device_(workspace.template numbers<char>(std::max<std::size_t>(bytes.device, 1))),
        host_(bytes.host + 1),
        bytes_(bytes),
        status_(workspace.template numbers<int>(2 * batch)) {}
  /// That of matrix b.
  vendor::Scratch of(std::size_t b) {
    return {device_.data(), bytes_.device, host_.data(), bytes_.host, status_.data() + 2 * b};
  }
  /// Waits for the stream. Throws NumericalError if a decomposition did not converge; `statuses`: of one matrix.
  template <ExecutionSpace Exec>
  void check_statuses(const Exec& exec, const char* call, std::size_t statuses) const {
    const std::vector<int> status = values_on_host(exec, status_);  // fences: documented
    for (std::size_t k = 0; k < status.size(); ++k) {
      if (k % 2 < statuses) vendor::check_info(status[k], call);
    }
  }

 private:
  NumberBatchView<char, Space> device_;
  std::vector<char> host_;
  vendor::ScratchBytes bytes_;
  NumberBatchView<int, Space> status_;
};

/// Matrix b of a batch, for the library.
template <class T, class Space>
vendor::Matrices<T> vendor_matrix(const BatchView<T, Space>& a, std::size_t b) {
  return vendor_matrices(matrices(a, b, 1));
}

template <ExecutionSpace Exec, class T, class Space>
void svd(CudaBackend tag, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& u,
         const VectorBatchView<T, Space>& sigma, const BatchView<T, Space>& vt, bool vectors,
         Workspace<Space>& workspace) {
  if (a.extent(1) < a.extent(2)) {  // Aᵀ = V diag(sigma) Uᵀ
    return svd(tag, exec, transpose(a), transpose(vt), sigma, transpose(u), vectors, workspace);
  }
  const std::size_t batch = a.extent(0), m = a.extent(1), n = a.extent(2);
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto unit = library_units(exec, a, workspace);
  const auto from = column_major<T>(batch, m, n, workspace), left = column_major<T>(batch, m, n, workspace),
             right = column_major<T>(batch, n, n, workspace);
  const auto values = workspace.template vectors<T>(batch, n);
  const vendor::Handles& handles = cuda_handles(exec, workspace);
  CudaScratch<Space> scratch(vendor::svd_scratch<T>(handles, vendor_matrix(from, 0), values.data(),
                                                    vendor_matrix(left, 0), vendor_matrix(right, 0)),
                             batch, workspace);
  for_each_element(exec, "schatten::svd/pack", batch, n, m,
                   LibraryInput<T, Space>{transpose(a), unit, transpose(from)});
  for (std::size_t b = 0; b < batch; ++b) {
    vendor::svd<T>(handles, vendor_matrix(from, b), values.data() + b * n, vendor_matrix(left, b),
                   vendor_matrix(right, b), scratch.of(b));
  }
  for_each_element(exec, "schatten::svd/values", batch, 1, n,
                   LibraryOutput<T, Space>{as_rows(values), unit, true, as_rows(sigma)});
  if (vectors) {
    for_each_element(exec, "schatten::svd/vectors", batch, m, n, LibraryOutput<T, Space>{left, unit, false, u});
    for_each_element(exec, "schatten::svd/vectors", batch, n, n,
                     LibraryOutput<T, Space>{transpose(right), unit, false, vt});
  }
  scratch.check_statuses(exec, "cusolverDnXgesvdp", 1);
}

template <ExecutionSpace Exec, class T, class Space>
void eigh(CudaBackend, const Exec& exec, const BatchView<const T, Space>& a, const VectorBatchView<T, Space>& lambda,
          const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  const std::size_t batch = a.extent(0), n = a.extent(1);
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto unit = library_units(exec, a, workspace);
  const auto work = column_major<T>(batch, n, n, workspace);
  const auto values = workspace.template vectors<T>(batch, n);
  const vendor::Handles& handles = cuda_handles(exec, workspace);
  CudaScratch<Space> scratch(vendor::eigh_scratch<T>(handles, vendor_matrix(work, 0), values.data()), batch, workspace);
  for_each_element(exec, "schatten::eigh/pack", batch, n, n, LibraryInput<T, Space>{a, unit, work});
  for (std::size_t b = 0; b < batch; ++b) {
    vendor::eigh<T>(handles, vendor_matrix(work, b), values.data() + b * n, scratch.of(b));
  }
  for_each_element(exec, "schatten::eigh/values", batch, 1, n,
                   LibraryOutput<T, Space>{as_rows(values), unit, true, as_rows(lambda)});
  for_each_element(exec, "schatten::eigh/vectors", batch, n, n, LibraryOutput<T, Space>{work, unit, false, v});
  scratch.check_statuses(exec, "cusolverDnXsyevd", 1);
}

/// sign(b, k): of R's diagonal, as −1 or 1.
template <class T, class Space>
struct DiagonalSign {
  BatchView<const T, Space> r;
  VectorBatchView<T, Space> sign;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t k) const { sign(b, k) = r(b, k, k) < T(0) ? T(-1) : T(1); }
};

/// Column k of q ← sign_k times it.
template <class T, class Space>
struct MultiplyColumns {
  VectorBatchView<T, Space> sign;
  BatchView<T, Space> q;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t k, std::size_t i) const { q(b, i, k) *= sign(b, k); }
};

template <ExecutionSpace Exec, class T, class Space>
void orthonormal_basis(CudaBackend, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& q,
                       Workspace<Space>& workspace) {
  const std::size_t batch = a.extent(0), m = a.extent(1), n = a.extent(2);
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto unit = library_units(exec, a, workspace);
  const auto work = column_major<T>(batch, m, n, workspace);
  const auto tau = workspace.template vectors<T>(batch, n), sign = workspace.template vectors<T>(batch, n);
  const vendor::Handles& handles = cuda_handles(exec, workspace);
  CudaScratch<Space> scratch(vendor::qr_scratch<T>(handles, vendor_matrix(work, 0), tau.data()), batch, workspace);
  for_each_element(exec, "schatten::orthonormal_basis/pack", batch, n, m,
                   LibraryInput<T, Space>{transpose(a), unit, transpose(work)});
  for (std::size_t b = 0; b < batch; ++b) {
    vendor::qr<T>(handles, vendor_matrix(work, b), tau.data() + b * n, scratch.of(b));
  }
  for_each_row(exec, "schatten::orthonormal_basis/sign", batch, n, DiagonalSign<T, Space>{work, sign});
  for (std::size_t b = 0; b < batch; ++b) {
    vendor::qr_basis<T>(handles, vendor_matrix(work, b), tau.data() + b * n, scratch.of(b));
  }
  for_each_element(exec, "schatten::orthonormal_basis/sign", batch, n, m, MultiplyColumns<T, Space>{sign, work});
  for_each_element(exec, "schatten::orthonormal_basis/unpack", batch, m, n,
                   LibraryOutput<T, Space>{work, unit, false, q});
  scratch.check_statuses(exec, "cusolverDnXgeqrf", 2);
}

}  // namespace schatten::linalg::backend
