// SPDX-License-Identifier: BSD-3-Clause
// Batched decompositions by a host library's routine for one matrix.
//
// The routine sees contiguous column-major matrices with rows >= cols and finite entries; strides, transposes, NaN,
// empty matrices, threads and errors are dealt with here, once for all host libraries.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/host/matrix.hpp>
#include <schatten/linalg/host/threads.hpp>

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// Calls decompose(b, slot) for every matrix of the batch, at most concurrency(exec) of them at a time with distinct
/// slots. For a single matrix the library uses all threads. Throws NumericalError if a call of decompose returns false.
template <ExecutionSpace Exec, class Decompose>
void decompose_each(const Exec& exec, const std::string& routine, std::size_t batch, std::size_t slots,
                    const Decompose& decompose) {
  std::atomic<bool> failed{false};
  for (std::size_t first = 0; first < batch; first += slots) {
    const std::size_t count = (std::min)(slots, batch - first);
    if (count == 1) {
      const HostThreads threads(exec);
      if (!decompose(first, std::size_t{0})) failed = true;
    } else {
      for_each_matrix(exec, "schatten::" + routine, count, [&decompose, &failed, first](std::size_t slot) {
        if (!decompose(first + slot, slot)) failed.store(true);
      });
    }
  }
  if (failed) throw NumericalError("schatten::linalg::" + routine + ": the host library reports no convergence");
}

/// Returns the number of matrices that are decomposed at the same time.
template <ExecutionSpace Exec>
std::size_t decomposition_slots(const Exec& exec, std::size_t batch) {
  return std::clamp<std::size_t>(batch, 1, static_cast<std::size_t>(concurrency(exec)));
}

/// A = U diag(sigma) Vᵀ for every matrix. `Routine::svd(m, n, a, u, sigma, vt, work)` decomposes one;
/// `Routine::svd_work(m, n)` tells the scalars of work it needs. vectors = false fills sigma alone.
template <class Routine, ExecutionSpace Exec, class T, class Space>
void svd_each(const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& u,
              const VectorBatchView<T, Space>& sigma, const BatchView<T, Space>& vt, bool vectors,
              Workspace<Space>& workspace) {
  if (a.extent(1) < a.extent(2)) {  // Aᵀ = V diag(sigma) Uᵀ
    return svd_each<Routine>(exec, transpose(a), transpose(vt), sigma, transpose(u), vectors, workspace);
  }
  const auto m = static_cast<std::ptrdiff_t>(a.extent(1));
  const auto n = static_cast<std::ptrdiff_t>(a.extent(2));
  if (a.size() == 0) return;
  const std::size_t slots = decomposition_slots(exec, a.extent(0));
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scratch_a = workspace.template vectors<T>(slots, std::size_t(m * n));
  const auto scratch_u = workspace.template vectors<T>(slots, vectors ? std::size_t(m * n) : 0);
  const auto scratch_vt = workspace.template vectors<T>(slots, vectors ? std::size_t(n * n) : 0);
  const std::size_t work_size = Routine::svd_work(m, n, vectors);
  const auto work = workspace.template vectors<T>(slots, work_size);
  decompose_each(exec, "svd", a.extent(0), slots, [=](std::size_t b, std::size_t slot) {
    const auto from = host_matrix(a, b);
    T* const s = sigma.data() + b * sigma.extent(1);
    if (!all_finite(from)) {
      std::fill_n(s, n, std::numeric_limits<T>::quiet_NaN());
      if (vectors) fill(host_matrix(u, b), std::numeric_limits<T>::quiet_NaN());
      if (vectors) fill(host_matrix(vt, b), std::numeric_limits<T>::quiet_NaN());
      return true;
    }
    T* const slot_a = scratch_a.data() + slot * scratch_a.extent(1);
    T* const slot_u = scratch_u.data() + slot * scratch_u.extent(1);
    T* const slot_vt = scratch_vt.data() + slot * scratch_vt.extent(1);
    copy(from, col_major_matrix(slot_a, m, n));
    if (!Routine::svd(m, n, slot_a, slot_u, s, slot_vt, vectors, work.data() + slot * work_size, work_size))
      return false;
    if (vectors) copy(col_major_matrix(slot_u, m, n), host_matrix(u, b));
    if (vectors) copy(col_major_matrix(slot_vt, n, n), host_matrix(vt, b));
    return true;
  });
}

/// A = V diag(lambda) Vᵀ for every symmetric matrix, lambda ascending. `Routine::eigh(n, a, lambda, work)` replaces the
/// symmetric a by its eigenvectors, in columns; `Routine::eigh_work(n)` tells the scalars of work it needs.
template <class Routine, ExecutionSpace Exec, class T, class Space>
void eigh_each(const Exec& exec, const BatchView<const T, Space>& a, const VectorBatchView<T, Space>& lambda,
               const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  const auto n = static_cast<std::ptrdiff_t>(a.extent(1));
  if (a.size() == 0) return;
  const std::size_t slots = decomposition_slots(exec, a.extent(0));
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scratch = workspace.template vectors<T>(slots, std::size_t(n * n));
  const std::size_t work_size = Routine::eigh_work(n);
  const auto work = workspace.template vectors<T>(slots, work_size);
  decompose_each(exec, "eigh", a.extent(0), slots, [=](std::size_t b, std::size_t slot) {
    const auto from = host_matrix(a, b);
    T* const l = lambda.data() + b * lambda.extent(1);
    if (!all_finite(from)) {
      std::fill_n(l, n, std::numeric_limits<T>::quiet_NaN());
      fill(host_matrix(v, b), std::numeric_limits<T>::quiet_NaN());
      return true;
    }
    T* const slot_a = scratch.data() + slot * scratch.extent(1);
    copy(from, col_major_matrix(slot_a, n, n));
    if (!Routine::eigh(n, slot_a, l, work.data() + slot * work_size, work_size)) return false;
    copy(col_major_matrix(slot_a, n, n), host_matrix(v, b));
    return true;
  });
}

/// Q of the thin A = QR for every matrix. `Routine::orthonormal_basis(m, n, a, work)` replaces a, m >= n, by Q;
/// `Routine::qr_work(m, n)` tells the scalars of work it needs.
template <class Routine, ExecutionSpace Exec, class T, class Space>
void orthonormal_basis_each(const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& q,
                            Workspace<Space>& workspace) {
  const auto m = static_cast<std::ptrdiff_t>(a.extent(1)), n = static_cast<std::ptrdiff_t>(a.extent(2));
  if (a.size() == 0) return;
  const std::size_t slots = decomposition_slots(exec, a.extent(0));
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scratch = workspace.template vectors<T>(slots, std::size_t(m * n));
  const std::size_t work_size = Routine::qr_work(m, n);
  const auto work = workspace.template vectors<T>(slots, work_size);
  decompose_each(exec, "orthonormal_basis", a.extent(0), slots, [=](std::size_t b, std::size_t slot) {
    const auto from = host_matrix(a, b);
    if (!all_finite(from)) {
      fill(host_matrix(q, b), std::numeric_limits<T>::quiet_NaN());
      return true;
    }
    T* const slot_a = scratch.data() + slot * scratch.extent(1);
    copy(from, col_major_matrix(slot_a, m, n));
    if (!Routine::orthonormal_basis(m, n, slot_a, work.data() + slot * work_size, work_size)) return false;
    copy(col_major_matrix(slot_a, m, n), host_matrix(q, b));
    return true;
  });
}

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
