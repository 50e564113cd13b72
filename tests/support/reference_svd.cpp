// SPDX-License-Identifier: BSD-3-Clause
// The reference of singular value decompositions: bidiagonalisation by Eigen, then QR on the bidiagonal matrix. It
// shares no code with the library. Eigen::BDCSVD does not serve: where singular values repeat, 3.4.0 deflates wrongly.

#include "reference_svd.hpp"

#include <schatten/core/stable_sort.hpp>

#include <Eigen/Jacobi>
#include <Eigen/SVD>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

namespace schatten::test {

namespace {

/// B ← diag(σ), P ← P·Q₁, Q ← Q·Q₂ with B = Q₁ diag(σ) Q₂ᵀ; σ of any sign and order, in `diagonal`.
///
/// B (n×n): `diagonal` (n) and `above` (n, the last one zero), in double; P, Q (n columns). The rotations are found in
/// double and applied in T. False without convergence. Golub and Reinsch (1970); the shift as in LINPACK's dsvdc.
/// Cost: about 6n²·(rows of P + rows of Q) flops.
template <class T>
class BidiagonalQr {
 public:
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;

  BidiagonalQr(Eigen::VectorXd& diagonal, Eigen::VectorXd& above, Matrix& p, Matrix& q)
      : d_(diagonal), e_(above), p_(p), q_(q), norm_(0) {
    for (Eigen::Index k = 0; k < d_.size(); ++k) norm_ = std::max({norm_, std::abs(d_(k)), std::abs(e_(k))});
  }

  bool run() {
    constexpr int steps_each = 60;  // two or three are usual
    for (Eigen::Index left = steps_each * d_.size(); left > 0; --left) {
      for (Eigen::Index k = 0; k + 1 < d_.size(); ++k) {
        if (std::abs(e_(k)) <= epsilon * (std::abs(d_(k)) + std::abs(d_(k + 1)) + epsilon * norm_)) e_(k) = 0;
      }
      Eigen::Index high = d_.size() - 1;
      while (high > 0 && e_(high - 1) == 0) --high;
      if (high <= 0) return true;
      Eigen::Index low = high - 1;
      while (low > 0 && e_(low - 1) != 0) --low;
      if (!split(low, high)) step(low, high);
    }
    return false;
  }

 private:
  /// Where a diagonal entry of block [low, high] is zero, the block falls apart: true.
  bool split(Eigen::Index low, Eigen::Index high) {
    const double negligible = epsilon * epsilon * norm_;
    for (Eigen::Index i = high; i >= low; --i) {
      if (std::abs(d_(i)) > negligible) continue;
      d_(i) = 0;
      if (i == high) {  // the last column goes, by rotations with those before it
        double f = e_(high - 1);
        e_(high - 1) = 0;
        for (Eigen::Index k = high - 1; k >= low && f != 0; --k) {
          const Rotation g(d_(k), f);
          d_(k) = g.length;
          if (k > low) f = -g.s * e_(k - 1);
          if (k > low) e_(k - 1) *= g.c;
          rotate(q_, k, high, g);
        }
      } else {  // row i goes, by rotations with those after it
        double f = e_(i);
        e_(i) = 0;
        for (Eigen::Index k = i + 1; k <= high && f != 0; ++k) {
          const Rotation g(d_(k), f);
          d_(k) = g.length;
          f = -g.s * e_(k);
          e_(k) *= g.c;
          rotate(p_, k, i, g);
        }
      }
      return true;
    }
    return false;
  }

  /// One QR step on BᵀB of block [low, high], shifted by the eigenvalue of its last 2×2 block.
  void step(Eigen::Index low, Eigen::Index high) {
    const double scale = std::max(
        {std::abs(d_(high)), std::abs(d_(high - 1)), std::abs(e_(high - 1)), std::abs(d_(low)), std::abs(e_(low))});
    const double last = d_(high) / scale, previous = d_(high - 1) / scale, beside = e_(high - 1) / scale;
    const double first = d_(low) / scale;
    const double b = ((previous + last) * (previous - last) + beside * beside) / 2;
    const double c = (last * beside) * (last * beside);
    const double root = b < 0 ? -std::sqrt(b * b + c) : std::sqrt(b * b + c);
    double f = (first + last) * (first - last) + (b + root != 0 ? c / (b + root) : 0.0);
    double g = first * (e_(low) / scale);
    for (Eigen::Index k = low; k < high; ++k) {
      const Rotation right(f, g);
      if (k > low) e_(k - 1) = right.length;
      f = right.c * d_(k) + right.s * e_(k);
      e_(k) = right.c * e_(k) - right.s * d_(k);
      g = right.s * d_(k + 1);
      d_(k + 1) *= right.c;
      rotate(q_, k, k + 1, right);
      const Rotation left(f, g);
      d_(k) = left.length;
      f = left.c * e_(k) + left.s * d_(k + 1);
      d_(k + 1) = left.c * d_(k + 1) - left.s * e_(k);
      g = left.s * e_(k + 1);
      if (k + 1 < high) e_(k + 1) *= left.c;
      rotate(p_, k, k + 1, left);
    }
    e_(high - 1) = f;
  }

  /// (c s; −s c)·(f; g) = (length; 0).
  struct Rotation {
    Rotation(double f, double g)
        : length(std::hypot(f, g)), c(length == 0 ? 1.0 : f / length), s(length == 0 ? 0.0 : g / length) {}
    double length, c, s;
  };

  static void rotate(Matrix& a, Eigen::Index i, Eigen::Index j, const Rotation& g) {
    if (a.size() > 0) a.applyOnTheRight(i, j, Eigen::JacobiRotation<T>(T(g.c), T(-g.s)));
  }

  static constexpr double epsilon = 0.5 * double(std::numeric_limits<T>::epsilon());
  Eigen::VectorXd &d_, &e_;
  Matrix &p_, &q_;
  double norm_;
};

/// Columns back to length one, from which the rounding of many plane rotations makes them drift.
template <class Matrix>
void normalize_columns(Matrix& q) {
  using T = typename Matrix::Scalar;
  for (Eigen::Index k = 0; k < q.cols(); ++k) q.col(k) /= T(q.col(k).template cast<double>().norm());
}

}  // namespace

ReferenceSvd reference_svd(const Matrix& a) {
  if (a.rows() < a.cols()) {
    ReferenceSvd swapped = reference_svd(a.transpose());
    std::swap(swapped.u, swapped.v);
    return swapped;
  }
  const Eigen::Index m = a.rows(), n = a.cols();
  ReferenceSvd svd{Matrix::Zero(m, n), Vector(n), Matrix(n, n)};
  if (a.size() == 0) return svd;
  const double largest = a.cwiseAbs().maxCoeff(), scale = largest == 0 ? 1 : largest;
  Eigen::internal::UpperBidiagonalization<Matrix> reflections(Matrix(a / scale));
  const Matrix bidiagonal = reflections.bidiagonal().toDenseMatrix();
  Vector diagonal = bidiagonal.diagonal(), above = Vector::Zero(n);
  above.head(n - 1) = bidiagonal.diagonal<1>();
  Matrix p = Matrix::Identity(n, n), q = p;
  if (!BidiagonalQr<double>(diagonal, above, p, q).run()) throw std::runtime_error("reference_svd: no convergence");
  std::vector<Eigen::Index> place(static_cast<std::size_t>(n));
  std::iota(place.begin(), place.end(), Eigen::Index{0});
  schatten::stable_sort(place,
                        [&](Eigen::Index i, Eigen::Index j) { return std::abs(diagonal(i)) > std::abs(diagonal(j)); });
  normalize_columns(p);
  normalize_columns(q);
  for (Eigen::Index k = 0; k < n; ++k) {
    const Eigen::Index from = place[std::size_t(k)];
    svd.sigma(k) = std::abs(diagonal(from)) * scale;
    svd.u.col(k).head(n) = diagonal(from) < 0 ? Vector(-p.col(from)) : Vector(p.col(from));
    svd.v.col(k) = q.col(from);
  }
  svd.u.applyOnTheLeft(reflections.householderU());
  svd.v.applyOnTheLeft(reflections.householderV());
  return svd;
}

}  // namespace schatten::test
