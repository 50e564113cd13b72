// SPDX-License-Identifier: BSD-3-Clause
// Each singular direction of U Σ^p Vᵀ on known spectra, condition 1 to 1e6, in multiples of ε(1 + |p|σ^{p−1}σ_max).
//
// A backward error η of the decomposition moves σ^p by η|p|σ^{p−1} and turns singular vectors by η/σ, which enters
// squared; both are what any backward stable SVD does. For p < 0 the largest singular value of the output is σ_min^p,
// and its rounding, ε·σ_min^p, reaches every direction.
// labels: accuracy

#include "support/known_spectrum.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <array>
#include <string>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr double powers[] = {-0.49, -0.25, 0, 0.125, 0.25, 0.5, 1};

struct Shape {
  std::size_t rows, cols;
};

/// The multiple C of the model above that an error corresponds to; σ relative to σ_max.
double multiple(double error, double epsilon, double p, double sigma, double storage) {
  const double linear = epsilon * (storage + std::abs(p) * std::pow(sigma, p - 1));
  const double square = epsilon * epsilon * std::pow(sigma, p - 2);
  // error = C·linear + C²·square, solved without cancellation
  return 2 * error / (linear + std::sqrt(linear * linear + 4 * square * error));
}

/// Worst multiple over the directions whose singular value the method can tell from zero.
template <class T>
double worst_multiple(const KnownMatrix& known, double p, const Matrix& out) {
  const double floor = spectral::sigma_floor<T>;
  const auto errors = direction_errors(known, p, out);
  double storage = 1, worst = 0;
  for (Eigen::Index k = 0; p < 0 && k < known.sigma.size(); ++k) {
    if (known.sigma(k) > floor) storage = std::max(storage, std::pow(known.sigma(k), p));
  }
  for (Eigen::Index k = 0; k < known.sigma.size(); ++k) {
    if (p <= 0 && known.sigma(k) < 4 * floor) continue;  // cut, or about to be
    worst = std::max(worst, multiple(errors[std::size_t(k)].along(), epsilon<T>, p, known.sigma(k), storage));
  }
  return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("the svd method is as accurate as a backward stable decomposition", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  constexpr bool portable = std::is_same_v<typename C::Backend, PortableBackend>;
  std::vector<Shape> shapes{{16, 16}, {48, 32}, {32, 80}};
  // A decomposition does not differ between spaces: the threaded one repeats a part.
  const bool part = !std::is_same_v<Exec, SerialExec>;
  if (part) shapes.resize(2);
  if (!portable && !part) shapes.insert(shapes.end(), {{128, 128}, {160, 256}});
  for (const auto& [rows, cols] : shapes) {
    const std::size_t rank = std::min(rows, cols);
    CAPTURE(rows);
    CAPTURE(cols);
    KnownMatrix known = known_matrix(rows, cols, Vector::Ones(Eigen::Index(rank)), unsigned(rows + cols));
    double worst = 0;
    std::string where;
    for (const Spectrum spectrum : all_spectra) {
      for (const double lowest : {1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6}) {
        if (lowest == 1.0 && spectrum != Spectrum::geometric) continue;
        if ((rank > 100 || part) && lowest != 1e-3 && lowest != 1e-6) continue;
        known.sigma = singular_values_of(spectrum, rank, lowest);
        const auto m = to_view<T>(known.matrix());
        SpectralPower<T, Exec, typename C::Backend> power(
            {.rows = rows, .cols = cols, .resolution = 1, .tolerance = 1, .method = SpectralMethod::svd});
        for (const double p : powers) {
          const auto out = output_view<T>(rows, cols);
          power.set_power(p);
          power.apply(exec, m, out);
          exec.fence();
          const double value = worst_multiple<T>(known, p, to_matrix(out));
          CAPTURE(to_string(spectrum));
          CAPTURE(lowest);
          CAPTURE(p);
          CHECK(value <= spectral::svd_rounding({std::max(rows, cols), rank}));
          if (value > worst) {
            worst = value;
            where = to_string(spectrum) + " to " + std::to_string(lowest) + ", p = " + std::to_string(p);
          }
        }
      }
    }
    MESSAGE(rows << "x" << cols << ": worst multiple " << worst << " (" << where << "), promised "
                 << spectral::svd_rounding({std::max(rows, cols), rank}));
  }
}

TEST_CASE("the plain multiple of ε(1 + |p|σ^{p−1}) where nothing of second order counts") {
  // p >= 0 and σ >= 1e-2: (ε/σ)² is far below ε.
  const SerialExec exec;
  double worst = 0;
  for (const Spectrum spectrum : all_spectra) {
    const KnownMatrix known = known_matrix(96, 64, singular_values_of(spectrum, 64, 1e-2), 3);
    const auto m = to_view<float>(known.matrix());
    for (const double p : {0.0, 0.125, 0.25, 0.5, 1.0}) {
      const auto out = output_view<float>(96, 64);
      SpectralPower<float, SerialExec> power(
          {.rows = 96, .cols = 64, .power = p, .tolerance = 1, .method = SpectralMethod::svd});
      power.apply(exec, m, out);
      const auto errors = direction_errors(known, p, to_matrix(out));
      for (std::size_t k = 0; k < errors.size(); ++k) {
        const double allowed = epsilon<float> * (1 + p * std::pow(known.sigma(Eigen::Index(k)), p - 1));
        worst = std::max(worst, errors[k].along() / allowed);
      }
    }
  }
  MESSAGE("worst multiple " << worst);
  CHECK(worst <= spectral::svd_rounding({96, 64}));
}
