// SPDX-License-Identifier: BSD-3-Clause
// The streaming method: one QR iteration per step on right singular vectors that are kept between steps.
#pragma once

#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/qr.hpp>
#include <schatten/spectral/normalization.hpp>

#include <algorithm>
#include <cmath>

namespace schatten::spectral {

/// Singular values up to this number, relative to the largest power of two <= max|M|, count as zero.
inline constexpr double streaming_floor = 1e-8;

namespace detail {

template <class T, class Space>
struct StoreIdentity {
  BatchView<T, Space> v;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const { v(b, i, j) = T(i == j); }
};

/// factor(b, k) ← s^p σ^{p−1} with σ the length of row k of `image`, zero where σ <= streaming_floor.
template <class T, class Space>
struct StreamingFactor {
  BatchView<const T, Space> image;
  NumberBatchView<double, Space> scale;
  double power;
  VectorBatchView<double, Space> factor;
  KOKKOS_FUNCTION double of(std::size_t b, double sigma) const {
    if (!linalg::is_finite(sigma)) return sigma;
    return sigma > streaming_floor ? math::pow(scale(b), power) * math::pow(sigma, power - 1) : 0.0;
  }
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t b, std::size_t k) const {
    const double square =
        team.sum(image.extent(2), [&](std::size_t i) { return double(image(b, k, i)) * double(image(b, k, i)); });
    team.once([&] { factor(b, k) = of(b, math::sqrt(square)); });
  }
};

/// Row k of image ← factor(b, k)·itself.
template <class T, class Space>
struct ScaleRows {
  VectorBatchView<double, Space> factor;
  BatchView<T, Space> image;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t k, std::size_t i) const {
    image(b, k, i) = T(factor(b, k) * double(image(b, k, i)));
  }
};

/// v ← q for every matrix M that is finite and not zero.
template <class T, class Space>
struct KeepBasis {
  BatchView<const T, Space> q;
  NumberBatchView<double, Space> scale;
  BatchView<T, Space> v;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    if (scale(b) != 0.0 && linalg::is_finite(scale(b))) v(b, i, j) = q(b, i, j);
  }
};

}  // namespace detail

/// V ← the first columns of the identity, the initial V. V (n×r). Cost: one pass.
template <ExecutionSpace Exec, class T, class Space>
void streaming_start(const Exec& exec, const BatchView<T, Space>& v) {
  for_each_element(exec, "schatten::streaming/start", v.extent(0), v.extent(1), v.extent(2),
                   detail::StoreIdentity<T, Space>{v});
}

/// V ← Q of MᵀMV = QR, out ← U Σ^p Vᵀ with M V = U Σ, where the columns of U have the norm 1.
///
/// M, out (m×n). V (n×r), r <= min(m, n), is the state of successive calls: initially streaming_start, read and written
/// by each call. For a constant M it converges to the leading r right singular vectors; the error of column k is
/// multiplied by (σ_{k+1}/σ_k)² per call. The columns of V are orthonormal in every call, those of U only after
/// convergence. V has n rows for all shapes, so before convergence the results for M and Mᵀ are not transposes of each
/// other. As published, σ_k = u_kᵀMv_k is not negative, and a σ_k up to 1e-8 counts as zero. Here this is relative to
/// max|M| in [1, 2): M is divided by a power of two and the output multiplied by its p-th power, so that M may have any
/// scale. The result for a zero matrix is zero, that for a matrix with a NaN or an infinity is NaN in all elements; V
/// does not change then. (The published code sets V to the identity for a zero matrix.) Throws InvalidArgument for a
/// power that is not finite and for a V of another size. Cost: 8mnr + 4r²n − 4r³/3 flops. Source: the reference
/// implementation of Pang et al., arXiv 2603.10067, after J. Su's streaming power iteration (2026).
template <class Backend, ExecutionSpace Exec, class T, class Space>
void streaming_power(const Exec& exec, double power, const BatchView<const T, Space>& m, const BatchView<T, Space>& v,
                     const BatchView<T, Space>& out, Workspace<Space>& workspace) {
  const std::size_t batch = m.extent(0), rows = m.extent(1), cols = m.extent(2), rank = v.extent(2);
  require(std::isfinite(power), "spectral::streaming_power", "power", power, "must be finite");
  require(rank <= (std::min)(rows, cols), "spectral::streaming_power", "rank of v", rank,
          "must not exceed the rows or the columns of m");
  require_shape(v, batch, cols, rank, "spectral::streaming_power", "v");
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch), rest = workspace.template numbers<double>(batch),
             unit = workspace.template numbers<double>(batch);
  const auto factor = workspace.template vectors<double>(batch, rank);
  const auto normalized = workspace.template batch<T>(batch, rows, cols);
  const auto image = workspace.template batch<T>(batch, rank, rows);  // (MV)ᵀ: its rows are columns of MV
  const auto product = workspace.template batch<T>(batch, cols, rank);
  const auto q = workspace.template batch<T>(batch, cols, rank);
  normalize(exec, m, normalized, scale, workspace);
  split_scale(exec, power, scale, rest, unit);
  linalg::gemm<Backend>(exec, T(1), normalized, v, T(0), transpose(image), workspace);
  linalg::gemm<Backend>(exec, T(1), transpose(normalized), transpose(image), T(0), product, workspace);
  linalg::orthonormal_basis<Backend>(exec, product, q, workspace);
  linalg::gemm<Backend>(exec, T(1), normalized, q, T(0), transpose(image), workspace);
  for_each_row_by_team(exec, "schatten::streaming/factor", batch, rank,
                       detail::StreamingFactor<T, Space>{image, rest, power, factor});
  for_each_element(exec, "schatten::streaming/scale", batch, rank, rows, detail::ScaleRows<T, Space>{factor, image});
  linalg::gemm<Backend>(exec, T(1), transpose(image), transpose(q), T(0), out, workspace);
  scale_elements(exec, "schatten::streaming/store", unit, as_const(out), out);
  for_each_element(exec, "schatten::streaming/state", batch, cols, rank, detail::KeepBasis<T, Space>{q, scale, v});
}

}  // namespace schatten::spectral
