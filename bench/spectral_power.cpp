// spectral_power/<method>/<f32|f64>/<rows>x<cols>, beside gemm/... and muon_ns5/... of the same run.
//
// Counters: rel_error  relative Frobenius error against the SVD in double, on a Gaussian matrix
//           gemm_limit time over 3n²m flops at the rate of the product (m×n)(n×n) in this run, n the short side
//           gflops     rate of the method's own products (gemm, muon_ns5), of those 3n²m flops elsewhere
#include "support.hpp"

using bench::Exec;
using bench::Matrix;
using bench::Shape;

namespace {

constexpr double power = 0.125;

template <class T>
void gemm_case(benchmark::State& state, Shape shape) {
  const Exec exec;
  const std::size_t n = shape.short_side(), m = shape.long_side();
  const auto a = bench::gaussian<T>({m, n}), b = bench::gaussian<T>({n, n});
  Matrix<T> c("bench::product", m, n);
  const double rate = bench::gemm_rate<T>(exec, shape);
  const double seconds = bench::timed(state, exec, [&] { schatten::linalg::gemm(exec, T(1), a, b, T(0), c); });
  bench::report(state, 2.0 * double(n) * double(n) * double(m), seconds, bench::limit_flops(shape) / rate);
}

template <class T>
void spectral_case(benchmark::State& state, Shape shape, schatten::SpectralMethod method) {
  const Exec exec;
  const auto m = bench::gaussian<T>(shape);
  Matrix<T> out("bench::out", shape.rows, shape.cols);
  schatten::SpectralPower<T, Exec> plan({.rows = shape.rows,
                                         .cols = shape.cols,
                                         .power = power,
                                         .resolution = 1e-3,
                                         .tolerance = 3e-2,
                                         .method = method});
  const double rate = bench::gemm_rate<T>(exec, shape);
  plan.apply(exec, m, out);
  const double seconds = bench::timed(state, exec, [&] { plan.apply(exec, m, out); });
  bench::report(state, bench::limit_flops(shape), seconds, bench::limit_flops(shape) / rate);
  state.counters["rel_error"] = bench::relative_error(out, bench::reference(exec, shape, power));
}

/// Muon's five quintics as published, every product a full gemm: A = XᵀX, B = bA + cA², X ← aX + XB.
template <class T>
void muon_case(benchmark::State& state, Shape shape) {
  const Exec exec;
  const std::size_t n = shape.short_side(), m = shape.long_side();
  const auto start = bench::gaussian<T>({m, n});
  Matrix<T> x("bench::x", m, n), next("bench::next", m, n), gram("bench::gram", n, n), polynomial("bench::b", n, n);
  constexpr auto q = schatten::spectral::muon_quintic;
  const double rate = bench::gemm_rate<T>(exec, shape);
  const double seconds = bench::timed(state, exec, [&] {
    double square = 0;
    for (std::size_t k = 0; k < start.size(); ++k) square += double(start.data()[k]) * double(start.data()[k]);
    const T inverse = T(1 / std::sqrt(square));
    for (std::size_t k = 0; k < start.size(); ++k) x.data()[k] = inverse * start.data()[k];
    for (int step = 0; step < schatten::spectral::muon_steps; ++step) {
      const auto batch = schatten::as_batch<Exec>(x);
      schatten::linalg::gemm(exec, T(1), schatten::transpose(batch), batch, T(0), schatten::as_batch<Exec>(gram));
      Kokkos::deep_copy(exec, polynomial, gram);
      schatten::linalg::gemm(exec, T(q.c), gram, gram, T(q.b), polynomial);
      Kokkos::deep_copy(exec, next, x);
      schatten::linalg::gemm(exec, T(1), x, polynomial, T(q.a), next);
      std::swap(x, next);
    }
  });
  const double nn = double(n) * double(n);
  bench::report(state, 5 * (4 * nn * double(m) + 2 * nn * double(n)), seconds, bench::limit_flops(shape) / rate);
  const Shape tall{m, n};
  state.counters["rel_error"] = bench::relative_error(x, bench::reference(exec, tall, 0.0));
}

template <class T>
void register_shape(const Shape& shape) {
  const std::string suffix = std::string("/") + bench::scalar_name<T> + "/" + shape.name();
  const auto add = [&](const std::string& name, auto function) {
    benchmark::RegisterBenchmark((name + suffix).c_str(), function)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  add("gemm", [=](benchmark::State& state) { gemm_case<T>(state, shape); });
  add("muon_ns5", [=](benchmark::State& state) { muon_case<T>(state, shape); });
  for (const auto method : {schatten::SpectralMethod::svd, schatten::SpectralMethod::eigh}) {
    add("spectral_power/" + schatten::to_string(method),
        [=](benchmark::State& state) { spectral_case<T>(state, shape, method); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  for (const Shape& shape :
       {Shape{256, 256}, Shape{512, 512}, Shape{1024, 1024}, Shape{2048, 2048}, Shape{512, 2048}}) {
    register_shape<float>(shape);
    register_shape<double>(shape);
  }
  return bench::run(argc, argv);
}
