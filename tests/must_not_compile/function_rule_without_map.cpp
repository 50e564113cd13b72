// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: with_function takes rules with a member `MapOptions map`, such as Muon
// LINES: 15
#include <schatten/optim/function_rule.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/htmuon.hpp>

#if defined(POSITIVE_CONTROL)
const auto soft = schatten::with_function(schatten::HTMuon{}, schatten::SoftSign{});
#else
const auto soft = schatten::with_function(schatten::AdamW{}, schatten::SoftSign{});
#endif
