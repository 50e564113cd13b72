// Backend in plain Kokkos kernels: any execution space, no vendor library. Short rather than quick: the reference in
// tests, and what a device without a vendor backend falls back to.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/workspace.hpp>

#include <algorithm>
#include <limits>

namespace schatten::linalg {

/// Dense linear algebra by Kokkos kernels alone.
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
          const BatchView<const T, Space>& b, T beta, const BatchView<T, Space>& c) {
  for_each_element(exec, "schatten::gemm", c.extent(0), c.extent(1), c.extent(2),
                   PortableGemm<T, Space>{alpha, a, b, beta, c});
}

/// Start of one-sided Jacobi: rows of `work` are the columns of A, `v` is the identity.
template <class T, class Space>
struct JacobiStart {
  BatchView<const T, Space> a;
  BatchView<T, Space> work, v;
  NumberBatchView<int, Space> rotated;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t column) const {
    for (std::size_t i = 0; i < work.extent(2); ++i) work(b, column, i) = a(b, i, column);
    for (std::size_t i = 0; i < v.extent(2); ++i) v(b, column, i) = T(i == column);
    if (column == 0) rotated(b) = 1;
  }
};

/// One round of disjoint column pairs (a round of a round-robin tournament). A rotation makes the two columns
/// orthogonal; it is skipped when |x·y| <= ε|x||y| already. `rotated` counts rotations so that a finished matrix costs
/// nothing in later sweeps. Hestenes (1958); Demmel and Veselić (1992) for its relative accuracy.
template <class T, class Space>
struct JacobiRound {
  BatchView<T, Space> work, v;
  NumberBatchView<int, Space> rotated_before, rotated;
  std::size_t players, round;

  KOKKOS_FUNCTION static void rotate(const BatchView<T, Space>& x, std::size_t b, std::size_t p, std::size_t q,
                                     double c, double s) {
    for (std::size_t i = 0; i < x.extent(2); ++i) {
      const double xp = double(x(b, p, i)), xq = double(x(b, q, i));
      x(b, p, i) = T(c * xp - s * xq);
      x(b, q, i) = T(s * xp + c * xq);
    }
  }

  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t pair) const {
    if (rotated_before(b) == 0) return;
    const std::size_t last = players - 1;
    std::size_t p = pair == 0 ? last : (round + pair) % last;
    std::size_t q = (round + last - pair) % last;
    if (p > q) {
      const std::size_t swap = p;
      p = q;
      q = swap;
    }
    if (q >= work.extent(1)) return;  // the bye of an odd tournament
    double pp = 0, qq = 0, pq = 0;
    for (std::size_t i = 0; i < work.extent(2); ++i) {
      const double xp = double(work(b, p, i)), xq = double(work(b, q, i));
      pp += xp * xp;
      qq += xq * xq;
      pq += xp * xq;
    }
    const double threshold = 0.5 * double(std::numeric_limits<T>::epsilon()) * math::sqrt(pp) * math::sqrt(qq);
    if (!(pq > threshold || pq < -threshold)) return;
    const double zeta = (qq - pp) / (2 * pq);
    const double t = (zeta >= 0 ? 1.0 : -1.0) / ((zeta >= 0 ? zeta : -zeta) + math::sqrt(1 + zeta * zeta));
    const double c = 1 / math::sqrt(1 + t * t);
    rotate(work, b, p, q, c, c * t);
    rotate(v, b, p, q, c, c * t);
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

/// Lengths of the columns of the finished work array.
template <class T, class Space>
struct JacobiLengths {
  BatchView<const T, Space> work;
  VectorBatchView<T, Space> length;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t column) const {
    double sum = 0;
    for (std::size_t i = 0; i < work.extent(2); ++i) sum += double(work(b, column, i)) * double(work(b, column, i));
    length(b, column) = T(math::sqrt(sum));
  }
};

/// Writes column `column` to its place in descending order.
template <class T, class Space>
struct JacobiFinish {
  BatchView<const T, Space> work, v;
  VectorBatchView<T, Space> length, sigma;
  BatchView<T, Space> u, vt;
  bool vectors;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t column) const {
    const T own = length(b, column);
    std::size_t place = 0;
    for (std::size_t k = 0; k < length.extent(1); ++k) {
      const bool before = own != own ? k < column : length(b, k) > own || (length(b, k) == own && k < column);
      place += before ? 1 : 0;
    }
    sigma(b, place) = own;
    if (!vectors) return;
    for (std::size_t i = 0; i < work.extent(2); ++i) u(b, i, place) = own == T(0) ? T(0) : work(b, column, i) / own;
    for (std::size_t i = 0; i < v.extent(2); ++i) vt(b, place, i) = v(b, column, i);
  }
};

/// Singular value decomposition by one-sided Jacobi; columns of U for zero singular values are zero.
/// @pre the squares of the entries neither over- nor underflow. Cost: sweeps × 6n²m flops, about ten sweeps.
template <ExecutionSpace Exec, class T, class Space>
void svd(PortableBackend tag, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& u,
         const VectorBatchView<T, Space>& sigma, const BatchView<T, Space>& vt, bool vectors,
         Workspace<Space>& workspace) {
  if (a.extent(1) < a.extent(2)) return svd(tag, exec, transpose(a), transpose(vt), sigma, transpose(u), vectors, workspace);
  constexpr int max_sweeps = 24;
  const std::size_t batch = a.extent(0), m = a.extent(1), n = a.extent(2);
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto work = workspace.template batch<T>(batch, n, m);
  const auto v = workspace.template batch<T>(batch, n, n);
  const auto length = workspace.template vectors<T>(batch, n);
  const auto rotated_before = workspace.template numbers<int>(batch);
  const auto rotated = workspace.template numbers<int>(batch);
  for_each_row(exec, "schatten::svd/start", batch, n, JacobiStart<T, Space>{a, work, v, rotated});
  const std::size_t players = n + n % 2;
  for (int sweep = 0; sweep < max_sweeps; ++sweep) {
    for_each_matrix(exec, "schatten::svd/sweep", batch, JacobiSweepEnd<Space>{rotated_before, rotated});
    for (std::size_t round = 0; round + 1 < players; ++round) {
      for_each_row(exec, "schatten::svd/round", batch, players / 2,
                   JacobiRound<T, Space>{work, v, rotated_before, rotated, players, round});
    }
  }
  for_each_row(exec, "schatten::svd/lengths", batch, n, JacobiLengths<T, Space>{work, length});
  for_each_row(exec, "schatten::svd/finish", batch, n, JacobiFinish<T, Space>{work, v, length, sigma, u, vt, vectors});
}

/// Largest absolute row sum of each matrix: a bound of its eigenvalues.
template <class T, class Space>
struct RowSumBound {
  BatchView<const T, Space> a;
  NumberBatchView<T, Space> bound;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    T largest = 0;
    for (std::size_t i = 0; i < a.extent(1); ++i) {
      T sum = 0;
      for (std::size_t j = 0; j < a.extent(2); ++j) sum += a(b, i, j) < T(0) ? -a(b, i, j) : a(b, i, j);
      largest = sum > largest || sum != sum ? sum : largest;
    }
    bound(b) = largest;
  }
};

/// shifted ← A + bound·I, which is positive semidefinite.
template <class T, class Space>
struct Shift {
  BatchView<const T, Space> a;
  NumberBatchView<T, Space> bound;
  BatchView<T, Space> shifted;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    shifted(b, i, j) = a(b, i, j) + (i == j ? bound(b) : T(0));
  }
};

/// Undoes the shift and turns descending into ascending.
template <class T, class Space>
struct EighFinish {
  BatchView<const T, Space> vt;
  VectorBatchView<T, Space> sigma, lambda;
  NumberBatchView<T, Space> bound;
  BatchView<T, Space> v;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const std::size_t place = vt.extent(1) - 1 - i;
    lambda(b, place) = sigma(b, i) - bound(b);
    for (std::size_t k = 0; k < vt.extent(2); ++k) v(b, k, place) = vt(b, i, k);
  }
};

/// Symmetric eigenvalue decomposition: the singular value decomposition of A + ‖A‖∞ I has A's eigenvectors, and its
/// singular values are λ + ‖A‖∞.
template <ExecutionSpace Exec, class T, class Space>
void eigh(PortableBackend tag, const Exec& exec, const BatchView<const T, Space>& a,
          const VectorBatchView<T, Space>& lambda, const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  const std::size_t batch = a.extent(0), n = a.extent(1);
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto bound = workspace.template numbers<T>(batch);
  const auto shifted = workspace.template batch<T>(batch, n, n);
  const auto u = workspace.template batch<T>(batch, n, n);
  const auto vt = workspace.template batch<T>(batch, n, n);
  const auto sigma = workspace.template vectors<T>(batch, n);
  for_each_matrix(exec, "schatten::eigh/bound", batch, RowSumBound<T, Space>{a, bound});
  for_each_element(exec, "schatten::eigh/shift", batch, n, n, Shift<T, Space>{a, bound, shifted});
  svd(tag, exec, as_const(shifted), u, sigma, vt, true, workspace);
  for_each_row(exec, "schatten::eigh/finish", batch, n, EighFinish<T, Space>{vt, sigma, lambda, bound, v});
}

}  // namespace backend
}  // namespace schatten::linalg
