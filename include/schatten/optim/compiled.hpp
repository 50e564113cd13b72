// SPDX-License-Identifier: BSD-3-Clause
// Declares the instantiations that the library schatten::compiled has, so that a program of many sources compiles them
// once. Such a program links this CMake target, which defines SCHATTEN_COMPILED, and includes schatten/schatten.hpp.
// Without the target this header has no effect.
//
// The instantiations are the groups of the usual rules, for float and double, on Kokkos' default execution space with
// the default backend. All other rules are compiled where they are used.
#pragma once

#include <schatten/optim/rule_group.hpp>
#include <schatten/optim/rules.hpp>

#if defined(SCHATTEN_COMPILED_HERE)
#define SCHATTEN_INSTANTIATE template
#else
#define SCHATTEN_INSTANTIATE extern template
#endif

#define SCHATTEN_INSTANTIATE_RULE(R, T)                                            \
  SCHATTEN_INSTANTIATE class optim::RuleGroup<R, T, Kokkos::DefaultExecutionSpace, \
                                              linalg::DefaultBackend<Kokkos::DefaultExecutionSpace>>;
#define SCHATTEN_INSTANTIATE_RULES(T)   \
  SCHATTEN_INSTANTIATE_RULE(HTMuon, T)  \
  SCHATTEN_INSTANTIATE_RULE(Muon, T)    \
  SCHATTEN_INSTANTIATE_RULE(NorMuon, T) \
  SCHATTEN_INSTANTIATE_RULE(AdamW, T)   \
  SCHATTEN_INSTANTIATE_RULE(Lion, T)    \
  SCHATTEN_INSTANTIATE_RULE(SGD, T)

namespace schatten {

SCHATTEN_INSTANTIATE_RULES(float)
SCHATTEN_INSTANTIATE_RULES(double)

}  // namespace schatten

#undef SCHATTEN_INSTANTIATE_RULES
#undef SCHATTEN_INSTANTIATE_RULE
#undef SCHATTEN_INSTANTIATE
