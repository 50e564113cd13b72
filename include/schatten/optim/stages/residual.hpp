// SPDX-License-Identifier: BSD-3-Clause
// The sum of a direction in a subspace and one in its complement, with a fixed norm.
#pragma once

#include <schatten/linalg/norms.hpp>
#include <schatten/optim/stages/line_norms.hpp>
#include <schatten/optim/stages/rotation.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

namespace schatten::optim {

/// part ← UP, rest ← U − UPPᵀ. U, rest (R×C), P (C×r), part (R×r). Cost: 4RCr flops.
template <class Bucket>
void project(Bucket& bucket, const typename Bucket::Batch& u, const typename Bucket::Batch& p,
             const typename Bucket::Batch& part, const typename Bucket::Batch& rest) {
  using T = typename Bucket::Scalar;
  using Backend = typename Bucket::Backend;
  linalg::gemm<Backend>(bucket.exec(), T(1), u, p, T(0), part, bucket.workspace());
  copy_elements(bucket.exec(), "schatten::step/copy", as_const(u), rest);
  linalg::gemm<Backend>(bucket.exec(), T(-1), part, transpose(p), T(1), rest, bucket.workspace());
}

/// weight(k) ← gain/(norm(k) + ε), or 0 if rest(k) <= `least`·part(k).
template <class Space>
struct ResidualWeight {
  NumberBatchView<const double, Space> part, rest, norm;
  double gain, epsilon, least;
  NumberBatchView<double, Space> weight;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    weight(k) = rest(k) > least * part(k) ? gain / (norm(k) + epsilon) : 0.0;
  }
};

/// out ← a + weight·out.
template <class T, class Space>
struct AddWeighted {
  BatchView<const T, Space> a;
  NumberBatchView<const double, Space> weight;
  BatchView<T, Space> out;
  KOKKOS_FUNCTION void operator()(std::size_t k, std::size_t i, std::size_t j) const {
    out(k, i, j) = T(double(a(k, i, j)) + weight(k) * double(out(k, i, j)));
  }
};

/// out ← aPᵀ + γ√(RC)·out/(‖out‖_F + ε). a (R×r) is the direction in the span of P, out (R×C) that in the complement.
///
/// part, rest: the results of project; rest is overwritten. If ‖rest‖ is at the rounding level of ‖part‖, the term with
/// out is zero. Cost: 2RCr flops, two norms of two passes each, and one more pass.
template <class Bucket>
void add_residual(Bucket& bucket, const typename Bucket::Batch& a, const typename Bucket::Batch& p,
                  const typename Bucket::Batch& part, const typename Bucket::Batch& rest, double gamma, double epsilon,
                  const typename Bucket::Batch& out) {
  using T = typename Bucket::Scalar;
  using Space = typename Bucket::Space;
  const auto& exec = bucket.exec();
  auto& workspace = bucket.workspace();
  const std::size_t batch = out.extent(0);
  const auto part_norm = workspace.template numbers<double>(batch),
             rest_norm = workspace.template numbers<double>(batch);
  const auto norm = workspace.template numbers<double>(batch), weight = workspace.template numbers<double>(batch);
  linalg::frobenius_norm(exec, part, part_norm, workspace);
  linalg::frobenius_norm(exec, rest, rest_norm, workspace);
  linalg::frobenius_norm(exec, out, norm, workspace);
  const double least = 32 * std::sqrt(double(p.extent(2))) * double(std::numeric_limits<T>::epsilon());
  const double gain = gamma * std::sqrt(double(out.extent(1)) * double(out.extent(2)));
  for_each_matrix(exec, "schatten::step/residual", batch,
                  ResidualWeight<Space>{part_norm, rest_norm, norm, gain, epsilon, least, weight});
  linalg::gemm<typename Bucket::Backend>(exec, T(1), a, transpose(p), T(0), rest, workspace);
  for_each_element(exec, "schatten::step/add_residual", batch, out.extent(1), out.extent(2),
                   AddWeighted<T, Space>{rest, weight, out});
}

/// Multiplies the bucket's factor by ratio·√(RC)/(‖out‖_F + ε), which gives the root mean square `ratio`. Cost: two
/// passes.
template <class Bucket>
void set_rms(Bucket& bucket, const typename Bucket::Batch& out, double ratio, double epsilon) {
  using Space = typename Bucket::Space;
  const auto norm = bucket.workspace().template numbers<double>(bucket.matrices());
  linalg::frobenius_norm(bucket.exec(), out, norm, bucket.workspace());
  const double size = ratio * std::sqrt(double(out.extent(1)) * double(out.extent(2)));
  const auto factor = bucket.factor();
  for_each_matrix(bucket.exec(), "schatten::step/rms", bucket.matrices(),
                  FactorOverNorm<Space, std::remove_cv_t<decltype(factor)>>{size, {}, norm, epsilon, factor});
}

}  // namespace schatten::optim
