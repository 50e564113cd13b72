// SPDX-License-Identifier: BSD-3-Clause
// More than ten thousand random matrices, many of them made to break things: no NaN, nothing larger than the map
// allows.

#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <random>

namespace {

using namespace schatten;
using namespace schatten::test;

/// A matrix of one of several kinds: dense, sparse, of low rank, graded by rows and columns, of equal rows, of signs,
/// orthogonal but for one direction.
Matrix random_matrix(std::size_t rows, std::size_t cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  Matrix m = gaussian(rows, cols, seed);
  const auto r = Eigen::Index(rows), c = Eigen::Index(cols);
  switch (seed % 8) {
    case 0: break;
    case 1: m = m.unaryExpr([&](double x) { return uniform(engine) < 0.2 ? x : 0.0; }); break;
    case 2: m = gaussian(rows, 1, seed + 1) * gaussian(1, cols, seed + 2); break;
    case 3:
      for (Eigen::Index i = 0; i < r; ++i) m.row(i) *= std::pow(10.0, -6 * uniform(engine));
      for (Eigen::Index j = 0; j < c; ++j) m.col(j) *= std::pow(10.0, -6 * uniform(engine));
      break;
    case 4: m = Matrix::Ones(r, 1) * m.row(0); break;
    case 5: m = m.unaryExpr([](double x) { return x < 0 ? -1.0 : 1.0; }); break;
    case 6: m = Matrix::Identity(r, c) - 2 * uniform(engine) / double(std::max(r, c)) * Matrix::Ones(r, c); break;
    default:
      m = Matrix::Identity(r, c);
      m(r - 1, c - 1) = std::pow(10.0, -7 * uniform(engine));
      break;
  }
  return m;
}

/// Largest |out v_k| over what the map allows, over all directions; infinite for an output that is not finite.
double excess(const ReferenceSvd& svd, double p, double resolution, double bound, double scale, const Matrix& out) {
  if (!std::isfinite(max_abs(out))) return std::numeric_limits<double>::infinity();
  if (svd.sigma.size() == 0 || svd.sigma(0) == 0)
    return max_abs(out) == 0 ? 0 : std::numeric_limits<double>::infinity();
  const Vector lengths = (out / std::pow(scale, p) * svd.v).colwise().norm();
  double worst = 0;
  for (Eigen::Index k = 0; k < lengths.size(); ++k) {
    const double sigma = std::max(svd.sigma(k), resolution * svd.sigma(0));
    const double slack = svd.sigma(k) < resolution * svd.sigma(0) && p <= 0 ? 1.3 : 1 + bound;
    worst = std::max(worst, lengths(k) / (slack * std::pow(sigma, p)));
  }
  return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("ten thousand matrices", T, float, double) {
  using Exec = SerialExec;
  const Exec exec;
  const auto fits = std::make_shared<spectral::FitCaches>();
  int matrices = 0;
  unsigned seed = 1;
  double worst = 0;
  for (const SpectralMethod method : {SpectralMethod::rational, SpectralMethod::iterates}) {
    for (const double p : {-0.45, -0.1, 0.0, 0.125, 0.5, 1.0}) {
      for (const double resolution : {1e-1, 1e-3}) {
        for (const auto& [rows, cols] : {std::array<std::size_t, 2>{1, 1}, {2, 7}, {12, 12}, {33, 5}, {16, 24}}) {
          const double tolerance = method == SpectralMethod::iterates && p < -0.25 ? 0.2 : 0.05;
          SpectralPower<T, Exec> power({.rows = rows,
                                        .cols = cols,
                                        .power = p,
                                        .resolution = resolution,
                                        .tolerance = tolerance,
                                        .method = method},
                                       fits);
          for (int repetition = 0; repetition < 45; ++repetition, ++seed, ++matrices) {
            const Matrix m = random_matrix(rows, cols, seed);
            const double scale = std::array<double, 3>{1, 1e-25, 1e25}[seed % 3];
            const Matrix stored = rounded<T>(scale * m);
            const auto out = output_view<T>(rows, cols);
            power.apply(exec, to_view<T>(stored), out);
            const double value =
                excess(reference_svd(stored / scale), p, resolution, power.error_bound(), scale, to_matrix(out));
            CAPTURE(to_string(method));
            CAPTURE(p);
            CAPTURE(resolution);
            CAPTURE(rows);
            CAPTURE(cols);
            CAPTURE(seed);
            CHECK(value <= 1);
            worst = std::max(worst, value);
          }
        }
      }
    }
  }
  CHECK(matrices >= 5000);
  MESSAGE(matrices << " matrices; largest output over what is allowed " << worst);
}
