// SPDX-License-Identifier: BSD-3-Clause
// Rules with a function of the singular values in their power's place, beside plain loops and beside the rules
// themselves. labels: portable
// labels: portable

#include "support/reference_svd.hpp"
#include "support/spectral_references.hpp"
#include <schatten/optim/function_rule.hpp>
#include <schatten/optim/rules/aurora.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/muon.hpp>
#include <schatten/optim/rules/normuon.hpp>
#include <schatten/optim/rules/scion.hpp>

#include <type_traits>

namespace {

using namespace schatten;
using namespace schatten::test;

/// A caller's own, without numbers that a rule would list.
struct Ripple {
  static constexpr std::string_view name = "ripple";
  KOKKOS_FUNCTION double operator()(double x) const { return x * (1 + 0.2 * x); }
  [[nodiscard]] double order() const { return 1; }
  [[nodiscard]] double degree() const { return 0.5; }
};

/// Muon by f, from the definition.
template <class F>
class FunctionReference : public MomentumReference {
 public:
  FunctionReference(const FunctionRule<Muon, F>& rule, const Matrix& start)
      : MomentumReference(rule.momentum, start), rule_(rule), f_(rule.of.function) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    ReferenceSvd svd = reference_svd(average(g));
    const double largest = svd.sigma(0);
    for (Eigen::Index k = 0; k < svd.sigma.size(); ++k) {
      svd.u.col(k) *= std::pow(largest, f_.degree()) * f_(svd.sigma(k) / largest);
    }
    return apply(w, rule_, svd.u * svd.v.transpose());
  }

 private:
  Muon rule_;
  F f_;
};

template <class F>
FunctionReference<F> make_reference(const FunctionRule<Muon, F>& rule, const Matrix& start) {
  return {rule, start};
}

constexpr MapOptions svd{.method = SpectralMethod::svd};

template <class F>
void check_function(const F& f, const RuleChecks& checks = {.shapes = {{2, 6, 4}}}) {
  check_agreement(with_function(Muon{.weight_decay = 0.1, .map = svd}, f), make_reference<F>, checks);
}

/// Largest difference between the steps of the rule by its power and by f = x^p, of how far they go.
template <class R>
double difference_by_power(const R& rule, double power) {
  std::vector<Matrix> gradients;
  for (unsigned k = 0; k < 4; ++k) gradients.push_back(conditioned_gaussian(7, 5, 30 + k));
  const Matrix start = Matrix::Zero(7, 5);
  const Matrix by_power = weights_after(rule, start, gradients).back();
  const Matrix by_function = weights_after(with_function(rule, PowerFunction{power}), start, gradients).back();
  return max_abs(by_function - by_power) / max_abs(by_power);
}

}  // namespace

TEST_CASE("Muon by a soft sign passes the checks of every rule") {
  check_rule(with_function(Muon{.weight_decay = 0.1, .map = svd}, SoftSign{.tau = 0.2}), make_reference<SoftSign>);
}

TEST_CASE("Muon by each function that is shipped, and by one of the caller's") {
  check_function(PowerFunction{0.25});
  check_function(SoftRatio{});
  check_function(Clip{});
  check_function(CappedInverse{});
  check_function(HighPass{});
  check_function(SoftPolar{});
  check_function(Ripple{});
}

TEST_CASE("within the tolerance by the method that is chosen") {
  const auto rule = with_function(Muon{}, SoftSign{});
  CHECK(rule.map == MapOptions{});
  check_rule(rule, make_reference<SoftSign>, {.shapes = {{2, 9, 5}}, .bound = 3e-2, .layout_bound = 1e-9});
}

TEST_CASE("by x^p a rule steps as by its power; its other maps stay what they are") {
  CHECK(difference_by_power(HTMuon{.power = 0.25, .interval = 2, .map = svd}, 0.25) <= 1e-12);
  CHECK(difference_by_power(NorMuon{.power = 0.25, .map = svd}, 0.25) <= 1e-12);
  CHECK(difference_by_power(Aurora{.power = 0.25, .map = svd}, 0.25) <= 1e-12);
  CHECK(difference_by_power(Scion{.power = 0, .map = svd}, 0) <= 1e-12);
}

TEST_CASE("the numbers of the function are the rule's, in its power's place") {
  Optimizer<double, SerialExec, linalg::PortableBackend> optimizer;
  const GroupId group = optimizer.add_group(with_function(NorMuon{.lr = 0.1}, SoftSign{.tau = 0.3}));
  const auto has = [&](std::string_view name) {
    for (const FieldInfo& field : optimizer.fields(group)) {
      if (field.name == name) return true;
    }
    return false;
  };
  CHECK(has("tau"));
  CHECK(has("beta2"));
  CHECK(!has("power"));
  CHECK(optimizer.get(group, "tau") == 0.3);
  optimizer.set(group, "tau", 0.4);
  CHECK(optimizer.get(group, "tau") == 0.4);
  CHECK(contains(message_of<InvalidArgument>([&] { optimizer.set(group, "tau", 0.0); }), "tau = 0"));
  CHECK(contains(message_of<InvalidArgument>([&] { optimizer.set_power(group, 0.5); }), "power"));
  CHECK(optimizer.get(group, "tau") == 0.4);
}

TEST_CASE("a new number of the function is in the next step; a paused parameter waits") {
  const auto rule = with_function(Muon{.map = svd}, SoftSign{.tau = 0.1});
  const Matrix g = conditioned_gaussian(6, 4, 3), start = 0 * g;
  Training<double> training(rule);
  const auto& p = training.add("w", {1, 6, 4}, Storage::right, 1);
  p.w.assign(0, start);
  p.g.assign(0, g);
  training.optimizer.set(training.group, "tau", 0.7);
  training.optimizer.pause("w");
  training.step();
  CHECK(max_abs(p.w.matrix(0)) == 0);
  training.optimizer.resume("w");
  training.step();
  auto changed = rule;
  changed.of.function.tau = 0.7;
  CHECK(same_bits(p.w.matrix(0), weights_after(changed, start, {g}).back()));
  CHECK(training.optimizer.map_error_bound("w") > 0);
  CHECK(training.optimizer.map_error_bound("w") < 1e-10);
}

TEST_CASE("what no function can do is refused with the reason") {
  Optimizer<double, SerialExec, linalg::PortableBackend> optimizer;
  const auto message = [&](const auto& rule) {
    return message_of<InvalidArgument>([&] { optimizer.add_group(rule); });
  };
  CHECK(contains(message(with_function(Muon{.scale = ScaleMode::dual_norm}, SoftSign{})), "that of a power"));
  CHECK(contains(message(with_function(Muon{.map = {.method = SpectralMethod::iterates}}, SoftSign{})), "iterates"));
  CHECK(contains(message(with_function(Muon{}, Clip{.tau = -1})), "tau = -1"));
  CHECK(contains(message(with_function(Muon{.lr = -1}, Clip{})), "lr = -1"));
  CHECK(contains(message(with_function(Muon{.map = {.format = Format::float64}}, SoftSign{})), "format"));
}
