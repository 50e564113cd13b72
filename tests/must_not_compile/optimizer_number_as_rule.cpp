// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: add_group takes a rule with its numbers: add_group\(Muon
// LINES: 15
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules/sgd.hpp>

#if defined(POSITIVE_CONTROL)
constexpr schatten::SGD descent{.lr = 0.03};
#else
constexpr double descent = 0.03;
#endif

schatten::GroupId add(schatten::Optimizer<float>& optimizer) { return optimizer.add_group(descent); }
