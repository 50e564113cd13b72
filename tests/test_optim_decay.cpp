// SPDX-License-Identifier: BSD-3-Clause
// Weight decays by parameter and from diagnostics: the decay factor, AlphaDecay, AWD; learning rates from diagnostics.
// labels: portable accuracy

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/optimizer_cases.hpp"
#include "support/optimizer_state.hpp"
#include <schatten/diagnostics/learning_rate.hpp>
#include <schatten/diagnostics/weight_decay.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

using Exec = Kokkos::DefaultHostExecutionSpace;
using Tested = Optimizer<double, Exec, linalg::PortableBackend>;
template <class D, class Layout = Kokkos::LayoutRight>
using HostView = Kokkos::View<D, Layout, Kokkos::HostSpace>;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// The exponent as the published code sums it: eigenvalues ascending, from the middle one on.
double exponent_of(const Vector& sigma) {
  std::vector<double> lambda;
  for (Eigen::Index i = 0; i < sigma.size(); ++i) lambda.push_back(sigma(i) * sigma(i));
  std::sort(lambda.begin(), lambda.end());
  const std::size_t first = lambda.size() / 2, n = lambda.size() - first;
  double sum = 0;
  for (std::size_t j = first; j < lambda.size(); ++j) sum += std::log(lambda[j]);
  return 1 + double(n) / (sum - double(n) * std::log(lambda[first]));
}

template <class Rule>
void check_factor(const Rule& rule) {
  const Exec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(rule);
  const HostView<double**> w("w", 9, 5), g("g", 9, 5), v("v", 9, 5), h("h", 9, 5);
  const Matrix start = gaussian(9, 5, 1);
  assign(w, start);
  assign(v, start);
  optimizer.add(group, "w", w, g);
  optimizer.add(group, "v", v, h);
  reference::Parameter expected_w(start), expected_v(start);
  for (unsigned t = 0; t < 6; ++t) {
    const double factor = t < 2 ? 1 : t < 4 ? 2.5 : 0;
    if (t == 2 || t == 4) optimizer.set_decay_factor("w", factor);
    const Matrix gradient = conditioned_gaussian(9, 5, 20 + t);
    assign(g, gradient);
    assign(h, gradient);
    optimizer.step(exec);
    exec.fence();
    reference::Options options = reference_of(rule);
    expected_v.step(gradient, options);
    options.weight_decay *= factor;
    expected_w.step(gradient, options);
  }
  CHECK(distance<double>(to_matrix(w), expected_w) < 8);
  CHECK(distance<double>(to_matrix(v), expected_v) < 8);
  CHECK(optimizer.decay_factor("w") == 0);
  CHECK(optimizer.decay_factor("v") == 1);
}

}  // namespace

TEST_CASE("a decay factor multiplies one parameter's weight decay, for rules of matrices and of elements") {
  check_factor(HTMuon{.lr = 0.1, .weight_decay = 0.5, .map = {.method = SpectralMethod::svd}});
  check_factor(AdamW{.lr = 0.1, .weight_decay = 0.5});
}

TEST_CASE("a decay factor is refused for unknown names and numbers out of range") {
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGD{});
  const HostView<double**> w("w", 2, 2), g("g", 2, 2);
  optimizer.add(group, "w", w, g);
  CHECK(contains(message_of([&] { optimizer.set_decay_factor("x", 1); }),
                 "schatten::Optimizer::set_decay_factor: name = x"));
  for (const double bad : {-1.0, infinity, not_a_number}) {
    CHECK(contains(message_of([&] { optimizer.set_decay_factor("w", bad); }),
                   "schatten::Optimizer::set_decay_factor: factor of w = "));
  }
  CHECK(
      contains(message_of([&] { (void)optimizer.decay_factor("x"); }), "schatten::Optimizer::decay_factor: name = x"));
  CHECK(optimizer.decay_factor("w") == 1);
}

TEST_CASE("telemetry counts the factor") {
  const Exec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGD{.lr = 0.5, .weight_decay = 0.25});
  const HostView<double**> w("w", 3, 4), g("g", 3, 4);
  const Matrix start = gaussian(3, 4, 3);
  assign(w, start);
  optimizer.add(group, "w", w, g);
  optimizer.set_decay_factor("w", 3);
  optimizer.set_telemetry(true);
  optimizer.step(exec);
  exec.fence();
  CHECK(max_abs(to_matrix(w) - (1 - 0.375) * start) < 1e-15);
  CHECK(optimizer.telemetry(exec, "w")[0].ratio() == doctest::Approx(0.375).epsilon(1e-14));
}

TEST_CASE("the factor multiplies coupled decay too") {
  const Exec exec;
  for (const bool left : {false, true}) {
    Tested optimizer;
    const GroupId group =
        optimizer.add_group(SGD{.lr = 0.5, .momentum = {.beta = 0}, .weight_decay = 0.25, .decay = DecayMode::coupled});
    const HostView<double**> rows("w", 3, 200), g("g", 3, 200);
    const HostView<double**, Kokkos::LayoutLeft> cols("w", 3, 200);
    const Matrix start = gaussian(3, 200, 1), gradient = gaussian(3, 200, 2);
    assign(rows, start);
    assign(cols, start);
    assign(g, gradient);
    if (left) {
      optimizer.add(group, "w", cols, g);
    } else {
      optimizer.add(group, "w", rows, g);
    }
    optimizer.set_decay_factor("w", 3);
    optimizer.step(exec);
    exec.fence();
    const Matrix w = left ? to_matrix(cols) : to_matrix(rows);
    CHECK(max_abs(w - (start - 0.5 * (gradient + 0.75 * start))) < 1e-14);
  }
}

TEST_CASE("AlphaDecay's exponent is that of the larger half of the eigenvalues") {
  const Exec exec;
  for (const std::size_t n : {3, 4, 9, 10, 51}) {
    CAPTURE(n);
    for (const bool tall : {true, false}) {
      const auto known =
          known_matrix(tall ? n + 7 : n, tall ? n : n + 7, singular_values_of(Spectrum::geometric, n, 0.01), 5);
      const double alpha = alpha_decay_exponent<linalg::PortableBackend>(exec, to_view<double>(known.matrix()));
      CHECK(std::abs(alpha - exponent_of(known.sigma)) < 1e-10 * alpha * alpha);
    }
  }
  CHECK(alpha_decay_exponent(exec, to_view<double>(Matrix::Identity(8, 8))) == infinity);
  CHECK(alpha_decay_exponent(exec, to_view<double>(gaussian(2, 7, 1))) == infinity);
  CHECK(alpha_decay_exponent(exec, to_view<double>(gaussian(1, 7, 1))) == infinity);
  CHECK(std::isnan(alpha_decay_exponent(exec, to_view<double>(Matrix::Zero(6, 6)))));
  CHECK(contains(message_of([&] { (void)alpha_decay_exponent(exec, HostView<double**>("w", 0, 3)); }),
                 "schatten::alpha_decay_exponent: min(rows, cols) = 0"));
}

TEST_CASE("AlphaDecay's factors go in a straight line from the heaviest tail to the lightest") {
  using Factors = std::vector<double>;
  CHECK(alpha_decay_factors({2, 4, 3, 2.5}, {.least = 0.5, .most = 1.5}) == Factors{0.5, 1.5, 1, 0.75});
  const Factors published = alpha_decay_factors({3, 1.5});
  CHECK(published == Factors{5, 2.0 / 3});
  CHECK(alpha_decay_factors({2, not_a_number, 4, infinity}, {.least = 0, .most = 2}) == Factors{0, 1, 2, 1});
  CHECK(alpha_decay_factors({2, 2, 2}, {.least = 0.5, .most = 1.5}) == Factors{1, 1, 1});
  CHECK(alpha_decay_factors({2.5}, {.least = 0.5, .most = 3.5}) == Factors{2});
  CHECK(alpha_decay_factors({}).empty());
  CHECK(alpha_decay_factors({not_a_number}) == Factors{1});
  const auto check = [](const AlphaDecayOptions& options, const std::string& argument) {
    CHECK(contains(message_of([&] {
                     (void)alpha_decay_factors({1, 2}, options);
                   }),
                   "schatten::alpha_decay_factors: " + argument + " = "));
  };
  check({.least = -0.1}, "least");
  check({.least = 2, .most = 1}, "least");
  check({.least = not_a_number}, "least");
  check({.most = infinity}, "most");
}

TEST_CASE("AlphaDecay in a training: weights of heavier tails decay less") {
  const Exec exec;
  Tested optimizer;
  const double lr = 0.25, decay = 0.5;
  const GroupId group = optimizer.add_group(SGD{.lr = lr, .weight_decay = decay});
  std::vector<HostView<double**>> weights;
  std::vector<double> exponents, expected;
  for (const double smallest : {1e-3, 0.1, 0.5}) {
    const auto known = known_matrix(14, 12, singular_values_of(Spectrum::geometric, 12, smallest), 5);
    const HostView<double**> w("w", 14, 12), g("g", 14, 12);
    assign(w, known.matrix());
    optimizer.add(group, std::to_string(weights.size()), w, g);
    weights.push_back(w);
    exponents.push_back(alpha_decay_exponent(exec, w));
    expected.push_back(exponent_of(known.sigma));
  }
  const std::vector<double> factors = alpha_decay_factors(exponents, {.least = 0.5, .most = 1.5});
  const auto [least, most] = std::minmax_element(expected.begin(), expected.end());
  std::vector<Matrix> before;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    before.push_back(to_matrix(weights[k]));
    optimizer.set_decay_factor(std::to_string(k), factors[k]);
  }
  optimizer.step(exec);
  exec.fence();
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const double wd = decay * (0.5 + (expected[k] - *least) / (*most - *least));
    CHECK(max_abs(to_matrix(weights[k]) - (1 - lr * wd) * before[k]) < 1e-12);
  }
  CHECK(factors[0] < factors[1]);
  CHECK(factors[1] < factors[2]);
}

TEST_CASE("set_alpha_decay sets the factors of exponents, or nothing") {
  const Exec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(SGD{});
  std::vector<std::pair<std::string, HostView<double**>>> weights;
  std::vector<double> exponents;
  for (const double smallest : {1e-3, 0.1, 0.5}) {
    const auto known = known_matrix(14, 12, singular_values_of(Spectrum::geometric, 12, smallest), 5);
    const HostView<double**> w("w", 14, 12);
    assign(w, known.matrix());
    weights.emplace_back(std::to_string(weights.size()), w);
    optimizer.add(group, weights.back().first, w);
    exponents.push_back(alpha_decay_exponent<linalg::PortableBackend>(exec, w));
  }
  const HostView<double**> small("small", 4, 3);
  weights.emplace_back("small", small);
  optimizer.add(group, "small", small);
  exponents.push_back(not_a_number);
  const AlphaDecayOptions options{.least = 0.5, .most = 2, .least_values = 12};
  const auto set = [&](const AlphaDecayOptions& its) {
    return set_alpha_decay<linalg::PortableBackend>(exec, optimizer, weights, its);
  };
  const std::vector<double> factors = set(options);
  CHECK(factors == alpha_decay_factors(exponents, options));
  CHECK(factors[0] == 0.5);
  CHECK(factors[2] == 2);
  CHECK(factors[3] == 1);
  for (std::size_t k = 0; k < weights.size(); ++k) CHECK(optimizer.decay_factor(weights[k].first) == factors[k]);
  CHECK(set({}) == std::vector<double>(4, 1.0));  // fewer than 50 singular values
  weights.emplace_back("unknown", small);
  CHECK(contains(message_of([&] { set(options); }), "name = unknown"));
  CHECK(optimizer.decay_factor("0") == 1);
}

TEST_CASE("learning rates go in a straight line from the heaviest tail to the lightest") {
  using Factors = std::vector<double>;
  CHECK(layer_lr_factors({2, 4, 3}) == Factors{1, 5, 3});
  CHECK(layer_lr_factors({2, 4, not_a_number, 3, infinity}, {.least = 0.5, .most = 1.5}) == Factors{0.5, 1.5, 1, 1, 1});
  CHECK(layer_lr_factors({2, 2}) == Factors{3, 3});
  CHECK(layer_lr_factors({}).empty());
  CHECK(
      contains(message_of([] { (void)layer_lr_factors({1}, {.least = 6}); }), "schatten::layer_lr_factors: least = 6"));
  CHECK(contains(message_of([] { (void)layer_lr_factors({1}, {.most = infinity}); }),
                 "schatten::layer_lr_factors: most = inf"));
}

TEST_CASE("set_layer_lrs sets the learning rates of groups, or nothing") {
  const Exec exec;
  Tested optimizer, other;
  std::vector<std::pair<GroupId, HostView<double**>>> layers;
  for (const double smallest : {1e-3, 0.1, 0.5}) {
    const auto known = known_matrix(14, 12, singular_values_of(Spectrum::geometric, 12, smallest), 5);
    const HostView<double**> w("w", 14, 12);
    assign(w, known.matrix());
    layers.emplace_back(optimizer.add_group(SGD{.lr = 0.5}), w);
  }
  const auto set = [&](double lr, const LayerLrOptions& options) {
    return set_layer_lrs<linalg::PortableBackend>(exec, optimizer, layers, lr, options);
  };
  for (int repeated = 0; repeated < 2; ++repeated) {  // they do not multiply up
    const std::vector<double> factors = set(0.25, {.least_values = 12});
    CHECK(factors[0] == 1);
    CHECK(factors[1] > 1);
    CHECK(factors[2] == 5);
    for (std::size_t k = 0; k < 3; ++k) CHECK(optimizer.get(layers[k].first, "lr") == 0.25 * factors[k]);
  }
  CHECK(set(0.5, {}) == std::vector<double>(3, 1.0));  // fewer than 50 singular values
  CHECK(contains(message_of([&] { set(-1, {}); }), "schatten::set_layer_lrs: lr = -1"));
  CHECK(contains(message_of([&] { set(not_a_number, {}); }), "schatten::set_layer_lrs: lr = nan"));
  layers.push_back(layers[1]);
  CHECK(contains(message_of([&] { set(1, {}); }), "schatten::set_layer_lrs: group = 1, but it must be given once"));
  layers.back().first = other.add_group(SGD{});
  CHECK(contains(message_of([&] { set(1, {}); }), "is a group of another Optimizer"));
  CHECK(optimizer.get(layers[0].first, "lr") == 0.5);
}

TEST_CASE("AWD is the ratio of the norms of all gradients and weights, averaged") {
  const Exec exec;
  const HostView<double*> bias("b", 7), bias_g("db", 7);
  const HostView<float**, Kokkos::LayoutLeft> w("w", 5, 3), g("g", 5, 3);
  const HostView<double****> c("c", 2, 3, 2, 2), dc("dc", 2, 3, 2, 2);
  AdaptiveWeightDecay awd;
  double expected = 0;
  for (unsigned t = 0; t < 4; ++t) {
    double gradients = 0, weights = 0;
    unsigned seed = 100 * t;
    const auto fill = [&](const auto& view, double& sum) {
      const Matrix numbers = gaussian(view.size(), 1, ++seed);
      using E = typename std::remove_cvref_t<decltype(view)>::value_type;
      for (std::size_t k = 0; k < view.size(); ++k) {
        view.data()[k] = E(numbers(Eigen::Index(k), 0));
        sum += double(view.data()[k]) * double(view.data()[k]);
      }
    };
    fill(bias, weights), fill(w, weights), fill(c, weights);
    fill(bias_g, gradients), fill(g, gradients), fill(dc, gradients);
    GlobalNorm weight_norm, gradient_norm;
    weight_norm.add(exec, bias), weight_norm.add(exec, w), weight_norm.add(exec, c);
    gradient_norm.add(exec, bias_g), gradient_norm.add(exec, g), gradient_norm.add(exec, dc);
    CHECK(weight_norm.value() == doctest::Approx(std::sqrt(weights)).epsilon(1e-14));
    expected = 0.1 * expected + 0.9 * (0.1 * std::sqrt(gradients) / (std::sqrt(weights) + 1e-8));
    CHECK(awd(gradient_norm.value(), weight_norm.value()) == doctest::Approx(expected).epsilon(1e-14));
  }
  CHECK(awd(not_a_number, 1) == doctest::Approx(expected).epsilon(1e-14));
  CHECK(awd.value() == awd(1, not_a_number));
  AdaptiveWeightDecay resumed;
  resumed.set_value(awd.value());
  CHECK(resumed(1, 2) == awd(1, 2));
  GlobalNorm nothing;
  nothing.add(exec, HostView<double*>("b", 0));
  CHECK(nothing.value() == 0);
  CHECK(contains(message_of([] { AdaptiveWeightDecay({.ratio = -1}); }), "schatten::AdaptiveWeightDecay: ratio = -1"));
  CHECK(contains(message_of([] { AdaptiveWeightDecay({.keep = 1}); }), "schatten::AdaptiveWeightDecay: keep = 1"));
  CHECK(contains(message_of([&] { awd.set_value(-1); }), "schatten::AdaptiveWeightDecay::set_value: value = -1"));
}
