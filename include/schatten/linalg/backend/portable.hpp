// Backend in plain Kokkos kernels: any execution space, no vendor library. Short rather than quick: the reference in
// tests, and what a device without a vendor backend falls back to.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/linalg/norms.hpp>

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

/// One round of disjoint column pairs (a round of a round-robin tournament). A rotation makes the two columns
/// orthogonal and puts the longer one first, which saves sweeps (de Rijk 1989); it is skipped when
/// |x·y| <= tolerance·|x||y| already. `rotated` counts rotations so that a finished matrix costs nothing in later
/// sweeps. Hestenes (1958); Demmel and Veselić (1992) for its relative accuracy.
template <class Space>
struct JacobiRound {
  BatchView<double, Space> work, v;
  NumberBatchView<int, Space> rotated_before, rotated;
  std::size_t players, round;
  double tolerance;

  KOKKOS_FUNCTION static void rotate(const BatchView<double, Space>& x, std::size_t b, std::size_t p, std::size_t q,
                                     double c, double s) {
    for (std::size_t i = 0; i < x.extent(2); ++i) {
      const double xp = x(b, p, i), xq = x(b, q, i);
      x(b, p, i) = c * xp + s * xq;
      x(b, q, i) = c * xq - s * xp;
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
      const double xp = work(b, p, i), xq = work(b, q, i);
      pp += xp * xp;
      qq += xq * xq;
      pq += xp * xq;
    }
    const double threshold = tolerance * math::sqrt(pp) * math::sqrt(qq);
    if (!(pq > threshold || pq < -threshold)) return;
    // Two rotations make x·y zero. The one by less than 45° keeps the order of the lengths, the other reverses it.
    const double zeta = (pp - qq) / (2 * pq), size = zeta >= 0 ? zeta : -zeta;
    const double tangent = (zeta >= 0 ? 1.0 : -1.0) / (size + math::sqrt(1 + size * size));
    const double small = 1 / math::sqrt(1 + tangent * tangent);
    const double c = pp >= qq ? small : small * tangent, s = pp >= qq ? small * tangent : -small;
    rotate(work, b, p, q, c, s);
    rotate(v, b, p, q, c, s);
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
    length(b, column) = norm(work, b, column);
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
      const bool before =
          !is_finite(own) ? k < column : length(b, k) > own || (length(b, k) == own && k < column);
      place += before ? 1 : 0;
    }
    sigma(b, place) = T(own * scale(b));
    if (!vectors) return;
    for (std::size_t i = 0; i < work.extent(2); ++i) u(b, i, place) = own == 0.0 ? T(0) : T(work(b, column, i) / own);
    for (std::size_t i = 0; i < v.extent(2); ++i) vt(b, place, i) = T(v(b, column, i));
  }
};

/// Singular value decomposition by one-sided Jacobi, in double; columns of U for zero singular values are zero.
/// Cost: sweeps × 6n²m flops, about ten sweeps.
template <ExecutionSpace Exec, class T, class Space>
void svd(PortableBackend tag, const Exec& exec, const BatchView<const T, Space>& a, const BatchView<T, Space>& u,
         const VectorBatchView<T, Space>& sigma, const BatchView<T, Space>& vt, bool vectors,
         Workspace<Space>& workspace) {
  if (a.extent(1) < a.extent(2)) return svd(tag, exec, transpose(a), transpose(vt), sigma, transpose(u), vectors, workspace);
  constexpr int max_sweeps = 24;
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

/// Largest absolute row sum of A / scale: a bound of its eigenvalues.
template <class T, class Space>
struct RowSumBound {
  BatchView<const T, Space> a;
  NumberBatchView<double, Space> scale, bound;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    bound(b) = scale(b);
    if (scale(b) == 0.0 || !is_finite(scale(b))) return;
    double largest = 0;
    for (std::size_t i = 0; i < a.extent(1); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < a.extent(2); ++j) {
        const double x = double(a(b, i, j)) / scale(b);
        sum += x < 0 ? -x : x;
      }
      largest = sum > largest ? sum : largest;
    }
    bound(b) = largest;
  }
};

/// shifted ← A / scale + bound·I, which is positive semidefinite.
template <class T, class Space>
struct Shift {
  BatchView<const T, Space> a;
  NumberBatchView<double, Space> scale, bound;
  BatchView<double, Space> shifted;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const double unit = scale(b) == 0.0 ? 1.0 : scale(b);
    shifted(b, i, j) = is_finite(unit) ? double(a(b, i, j)) / unit + (i == j ? bound(b) : 0.0) : unit;
  }
};

/// Undoes the shift and turns descending into ascending.
template <class T, class Space>
struct EighFinish {
  BatchView<const double, Space> vt;
  VectorBatchView<double, Space> sigma;
  NumberBatchView<double, Space> scale, bound;
  VectorBatchView<T, Space> lambda;
  BatchView<T, Space> v;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const std::size_t place = vt.extent(1) - 1 - i;
    lambda(b, place) = T((sigma(b, i) - bound(b)) * scale(b));
    for (std::size_t k = 0; k < vt.extent(2); ++k) v(b, k, place) = T(vt(b, i, k));
  }
};

/// Symmetric eigenvalue decomposition, in double: the singular value decomposition of A + ‖A‖∞ I has A's eigenvectors,
/// and its singular values are λ + ‖A‖∞.
template <ExecutionSpace Exec, class T, class Space>
void eigh(PortableBackend tag, const Exec& exec, const BatchView<const T, Space>& a,
          const VectorBatchView<T, Space>& lambda, const BatchView<T, Space>& v, Workspace<Space>& workspace) {
  const std::size_t batch = a.extent(0), n = a.extent(1);
  if (a.size() == 0) return;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(batch);
  const auto bound = workspace.template numbers<double>(batch);
  const auto shifted = workspace.template batch<double>(batch, n, n);
  const auto u = workspace.template batch<double>(batch, n, n);
  const auto vt = workspace.template batch<double>(batch, n, n);
  const auto sigma = workspace.template vectors<double>(batch, n);
  max_abs(exec, a, scale, workspace);
  for_each_matrix(exec, "schatten::eigh/bound", batch, RowSumBound<T, Space>{a, scale, bound});
  for_each_element(exec, "schatten::eigh/shift", batch, n, n, Shift<T, Space>{a, scale, bound, shifted});
  svd(tag, exec, as_const(shifted), u, sigma, vt, true, workspace);
  for_each_row(exec, "schatten::eigh/finish", batch, n, EighFinish<T, Space>{vt, sigma, scale, bound, lambda, v});
}

}  // namespace backend
}  // namespace schatten::linalg
