// SPDX-License-Identifier: BSD-3-Clause
// Every kernel, region and allocation of linalg and spectral has a label of ours. A plan's second call allocates
// nothing.

#include "support/fence_events.hpp"
#include "support/tool_events.hpp"
#include "support/typed.hpp"
#include <schatten/linalg/eigh.hpp>
#include <schatten/spectral/schatten_norm.hpp>
#include <schatten/spectral/steepest_descent.hpp>

#include <limits>

namespace {

using namespace schatten;
using namespace schatten::test;

void check_labels() {
  CHECK(foreign_labels(ToolEvents::kernels()).empty());
  CHECK(foreign_labels(ToolEvents::allocations()).empty());
  CHECK(foreign_labels(ToolEvents::regions()).empty());
  for (const std::string& label : foreign_labels(ToolEvents::kernels())) MESSAGE("kernel " << label);
  for (const std::string& label : foreign_labels(ToolEvents::allocations())) MESSAGE("allocation " << label);
}

template <class C>
std::vector<SpectralPowerOptions> plans(std::size_t rows, std::size_t cols) {
  std::vector<SpectralPowerOptions> options;
  for (const SpectralMethod method : {SpectralMethod::svd, SpectralMethod::eigh, SpectralMethod::quintic}) {
    options.push_back({.rows = rows, .cols = cols, .power = 0, .resolution = 0.1, .tolerance = 2, .method = method});
  }
  for (const SpectralMethod method : {SpectralMethod::rational, SpectralMethod::iterates}) {
    if (method == SpectralMethod::rational && !has_rational<C>) continue;
    options.push_back({.rows = rows, .cols = cols, .resolution = 0.1, .method = method});
  }
  options.push_back({.rows = rows, .cols = cols, .method = SpectralMethod::newton_schulz});
  // float: a Gram matrix in double
  options.push_back({.rows = rows, .cols = cols, .tolerance = 2e-2, .method = SpectralMethod::eigh});
  return options;
}

}  // namespace

TEST_CASE_TEMPLATE("labels of the map", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{12, 20}, {150, 140}}) {
    if (rows > 100 && std::is_same_v<typename C::Backend, PortableBackend>) continue;
    const Batch<T, Storage::left> m(2, rows, cols), out(2, rows, cols);
    for (std::size_t b = 0; b < 2; ++b) assign(m.matrix(b), gaussian(rows, cols, unsigned(b)));
    for (const SpectralPowerOptions& options : plans<C>(rows, cols)) {
      const ToolEvents events;
      SpectralPower<T, typename C::Exec, typename C::Backend> power(options);
      power.apply(exec, m.view(), out.view());
      exec.fence();
      CHECK(!events.kernels().empty());
      CHECK(!events.allocations().empty());
      CHECK(events.regions() == std::vector<std::string>{"schatten::SpectralPower::apply"});
      check_labels();
    }
  }
}

TEST_CASE_TEMPLATE("labels of norms, steepest descent and linear algebra", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Backend = typename C::Backend;
  const typename C::Exec exec;
  const auto g = to_view<T>(gaussian(12, 9, 1)), out = output_view<T>(12, 9), square = output_view<T>(9, 9),
             eigenvectors = output_view<T>(9, 9), u = output_view<T>(12, 9), vt = output_view<T>(9, 9);
  const Kokkos::View<T*, TestSpace> sigma("schatten::test::sigma", 9);
  Workspace<typename C::Exec::memory_space> workspace;
  const ToolEvents events;
  schatten_norm<Backend>(exec, g, 9);
  dual_norm<Backend>(exec, g, 2);
  steepest_descent<Backend>(exec, g, 9, out);
  linalg::gram<Backend>(exec, g, square, workspace);
  linalg::gemm<Backend>(exec, T(1), g, square, T(0), out, workspace);
  linalg::symmetric_product<Backend>(exec, T(1), square, square, vt, workspace);
  linalg::svd<Backend>(exec, g, u, sigma, vt, workspace);
  linalg::singular_values<Backend>(exec, g, sigma, workspace);
  linalg::eigh<Backend>(exec, square, sigma, eigenvectors, workspace);
  exec.fence();
  CHECK(events.kernels().size() > 10);
  check_labels();
}

TEST_CASE_TEMPLATE("the second apply of a plan allocates nothing, whatever p", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  for (const std::size_t batch : {1U, 3U}) {
    const Batch<T, Storage::window> m(batch, 14, 11), out(batch, 14, 11);
    for (std::size_t b = 0; b < batch; ++b) assign(m.matrix(b), gaussian(14, 11, unsigned(b)));
    for (const SpectralPowerOptions& options : plans<C>(14, 11)) {
      SpectralPower<T, typename C::Exec, typename C::Backend> power(options);
      power.apply(exec, m.view(), out.view());
      const ToolEvents events;
      power.apply(exec, m.view(), out.view());
      if (options.method != SpectralMethod::quintic) {
        power.set_power(0.5);
        power.apply(exec, m.view(), out.view());
      }
      exec.fence();
      CHECK(events.allocations().empty());
      CHECK(!events.kernels().empty());
    }
  }
}

TEST_CASE_TEMPLATE("apply does not fence", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const auto m = to_view<T>(gaussian(14, 11, 1)), out = output_view<T>(14, 11);
  for (const SpectralPowerOptions& options : plans<C>(14, 11)) {
    // cuSOLVER's decompositions wait for their status.
    const bool decomposes = options.method == SpectralMethod::svd || options.method == SpectralMethod::eigh;
    if (decomposes && linalg::multiplies_reduced_floats<typename C::Backend>) continue;
    SpectralPower<T, typename C::Exec, typename C::Backend> power(options);
    power.apply(exec, m, out);
    const FenceEvents events;
    power.apply(exec, m, out);
    CHECK(events.fences().empty());
    if (!fences_are_reported) continue;
    exec.fence();
    CHECK(!events.fences().empty());
  }
}
