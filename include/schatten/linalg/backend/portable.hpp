// SPDX-License-Identifier: BSD-3-Clause
// Backend in plain Kokkos kernels, for any execution space, without a vendor library. It is simple, not fast: the
// reference of the tests, and the backend of devices without a vendor backend.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/norms.hpp>

#include <algorithm>
#include <limits>

namespace schatten::linalg {

/// Dense linear algebra by Kokkos kernels only.
struct PortableBackend {};

namespace backend {

/// C(i, j) ← α Σ_k A(i, k) B(k, j) + β C(i, j), summed in double.
template <class T, class Space>
struct PortableGemm {
  T alpha;
  BatchView<const T, Space> a, b;
  T beta;
  BatchView<T, Space> c;
  KOKKOS_FUNCTION void operator()(std::size_t n, std::size_t i, std::size_t j) const {
    double sum = 0;
    for (std::size_t k = 0; k < a.extent(2); ++k) sum += double(a(n, i, k)) * double(b(n, k, j));
    const double old = beta == T(0) ? 0.0 : double(beta) * double(c(n, i, j));
    c(n, i, j) = T(double(alpha) * sum + old);
  }
};

template <ExecutionSpace Exec, class T, class Space>
void gemm(PortableBackend, const Exec& exec, T alpha, const BatchView<const T, Space>& a,
          const BatchView<const T, Space>& b, T beta, const BatchView<T, Space>& c, Workspace<Space>&) {
  for_each_element(exec, "schatten::gemm", c.extent(0), c.extent(1), c.extent(2),
                   PortableGemm<T, Space>{alpha, a, b, beta, c});
}

/// Start of one-sided Jacobi: rows of `work` are the columns of A over its largest entry, `v` is the identity. Where A
/// holds a NaN or an infinity (its scale is NaN then), both are NaN throughout.
template <class T, class Space>
struct JacobiStart {
  BatchView<const T, Space> a;
  NumberBatchView<double, Space> scale;
  BatchView<double, Space> work, v;
  NumberBatchView<int, Space> rotated;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t column) const {
    const bool finite = is_finite(scale(b));
    const double unit = scale(b) == 0.0 ? 1.0 : scale(b);
    for (std::size_t i = 0; i < work.extent(2); ++i) {
      work(b, column, i) = finite ? double(a(b, i, column)) / unit : unit;
    }
    for (std::size_t i = 0; i < v.extent(2); ++i) v(b, column, i) = finite ? double(i == column) : unit;
    if (column == 0) rotated(b) = finite ? 1 : 0;
  }
};

/// Pair `pair` of round `round` of a round-robin tournament; `second` may be the bye, players − 1 of an odd number.
struct Pairing {
  std::size_t first, second;
  KOKKOS_FUNCTION Pairing(std::size_t players, std::size_t round, std::size_t pair) {
    const std::size_t last = players - 1;
    const std::size_t p = pair == 0 ? last : (round + pair) % last, q = (round + last - pair) % last;
    first = p < q ? p : q;
    second = p < q ? q : p;
  }
};

/// The rotation (c −s; s c) by at most 45° that makes the off-diagonal entry of (pp pq; pq qq) zero. @pre pq != 0
struct Rotation {
  double c, s;
  KOKKOS_FUNCTION Rotation(double pp, double qq, double pq) {
    const double zeta = (pp - qq) / (2 * pq);
    const double t = (zeta >= 0 ? 1.0 : -1.0) / ((zeta >= 0 ? zeta : -zeta) + math::sqrt(1 + zeta * zeta));
    c = 1 / math::sqrt(1 + t * t);
    s = c * t;
  }
};

/// Rows p and q of x ← (c s; −s c) times them.
template <class Space>
KOKKOS_FUNCTION void rotate_rows(const BatchView<double, Space>& x, std::size_t b, std::size_t p, std::size_t q,
                                 double c, double s) {
  for (std::size_t i = 0; i < x.extent(2); ++i) {
    const double xp = x(b, p, i), xq = x(b, q, i);
    x(b, p, i) = c * xp + s * xq;
    x(b, q, i) = c * xq - s * xp;
  }
}

/// One round of disjoint column pairs (a round of a round-robin tournament). A rotation makes the two columns
/// orthogonal; it is skipped when |x·y| <= tolerance·|x||y| already. `rotated` counts rotations so that a finished
/// matrix costs nothing in later sweeps. Hestenes (1958); Demmel and Veselić (1992) for its relative accuracy.
template <class Space>
struct JacobiRound {
  BatchView<double, Space> work, v;
  NumberBatchView<int, Space> rotated_before, rotated;
  std::size_t players, round;
  double tolerance;

  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t pair) const {
    if (rotated_before(b) == 0) return;
    const auto [p, q] = Pairing(players, round, pair);
    if (q >= work.extent(1)) return;
    double pp = 0, qq = 0, pq = 0;
    for (std::size_t i = 0; i < work.extent(2); ++i) {
      const double xp = work(b, p, i), xq = work(b, q, i);
      pp += xp * xp;
      qq += xq * xq;
      pq += xp * xq;
    }
    const double threshold = tolerance * math::sqrt(pp) * math::sqrt(qq);
    if (!(pq > threshold || pq < -threshold)) return;
    const Rotation r(pp, qq, pq);
    rotate_rows(work, b, p, q, r.c, r.s);
    rotate_rows(v, b, p, q, r.c, r.s);
    Kokkos::atomic_fetch_add(&rotated(b), 1);
  }
};

/// Hands the count of rotations over to the next sweep.
template <class Space>
struct JacobiSweepEnd {
  NumberBatchView<int, Space> rotated_before, rotated;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    rotated_before(b) = rotated(b);
    rotated(b) = 0;
  }
};

/// Lengths of columns below this, the largest entry being one, count as zero: their squares have too few digits to make
/// columns orthogonal by, and rotations reduce what rounding leaves of a zero singular value to nothing.
inline constexpr double least_column = 0x1p-460;

/// Lengths of the columns of the finished work array and, as the rounding of each rotation lets lengths drift, v's
/// columns back to length one: A = work V⁻¹, so a column of v and its column of work are divided by the same number.
template <class Space>
struct JacobiLengths {
  BatchView<double, Space> work, v;
  VectorBatchView<double, Space> length;
  KOKKOS_FUNCTION static double norm(const BatchView<double, Space>& x, std::size_t b, std::size_t column) {
    double sum = 0;
    for (std::size_t i = 0; i < x.extent(2); ++i) sum += x(b, column, i) * x(b, column, i);
    return math::sqrt(sum);
  }
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t column) const {
    const double drift = norm(v, b, column);
    for (std::size_t i = 0; i < work.extent(2); ++i) work(b, column, i) /= drift;
    for (std::size_t i = 0; i < v.extent(2); ++i) v(b, column, i) /= drift;
    const double own = norm(work, b, column);
    length(b, column) = is_finite(own) && own < least_column ? 0.0 : own;
  }
};

/// Writes column `column` to its place in descending order.
template <class T, class Space>
struct JacobiFinish {
  BatchView<const double, Space> work, v;
  VectorBatchView<double, Space> length;
  NumberBatchView<double, Space> scale;
  BatchView<T, Space> u;
  VectorBatchView<T, Space> sigma;
  BatchView<T, Space> vt;
  bool vectors;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t column) const {
    const double own = length(b, column);
    std::size_t place = 0;
    for (std::size_t k = 0; k < length.extent(1); ++k) {
      const bool before = !is_finite(own) ? k < column : length(b, k) > own || (length(b, k) == own && k < column);
      place += before ? 1 : 0;
    }
    sigma(b, place) = T(own * scale(b));
    if (!vectors) return;
    for (std::size_t i = 0; i < work.extent(2); ++i) u(b, i, place) = own == 0.0 ? T(0) : T(work(b, column, i) / own);
    for (std::size_t i = 0; i < v.extent(2); ++i) vt(b, place, i) = T(v(b, column, i));
  }
};

/// Singular value decomposition by one-sided Jacobi, in double; columns of U for zero singular values are zero.
/// Cost: sweeps × 6n²m flops; about 10 sweeps in float, up to 30 in double (128×128, clustered). A matrix that still
/// rotates after max_sweeps keeps the accuracy reached.
template <ExecutionSpace Exec, class T, class Space>
void svd(PortableBackend tag, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& u,
         const VectorBatchView<T, Space>& sigma, const BatchView<T, Space>& vt, bool vectors,
         Workspace<Space>& workspace) {
  if (a.extent(1) < a.extent(2))
    return svd(tag, exec, transpose(a), transpose(vt), sigma, transpose(u), vectors, workspace);
  constexpr int max_sweeps = 60;
  const std::size_t batch = a.extent(0), m = a.extent(1), n = a.extent(2);
  const double tolerance = 0.5 * double(std::numeric_limits<T>::epsilon()) * math::sqrt(double(m));
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch);
  const auto work = workspace.template batch<double>(batch, n, m);
  const auto v = workspace.template batch<double>(batch, n, n);
  const auto length = workspace.template vectors<double>(batch, n);
  const auto rotated_before = workspace.template numbers<int>(batch);
  const auto rotated = workspace.template numbers<int>(batch);
  max_abs(exec, a, scale, workspace);
  for_each_row(exec, "schatten::svd/start", batch, n, JacobiStart<T, Space>{a, scale, work, v, rotated});
  const std::size_t players = n + n % 2;
  for (int sweep = 0; sweep < max_sweeps; ++sweep) {
    for_each_matrix(exec, "schatten::svd/sweep", batch, JacobiSweepEnd<Space>{rotated_before, rotated});
    for (std::size_t round = 0; round + 1 < players; ++round) {
      for_each_row(exec, "schatten::svd/round", batch, players / 2,
                   JacobiRound<Space>{work, v, rotated_before, rotated, players, round, tolerance});
    }
  }
  for_each_row(exec, "schatten::svd/lengths", batch, n, JacobiLengths<Space>{work, v, length});
  for_each_row(exec, "schatten::svd/finish", batch, n,
               JacobiFinish<T, Space>{work, v, length, scale, u, sigma, vt, vectors});
}

/// Start of two-sided Jacobi: `work` is A over its largest entry, `vt` the identity; NaN where A is not finite.
template <class T, class Space>
struct EighStart {
  BatchView<const T, Space> a;
  NumberBatchView<double, Space> scale;
  BatchView<double, Space> work, vt;
  NumberBatchView<int, Space> rotated;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const bool finite = is_finite(scale(b));
    const double unit = scale(b) == 0.0 ? 1.0 : scale(b);
    for (std::size_t j = 0; j < work.extent(2); ++j) {
      work(b, i, j) = finite ? double(a(b, i > j ? i : j, i > j ? j : i)) / unit : unit;
      vt(b, i, j) = finite ? double(i == j) : unit;
    }
    if (i == 0) rotated(b) = finite ? 1 : 0;
  }
};

/// One round of disjoint pairs, on the rows: rotation(b, 2·pair) = c, rotation(b, 2·pair + 1) = s, the identity where
/// the entry is negligible already.
template <class Space>
struct EighRows {
  BatchView<double, Space> work, vt;
  VectorBatchView<double, Space> rotation;
  NumberBatchView<int, Space> rotated_before, rotated;
  std::size_t players, round;
  double negligible;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t pair) const {
    rotation(b, 2 * pair) = 1;
    rotation(b, 2 * pair + 1) = 0;
    const auto [p, q] = Pairing(players, round, pair);
    if (rotated_before(b) == 0 || q >= work.extent(1)) return;
    const double pq = work(b, p, q);
    if (pq <= negligible && pq >= -negligible) return;
    const Rotation r(work(b, p, p), work(b, q, q), pq);
    rotate_rows(work, b, p, q, r.c, r.s);
    rotate_rows(vt, b, p, q, r.c, r.s);
    rotation(b, 2 * pair) = r.c;
    rotation(b, 2 * pair + 1) = r.s;
    Kokkos::atomic_fetch_add(&rotated(b), 1);
  }
};

/// The same rotations on the columns of row i.
template <class Space>
struct EighColumns {
  BatchView<double, Space> work;
  VectorBatchView<double, Space> rotation;
  NumberBatchView<int, Space> rotated_before;
  std::size_t players, round;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    if (rotated_before(b) == 0) return;
    for (std::size_t pair = 0; pair < players / 2; ++pair) {
      const double c = rotation(b, 2 * pair), s = rotation(b, 2 * pair + 1);
      if (s == 0.0) continue;
      const auto [p, q] = Pairing(players, round, pair);
      const double xp = work(b, i, p), xq = work(b, i, q);
      work(b, i, p) = i == q ? 0.0 : c * xp + s * xq;
      work(b, i, q) = i == p ? 0.0 : c * xq - s * xp;
    }
  }
};

/// Row i of vt back to length one, and λ_i = v_iᵀ(A / scale)v_i: the error of an eigenvector enters squared.
template <class T, class Space>
struct RayleighQuotients {
  BatchView<const T, Space> a;
  NumberBatchView<double, Space> scale;
  BatchView<double, Space> vt;
  VectorBatchView<double, Space> quotient;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const double unit = scale(b) == 0.0 ? 1.0 : scale(b);
    quotient(b, i) = unit;
    if (!is_finite(unit)) return;
    double square = 0, sum = 0;
    for (std::size_t j = 0; j < a.extent(1); ++j) square += vt(b, i, j) * vt(b, i, j);
    for (std::size_t j = 0; j < a.extent(1); ++j) vt(b, i, j) /= math::sqrt(square);
    for (std::size_t j = 0; j < a.extent(1); ++j) {
      double row = 0;
      for (std::size_t k = 0; k < a.extent(2); ++k) {
        row += double(a(b, j > k ? j : k, j > k ? k : j)) / unit * vt(b, i, k);
      }
      sum += vt(b, i, j) * row;
    }
    quotient(b, i) = sum;
  }
};

/// Writes eigenpair i to its place in ascending order.
template <class T, class Space>
struct EighFinish {
  VectorBatchView<double, Space> quotient;
  NumberBatchView<double, Space> scale;
  BatchView<const double, Space> vt;
  VectorBatchView<T, Space> lambda;
  BatchView<T, Space> v;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const double own = quotient(b, i);
    std::size_t place = 0;
    for (std::size_t k = 0; k < quotient.extent(1); ++k) {
      const bool before = !is_finite(own) ? k < i : quotient(b, k) < own || (quotient(b, k) == own && k < i);
      place += before ? 1 : 0;
    }
    lambda(b, place) = T(own * scale(b));
    for (std::size_t k = 0; k < vt.extent(2); ++k) v(b, k, place) = T(vt(b, i, k));
  }
};

/// Symmetric eigenvalue decomposition by two-sided Jacobi, in double; the lower triangle is read. Jacobi (1846), in the
/// parallel order of Brent and Luk (1985). Cost: sweeps × 9n³ flops, about ten sweeps.
template <ExecutionSpace Exec, class T, class Space>
void eigh(PortableBackend, const Exec& exec, const BatchView<const T, Space>& a,
          const VectorBatchView<T, Space>& lambda, const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  constexpr int max_sweeps = 40;
  const std::size_t batch = a.extent(0), n = a.extent(1), players = n + n % 2;
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch);
  const auto work = workspace.template batch<double>(batch, n, n);
  const auto vt = workspace.template batch<double>(batch, n, n);
  const auto rotation = workspace.template vectors<double>(batch, players);
  const auto quotient = workspace.template vectors<double>(batch, n);
  const auto rotated_before = workspace.template numbers<int>(batch);
  const auto rotated = workspace.template numbers<int>(batch);
  const double negligible = 0.25 * std::numeric_limits<double>::epsilon();  // of the largest entry, at most ‖A‖
  max_abs(exec, a, scale, workspace);
  for_each_row(exec, "schatten::eigh/start", batch, n, EighStart<T, Space>{a, scale, work, vt, rotated});
  for (int sweep = 0; sweep < max_sweeps; ++sweep) {
    for_each_matrix(exec, "schatten::eigh/sweep", batch, JacobiSweepEnd<Space>{rotated_before, rotated});
    for (std::size_t round = 0; round + 1 < players; ++round) {
      for_each_row(exec, "schatten::eigh/rows", batch, players / 2,
                   EighRows<Space>{work, vt, rotation, rotated_before, rotated, players, round, negligible});
      for_each_row(exec, "schatten::eigh/columns", batch, n,
                   EighColumns<Space>{work, rotation, rotated_before, players, round});
    }
  }
  for_each_row(exec, "schatten::eigh/quotients", batch, n, RayleighQuotients<T, Space>{a, scale, vt, quotient});
  for_each_row(exec, "schatten::eigh/finish", batch, n, EighFinish<T, Space>{quotient, scale, vt, lambda, v});
}

}  // namespace backend
}  // namespace schatten::linalg
