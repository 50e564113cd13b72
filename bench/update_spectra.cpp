// SPDX-License-Identifier: BSD-3-Clause
// Singular values of the updates that Muon and HTMuon make of real momenta, over the largest, as CSV.
//
//   update_spectra DIR    the .npy files that examples/character_model records with --record-momenta
//
// A row for the momentum itself and for each map of it; in a column q the singular value below which a share 1 - q of the
// matrix's lies, in the median over all matrices.
#include "momenta.hpp"
#include <schatten/spectral/singular_values.hpp>

#include <cstdio>

using bench::Exec;
using bench::Matrix;

namespace {

constexpr double shares[] = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};

void print_row(const char* name, const std::vector<Matrix<float>>& matrices) {
  std::printf("%s", name);
  for (const double share : shares) {
    std::vector<double> values;
    for (const Matrix<float>& m : matrices) {
      const std::vector<double> sigma = schatten::spectral::singular_values(Exec(), m).relative;
      values.push_back(bench::quantile(sigma, 1 - share) / sigma[0]);
    }
    std::printf(",%.3g", bench::quantile(values, 0.5));
  }
  std::printf("\n");
}

/// UΣ^pVᵀ of each, by that method.
std::vector<Matrix<float>> mapped(const std::vector<Matrix<float>>& matrices, double power,
                                  schatten::SpectralMethod method, double tolerance) {
  std::vector<Matrix<float>> results;
  for (const Matrix<float>& m : matrices) {
    schatten::SpectralPower<float, Exec> map(
        {.rows = m.extent(0), .cols = m.extent(1), .power = power, .tolerance = tolerance, .method = method});
    const Exec exec;
    results.emplace_back("bench::mapped", m.extent(0), m.extent(1));
    map.apply(exec, m, results.back());
    exec.fence();
  }
  return results;
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: update_spectra DIR\n");
    return 2;
  }
  const std::vector<Matrix<float>> momenta = bench::read_momenta(argv[1]);
  if (momenta.empty()) {
    std::fprintf(stderr, "update_spectra: no .npy file in %s\n", argv[1]);
    return 1;
  }
  using Method = schatten::SpectralMethod;
  std::printf("update");
  for (const double share : shares) std::printf(",%g", share);
  std::printf("\n");
  print_row("momentum", momenta);
  print_row("Muon: five quintics", mapped(momenta, 0, Method::quintic, 2));
  print_row("Muon: the polar factor", mapped(momenta, 0, Method::automatic, 3e-2));
  print_row("HTMuon: p = 1/16", mapped(momenta, 0.0625, Method::automatic, 3e-2));
  print_row("HTMuon: p = 1/8", mapped(momenta, 0.125, Method::automatic, 3e-2));
  print_row("HTMuon: p = 1/4", mapped(momenta, 0.25, Method::automatic, 3e-2));
  print_row("HTMuon: p = 1/2", mapped(momenta, 0.5, Method::automatic, 3e-2));
  print_row("p = -1/4", mapped(momenta, -0.25, Method::automatic, 3e-2));
  return 0;
}
