// SPDX-License-Identifier: BSD-3-Clause
// Plane rotations of the columns of a host matrix, kept until enough of them go through the cache together.
#pragma once

#include <schatten/linalg/host/householder.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE {

/// (c s; −s c)·(f; g) = (length; 0).
struct PlaneRotation {
  PlaneRotation(double f, double g)
      : length(std::hypot(f, g)), c(length == 0 ? 1.0 : f / length), s(length == 0 ? 0.0 : g / length) {}
  double length, c, s;
};

/// A ← A·Gᵀ₁·Gᵀ₂⋯ for rotations in the order in which they come; column pair (i, j) ← (c aᵢ + s aⱼ, −s aᵢ + c aⱼ).
///
/// Sequences of neighbouring pairs, which QR steps consist of, are kept and applied together: to a few rows at a time,
/// which stay in cache, and within a sequence each column is read and written once.
template <class T>
class ColumnRotations {
 public:
  /// A (n×k), its columns contiguous and householder::leading(n) apart; rows below n are rotated as well. An empty A
  /// takes no notice.
  explicit ColumnRotations(const HostMatrix<T>& a) : a_(a) {}

  /// A sequence of pairs (first, first + 1), (first + 1, first + 2), ... begins: add() gives each of them.
  void begin(std::ptrdiff_t first) {
    if (a_.cols == 0) return;
    if (std::ptrdiff_t(pairs_.size()) > most_sweeps * a_.cols) flush();
    sequences_.push_back({first, pairs_.size()});
  }
  void add(const PlaneRotation& g) {
    if (a_.cols > 0) pairs_.push_back({T(g.c), T(g.s)});
  }
  /// One rotation of columns i and j.
  void rotate(std::ptrdiff_t i, std::ptrdiff_t j, const PlaneRotation& g) {
    if (a_.cols == 0) return;
    flush();
    T *const x = &a_(0, i), *const y = &a_(0, j);
    const T c = T(g.c), s = T(g.s);
    for (std::ptrdiff_t k = 0; k < a_.rows; ++k) {
      const T old = x[k];
      x[k] = c * old + s * y[k];
      y[k] = c * y[k] - s * old;
    }
  }
  /// Applies what is kept.
  void flush() {
    constexpr std::ptrdiff_t rows = kernel::tile_rows<T>;
    for (std::ptrdiff_t row = 0; row < a_.rows; row += rows) {
      for (std::size_t k = 0; k < sequences_.size(); ++k) {
        const std::size_t end = k + 1 < sequences_.size() ? sequences_[k + 1].offset : pairs_.size();
        sweep(&a_(row, sequences_[k].first), pairs_.data() + sequences_[k].offset, pairs_.data() + end);
      }
    }
    sequences_.clear();
    pairs_.clear();
  }

 private:
  static constexpr std::ptrdiff_t most_sweeps = 16;
  struct Sequence {
    std::ptrdiff_t first;
    std::size_t offset;
  };
  struct Pair {
    T c, s;
  };

  /// A sequence on a tile of rows, the column that two successive pairs share in registers.
  void sweep(T* column, const Pair* pair, const Pair* end) const {
    using kernel::load;
    constexpr std::ptrdiff_t lanes = kernel::lanes<T>;
    kernel::Vector<T> upper = load(column), lower = load(column + lanes);
    for (; pair != end; ++pair) {
      T* const next = column + a_.col_stride;
      const kernel::Vector<T> next_upper = load(next), next_lower = load(next + lanes);
      const T c = pair->c, s = pair->s;
      kernel::store<T>(c * upper + s * next_upper, column);
      kernel::store<T>(c * lower + s * next_lower, column + lanes);
      upper = c * next_upper - s * upper;
      lower = c * next_lower - s * lower;
      column = next;
    }
    kernel::store<T>(upper, column);
    kernel::store<T>(lower, column + lanes);
  }

  HostMatrix<T> a_;
  std::vector<Sequence> sequences_;
  std::vector<Pair> pairs_;
};

}  // namespace schatten::linalg::backend::inline SCHATTEN_HOST_CODE
