// SPDX-License-Identifier: BSD-3-Clause
// The list of spectral methods. A new one is a header in methods/, an entry here and one in method.hpp.
//
//   struct Name {
//     static constexpr SpectralMethod method = …;
//     static void check(options, capabilities);    optional: throws InvalidArgument for its options
//     template <Scalar T>
//     static void candidates(Candidates<T>& all);  optional: adds its choices, each with an error bound
//     template <class Backend, …>
//     static void apply(exec, options, choice, m, out, workspace);     out ← UΣ^pVᵀ by a choice
//   };
#pragma once

#include <schatten/spectral/methods/eigh.hpp>
#include <schatten/spectral/methods/iterates.hpp>
#include <schatten/spectral/methods/newton_schulz.hpp>
#include <schatten/spectral/methods/quintic.hpp>
#include <schatten/spectral/methods/rank_power.hpp>
#include <schatten/spectral/methods/rational.hpp>
#include <schatten/spectral/methods/streaming.hpp>
#include <schatten/spectral/methods/svd.hpp>

#include <tuple>

namespace schatten::spectral {

/// The methods in the order in which they add candidates: the first are fast and quickly evaluated.
using Methods = std::tuple<RationalMethod, QuinticMethod, IteratesMethod, EighMethod, SvdMethod, NewtonSchulzMethod,
                           StreamingMethod, RankPowerMethod>;

/// Calls f(method) for each of them.
template <class F>
void for_each_method(const F& f) {
  std::apply([&](const auto&... method) { (f(method), ...); }, Methods{});
}

}  // namespace schatten::spectral
