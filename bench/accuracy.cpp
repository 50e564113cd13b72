// SPDX-License-Identifier: BSD-3-Clause
// Error of every method on spectra that expose mistakes, as tables: worst singular direction with σ >= 1e-3 σ₁, and
// relative Frobenius error, against U Σ^p Vᵀ in double.
//
//   accuracy [rows cols]
//   accuracy --momenta DIR    real matrices instead: those that examples/character_model records with --record-momenta
#include "known_spectrum.hpp"
#include "momenta.hpp"
#include <schatten/spectral/streaming.hpp>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

using bench::Exec;
using bench::Known;
using bench::Matrix;
using bench::Shape;
using bench::spectra;

namespace {

constexpr double resolution = 1e-3;
constexpr double powers[] = {-0.25, 0, 0.125, 0.25, 0.5, 1};

/// The tightest promise of the list that the method makes.
template <class T>
std::optional<schatten::SpectralPower<T, Exec>> plan(const Shape& shape, double power, schatten::SpectralMethod method,
                                                     const std::shared_ptr<schatten::spectral::FitCaches>& fits) {
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

/// out ← the method's result for `m` and powers[k]; false where it does not serve that power.
template <class T>
using Map = std::function<bool(std::size_t k, const Matrix<T>& m, const Matrix<T>& out)>;

void print_head(const std::string& method, const char* scalar, const Shape& shape) {
  std::printf("\n**%s, %s, %s** (worst direction / Frobenius)\n\n| p |", method.c_str(), scalar, shape.name().c_str());
  for (const double power : powers) std::printf(" %g |", power);
  std::printf("\n|---|");
  for (std::size_t k = 0; k < std::size(powers); ++k) std::printf("---|");
  std::printf("\n");
}

template <class T>
void print_rows(const Exec& exec, const Shape& shape, const std::vector<Known>& matrices, const Map<T>& map) {
  for (std::size_t s = 0; s < spectra.size(); ++s) {
    std::printf("| %s |", spectra[s].name);
    const Matrix<double> exact = matrices[s].matrix(exec, 1);
    Matrix<T> m("bench::m", shape.rows, shape.cols), out("bench::out", shape.rows, shape.cols);
    for (std::size_t k = 0; k < m.size(); ++k) m.data()[k] = T(exact.data()[k]);
    for (std::size_t k = 0; k < std::size(powers); ++k) {
      if (!map(k, m, out)) {
        std::printf(" – |");
        continue;
      }
      exec.fence();
      Matrix<double> result("bench::result", shape.rows, shape.cols);
      for (std::size_t l = 0; l < out.size(); ++l) result.data()[l] = double(out.data()[l]);
      const auto measured = bench::errors(exec, matrices[s], powers[k], resolution, result);
      std::printf(" %.1e / %.1e |", measured.direction, measured.frobenius);
    }
    std::printf("\n");
  }
}

template <class T>
constexpr const char* scalar = sizeof(T) == 4 ? "float" : "double";

template <class T>
void print_table(const Exec& exec, const Shape& shape, const std::vector<Known>& matrices,
                 schatten::SpectralMethod method) {
  const auto fits = std::make_shared<schatten::spectral::FitCaches>();
  std::vector<std::optional<schatten::SpectralPower<T, Exec>>> plans;
  for (const double power : powers) plans.push_back(plan<T>(shape, power, method, fits));
  print_head(schatten::to_string(method), scalar<T>, shape);
  std::printf("| promised |");
  for (const auto& each : plans) each ? std::printf(" %.1e |", each->error_bound()) : std::printf(" – |");
  std::printf("\n");
  print_rows<T>(exec, shape, matrices, [&](std::size_t k, const Matrix<T>& m, const Matrix<T>& out) {
    if (plans[k]) plans[k]->apply(exec, m, out);
    return plans[k].has_value();
  });
}

/// Full rank, after `steps` steps on one and the same matrix.
template <class T>
void print_streaming(const Exec& exec, const Shape& shape, const std::vector<Known>& matrices, int steps) {
  schatten::Workspace<Kokkos::HostSpace> workspace;
  using Backend = schatten::linalg::DefaultBackend<Exec>;
  print_head("streaming, " + std::to_string(steps) + " steps", scalar<T>, shape);
  print_rows<T>(exec, shape, matrices, [&](std::size_t k, const Matrix<T>& m, const Matrix<T>& out) {
    const Matrix<T> v("bench::v", shape.cols, shape.short_side());
    schatten::spectral::streaming_start(exec, schatten::as_batch<Exec>(v));
    for (int step = 0; step < steps; ++step) {
      schatten::spectral::streaming_power<Backend>(exec, powers[k], schatten::as_const(schatten::as_batch<Exec>(m)),
                                                   schatten::as_batch<Exec>(v), schatten::as_batch<Exec>(out),
                                                   workspace);
    }
    return true;
  });
}

/// A row of the table of momenta.
struct Choice {
  const char* name;
  schatten::SpectralPowerOptions options;
};

/// Relative Frobenius error of float against the exact map in double, over all matrices of the directory.
void print_momenta(const Exec& exec, const char* directory) {
  using Method = schatten::SpectralMethod;
  using Clock = std::chrono::steady_clock;
  const std::vector<Matrix<float>> matrices = bench::read_momenta(directory);
  if (matrices.empty()) return;
  for (const double power : {0.125, 0.0}) {
    std::vector<Matrix<double>> exact;
    std::vector<double> below[3];
    for (const Matrix<float>& m : matrices) {
      Matrix<double> wide("bench::wide", m.extent(0), m.extent(1)), out("bench::exact", m.extent(0), m.extent(1));
      for (std::size_t k = 0; k < m.size(); ++k) wide.data()[k] = double(m.data()[k]);
      const std::size_t n = std::min(m.extent(0), m.extent(1));
      const Kokkos::View<double*, Kokkos::HostSpace> sigma("bench::sigma", n);
      schatten::Workspace<Kokkos::HostSpace> workspace;
      schatten::linalg::singular_values(exec, wide, sigma, workspace);
      exec.fence();
      for (int k = 0; k < 3; ++k) {
        const double limit = std::pow(10.0, -3 - k) * sigma(0);
        below[k].push_back(double(std::count_if(sigma.data(), sigma.data() + n, [=](double x) { return x < limit; })) /
                           double(n));
      }
      schatten::SpectralPower<double, Exec> map({.rows = m.extent(0),
                                                 .cols = m.extent(1),
                                                 .power = power,
                                                 .resolution = 1e-6,
                                                 .tolerance = 1e-3,
                                                 .method = Method::svd});
      map.apply(exec, wide, out);
      exec.fence();
      exact.push_back(out);
    }
    std::printf(
        "\n**Momenta, p = %g, float**, %zu matrices; in the median %.0f, %.0f, %.0f %% of their singular values "
        "lie below 1e-3, 1e-4, 1e-5 of the largest\n\n| options | median | 90 %% | largest | time |\n"
        "|---|---|---|---|---|\n",
        power, matrices.size(), 100 * bench::quantile(below[0], 0.5), 100 * bench::quantile(below[1], 0.5),
        100 * bench::quantile(below[2], 0.5));
    std::vector<Choice> choices{
        {"default: 1e-3, 3e-2", {}},
        {"1e-4, 5e-2", {.resolution = 1e-4, .tolerance = 5e-2}},
        {"full fidelity: 1e-5, 5e-2", {.resolution = 1e-5, .tolerance = 5e-2}},
        {"1e-5, 2e-2", {.resolution = 1e-5, .tolerance = 2e-2}},
        {"svd", {.tolerance = 1e-1, .method = Method::svd}},
        {"eigh, 1e-5", {.resolution = 1e-5, .method = Method::eigh}},
    };
    if (power == 0) choices.push_back({"quintic: Muon's five", {.tolerance = 2, .method = Method::quintic}});
    if (power != 0) choices.push_back({"newton_schulz", {.method = Method::newton_schulz}});
    const auto fits = std::make_shared<schatten::spectral::FitCaches>();
    double first = 0;
    for (Choice& choice : choices) {
      std::vector<double> errors;
      double total = 0;
      for (std::size_t k = 0; k < matrices.size(); ++k) {
        const Matrix<float>& m = matrices[k];
        choice.options.rows = m.extent(0);
        choice.options.cols = m.extent(1);
        choice.options.power = power;
        schatten::SpectralPower<float, Exec> map(choice.options, fits);
        const Matrix<float> out("bench::out", m.extent(0), m.extent(1));
        double least = 0;
        for (int repetition = 0; repetition < 3; ++repetition) {
          const auto start = Clock::now();
          map.apply(exec, m, out);
          exec.fence();
          const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
          least = repetition == 0 ? seconds : std::min(least, seconds);
        }
        total += least;
        errors.push_back(bench::relative_error(out, {exact[k].data(), exact[k].data() + exact[k].size()}));
      }
      if (first == 0) first = total;
      std::printf("| %s | %.2g | %.2g | %.2g | %.2f |\n", choice.name, bench::quantile(errors, 0.5),
                  bench::quantile(errors, 0.9), bench::quantile(errors, 1), total / first);
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  const Exec exec;
  if (argc == 3 && std::string_view(argv[1]) == "--momenta") {
    print_momenta(exec, argv[2]);
    return 0;
  }
  Shape shape{256, 256};
  if (argc == 3) shape = {std::size_t(std::atoll(argv[1])), std::size_t(std::atoll(argv[2]))};
  std::vector<Known> matrices;
  for (const auto& spectrum : spectra) matrices.push_back(bench::known(exec, shape, spectrum));
  using Method = schatten::SpectralMethod;
  for (const Method method :
       {Method::rational, Method::iterates, Method::eigh, Method::svd, Method::quintic, Method::newton_schulz}) {
    print_table<float>(exec, shape, matrices, method);
    print_table<double>(exec, shape, matrices, method);
  }
  for (const int steps : {1, 30}) {
    print_streaming<float>(exec, shape, matrices, steps);
    print_streaming<double>(exec, shape, matrices, steps);
  }
}
