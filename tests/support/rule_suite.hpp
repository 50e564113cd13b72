// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What every rule must do is tested once, for all of them: a rule is a line of rule_lines(), and for a new one also a
// type in AnyRule and a reference_of (optimizer_cases.hpp).

#include "optimizer_cases.hpp"
#include "training.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <string>
#include <variant>
#include <vector>

namespace schatten::test {

using AnyRule = std::variant<HTMuon, Muon, NorMuon, AdamW, SGD, Lion>;

struct RuleLine {
  std::string name;
  AnyRule rule;
};

inline std::vector<RuleLine> rule_lines() {
  constexpr MapOptions svd{.method = SpectralMethod::svd};
  return {
      {"HTMuon", HTMuon{.map = svd}},
      {"HTMuon, dual norm", HTMuon{.power = 0.25, .scale = ScaleMode::dual_norm, .map = svd}},
      {"HTMuon, every third step", HTMuon{.interval = 3, .map = svd}},
      {"HTMuon, streaming", HTMuon{.map = {.method = SpectralMethod::streaming}}},
      {"HTMuon, rank power", HTMuon{.map = {.method = SpectralMethod::rank_power}}},
      {"HTMuon, Newton-Schulz", HTMuon{.map = {.method = SpectralMethod::newton_schulz}}},
      {"Muon", Muon{.weight_decay = 0.1}},
      {"Muon, exact", Muon{.weight_decay = 0.1, .scale = ScaleMode::unit_rms, .map = svd}},
      {"NorMuon", NorMuon{.weight_decay = 0.1}},
      {"NorMuon, power 1/8", NorMuon{.power = 0.125, .weight_decay = 0.1, .map = svd}},
      {"AdamW", AdamW{.weight_decay = 0.1}},
      {"SGD, heavy ball", SGD{.weight_decay = 0.1}},
      {"SGD, Nesterov", SGD{.momentum = {.nesterov = true}, .weight_decay = 0.1}},
      {"SGD, no momentum", SGD{.momentum = {.beta = 0}, .weight_decay = 0.1}},
      {"Lion", Lion{.lr = 1e-2, .weight_decay = 0.1}},
  };
}

/// Whether the rule takes vectors.
inline bool takes_vectors(const RuleLine& line) {
  return std::visit([]<class R>(const R&) { return optim::ElementRule<R>; }, line.rule);
}
/// After how many steps of a group its rule does the same again.
inline unsigned period_of(const RuleLine& line) {
  const auto* const htmuon = std::get_if<HTMuon>(&line.rule);
  return htmuon == nullptr ? 1 : unsigned(htmuon->interval);
}
/// The reference's options for step `number`, counted from 1.
inline reference::Options reference_of(const RuleLine& line, unsigned number) {
  reference::Options options = std::visit([](const auto& rule) { return reference_of(rule); }, line.rule);
  if (number % period_of(line) != 0) options.algorithm = reference::Algorithm::quintic;
  return options;
}
template <class Optimizer>
GroupId add_group(Optimizer& optimizer, const RuleLine& line) {
  return std::visit([&](const auto& rule) { return optimizer.add_group(rule); }, line.rule);
}

}  // namespace schatten::test
