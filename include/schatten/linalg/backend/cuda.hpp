// SPDX-License-Identifier: BSD-3-Clause
// Device backend over cuBLAS and cuSOLVER: converts batches of Views to the libraries' matrices.
//
// The libraries read columns. A row-major batch is the transpose there. A batch with neither contiguous rows nor
// contiguous columns is packed. Handles belong to the workspace and follow the execution space's stream. Products are
// asynchronous and may be captured in a CUDA graph once they have run; decompositions wait for the stream at their end,
// to read whether they converged.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/core/host_copy.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/backend/vendor/cublas.hpp>
#include <schatten/linalg/backend/vendor/cusolver.hpp>
#include <schatten/linalg/norms.hpp>

#include <algorithm>
#include <limits>
#include <type_traits>

namespace schatten::linalg {

/// Dense linear algebra by cuBLAS and cuSOLVER.
struct CudaBackend {
  static constexpr bool multiplies_reduced_floats = true;
};

namespace backend {

/// The stream that `exec` runs on.
template <ExecutionSpace Exec>
cudaStream_t stream_of([[maybe_unused]] const Exec& exec) {
  if constexpr (requires { exec.cuda_stream(); }) {
    return exec.cuda_stream();
  } else {
    return nullptr;
  }
}

/// The handles of a workspace. cuBLAS gets its memory here, once: it would allocate inside a graph's capture otherwise.
template <ExecutionSpace Exec>
class CudaLibraries {
 public:
  explicit CudaLibraries(const Exec& exec)
      : memory_(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::cublas"), memory_bytes + alignment),
        stream_(stream_of(exec)),
        handles_(stream_) {
    give_memory();
  }
  /// The handles, on the stream of `exec`.
  const vendor::Handles& on(const Exec& exec) {
    if (stream_of(exec) != stream_) {
      stream_ = stream_of(exec);
      handles_.set_stream(stream_);
      give_memory();
    }
    return handles_;
  }

 private:
  void give_memory() { handles_.set_workspace(aligned_to(alignment, memory_.data()), memory_bytes); }

  static constexpr std::size_t alignment = 256;                       // what cuBLAS asks for
  static constexpr std::size_t memory_bytes = std::size_t{32} << 20;  // what its documentation gives Hopper
  Kokkos::View<char*, typename Exec::memory_space> memory_;
  cudaStream_t stream_;
  vendor::Handles handles_;
};

template <ExecutionSpace Exec, class Space>
const vendor::Handles& cuda_handles(const Exec& exec, Workspace<Space>& workspace) {
  return workspace.template resource<CudaLibraries<Exec>>(exec).on(exec);
}

/// The vendor's name of an element type.
template <class T>
using VendorElement =
    std::conditional_t<std::is_same_v<T, Half>, __half,
                       std::conditional_t<std::is_same_v<T, BFloat16>, __nv_bfloat16,
                                          std::conditional_t<std::is_same_v<T, TensorFloat32>, float, T>>>;

/// Columns are contiguous (or there is at most one row) and apart from each other.
template <class T, class Space>
bool columns_contiguous(const BatchView<T, Space>& a) {
  return (a.stride(1) == 1 || a.extent(1) <= 1) && (a.stride(2) >= a.extent(1) || a.extent(2) <= 1);
}

/// The batch as the library's. @pre columns, or rows, are contiguous
template <class T, class Space>
auto vendor_matrices(const BatchView<T, Space>& a) {
  using Plain = VendorElement<std::remove_const_t<T>>;
  using Vendor = std::conditional_t<std::is_const_v<T>, const Plain, Plain>;
  const bool columns = columns_contiguous(a);
  const std::size_t rows = a.extent(columns ? 1 : 2), cols = a.extent(columns ? 2 : 1);
  const std::size_t leading = (std::max)({a.stride(columns ? 2 : 1), rows, std::size_t{1}});
  return vendor::Matrices<Vendor>{reinterpret_cast<Vendor*>(a.data()),
                                  std::int64_t(rows),
                                  std::int64_t(cols),
                                  std::int64_t(leading),
                                  std::int64_t(a.stride(0)),
                                  columns ? CUBLAS_OP_N : CUBLAS_OP_T};
}

/// The batch itself where its rows or columns are contiguous, else a row-major copy.
template <ExecutionSpace Exec, class T, class Space>
BatchView<const T, Space> packed(const Exec& exec, const BatchView<const T, Space>& a, Workspace<Space>& workspace) {
  if (columns_contiguous(a) || columns_contiguous(transpose(a))) return a;
  const auto copy = workspace.template batch<T>(a.extent(0), a.extent(1), a.extent(2));
  copy_elements(exec, "schatten::gemm/pack", a, copy);
  return copy;
}

/// c ← β c; β = 0 overwrites.
template <class T, class Space>
struct MultiplyElement {
  Sum<T> beta;
  BatchView<T, Space> c;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    c(b, i, j) = T(beta == Sum<T>(0) ? Sum<T>(0) : beta * Sum<T>(c(b, i, j)));
  }
};

template <ExecutionSpace Exec, class A, class C, class Space>
void gemm(CudaBackend tag, const Exec& exec, Sum<A> alpha, const BatchView<const A, Space>& a,
          const BatchView<const A, Space>& b, Sum<A> beta, const BatchView<C, Space>& c, Workspace<Space>& workspace) {
  const std::size_t batch = c.extent(0), rows = c.extent(1), cols = c.extent(2);
  if (c.size() == 0) return;
  if (a.extent(2) == 0) {
    return for_each_element(exec, "schatten::gemm/scale", batch, rows, cols,
                            MultiplyElement<C, Space>{Sum<C>(beta), c});
  }
  const typename Workspace<Space>::Frame frame(workspace);
  if (!columns_contiguous(c)) {
    if (columns_contiguous(transpose(c))) {
      return gemm(tag, exec, alpha, transpose(b), transpose(a), beta, transpose(c), workspace);
    }
    const auto copy = workspace.template batch<C>(batch, rows, cols);
    if (beta != Sum<A>(0)) copy_elements(exec, "schatten::gemm/pack", as_const(c), copy);
    gemm(tag, exec, alpha, a, b, beta, copy, workspace);
    return copy_elements(exec, "schatten::gemm/unpack", as_const(copy), c);
  }
  const auto stored_a = packed(exec, a, workspace), stored_b = packed(exec, b, workspace);
  constexpr auto products =
      std::is_same_v<A, TensorFloat32> ? vendor::FloatProducts::tf32 : vendor::FloatProducts::float32;
  vendor::gemm(cuda_handles(exec, workspace), alpha, vendor_matrices(stored_a), vendor_matrices(stored_b), beta,
               vendor_matrices(c), std::int64_t(batch), products);
}

}  // namespace backend
}  // namespace schatten::linalg
