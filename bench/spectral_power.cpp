// SPDX-License-Identifier: BSD-3-Clause
// spectral_power/<method>/<f32|f64>/<rows>x<cols>, beside gemm/..., muon_ns5/... and muon_gram_ns5/... of the same run.
// polar: the rational method at p = 0, what Muon's quintics approximate. fidelity: at a resolution of 1e-5 and a
// tolerance of 5e-2.
//
// Counters: rel_error  relative Frobenius error against the SVD in double, on a Gaussian matrix
//           gemm_limit time over 3n²m flops at the rate of the product (m×n)(n×n) in this run, n the short side
//           gflops     rate of the method's own products (gemm, muon_ns5, muon_gram_ns5), of those 3n²m flops elsewhere
//           promised   error_bound() of the plan; poles of the rational method
//
// The last lines are ratios of medians: --benchmark_repetitions=9 --benchmark_report_aggregates_only=true. Plans ask
// for p = 1/8, resolution 1e-3, tolerance 3e-2 (double: 1e-8).
#include "spectral_cases.hpp"
#include <schatten/spectral/streaming.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <type_traits>

using bench::Exec;
using bench::Matrix;
using bench::Shape;

namespace {

constexpr double power = 0.125;

/// The streaming QR iteration on one matrix again and again, full rank: after many steps its directions have settled.
template <class T>
void streaming_case(benchmark::State& state, Shape shape) {
  const Exec exec;
  const std::size_t rank = shape.short_side();
  const auto m = bench::gaussian<T>(shape);
  Matrix<T> out("bench::out", shape.rows, shape.cols), v("bench::v", shape.cols, rank);
  schatten::Workspace<Kokkos::HostSpace> workspace;
  using Backend = schatten::linalg::DefaultBackend<Exec>;
  schatten::spectral::streaming_start(exec, schatten::as_batch<Exec>(v));
  const double rate = bench::gemm_rate<T>(exec, shape);
  const double seconds = bench::timed(state, exec, [&] {
    schatten::spectral::streaming_power<Backend>(exec, power, schatten::as_const(schatten::as_batch<Exec>(m)),
                                                 schatten::as_batch<Exec>(v), schatten::as_batch<Exec>(out), workspace);
  });
  bench::report(state, bench::limit_flops(shape), seconds, bench::limit_flops(shape) / rate);
  state.counters["rel_error"] = bench::relative_error(out, bench::reference(exec, shape, power));
}

template <class T>
void register_shape(const Shape& shape) {
  const std::string suffix = std::string("/") + bench::scalar_name<T> + "/" + shape.name();
  const auto add = [&](const std::string& name, auto function) {
    benchmark::RegisterBenchmark((name + suffix).c_str(), function)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  add("gemm", [=](benchmark::State& state) { bench::gemm_case<T>(state, shape); });
  add("muon_ns5", [=](benchmark::State& state) { bench::muon_case<T>(state, shape); });
  add("muon_gram_ns5", [=](benchmark::State& state) { bench::gram_muon_case<T>(state, shape); });
  using Method = schatten::SpectralMethod;
  if constexpr (std::is_same_v<T, float>) {
    const schatten::SpectralPowerOptions rational{
        .rows = shape.rows, .cols = shape.cols, .power = power, .method = Method::rational};
    add("spectral_power/polar", [=](benchmark::State& state) {
      auto options = rational;
      options.power = 0;
      bench::map_case<T>(state, options);
    });
    add("spectral_power/fidelity", [=](benchmark::State& state) {
      auto options = rational;
      options.resolution = 1e-5;
      options.tolerance = 5e-2;
      bench::map_case<T>(state, options);
    });
  }
  for (const auto method :
       {Method::rational, Method::iterates, Method::svd, Method::eigh, Method::newton_schulz, Method::automatic}) {
    add("spectral_power/" + schatten::to_string(method), [=](benchmark::State& state) {
      bench::map_case<T>(state, {.rows = shape.rows,
                                 .cols = shape.cols,
                                 .power = power,
                                 .resolution = 1e-3,
                                 .tolerance = std::is_same_v<T, float> ? 3e-2 : 1e-8,
                                 .method = method});
    });
  }
  add("spectral_power/streaming", [=](benchmark::State& state) { streaming_case<T>(state, shape); });
}

constexpr Shape shapes[] = {{256, 256}, {512, 512}, {1024, 1024}, {2048, 2048}, {512, 2048}, {2048, 512}};

/// Time of the method that a plan takes by itself over the least of those that meet its tolerance.
void print_automatic(const bench::Recorder& recorder, const char* scalar) {
  std::printf("automatic / the fastest that meets the tolerance, %-8s", scalar);
  for (const Shape& shape : shapes) {
    const auto median = [&](const char* method) {
      return recorder.median(std::string("spectral_power/") + method + "/" + scalar + "/" + shape.name());
    };
    double fastest = std::numeric_limits<double>::infinity();
    for (const char* method : {"rational", "iterates", "svd", "eigh"}) {
      if (median(method) > 0) fastest = std::min(fastest, median(method));
    }
    if (median("automatic") > 0 && std::isfinite(fastest)) {
      std::printf(" %9.3f", median("automatic") / fastest);
    } else {
      std::printf(" %9s", "-");
    }
  }
  std::printf("\n");
}

/// Times of the rational method over those of others, in float.
void print_ratios(const bench::Recorder& recorder) {
  const auto median = [&](const std::string& name, const Shape& shape) {
    return recorder.median(name + "/f32/" + shape.name());
  };
  const auto print_for = [&](const std::string& method, const std::string& title, const auto& divisor) {
    std::printf("%-58s", title.c_str());
    for (const Shape& shape : shapes) {
      const double own = median("spectral_power/" + method, shape), other = divisor(shape);
      if (own > 0 && other > 0) {
        std::printf(" %9.3f", own / other);
      } else {
        std::printf(" %9s", "-");
      }
    }
    std::printf("\n");
  };
  const auto print = [&](const char* title, const auto& divisor) { print_for("rational", title, divisor); };
  std::printf("\n%-58s", "ratios of medians, f32");
  for (const Shape& shape : shapes) std::printf(" %9s", shape.name().c_str());
  std::printf("\n");
  for (const std::string method : {"rational", "fidelity", "polar"}) {
    print_for(method, method + " / Muon's five quintics as published",
              [&](const Shape& s) { return median("muon_ns5", s); });
    print_for(method, method + " / the same by Gram Newton-Schulz",
              [&](const Shape& s) { return median("muon_gram_ns5", s); });
    print_for(method, method + " / limit of 3n2m flops at the gemm rate", [&](const Shape& s) {
      const double n = double(s.short_side()), m = double(s.long_side());
      return median("gemm", s) / (2 * n * n * m) * bench::limit_flops(s);
    });
  }
  print("rational / HTMuon_NS", [&](const Shape& s) { return median("spectral_power/newton_schulz", s); });
  print("rational / the faster of svd and eigh", [&](const Shape& s) {
    const double svd = median("spectral_power/svd", s), eigh = median("spectral_power/eigh", s);
    return svd > 0 && eigh > 0 ? std::min(svd, eigh) : std::max(svd, eigh);
  });
  print_automatic(recorder, "f32");
  print_automatic(recorder, "f64");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Session session(argc, argv);
  for (const Shape& shape : shapes) {
    register_shape<float>(shape);
    register_shape<double>(shape);
  }
  return bench::run(argc, argv, print_ratios);
}
