// Error of every method on spectra that expose mistakes, as tables: worst singular direction with σ >= 1e-3 σ₁, and
// relative Frobenius error, against U Σ^p Vᵀ in double.
//
//   accuracy [rows cols]
#include "support.hpp"
#include <schatten/linalg/qr.hpp>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>

using bench::Exec;
using bench::Matrix;
using bench::Shape;

namespace {

constexpr double resolution = 1e-3;
constexpr double powers[] = {-0.25, 0, 0.125, 0.25, 0.5, 1};

struct Spectrum {
  const char* name;
  std::function<double(std::size_t, std::size_t)> value;  ///< σ_k of n, k = 0..n−1, descending, σ_0 = 1
};

double place(std::size_t k, std::size_t n) { return n == 1 ? 0.0 : double(k) / double(n - 1); }

const std::vector<Spectrum> spectra{
    {"Gaussian", {}},
    {"k^-1/2", [](std::size_t k, std::size_t) { return 1 / std::sqrt(double(k + 1)); }},
    {"1/k", [](std::size_t k, std::size_t) { return 1 / double(k + 1); }},
    {"log-uniform to 1e-3", [](std::size_t k, std::size_t n) { return std::pow(1e-3, place(k, n)); }},
    {"log-uniform to 1e-6", [](std::size_t k, std::size_t n) { return std::pow(1e-6, place(k, n)); }},
    {"1 with one 1e-3", [](std::size_t k, std::size_t n) { return k + 1 < n ? 1.0 : 1e-3; }},
    {"half 1, half 1e-3", [](std::size_t k, std::size_t n) { return 2 * k < n ? 1.0 : 1e-3; }},
    {"rank n/2", [](std::size_t k, std::size_t n) { return 2 * k < n ? std::pow(0.1, place(k, n)) : 0.0; }},
    {"one dominant", [](std::size_t k, std::size_t) { return k == 0 ? 1.0 : 2e-3; }},
};

/// Q of a Gaussian matrix.
Matrix<double> orthonormal(const Exec& exec, std::size_t rows, std::size_t cols, unsigned seed) {
  Matrix<double> q("bench::q", rows, cols);
  schatten::Workspace<Kokkos::HostSpace> workspace;
  schatten::linalg::orthonormal_basis<schatten::linalg::DefaultBackend<Exec>>(
      exec, bench::gaussian<double>({rows, cols}, seed), q, workspace);
  return q;
}

/// U diag(f(σ)) Vᵀ with U (rows×k), V (cols×k).
struct Known {
  Matrix<double> u, v;
  std::vector<double> sigma;
  [[nodiscard]] Matrix<double> matrix(const Exec& exec, double power) const {
    Matrix<double> scaled("bench::scaled", u.extent(0), u.extent(1)), out("bench::out", u.extent(0), v.extent(0));
    for (std::size_t k = 0; k < sigma.size(); ++k) {
      const double factor = sigma[k] > 0 ? std::pow(sigma[k], power) : 0.0;
      for (std::size_t i = 0; i < u.extent(0); ++i) scaled(i, k) = factor * u(i, k);
    }
    schatten::linalg::gemm(exec, 1.0, schatten::as_batch<Exec>(scaled),
                           schatten::transpose(schatten::as_batch<Exec>(v)), 0.0, schatten::as_batch<Exec>(out));
    return out;
  }
};

Known known(const Exec& exec, const Shape& shape, const Spectrum& spectrum) {
  const std::size_t n = shape.short_side();
  Known result{orthonormal(exec, shape.rows, n, 11), orthonormal(exec, shape.cols, n, 12), std::vector<double>(n)};
  if (spectrum.value) {
    for (std::size_t k = 0; k < n; ++k) result.sigma[k] = spectrum.value(k, n);
    return result;
  }
  Matrix<double> m = bench::gaussian<double>(shape), vt("bench::vt", n, shape.cols);
  const Kokkos::View<double*, Kokkos::HostSpace> sigma("bench::sigma", n);
  schatten::Workspace<Kokkos::HostSpace> workspace;
  schatten::linalg::svd(exec, m, result.u, sigma, vt, workspace);
  for (std::size_t k = 0; k < n; ++k) {
    result.sigma[k] = sigma(k) / sigma(0);
    for (std::size_t j = 0; j < shape.cols; ++j) result.v(j, k) = vt(k, j);
  }
  return result;
}

struct Errors {
  double direction, frobenius;
};

Errors errors(const Exec& exec, const Known& known, double power, const Matrix<double>& out) {
  const std::size_t n = known.sigma.size(), rows = out.extent(0);
  const Matrix<double> exact = known.matrix(exec, power);
  Matrix<double> image("bench::image", rows, n);
  schatten::linalg::gemm(exec, 1.0, out, known.v, 0.0, image);
  Errors result{0, 0};
  for (std::size_t k = 0; k < n; ++k) {
    if (known.sigma[k] < 0.999999 * resolution) continue;
    double along = 0, square = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      along += known.u(i, k) * image(i, k);
      square += image(i, k) * image(i, k);
    }
    const double wanted = std::pow(known.sigma[k], power);
    result.direction =
        std::max({result.direction, std::abs(along / wanted - 1), std::abs(std::sqrt(square) / wanted - 1)});
  }
  double difference = 0, size = 0;
  for (std::size_t k = 0; k < out.size(); ++k) {
    difference += (out.data()[k] - exact.data()[k]) * (out.data()[k] - exact.data()[k]);
    size += exact.data()[k] * exact.data()[k];
  }
  result.frobenius = std::sqrt(difference / size);
  return result;
}

/// The tightest promise of the list that the method makes.
template <class T>
std::optional<schatten::SpectralPower<T, Exec>> plan(const Shape& shape, double power, schatten::SpectralMethod method,
                                                     const std::shared_ptr<schatten::spectral::Fits>& fits) {
  using Plan = schatten::SpectralPower<T, Exec>;
  const bool quintic = method == schatten::SpectralMethod::quintic;
  const double first = sizeof(T) == 4 ? 3e-2 : 1e-8;
  for (const double tolerance : {first, 1e-6, 1e-4, 1e-3, 1e-2, 3e-2, quintic ? 2.0 : 0.1}) {
    if (tolerance < first) continue;
    try {
      return std::optional<Plan>(std::in_place,
                                 schatten::SpectralPowerOptions{.rows = shape.rows,
                                                                .cols = shape.cols,
                                                                .power = power,
                                                                .resolution = resolution,
                                                                .tolerance = tolerance,
                                                                .method = method},
                                 fits);
    } catch (const schatten::InvalidArgument&) {  // not this tolerance, or not this power
    }
  }
  return std::nullopt;
}

template <class T>
void print_table(const Exec& exec, const Shape& shape, const std::vector<Known>& matrices,
                 schatten::SpectralMethod method) {
  const auto fits = std::make_shared<schatten::spectral::Fits>();
  std::vector<std::optional<schatten::SpectralPower<T, Exec>>> plans;
  for (const double power : powers) plans.push_back(plan<T>(shape, power, method, fits));
  std::printf("\n**%s, %s, %s** (worst direction / Frobenius)\n\n| p |", schatten::to_string(method).c_str(),
              sizeof(T) == 4 ? "float" : "double", shape.name().c_str());
  for (const double power : powers) std::printf(" %g |", power);
  std::printf("\n|---|");
  for (std::size_t k = 0; k < std::size(powers); ++k) std::printf("---|");
  std::printf("\n| promised |");
  for (const auto& each : plans) each ? std::printf(" %.1e |", each->error_bound()) : std::printf(" – |");
  std::printf("\n");
  for (std::size_t s = 0; s < spectra.size(); ++s) {
    std::printf("| %s |", spectra[s].name);
    const Matrix<double> exact = matrices[s].matrix(exec, 1);
    Matrix<T> m("bench::m", shape.rows, shape.cols), out("bench::out", shape.rows, shape.cols);
    for (std::size_t k = 0; k < m.size(); ++k) m.data()[k] = T(exact.data()[k]);
    for (std::size_t k = 0; k < std::size(powers); ++k) {
      if (!plans[k]) {
        std::printf(" – |");
        continue;
      }
      plans[k]->apply(exec, m, out);
      exec.fence();
      Matrix<double> result("bench::result", shape.rows, shape.cols);
      for (std::size_t l = 0; l < out.size(); ++l) result.data()[l] = double(out.data()[l]);
      const Errors measured = errors(exec, matrices[s], powers[k], result);
      std::printf(" %.1e / %.1e |", measured.direction, measured.frobenius);
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  const Exec exec;
  Shape shape{256, 256};
  if (argc == 3) shape = {std::size_t(std::atoll(argv[1])), std::size_t(std::atoll(argv[2]))};
  std::vector<Known> matrices;
  for (const Spectrum& spectrum : spectra) matrices.push_back(known(exec, shape, spectrum));
  using Method = schatten::SpectralMethod;
  for (const Method method :
       {Method::rational, Method::iterates, Method::eigh, Method::svd, Method::quintic, Method::newton_schulz}) {
    print_table<float>(exec, shape, matrices, method);
    print_table<double>(exec, shape, matrices, method);
  }
}
