// SPDX-License-Identifier: BSD-3-Clause
// Singular values of the updates that Muon and HTMuon make of real momenta, over the largest, as CSV.
//
//   update_spectra DIR    the .npy files that examples/character_model records with --record-momenta
//
// There is a row for the momentum itself and for each map of it, over all matrices and then for each layer. The name of
// a layer ends at the file's last underscore. Column q has the singular value below which a share 1 - q of the matrix's
// singular values lies, in the median over the matrices.
#include "momenta.hpp"
#include <schatten/spectral/singular_values.hpp>

#include <cstdio>

using bench::Exec;
using bench::Matrix;
using Method = schatten::SpectralMethod;
using Spectra = std::vector<std::vector<double>>;  // of each matrix, over its largest singular value

namespace {

constexpr double shares[] = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};

/// UΣ^pVᵀ, or the matrix itself.
struct Update {
  const char* name;
  double power;
  Method method = Method::automatic;  // with the library's default resolution and tolerance
  bool mapped = true;
};

constexpr Update updates[] = {{"momentum", 1, Method::svd, false},
                              {"Muon exact (svd)", 0, Method::svd},
                              {"Muon by five quintics", 0, Method::quintic},
                              {"Muon by default", 0},
                              {"HTMuon p = 1/16", 0.0625},
                              {"HTMuon p = 1/8 exact (svd)", 0.125, Method::svd},
                              {"HTMuon p = 1/8", 0.125},
                              {"HTMuon p = 1/4", 0.25},
                              {"HTMuon p = 1/2", 0.5},
                              {"p = -1/4", -0.25}};

Matrix<float> updated(const Matrix<float>& m, const Update& update) {
  if (!update.mapped) return m;
  schatten::SpectralPower<float, Exec> map({.rows = m.extent(0),
                                            .cols = m.extent(1),
                                            .power = update.power,
                                            .tolerance = update.method == Method::quintic ? 2 : 3e-2,
                                            .method = update.method});
  const Exec exec;
  Matrix<float> result("bench::updated", m.extent(0), m.extent(1));
  map.apply(exec, m, result);
  exec.fence();
  return result;
}

std::vector<double> spectrum(const Matrix<float>& m) {
  std::vector<double> sigma = schatten::spectral::singular_values(Exec(), m).relative;
  const double largest = sigma[0];
  for (double& value : sigma) value /= largest;
  return sigma;
}

/// Of the spectra whose layer is this one, or of all.
void print_row(const std::string& layer, const Update& update, const Spectra& spectra,
               const std::vector<std::string>& layers) {
  std::printf("%s,%s", layer.c_str(), update.name);
  for (const double share : shares) {
    std::vector<double> values;
    for (std::size_t k = 0; k < spectra.size(); ++k)
      if (layer == "all" || layers[k] == layer) values.push_back(bench::quantile(spectra[k], 1 - share));
    std::printf(",%.3g", bench::quantile(values, 0.5));
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: update_spectra DIR\n");
    return 2;
  }
  std::vector<std::string> layers;
  for (const auto& path : bench::momentum_files(argv[1])) {
    const std::string name = path.stem().string();
    layers.push_back(name.substr(0, name.rfind('_')));
  }
  if (layers.empty()) {
    std::fprintf(stderr, "update_spectra: no .npy file in %s\n", argv[1]);
    return 1;
  }
  const std::vector<Matrix<float>> momenta = bench::read_momenta(argv[1]);
  std::vector<Spectra> spectra;  // of each update
  for (const Update& update : updates) {
    spectra.emplace_back();
    for (const Matrix<float>& m : momenta) spectra.back().push_back(spectrum(updated(m, update)));
  }
  std::vector<std::string> groups = layers;
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());  // the files are sorted
  groups.insert(groups.begin(), "all");
  std::printf("layer,update");
  for (const double share : shares) std::printf(",%g", share);
  std::printf("\n");
  for (const std::string& layer : groups)
    for (std::size_t k = 0; k < spectra.size(); ++k) print_row(layer, updates[k], spectra[k], layers);
  return 0;
}
