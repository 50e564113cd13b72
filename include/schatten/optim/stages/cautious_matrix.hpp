// SPDX-License-Identifier: BSD-3-Clause
// The mask of cautious rules before and after a spectral map.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/team.hpp>
#include <schatten/optim/apply.hpp>
#include <schatten/optim/stages/cautious.hpp>
#include <schatten/optim/stages/line_norms.hpp>
#include <schatten/optim/stages/momentum.hpp>

#include <array>
#include <cstddef>

namespace schatten::optim {

/// The masked momentum of matrix k with the factor x(k); an empty x counts as ones.
template <Scalar T, class Space>
struct MaskedMomentum {
  MomentumElement<T> momentum;
  NumberBatchView<const double, Space> x;
  KOKKOS_FUNCTION MaskedElement<T, MomentumElement<T>> operator()(std::size_t k) const {
    return {momentum.average, momentum, x.extent(0) > 0 ? T(x(k)) : T(1)};
  }
};

/// out ← φ⊙u, times the factor of the mask if `scales` is set. φ = 1 where the new average, which is stored in `slot`,
/// has the sign of g. Cost: one pass, with the factor two. @pre slot is 0.
template <class Bucket>
void cautious_average(Bucket& bucket, const Momentum& momentum, std::size_t slot, MaskScale mask_scale, bool scales,
                      const typename Bucket::Batch& out) {
  using T = typename Bucket::Scalar;
  const MomentumElement<T> element = momentum_element<T>(momentum);
  typename Bucket::Numbers x;
  if (scales) {
    x = bucket.workspace().template numbers<double>(bucket.matrices());
    mask_factors(bucket, element.average, mask_scale, x);
  }
  bucket.average_each(MaskedMomentum<T, typename Bucket::Space>{element, x}, std::array{slot}, momentum.beta, out);
}

/// Sets the elements of row i of d whose sign differs from that of g to 0, and root(k, i, 0) to the root of the number
/// of other elements.
template <Scalar T, class Space>
struct KeepAgreeing {
  BatchView<const T, Space> g;
  BatchView<T, Space> d;
  BatchView<double, Space> root;
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    const double kept = team.sum(d.extent(2), [&](std::size_t j) {
      const bool keeps = agrees(d(k, i, j), g(k, i, j));
      d(k, i, j) = keeps ? d(k, i, j) : T(0);
      return keeps ? 1.0 : 0.0;
    });
    team.once([&] { root(k, i, 0) = math::sqrt(kept); });
  }
};

/// factor(k) ← x(k)·factor(k).
template <class Space>
struct MultiplyFactor {
  NumberBatchView<const double, Space> x;
  NumberBatchView<SplitFactor, Space> factor;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { factor(k).first *= x(k); }
};

/// d ← φ⊙d, φ = 1 where d and g have the same sign. Multiplies the bucket's factor by that of the mask. Cost: one pass
/// over both.
template <class Bucket>
void keep_agreeing(Bucket& bucket, const typename Bucket::Batch& g, MaskScale mask_scale,
                   const typename Bucket::Batch& d) {
  using Space = typename Bucket::Space;
  const std::size_t count = bucket.matrices();
  const auto roots = row_numbers(bucket);
  const auto root = bucket.workspace().template numbers<double>(count);
  for_each_row_by_team(bucket.exec(), "schatten::step/keep_agreeing", count, bucket.rows(),
                       KeepAgreeing<typename Bucket::Scalar, Space>{g, d, roots});
  linalg::frobenius_norm(bucket.exec(), roots, root, bucket.workspace());
  bucket.parts().norms(bucket.exec(), root.data(), count);
  for_each_matrix(bucket.exec(), "schatten::step/mask", count,
                  MaskFactor<Space>{root, elements_of(bucket), mask_scale, root});
  for_each_matrix(bucket.exec(), "schatten::step/factor", count, MultiplyFactor<Space>{root, bucket.factor()});
}

}  // namespace schatten::optim
