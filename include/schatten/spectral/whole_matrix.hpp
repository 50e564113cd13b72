// SPDX-License-Identifier: BSD-3-Clause
// Sums over the elements of a matrix that is here as a whole. distributed/rank_parts.hpp has those of matrices over
// ranks.
#pragma once

#include <schatten/core/workspace.hpp>
#include <schatten/linalg/gemm.hpp>

#include <cstddef>

namespace schatten::spectral {

/// What methods and stages do to sums over a matrix: nothing. It is their argument `parts` where other ranks have no
/// part of the matrix.
struct WholeMatrix {
  static constexpr bool cut = false;  ///< whether other ranks have parts of the matrix
  /// Rows of the whole matrix, of which `here` are here.
  [[nodiscard]] static std::size_t rows(std::size_t here) { return here; }
  /// Elements of the whole matrix, of which `here` are here.
  [[nodiscard]] static double elements(double here) { return here; }
  /// x ← the largest of all parts' x, a number a matrix.
  template <class Exec, class Numbers>
  void largest(const Exec&, const Numbers&) const {}
  /// x ← the sum of all parts' x, n numbers.
  template <class Exec>
  void sums(const Exec&, double*, std::size_t) const {}
  /// x ← the norm of the whole from those of the parts, `each` numbers for each of `count` matrices.
  template <class Exec>
  void norms(const Exec&, double*, std::size_t, std::size_t = 1) const {}
  /// gram ← XᵀX of all parts' rows.
  template <class Backend, class Exec, class T, class Space>
  void gram(const Exec& exec, const BatchView<T, Space>& x, const BatchView<T, Space>& gram,
            Workspace<Space>& workspace) const {
    linalg::gram<Backend>(exec, x, gram, workspace);
  }
};

}  // namespace schatten::spectral
