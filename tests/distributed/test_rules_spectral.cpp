// SPDX-License-Identifier: BSD-3-Clause
// Rules with directions over ranks: the bits of one process.

#include "distributed/owners.hpp"
#include <schatten/optim/rules.hpp>

TEST_CASE("every rule with directions gives the bits of one process on any number of ranks") {
  using namespace schatten;
  using namespace schatten::test;
  check_same_bits(HTMuon{});
  check_same_bits(Muon{});
  check_same_bits(NorMuon{});
  check_same_bits(AdaMuon{});
  check_same_bits(CautiousMuon{});
  check_same_bits(MARSM{});
  check_same_bits(LionMuon{});
  check_same_bits(RMNP{});
  check_same_bits(MuonEq{});
  check_same_bits(Scion{});
  check_same_bits(Aurora{});
  check_same_bits(NewtonMuon{});
  check_same_bits(SOAP{});
  check_same_bits(SPlus{});
  check_same_bits(GaLore{});
  check_same_bits(COSMOS{});
}
