// SPDX-License-Identifier: BSD-3-Clause
// Ten steps against the double-precision reference, for every execution space, scalar, backend and layout.

#include "support/instantiations.hpp"
#include "support/optimizer_cases.hpp"
#include "support/typed.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

namespace {

using namespace schatten;
using namespace schatten::test;

/// In units of ε·travel. Measured: 4.2 (float, Eigen), 3.8 (double), 2.2 (portable).
constexpr double bound = 16;

template <class Case, Storage storage, class O>
void check_steps(const O& options, const char* what, double& worst) {
  using T = typename Case::Scalar;
  using Exec = typename Case::Exec;
  using Tested = Optimizer<T, Exec, typename Case::Backend>;
  const Exec exec;
  for (const bool tall : {true, false}) {
    const std::size_t rows = tall ? 12 : 7, cols = tall ? 7 : 12;
    const double distance = distance_after_steps<Tested, storage, T>(exec, options, rows, cols, 11);
    CAPTURE(what);
    CAPTURE(to_string(storage));
    CAPTURE(rows);
    CHECK(distance < bound);
    worst = std::max(worst, distance);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("every algorithm agrees with the reference", Case, SCHATTEN_TEST_CASES) {
  double worst = 0;
  for_each_storage([&](auto storage) {
    constexpr Storage chosen = decltype(storage)::value;
    check_steps<Case, chosen>(HTMuonOptions{.map = {.method = SpectralMethod::svd}}, "HTMuon", worst);
    check_steps<Case, chosen>(
        HTMuonOptions{.power = 0.25, .scale = ScaleMode::dual_norm, .map = {.method = SpectralMethod::svd}},
        "HTMuon by svd", worst);
    check_steps<Case, chosen>(MuonOptions{.weight_decay = 0.1, .scale = ScaleMode::unit_rms}, "Muon", worst);
    check_steps<Case, chosen>(AdamWOptions{}, "AdamW", worst);
    check_steps<Case, chosen>(SGDOptions{.momentum = {.nesterov = true}, .weight_decay = 0.1}, "SGD", worst);
  });
  MESSAGE("largest distance from the reference: " << worst);
}
