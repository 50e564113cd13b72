// SPDX-License-Identifier: BSD-3-Clause
// The only translation unit with Schatten's kernels: where Kokkos has CUDA, nvcc compiles it. TORCH_SUPPORT_FEW_RULES:
// with HTMuon, Muon, AdamW and the two rules that observe alone.
#include "rules.hpp"

#include "../character_model/recipe_numbers.hpp"
#include <schatten/interop/torch.hpp>
#include <schatten/optim/rules.hpp>

#include <stdexcept>
#include <string_view>
#include <torch/utils.h>
#include <utility>

namespace torch_support {
namespace {

using Tensors = std::vector<torch::Tensor>;

template <class Exec, class R>
RuleOptimizer make_on(const R& rule, Tensors parameters) {
  auto made = std::make_unique<schatten::TorchOptimizer<R, float, Exec>>(std::move(parameters),
                                                                         schatten::TorchOptions<R>(rule));
  auto* const o = made.get();
  return {std::move(made), [o](const torch::Tensor& w, const torch::Tensor& x) { o->observe(w, x); }};
}

template <class R>
RuleOptimizer make(const R& rule, Tensors parameters) {
  if (parameters.empty()) throw std::invalid_argument("a rule needs parameters, and the model has none for it");
  if (!parameters[0].is_cuda()) return make_on<Kokkos::DefaultHostExecutionSpace>(rule, std::move(parameters));
#if defined(KOKKOS_ENABLE_CUDA)
  return make_on<Kokkos::Cuda>(rule, std::move(parameters));
#else
  throw std::invalid_argument("the parameters are on a GPU, which this build of Kokkos does not reach");
#endif
}

// What a recipe of that name starts from.
struct Rule {
  std::string_view name;
  RuleOptimizer (*make_rule)(const Recipe& recipe, Tensors parameters);
};

template <class R>
Rule rule() {
  return {R::name, [](const Recipe& recipe, Tensors parameters) {
            return make(character_model::with_numbers(R{}, recipe), std::move(parameters));
          }};
}

constexpr double lion_share = 0.05;  // LionMuon: lr of its steps with signs, over lr, in the authors' scripts

#if !defined(TORCH_SUPPORT_FEW_RULES)
RuleOptimizer make_mars_shampoo(const Recipe& recipe, Tensors parameters) {
  return make(character_model::with_numbers(schatten::mars_shampoo, recipe), std::move(parameters));
}
#endif

template <class... R>
std::vector<Rule> table_of(schatten::RuleList<R...>) {
  return {rule<R>()...};
}

std::vector<Rule> known_rules() {
#if defined(TORCH_SUPPORT_FEW_RULES)
  return table_of(
      schatten::RuleList<schatten::HTMuon, schatten::Muon, schatten::AdamW, schatten::SophiaG, schatten::NewtonMuon>());
#else
  std::vector<Rule> rules = table_of(schatten::AllRules());
  rules.push_back({"mars_shampoo", &make_mars_shampoo});
  return rules;
#endif
}

}  // namespace

RuleOptimizer make_rule(const Recipe& recipe, Tensors parameters) {
  for (const Rule& rule : known_rules())
    if (rule.name == recipe.name) return rule.make_rule(recipe, std::move(parameters));
  throw std::invalid_argument("no rule has the name '" + recipe.name + "'");
}

std::unique_ptr<torch::optim::Optimizer> make_adam(double lr, Tensors parameters) {
  return make(schatten::AdamW{.lr = lr, .beta2 = 0.95, .weight_decay = 0}, std::move(parameters)).optimizer;
}

void set_lr(torch::optim::Optimizer& optimizer, double lr) {
  for (torch::optim::OptimizerParamGroup& group : optimizer.param_groups()) {
    group.options().set_lr(lr);
    auto* const lion_muon = dynamic_cast<schatten::TorchOptions<schatten::LionMuon>*>(&group.options());
    if (lion_muon != nullptr) lion_muon->rule.lion_lr = lion_share * lr;
  }
}

void start_threads(int threads) {
  if (threads > 0) torch::set_num_threads(threads);
  schatten::start_kokkos(threads);
}

}  // namespace torch_support
