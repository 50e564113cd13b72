// SPDX-License-Identifier: BSD-3-Clause
// Averaged second moments of a layer's inputs, and their regularized inverses.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/linalg/eigh.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/optim/skip.hpp>

#include <cstddef>

namespace schatten::optim {

/// k ↦ whether an observation changes matrix k: its inputs, and the sums of their products, are finite.
template <class Space>
struct Observed {
  FiniteFlags<Space> finite;
  NumberBatchView<const double, Space> largest;  ///< of |ZᵀZ|
  KOKKOS_FUNCTION bool operator()(std::size_t k) const { return finite(k) && linalg::is_finite(largest(k)); }
};

/// K ← ρK + (1−ρ)·S/samples; in the first observation K = initial·I on the right side.
template <Scalar T, class Space>
struct AverageMoment {
  BatchView<const T, Space> sum;
  BatchView<T, Space> moment, observations;
  double rho, initial, samples;
  Observed<Space> observed;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    if (!observed(k)) return;
    const bool first = observations(k, 0, 0) == T(0);
    const double old = first ? (i == j ? initial : 0.0) : double(moment(k, i, j));
    moment(k, i, j) = T(rho * old + (1 - rho) * (double(sum(k, i, j)) / samples));
  }
};

/// Increments the number of observations. shift(k) ← ridge·mean λ + ε.
template <Scalar T, class Space>
struct CountObservation {
  BatchView<T, Space> observations;
  VectorBatchView<const T, Space> lambda;
  double ridge, epsilon;
  NumberBatchView<double, Space> shift;
  Observed<Space> observed;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k) const {
    const std::size_t n = lambda.extent(1);
    const double trace = team.sum(n, [&](std::size_t i) { return double(lambda(k, i)); });
    team.once([&] {
      shift(k) = ridge * trace / double(n) + epsilon;
      if (observed(k)) observations(k, 0, 0) += T(1);
    });
  }
};

/// scaled ← V diag(1/(λ + shift)).
template <Scalar T, class Space>
struct DivideByShifted {
  BatchView<const T, Space> v;
  VectorBatchView<const T, Space> lambda;
  NumberBatchView<const double, Space> shift;
  BatchView<T, Space> scaled;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    const double least = 0, value = double(lambda(k, j));
    scaled(k, i, j) = T(double(v(k, i, j)) / ((value > least ? value : least) + shift(k)));
  }
};

/// Copies `from` to `to` for the matrices that are observed.
template <Scalar T, class Space>
struct StoreObserved {
  BatchView<const T, Space> from;
  BatchView<T, Space> to;
  Observed<Space> observed;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    if (observed(k)) to(k, i, j) = from(k, i, j);
  }
};

/// K ← ρK + (1−ρ)ZᵀZ/N with Z = `input` (matrices, N, cols) and initially K = initial·I. inverse ← (K + (ridge·tr
/// K/cols + ε)I)⁻¹.
///
/// The slots `moment` and `inverse` are of Extent::right_square, `observations` of Extent::number. Matrices whose
/// inputs are not finite are left out. Cost per matrix with n columns: n²N + 2n³ flops and an eigendecomposition.
template <class Bucket>
void observe_inputs(Bucket& bucket, const typename Bucket::ConstBatch& input, double rho, double initial, double ridge,
                    double epsilon, std::size_t moment, std::size_t inverse, std::size_t observations) {
  using T = typename Bucket::Scalar;
  using Space = typename Bucket::Space;
  using Backend = typename Bucket::Backend;
  auto& workspace = bucket.workspace();
  const auto& exec = bucket.exec();
  const std::size_t count = bucket.matrices(), n = bucket.cols();
  const auto sum = workspace.template batch<T>(count, n, n), v = workspace.template batch<T>(count, n, n);
  const auto lambda = workspace.template vectors<T>(count, n);
  const auto largest = workspace.template numbers<double>(count), shift = workspace.template numbers<double>(count);
  linalg::gram<Backend>(exec, input, sum, workspace);
  linalg::max_abs(exec, sum, largest, workspace);
  const Observed<Space> observed{bucket.finite(), largest};
  for_each_element(exec, "schatten::observe/moment", count, n, n,
                   AverageMoment<T, Space>{sum, bucket.state(moment), bucket.state(observations), rho, initial,
                                           double(input.extent(1)), observed});
  linalg::eigh<Backend>(exec, bucket.state(moment), lambda, v, workspace);
  for_each_matrix_by_team(
      exec, "schatten::observe/count", count,
      CountObservation<T, Space>{bucket.state(observations), lambda, ridge, epsilon, shift, observed});
  const auto scaled = workspace.template batch<T>(count, n, n);
  for_each_element(exec, "schatten::observe/divide", count, n, n, DivideByShifted<T, Space>{v, lambda, shift, scaled});
  linalg::gemm<Backend>(exec, T(1), scaled, transpose(v), T(0), sum, workspace);
  for_each_element(exec, "schatten::observe/inverse", count, n, n,
                   StoreObserved<T, Space>{sum, bucket.state(inverse), observed});
}

}  // namespace schatten::optim
