// SPDX-License-Identifier: BSD-3-Clause
// Rules with more state than moments – bases, projections, what the caller gives them – resumed to the last bit.
// labels: portable compilers

#include "support/resumed_runs.hpp"
#include <schatten/optim/rules/adam_mini.hpp>
#include <schatten/optim/rules/cosmos.hpp>
#include <schatten/optim/rules/galore.hpp>
#include <schatten/optim/rules/lion_muon.hpp>
#include <schatten/optim/rules/newton_muon.hpp>
#include <schatten/optim/rules/soap.hpp>
#include <schatten/optim/rules/sophia_g.hpp>
#include <schatten/optim/rules/splus.hpp>

#include <doctest/doctest.h>

namespace {

using namespace schatten;
using namespace schatten::test;

/// Gives the parameter "paused", 1×6×4, an array of that many rows before every third step.
std::function<void(Run&, unsigned)> observing(std::size_t rows) {
  return [rows](Run& run, unsigned number) {
    if (number % 3 != 0) return;
    const Batch<double, Storage::right> x(1, rows, 4);
    assign(x.matrix(), gaussian(rows, 4, 900 + number));
    run.optimizer.observe(run.exec, "paused", x.view());
    run.exec.fence();
  };
}

}  // namespace

TEST_CASE("resumed runs are the uninterrupted ones to the last bit") {
  check_resumed(SOAP{});
  check_resumed(SPlus{});
  check_resumed(GaLore{});
  check_resumed(COSMOS{});
  check_resumed(LionMuon{});
  check_resumed(AdamMini{});
  check_resumed(SophiaG{}, observing(6));
  check_resumed(NewtonMuon{}, observing(5));
}

TEST_CASE("a run that goes back to its beginning is the same again") {
  const TemporaryFolder folder;
  const auto run = make_run<SOAP, Storage::right>(SOAP{}, false, 1);
  const auto other = make_run<SOAP, Storage::right>(SOAP{}, false, 1);
  checkpoint::save(run->exec, run->optimizer, folder.file("start"));
  for (unsigned number = 0; number < 3; ++number) run->step(number);
  CHECK(!same_runs(*run, *other));
  checkpoint::load(run->exec, run->optimizer, folder.file("start"));
  CHECK(same_runs(*run, *other));
  for (unsigned number = 0; number < 3; ++number) {
    run->step(number);
    other->step(number);
  }
  CHECK(same_runs(*run, *other));
}
