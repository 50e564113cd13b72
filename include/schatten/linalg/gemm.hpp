// SPDX-License-Identifier: BSD-3-Clause
// Matrix products on Views: gemm, products known to be symmetric, Gram matrices.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/core/parallel.hpp>
#include <schatten/core/reduced_float.hpp>
#include <schatten/linalg/backend.hpp>

#include <algorithm>
#include <type_traits>

namespace schatten::linalg {

/// The type of α and β and of sums of products: the element type, or float for 16-bit elements.
template <KokkosView V>
using coefficient_of = std::conditional_t<ReducedFloat<scalar_of<V>>, float, scalar_of<V>>;

namespace detail {

/// Returns whether the product of A and B may be stored as C: C has their type, or float if they have 16 bits. The
/// compiler reports only the first requirement that is not met.
template <class VA, class VB, class VC>
constexpr bool check_product_types() {
  using A = scalar_of<VA>;
  using C = scalar_of<VC>;
  constexpr bool same =
      std::is_same_v<scalar_of<VB>, A> && (std::is_same_v<C, A> || (ReducedFloat<A> && std::is_same_v<C, float>));
  constexpr bool writable = !std::is_const_v<typename VC::value_type>;
  static_assert(same, "schatten: A, B and C must have the same scalar type");
  static_assert(!same || writable, "schatten: C is written and must not be const");
  return same && writable;
}

/// Returns a copy of the batch in float, in scratch memory.
template <class Exec, class A, class Space>
BatchView<float, Space> widened(const Exec& exec, const BatchView<const A, Space>& a, Workspace<Space>& workspace) {
  // Rows or columns stay contiguous, whichever are.
  if (a.stride(1) < a.stride(2)) return transpose(widened(exec, transpose(a), workspace));
  const auto wide = workspace.template batch<float>(a.extent(0), a.extent(1), a.extent(2));
  copy_elements(exec, "schatten::gemm/widen", a, wide);
  return wide;
}

/// C ← αAB + βC by the backend. If it has no products of 16-bit elements, by float copies and one rounding.
template <class Backend, class Exec, class Coefficient, class A, class C, class Space>
void product(const Exec& exec, Coefficient alpha, const BatchView<const A, Space>& a,
             const BatchView<const A, Space>& b, Coefficient beta, const BatchView<C, Space>& c,
             Workspace<Space>& workspace) {
  if constexpr (Scalar<A> || multiplies_reduced_floats<Backend>) {
    backend::gemm(Backend{}, exec, alpha, a, b, beta, c, workspace);
  } else {
    const typename Workspace<Space>::Frame frame(workspace);
    const auto wide_a = widened(exec, a, workspace), wide_b = widened(exec, b, workspace);
    if constexpr (std::is_same_v<C, float>) {
      backend::gemm(Backend{}, exec, alpha, as_const(wide_a), as_const(wide_b), beta, c, workspace);
    } else {
      const auto wide_c = widened(exec, as_const(c), workspace);
      backend::gemm(Backend{}, exec, alpha, as_const(wide_a), as_const(wide_b), beta, wide_c, workspace);
      copy_elements(exec, "schatten::gemm/round", as_const(wide_c), c);
    }
  }
}

}  // namespace detail

/// C ← αAB + βC for every matrix of the batch. schatten::transpose returns a transpose, a View with exchanged strides.
///
/// A (m×k), B (k×n), C (m×n): rank 2, or rank 3 with equal batches; any layout and strides. All have the same element
/// type: float, double, Half or BFloat16. 16-bit A and B are multiplied and summed in float, and C may then be float.
/// With beta = 0 the old elements of C are not used, so they may be NaN. @pre C shares no element with A or B. Throws
/// InvalidArgument for extents that do not fit. Asynchronous on `exec`. Cost: 2mnk flops per matrix; a matrix without a
/// unit stride is packed first.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VB, KokkosView VC>
void gemm(const Exec& exec, coefficient_of<VA> alpha, const VA& a, const VB& b, coefficient_of<VA> beta, const VC& c,
          Workspace<typename Exec::memory_space>& workspace) {
  using Space = typename Exec::memory_space;
  using Chosen = ChosenBackend<Backend, Exec>;
  if constexpr (detail::check_product_types<VA, VB, VC>()) {
    const BatchView<const scalar_of<VA>, Space> batch_a = as_batch<Exec>(a), batch_b = as_batch<Exec>(b);
    const BatchView<scalar_of<VC>, Space> batch_c = as_batch<Exec>(c);
    require_shape(batch_b, batch_a.extent(0), batch_a.extent(2), batch_b.extent(2), "linalg::gemm", "b");
    require_shape(batch_c, batch_a.extent(0), batch_a.extent(1), batch_b.extent(2), "linalg::gemm", "c");
    require_own_elements(batch_c, "linalg::gemm", "c");
    require(!overlap(batch_a, batch_c) && !overlap(batch_b, batch_c), "linalg::gemm", "c", shape_of(batch_c),
            "must not overlap a or b");
    detail::product<Chosen>(exec, alpha, batch_a, batch_b, beta, batch_c, workspace);
  }
}

/// Returns how many rows of blocks a device computes of a symmetric n×n product: one for each 1024 rows, at most 4.
inline constexpr std::size_t symmetric_block_rows(std::size_t n) {
  return (std::max)((std::min)(n / 1024, std::size_t{4}), std::size_t{1});
}

namespace detail {

/// Returns the first row of row r of `count` rows of blocks; n for r = count. Blocks begin at multiples of 128
/// elements, for the alignment that tensor cores need.
inline constexpr std::size_t block_row_begin(std::size_t n, std::size_t count, std::size_t r) {
  return r == count ? n : n * r / count / 128 * 128;
}

/// Copies the lower triangle to the upper triangle, in square tiles so that both stay in cache.
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

/// Computes the lower triangle of a symmetric C ← αAB: recursively for both halves, and by one gemm for the block below
/// the diagonal.
template <class Backend, class Exec, class Coefficient, class A, class C, class Space>
void lower_product(const Exec& exec, Coefficient alpha, const BatchView<const A, Space>& a,
                   const BatchView<const A, Space>& b, const BatchView<C, Space>& c, Workspace<Space>& workspace) {
  constexpr std::size_t base = 128;
  const std::size_t n = c.extent(1), k = a.extent(2);
  if (n <= base) return product<Backend>(exec, alpha, a, b, Coefficient(0), c, workspace);
  const std::size_t half = (std::max)(base, n / 2 / base * base), rest = n - half;
  const auto upper_a = block(a, 0, 0, half, k), lower_a = block(a, half, 0, rest, k);
  const auto left_b = block(b, 0, 0, k, half), right_b = block(b, 0, half, k, rest);
  lower_product<Backend>(exec, alpha, upper_a, left_b, block(c, 0, 0, half, half), workspace);
  product<Backend>(exec, alpha, lower_a, left_b, Coefficient(0), block(c, half, 0, rest, half), workspace);
  lower_product<Backend>(exec, alpha, lower_a, right_b, block(c, half, half, rest, rest), workspace);
}

/// Computes a symmetric C ← αAB in `count` rows of blocks, on a device: row r by one product, from the first column to
/// the diagonal block's last. The blocks right of the diagonal are transposes of those below it.
template <class Backend, class Exec, class Coefficient, class A, class C, class Space>
void block_row_product(const Exec& exec, Coefficient alpha, const BatchView<const A, Space>& a,
                       const BatchView<const A, Space>& b, const BatchView<C, Space>& c, std::size_t count,
                       Workspace<Space>& workspace) {
  const std::size_t n = c.extent(1), k = a.extent(2);
  for (std::size_t r = 0; r < count; ++r) {
    const std::size_t begin = block_row_begin(n, count, r), end = block_row_begin(n, count, r + 1), rows = end - begin;
    product<Backend>(exec, alpha, block(a, begin, 0, rows, k), block(b, 0, 0, k, end), Coefficient(0),
                     block(c, begin, 0, rows, end), workspace);
    const BatchView<const C, Space> left = block(c, begin, 0, rows, begin);
    if (r > 0) copy_elements(exec, "schatten::mirror_blocks", transpose(left), block(c, 0, begin, begin, rows));
  }
}

template <class Exec, class T, class Space>
void mirror_lower(const Exec& exec, const BatchView<T, Space>& c) {
  using Kernel = Mirror<T, Space>;
  for_each_row(exec, "schatten::mirror_lower", c.extent(0), (c.extent(1) + Kernel::tile - 1) / Kernel::tile, Kernel{c});
}

}  // namespace detail

/// C ← αAB for a product that is known to be symmetric, such as AᵀA or a polynomial of one symmetric matrix.
///
/// A (n×k), B (k×n), C (n×n), as for gemm. On the host only the blocks on and below the diagonal are computed, and the
/// others are copied: C is exactly symmetric. Cost: about n²k flops. A device computes the whole product for n < 2048,
/// because blocks need more launches and memory traffic, and from 2048 on two to four rows of blocks up to the diagonal
/// blocks: see symmetric_flops. @pre AB = (AB)ᵀ up to rounding.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VB, KokkosView VC>
void symmetric_product(const Exec& exec, coefficient_of<VA> alpha, const VA& a, const VB& b, const VC& c,
                       Workspace<typename Exec::memory_space>& workspace) {
  using Space = typename Exec::memory_space;
  using Chosen = ChosenBackend<Backend, Exec>;
  if constexpr (detail::check_product_types<VA, VB, VC>()) {
    const BatchView<const scalar_of<VA>, Space> batch_a = as_batch<Exec>(a), batch_b = as_batch<Exec>(b);
    const BatchView<scalar_of<VC>, Space> batch_c = as_batch<Exec>(c);
    const std::size_t batch = batch_a.extent(0), n = batch_a.extent(1), k = batch_a.extent(2);
    require_shape(batch_b, batch, k, n, "linalg::symmetric_product", "b");
    require_shape(batch_c, batch, n, n, "linalg::symmetric_product", "c");
    require_own_elements(batch_c, "linalg::symmetric_product", "c");
    require(!overlap(batch_a, batch_c) && !overlap(batch_b, batch_c), "linalg::symmetric_product", "c",
            shape_of(batch_c), "must not overlap a or b");
    if constexpr (loops_as_on_device<Exec>) {
      detail::block_row_product<Chosen>(exec, alpha, batch_a, batch_b, batch_c, symmetric_block_rows(n), workspace);
    } else {
      detail::lower_product<Chosen>(exec, alpha, batch_a, batch_b, batch_c, workspace);
      detail::mirror_lower(exec, batch_c);
    }
  }
}

/// Returns the flops of symmetric_product on a device over n²k: 2 for the whole product, 1.5 for two rows of blocks,
/// 1.25 for four.
inline constexpr double symmetric_flops(std::size_t n) {
  const std::size_t count = symmetric_block_rows(n);
  double elements = 0;
  for (std::size_t r = 0; r < count; ++r) {
    const std::size_t end = detail::block_row_begin(n, count, r + 1);
    elements += double(end) * double(end - detail::block_row_begin(n, count, r));
  }
  return n == 0 ? 2 : 2 * elements / (double(n) * double(n));
}

/// C ← AᵀA, the Gram matrix of the columns. A (m×n), C (n×n), as for symmetric_product. Cost: about n²m flops on the
/// host.
template <class Backend = void, ExecutionSpace Exec, KokkosView VA, KokkosView VC>
void gram(const Exec& exec, const VA& a, const VC& c, Workspace<typename Exec::memory_space>& workspace) {
  const auto batch_a = as_batch<Exec>(a);
  symmetric_product<Backend>(exec, coefficient_of<VA>(1), transpose(batch_a), batch_a, c, workspace);
}

}  // namespace schatten::linalg
