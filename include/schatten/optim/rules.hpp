// SPDX-License-Identifier: BSD-3-Clause
// The rules that come with the library.
#pragma once

#include <schatten/optim/rules/adam.hpp>
#include <schatten/optim/rules/adam_mini.hpp>
#include <schatten/optim/rules/adamuon.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/ademamix.hpp>
#include <schatten/optim/rules/aurora.hpp>
#include <schatten/optim/rules/cautious_adamw.hpp>
#include <schatten/optim/rules/cautious_lion.hpp>
#include <schatten/optim/rules/cautious_muon.hpp>
#include <schatten/optim/rules/cosmos.hpp>
#include <schatten/optim/rules/galore.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/lion.hpp>
#include <schatten/optim/rules/lion_muon.hpp>
#include <schatten/optim/rules/mars.hpp>
#include <schatten/optim/rules/mars_lion.hpp>
#include <schatten/optim/rules/mars_m.hpp>
#include <schatten/optim/rules/muon.hpp>
#include <schatten/optim/rules/muon_eq.hpp>
#include <schatten/optim/rules/newton_muon.hpp>
#include <schatten/optim/rules/normuon.hpp>
#include <schatten/optim/rules/rmnp.hpp>
#include <schatten/optim/rules/scion.hpp>
#include <schatten/optim/rules/sgd.hpp>
#include <schatten/optim/rules/soap.hpp>
#include <schatten/optim/rules/sophia_g.hpp>
#include <schatten/optim/rules/splus.hpp>

#include <cstddef>

namespace schatten {

/// A list of rules, for code that does the same with each of them.
template <class... Rules>
struct RuleList {
  static constexpr std::size_t size = sizeof...(Rules);  ///< how many there are
};

/// All rules of the library, in the order of their names.
using AllRules = RuleList<Adam, AdamMini, AdaMuon, AdamW, AdEMAMix, Aurora, CautiousAdamW, CautiousLion, CautiousMuon,
                          COSMOS, GaLore, HTMuon, Lion, LionMuon, MARS, MARSLion, MARSM, Muon, MuonEq, NewtonMuon,
                          NorMuon, RMNP, Scion, SGD, SOAP, SophiaG, SPlus>;

/// The rules by the names of their options: a rule is its options.
using HTMuonOptions = HTMuon;
using MuonOptions = Muon;
using AdamWOptions = AdamW;
using SGDOptions = SGD;

}  // namespace schatten
