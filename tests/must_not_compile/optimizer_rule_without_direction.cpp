// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: a rule needs `template <class T> KOKKOS_FUNCTION auto element
// LINES: 15
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules/sgd.hpp>

struct Still {
  double lr = 1, weight_decay = 0;
  static constexpr std::string_view name = "still";
  template <class Fields>
  static void fields(Fields&) {}
  [[nodiscard]] std::vector<schatten::StateSlot> state() const { return {}; }
};

#if defined(POSITIVE_CONTROL)
using Rule = schatten::SGD;
#else
using Rule = Still;
#endif

schatten::GroupId add(schatten::Optimizer<float>& optimizer) { return optimizer.add_group(Rule{}); }
