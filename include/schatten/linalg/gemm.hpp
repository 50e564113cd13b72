// Matrix products on Views: gemm, products known to be symmetric, Gram matrices.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/linalg/backend.hpp>

#include <algorithm>
#include <type_traits>

namespace schatten::linalg {

/// C ← αAB + βC for every matrix of the batch; a transpose is a View with swapped strides (schatten::transpose).
///
/// A (m×k), B (k×n), C (m×n): rank 2, or rank 3 with equal batch; any layout and strides. beta = 0 overwrites whatever C
/// holds, NaN included. @pre extents match; C shares no element with A or B. Throws InvalidArgument.
/// Asynchronous on `exec`. Cost: 2mnk flops a matrix; a matrix without a unit stride is packed first.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VB, KokkosView VC>
void gemm(const Exec& exec, scalar_of<VC> alpha, const VA& a, const VB& b, scalar_of<VC> beta, const VC& c) {
  using T = scalar_of<VC>;
  using Space = typename Exec::memory_space;
  using Chosen = std::conditional_t<std::is_void_v<Backend>, DefaultBackend<Exec>, Backend>;
  static_assert(std::is_same_v<scalar_of<VA>, T> && std::is_same_v<scalar_of<VB>, T>,
                "schatten: A, B and C must have the same scalar type");
  static_assert(!std::is_const_v<typename VC::value_type>, "schatten: C is written and must not be const");
  const BatchView<const T, Space> batch_a = as_batch<Exec>(a), batch_b = as_batch<Exec>(b);
  const BatchView<T, Space> batch_c = as_batch<Exec>(c);
  require_shape(batch_b, batch_a.extent(0), batch_a.extent(2), batch_b.extent(2), "linalg::gemm", "b");
  require_shape(batch_c, batch_a.extent(0), batch_a.extent(1), batch_b.extent(2), "linalg::gemm", "c");
  require(!overlap(batch_a, batch_c) && !overlap(batch_b, batch_c), "linalg::gemm", "c", shape_of(batch_c),
          "must not overlap a or b");
  backend::gemm(Chosen{}, exec, alpha, batch_a, batch_b, beta, batch_c);
}

namespace detail {

/// Upper triangle ← lower triangle, in square tiles so that both stay in cache.
template <class T, class Space>
struct Mirror {
  static constexpr std::size_t tile = 32;
  BatchView<T, Space> c;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t tile_row) const {
    const std::size_t n = c.extent(1);
    const std::size_t row_end = tile_row * tile + tile < n ? tile_row * tile + tile : n;
    for (std::size_t first = 0; first < row_end; first += tile) {
      for (std::size_t i = tile_row * tile; i < row_end; ++i) {
        const std::size_t col_end = first + tile < i ? first + tile : i;
        for (std::size_t j = first; j < col_end; ++j) c(b, j, i) = c(b, i, j);
      }
    }
  }
};

/// Lower triangle of C ← αAB, C known to be symmetric: halves, and one gemm for the block under the diagonal.
template <class Backend, class Exec, class T, class Space>
void lower_product(const Exec& exec, T alpha, const BatchView<const T, Space>& a, const BatchView<const T, Space>& b,
                   const BatchView<T, Space>& c) {
  constexpr std::size_t base = 128;
  const std::size_t n = c.extent(1), k = a.extent(2);
  if (n <= base) return backend::gemm(Backend{}, exec, alpha, a, b, T(0), c);
  const std::size_t half = std::max(base, n / 2 / base * base), rest = n - half;
  const auto upper_a = block(a, 0, 0, half, k), lower_a = block(a, half, 0, rest, k);
  const auto left_b = block(b, 0, 0, k, half), right_b = block(b, 0, half, k, rest);
  lower_product<Backend>(exec, alpha, upper_a, left_b, block(c, 0, 0, half, half));
  backend::gemm(Backend{}, exec, alpha, lower_a, left_b, T(0), block(c, half, 0, rest, half));
  lower_product<Backend>(exec, alpha, lower_a, right_b, block(c, half, half, rest, rest));
}

template <class Exec, class T, class Space>
void mirror_lower(const Exec& exec, const BatchView<T, Space>& c) {
  using Kernel = Mirror<T, Space>;
  for_each_row(exec, "schatten::mirror_lower", c.extent(0), (c.extent(1) + Kernel::tile - 1) / Kernel::tile, Kernel{c});
}

}  // namespace detail

/// C ← αAB where the product is known to be symmetric (a polynomial of one symmetric matrix, AᵀA, ...).
///
/// A (n×k), B (k×n), C (n×n), as for gemm. Only the blocks on and under the diagonal are computed, the rest mirrored, so
/// C is symmetric to the last bit. @pre AB = (AB)ᵀ up to rounding. Cost: about n²k flops.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VB, KokkosView VC>
void symmetric_product(const Exec& exec, scalar_of<VC> alpha, const VA& a, const VB& b, const VC& c) {
  using T = scalar_of<VC>;
  using Space = typename Exec::memory_space;
  using Chosen = std::conditional_t<std::is_void_v<Backend>, DefaultBackend<Exec>, Backend>;
  static_assert(std::is_same_v<scalar_of<VA>, T> && std::is_same_v<scalar_of<VB>, T>,
                "schatten: A, B and C must have the same scalar type");
  static_assert(!std::is_const_v<typename VC::value_type>, "schatten: C is written and must not be const");
  const BatchView<const T, Space> batch_a = as_batch<Exec>(a), batch_b = as_batch<Exec>(b);
  const BatchView<T, Space> batch_c = as_batch<Exec>(c);
  const std::size_t batch = batch_a.extent(0), n = batch_a.extent(1), k = batch_a.extent(2);
  require_shape(batch_b, batch, k, n, "linalg::symmetric_product", "b");
  require_shape(batch_c, batch, n, n, "linalg::symmetric_product", "c");
  require(!overlap(batch_a, batch_c) && !overlap(batch_b, batch_c), "linalg::symmetric_product", "c", shape_of(batch_c),
          "must not overlap a or b");
  detail::lower_product<Chosen>(exec, alpha, batch_a, batch_b, batch_c);
  detail::mirror_lower(exec, batch_c);
}

/// Gram matrix of the columns: C ← AᵀA. A (m×n), C (n×n). Cost: about n²m flops.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VC>
void gram(const Exec& exec, const VA& a, const VC& c) {
  const auto batch_a = as_batch<Exec>(a);
  symmetric_product<Backend>(exec, scalar_of<VC>(1), transpose(batch_a), batch_a, c);
}

}  // namespace schatten::linalg
