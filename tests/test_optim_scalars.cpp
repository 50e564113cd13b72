// SPDX-License-Identifier: BSD-3-Clause
// Weights, gradients and momenta of every type: against the reference, master copies, other libraries' types.
// labels: portable

#include "support/rule_suite.hpp"
#include <schatten/interop/pointers.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

constexpr ParameterOptions at_random{.reduced_weight = ReducedWeight::stochastic_rounding};

template <class E>
double spacing = double(std::numeric_limits<E>::epsilon());
template <class E>
double smallest = double(std::numeric_limits<E>::denorm_min());

template <class E>
Matrix rounded_to(const Matrix& matrix) {
  return matrix.unaryExpr([](double x) { return double(E(x)); });
}

// ---- all combinations ---------------------------------------------------------------------------------------------

template <class T, class W, class G>
void check_types(const RuleLine& line) {
  Training<T, SerialExec, W, G> training(line);
  const auto& p = training.add("w", {1, 6, 4}, Storage::window, 1);
  reference::Parameter expected(rounded_to<W>(p.start(0)));
  constexpr unsigned steps = 20;
  double worst = 0;
  for (unsigned number = 1; number <= steps; ++number) {
    training.step(number);
    expected.step(rounded_to<T>(rounded_to<G>(p.gradient(0, number))), reference_of(line, number));
    // Arithmetic in T, as in all tests of steps, and the last rounding to W; a float weight under double arithmetic has
    // no copy in double and is rounded in every step.
    const double earlier = sizeof(W) == 2 || sizeof(W) == sizeof(T) ? 0 : 0.5 * number * spacing<W>;
    const Matrix error = p.w.matrix(0) - expected.w();
    const Matrix allowed = (0.5 * spacing<W> * expected.w().cwiseAbs()).array() + smallest<W> +
                           (16 * epsilon<T> + earlier) * expected.travel();
    worst = std::max(worst, (error.cwiseAbs().array() / allowed.array()).maxCoeff());
  }
  CAPTURE(line.name);
  CAPTURE(to_string(element_type_of<W>));
  CAPTURE(to_string(element_type_of<G>));
  CHECK(worst <= 1);
}

template <class T, class W>
void check_weight_type() {
  for (const RuleLine& line : std::vector<RuleLine>{{"AdamW", AdamW{.lr = 0.01, .weight_decay = 0.1}},
                                                    {"SGD", SGD{.momentum = {.nesterov = true}, .weight_decay = 0.1}},
                                                    {"HTMuon", HTMuon{.map = {.method = SpectralMethod::svd}}}}) {
    check_types<T, W, float>(line);
    check_types<T, W, double>(line);
    check_types<T, W, BFloat16>(line);
    check_types<T, W, Half>(line);
  }
}

}  // namespace

TEST_CASE("every type of weight with every type of gradient agrees with the reference, as exactly as the type is") {
  check_weight_type<float, float>();
  check_weight_type<float, BFloat16>();
  check_weight_type<float, Half>();
  check_weight_type<double, float>();
  check_weight_type<double, double>();
  check_weight_type<double, BFloat16>();
  check_weight_type<double, Half>();
}

namespace {

/// A run with weights W and gradients G, and one in float with the same numbers: whether the weights are those of the
/// float run, rounded, after every step.
template <class W, class G>
void check_follows_float(const RuleLine& line) {
  CAPTURE(line.name);
  Training<float, SerialExec, W, G> training(line);
  Training<float> twin(line);
  const auto& p = training.add("w", {2, 6, 4}, Storage::scattered, 1);
  const auto& q = twin.add("w", {2, 6, 4}, Storage::right, 1);
  for (std::size_t b = 0; b < 2; ++b) q.w.assign(b, p.w.matrix(b));
  for (unsigned number = 1; number <= 12; ++number) {
    training.set_gradients(number);
    for (std::size_t b = 0; b < 2; ++b) q.g.assign(b, p.g.matrix(b));
    training.step();
    twin.step();
    for (std::size_t b = 0; b < 2; ++b) REQUIRE(same_bits(p.w.matrix(b), rounded_to<W>(q.w.matrix(b))));
  }
  if (sizeof(W) == 2) {
    CHECK(same_bits(state_of(training.exec, training.optimizer, "w/master"), q.w.matrices()));
  }
}

}  // namespace

TEST_CASE("a 16-bit weight with a master copy is the weight of the float run, rounded, under every rule") {
  for (const RuleLine& line : rule_lines()) {
    check_follows_float<BFloat16, float>(line);
    check_follows_float<Half, BFloat16>(line);
  }
}

TEST_CASE("gradients of 16 bits and of double on float weights are taken as the floats they are, under every rule") {
  for (const RuleLine& line : rule_lines()) {
    check_follows_float<float, BFloat16>(line);
    check_follows_float<float, Half>(line);
    check_follows_float<float, double>(line);
  }
}

TEST_CASE("momenta stored in 16 bits are rounded to nearest and used as rounded") {
  for (const StateStorage storage : {StateStorage::bfloat16, StateStorage::float16}) {
    // Emulated from the definition with numbers of few digits, so that nothing else is rounded.
    Training<float> training(RuleLine{"SGD", SGD{.lr = 0.25, .momentum = {.beta = 0.5, .storage = storage}}});
    const auto& p = training.add("w", {1, 6, 4}, Storage::left, 1);
    const auto of_few_digits = [](const Matrix& x) {
      return Matrix((x * 64).unaryExpr([](double y) { return std::round(y) / 64; }));
    };
    Matrix w = of_few_digits(p.start(0)), m = Matrix::Zero(6, 4);
    p.w.assign(0, w);
    for (unsigned number = 1; number <= 20; ++number) {
      const Matrix g = of_few_digits(p.gradient(0, number));
      p.g.assign(0, g);
      training.step();
      const Matrix u = 0.5 * m + g;
      m = storage == StateStorage::bfloat16 ? rounded_to<BFloat16>(u) : rounded_to<Half>(u);
      w -= 0.25 * u;
    }
    CHECK(same_bits(p.w.matrix(0), w));
    CHECK(same_bits(state_of(training.exec, training.optimizer, "w/momentum")[0], m));
    CHECK(max_abs(m) > 0);
  }
  for (const StateStorage storage : {StateStorage::bfloat16, StateStorage::float16}) {
    const Muon rule{.momentum = {.storage = storage}, .map = {.method = SpectralMethod::svd}};
    Training<float> training(RuleLine{"Muon", rule});
    const auto& p = training.add("w", {1, 6, 4}, Storage::right, 1);
    reference::Parameter expected(rounded<float>(p.start(0)));
    for (unsigned number = 1; number <= 20; ++number) {
      training.step(number);
      expected.step(rounded<float>(p.gradient(0, number)), reference_of(rule));
    }
    // Each entry of the momentum is off by half a unit at most of what 1/(1 − β) = 20 steps leave. The polar factor of
    // a well-conditioned matrix passes that on.
    const double unit = storage == StateStorage::bfloat16 ? 0x1p-8 : 0x1p-11;
    CHECK(max_abs(p.w.matrix(0) - expected.w()) <= 20 * unit * expected.travel());
    CHECK(max_abs(p.w.matrix(0) - expected.w()) > 0);
  }
}

TEST_CASE("a gradient that is not finite leaves a 16-bit weight and its master as they were") {
  for (const ReducedWeight kind :
       {ReducedWeight::master_copy, ReducedWeight::stochastic_rounding, ReducedWeight::nearest}) {
    Training<float, SerialExec, BFloat16, Half> training(RuleLine{"Lion", Lion{.lr = 0.1}});
    const auto& p = training.add("w", {2, 3, 4}, Storage::right, 1, {.reduced_weight = kind});
    training.steps(1, 2);
    const std::vector<Matrix> before = p.w.matrices();
    const std::vector<StateArray> state = training.state("w");
    training.set_gradients(3);
    p.g.at(0, 1, 1).bits = 0x7c00;  // infinity
    training.step();
    CHECK(same_bits(p.w.matrix(0), before[0]));
    CHECK(!same_bits(p.w.matrix(1), before[1]));
    const std::vector<StateArray> after = training.state("w");
    for (std::size_t k = 0; k < state.size(); ++k) CHECK(same_bits(after[k].matrices[0], state[k].matrices[0]));
  }
}

namespace {

/// Ten steps of AdamW on a weight and a gradient of 16 bits, given as `view_w(memory)` and `view_g(memory)`: the bits.
template <class ViewW, class ViewG>
std::vector<std::uint16_t> bits_after_steps(const ViewW& view_w, const ViewG& view_g, bool brain) {
  std::vector<std::uint16_t> w, g;
  const Matrix start = gaussian(6, 4, 1), gradient = gaussian(6, 4, 2);
  for (Eigen::Index k = 0; k < start.size(); ++k) {
    w.push_back(brain ? BFloat16(start(k)).bits : Half(start(k)).bits);
    g.push_back(brain ? BFloat16(gradient(k)).bits : Half(gradient(k)).bits);
  }
  const SerialExec exec;
  Optimizer<float, SerialExec, linalg::PortableBackend> optimizer;
  optimizer.add(optimizer.add_group(AdamW{.lr = 0.01}), "w", view_w(w.data()), view_g(std::as_const(g).data()),
                at_random);
  for (int step = 0; step < 10; ++step) optimizer.step(exec);
  exec.fence();
  return w;
}

template <class E>
auto reinterpreted(std::uint16_t* data) {
  return matrix_view(reinterpret_cast<E*>(data), 6, 4);
}
template <class E>
auto reinterpreted(const std::uint16_t* data) {
  return matrix_view(reinterpret_cast<const E*>(data), 6, 4);
}

/// Kokkos' own type of 16 bits, where it is one, gives the bits of ours.
template <class Theirs, class Ours>
void check_kokkos_type(bool brain) {
  if constexpr (sizeof(Theirs) == 2) {
    static_assert(element_type_of<Theirs> == element_type_of<Ours>);
    const auto theirs = [](auto* data) { return reinterpreted<Theirs>(data); };
    const auto ours = [](auto* data) { return reinterpreted<Ours>(data); };
    CHECK(bits_after_steps(theirs, theirs, brain) == bits_after_steps(ours, ours, brain));
  } else {
    static_assert(element_type_of<Theirs> == ElementType::float32);  // another name of float
  }
}

}  // namespace

TEST_CASE("16-bit memory of other libraries is taken by pointer") {
  const auto brain = [](auto* data) { return matrix_view(as_bfloat16(data), 6, 4); };
  const auto half = [](auto* data) { return matrix_view(as_half(data), 6, 4); };
  const auto our_brain = [](auto* data) { return reinterpreted<BFloat16>(data); };
  const auto our_half = [](auto* data) { return reinterpreted<Half>(data); };
  const std::vector<std::uint16_t> untouched = bits_after_steps(brain, brain, true);
  CHECK(untouched == bits_after_steps(our_brain, our_brain, true));
  CHECK(bits_after_steps(half, half, false) == bits_after_steps(our_half, our_half, false));
}

TEST_CASE("Kokkos' 16-bit types are taken where it has them") {
  check_kokkos_type<Kokkos::Experimental::half_t, Half>(false);
#if defined(KOKKOS_BHALF_T_IS_FLOAT) || KOKKOS_VERSION >= 30700
  check_kokkos_type<Kokkos::Experimental::bhalf_t, BFloat16>(true);
#endif
}
