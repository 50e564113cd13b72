// SPDX-License-Identifier: BSD-3-Clause
// Data of the pictures in docs/benchmarks.md: time over the limit of 3n²m flops, and the error reached, in float.
//
//   error/<method>/tolerance:<t>   512², σ log-uniform to 1e-3, p = 1/8, resolution 1e-3; rel_error: worst direction
//   size/<method>/n:<n>            n², p = 1/8, resolution 1e-3, tolerance 3e-2
//   power/<method>/p:<p>           512², resolution 1e-3, tolerance 3e-2
//
// curves --benchmark_out=curves.csv --benchmark_out_format=csv, then scripts/pictures curves.csv.
#include "known_spectrum.hpp"
#include "spectral_cases.hpp"

#include <cstdio>
#include <functional>
#include <string>

namespace {

using bench::Exec;
using Method = schatten::SpectralMethod;
using Options = schatten::SpectralPowerOptions;

void add(const std::string& name, const std::function<void(benchmark::State&)>& body) {
  benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMillisecond);
}

void add_map(const std::string& curve, const std::string& parameter, const Options& options) {
  add(curve + "/" + schatten::to_string(options.method) + "/" + parameter,
      [=](benchmark::State& state) { bench::map_case<float>(state, options); });
}

/// The error of the worst singular direction, on a matrix whose directions all have σ >= resolution·σ₁.
void error_case(benchmark::State& state, const Options& options, const bench::Known& known) {
  const Exec exec;
  const auto exact = known.matrix(exec, 1);
  const bench::Matrix<float> m("bench::m", options.rows, options.cols);
  Kokkos::deep_copy(m, exact);
  bench::map_case(state, options, m, [&](const bench::Matrix<float>& out) {
    const bench::Matrix<double> result("bench::result", options.rows, options.cols);
    Kokkos::deep_copy(result, out);
    return bench::errors(exec, known, options.power, 0, result).direction;
  });
}

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", x);
  return text;
}

constexpr Options base{.rows = 512, .cols = 512, .power = 0.125, .resolution = 1e-3, .tolerance = 3e-2};

Options with_method(Options options, Method method) {
  options.method = method;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Session session(argc, argv);
  const bench::Known known =
      bench::known(Exec{}, {base.rows, base.cols}, bench::log_uniform("to the resolution", base.resolution));
  for (const Method method : {Method::rational, Method::iterates, Method::eigh, Method::svd, Method::newton_schulz}) {
    for (const double tolerance : {3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5}) {
      const bool adjustable = method == Method::rational || method == Method::iterates;
      if (!adjustable && tolerance != base.tolerance) continue;
      Options options = with_method(base, method);
      options.tolerance = tolerance;
      add("error/" + schatten::to_string(method) + "/tolerance:" + number(tolerance),
          [=, &known](benchmark::State& state) { error_case(state, options, known); });
    }
  }
  for (const std::size_t n : {64U, 128U, 256U, 512U, 1024U, 2048U}) {
    for (const Method method : {Method::rational, Method::iterates, Method::eigh, Method::svd, Method::newton_schulz}) {
      if (n > 1024 && (method == Method::svd || method == Method::newton_schulz)) continue;
      Options options = with_method(base, method);
      options.rows = options.cols = n;
      add_map("size", "n:" + std::to_string(n), options);
    }
    add("size/muon_ns5/n:" + std::to_string(n), [=](benchmark::State& state) {
      bench::muon_case<float>(state, {n, n});
    });
    add("size/muon_gram_ns5/n:" + std::to_string(n), [=](benchmark::State& state) {
      bench::gram_muon_case<float>(state, {n, n});
    });
  }
  for (const double p : {-0.4, -0.25, -0.1, 0.0, 0.125, 0.25, 0.5, 0.75, 1.0}) {
    for (const Method method : {Method::rational, Method::iterates, Method::eigh, Method::newton_schulz}) {
      Options options = with_method(base, method);
      options.power = p;
      add_map("power", "p:" + number(p), options);
    }
  }
  return bench::run(argc, argv);
}
