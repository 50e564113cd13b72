// SPDX-License-Identifier: BSD-3-Clause
// The requirements of a rule: one struct with its numbers, its state and its direction. docs/add_a_rule.md shows two.
//
//   struct Name {
//     double lr = …, weight_decay = …;                and its other numbers
//     static constexpr std::string_view name = "…";
//     template <class Fields>
//     static void fields(Fields& f);                  its other numbers by name (fields.hpp)
//     std::vector<StateSlot> state() const;           the state arrays of a matrix (state.hpp),
//                                                     or state(rows, cols) const, for its shape
//   and either, for a rule whose elements are independent,
//     template <class T>
//     KOKKOS_FUNCTION auto element(double step) const;   a functor (g, s₁, s₂, …) → direction for the matrix's
//                                                        step, counted from 1
//   or, for a rule on matrices,
//     template <class Bucket>
//     void direction(Bucket& bucket, const typename Bucket::Batch& out) const;
//   };
//
// Optional members:
//   static constexpr bool commutes_with_transposes   whether the rule of Gᵀ gives Dᵀ; default: false, for element()
//                                                    true
//   bool commutes() const                            the same if it depends on the rule's numbers
//   double floor_beta() const                        element(): β of the first slot, a momentum, if steps do not
//                                                    shrink with it; they then have the floor of floor.hpp
//   template <class Bucket>
//   void prepare(Bucket& bucket, const typename Bucket::Numbers& x) const
//                                                    element(): is called before the loop over the elements and sets
//                                                    x(k), a number per matrix k, the argument of element(step, x)
//   ScaleMode scale                                  a factor of the learning rate by the shape (scale.hpp)
//   double shape_factor(rows, cols) const            the same by a function of the rule
//   template <class F> void maps(const F& f) const   calls f(power, MapOptions) for each spectral map of direction(),
//                                                    first for that of the member `map`
//   template <class Base> using BucketOf             the class, derived from the Bucket Base, that direction() takes
//                                                    instead of Base (function_rule.hpp)
//   DecayMode decay                                  the form of weight decay; default: DecayMode::decoupled
//   void check(std::string_view function) const      throws InvalidArgument for numbers that exclude each other
//   void check_shape(rows, cols, function, parameter) const        the same for a shape
//   static constexpr bool takes_vectors              direction(): whether the rule takes vectors, as 1×n matrices
//   static constexpr long long waits                 the number of first steps that do not change a matrix
//   double lr_at(rows, cols) const                   the learning rate of a shape instead of lr
//   double lr_at(step, rows, cols) const             the same of a step, counted from 1; a CUDA graph keeps it
//   template <class Bucket>
//   void finish(Bucket& bucket) const                is called after the update of the weights
//   template <class Bucket>
//   void observe(Bucket& bucket, const typename Bucket::ConstBatch& input) const
//                                                    takes the array of Optimizer::observe; or observe(bucket), where
//                                                    it replaces the gradients
//   static constexpr bool one_region                 whether the rule launches no Kokkos kernels itself; a step of
//                                                    such rules is one parallel region (core/host_region.hpp)
//   static constexpr bool observes_inputs            whether observe() takes a layer's inputs, not an array of the
//                                                    weight's shape
//   static constexpr bool over_ranks                 whether the rule is right on matrices of which other ranks have
//                                                    parts: it takes nothing from several elements but by bucket.map,
//                                                    scale, norms and the stages line_norms and row_moment
//   std::size_t most_matrices(elements) const        how many matrices one call takes whose buffer has so many elements
#pragma once

#include <schatten/optim/fields.hpp>
#include <schatten/optim/scale.hpp>
#include <schatten/optim/state.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten {

namespace optim {

namespace detail {

struct AnyFields {
  template <class M, class B>
  void operator()(std::string_view, M B::*, const Range& = any_number) {}
  template <class M, class B>
  void operator()(M B::*) {}
};

}  // namespace detail

template <class R>
concept HasName = requires {
  std::string_view(R::name);
};
template <class R>
concept HasNumbers = requires(R rule) {
  { rule.lr } -> std::same_as<double&>;
  { rule.weight_decay } -> std::same_as<double&>;
};
template <class R>
concept HasFields = requires(detail::AnyFields& fields) {
  R::fields(fields);
};
template <class R>
concept HasStateOfShape = requires(const R& rule) {
  { rule.state(std::size_t(1), std::size_t(1)) } -> std::convertible_to<std::vector<StateSlot>>;
};
template <class R>
concept HasState = HasStateOfShape<R> || requires(const R& rule) {
  { rule.state() } -> std::convertible_to<std::vector<StateSlot>>;
};
/// A rule with element().
template <class R>
concept ElementRule = requires(const R& rule) {
  rule.template element<float>(1.0);
};

/// A rule with prepare() and element(step, x).
template <class R>
concept PreparedElementRule = ElementRule<R> && requires(const R& rule) {
  rule.template element<float>(1.0, 1.0);
};

/// Whether the rule's direction for Gᵀ is Dᵀ, so that a matrix may be updated as its transpose.
template <class R>
bool commutes_with_transposes(const R& rule) {
  if constexpr (requires { rule.commutes(); }) return rule.commutes();
  if constexpr (requires { R::commutes_with_transposes; }) return R::commutes_with_transposes;
  return ElementRule<R>;
}

/// A rule with element() whose steps do not shrink with its momentum.
template <class R>
concept ScaleFreeElementRule = ElementRule<R> && requires(const R& rule) {
  { rule.floor_beta() } -> std::convertible_to<double>;
};

/// The number of state arrays that the rule's functor takes after the gradient.
template <class R, Scalar T, class... States>
constexpr std::size_t element_slots() {
  using F = decltype(std::declval<const R&>().template element<T>(1.0));
  if constexpr (std::is_invocable_v<const F&, T, States...>) {
    return sizeof...(States);
  } else {
    static_assert(sizeof...(States) < 8, "schatten: element() must return a functor T(T gradient, T& state, ...)");
    if constexpr (sizeof...(States) < 8) return element_slots<R, T, States..., T&>();
    return 0;
  }
}

/// The state arrays of a rows×cols matrix.
template <class R>
std::vector<StateSlot> rule_slots(const R& rule, [[maybe_unused]] std::size_t rows, [[maybe_unused]] std::size_t cols) {
  if constexpr (HasStateOfShape<R>) {
    return rule.state(rows, cols);
  } else {
    return rule.state();
  }
}

/// Whether the rule is right on matrices of which other ranks have parts.
template <class R>
constexpr bool serves_ranks() {
  if constexpr (requires { R::over_ranks; }) return R::over_ranks;
  return ElementRule<R> && !PreparedElementRule<R>;
}

/// Whether the rule takes vectors.
template <class R>
constexpr bool takes_vectors() {
  if constexpr (requires { R::takes_vectors; }) return R::takes_vectors;
  return ElementRule<R>;
}

/// The number of first steps that do not change a matrix.
template <class R>
constexpr long long rule_waits() {
  if constexpr (requires { R::waits; }) return R::waits;
  return 0;
}

/// The form of weight decay.
template <class R>
DecayMode decay_mode(const R& rule) {
  if constexpr (requires { DecayMode(rule.decay); }) return rule.decay;
  return DecayMode::decoupled;
}

/// Whether the rule's learning rate depends on the step.
template <class R>
inline constexpr bool has_lr_of_step = requires(const R& rule) {
  rule.lr_at(std::size_t(1), std::size_t(1), std::size_t(1));
};

/// The learning rate of step `step`, counted from 1, of a rows×cols matrix.
template <class R>
double rule_lr(const R& rule, std::size_t step, std::size_t rows, std::size_t cols) {
  if constexpr (has_lr_of_step<R>) return rule.lr_at(step, rows, cols);
  if constexpr (requires { rule.lr_at(rows, cols); }) return rule.lr_at(rows, cols);
  return rule.lr;
}

/// The factor of the learning rate for the shape rows×cols.
template <class R>
double rule_scale(const R& rule, std::size_t rows, std::size_t cols) {
  if constexpr (requires { rule.shape_factor(rows, cols); }) return rule.shape_factor(rows, cols);
  if constexpr (requires { ScaleMode(rule.scale); }) return shape_scale(rule.scale, rows, cols);
  return 1;
}

/// The number of the first requirement that R does not meet; 0: it meets all.
template <class R>
constexpr int unmet_rule_requirement() {
  if constexpr (!std::is_class_v<R>) {
    return 7;
  } else if constexpr (!HasName<R>) {
    return 1;
  } else if constexpr (!HasNumbers<R>) {
    return 2;
  } else if constexpr (!std::is_default_constructible_v<R>) {
    return 3;
  } else if constexpr (!HasFields<R>) {
    return 4;
  } else if constexpr (!HasState<R>) {
    return 5;
  } else if constexpr (ElementRule<R> && !std::is_trivially_copyable_v<R>) {
    return 6;
  }
  return 0;
}

/// Whether R meets all requirements. If not, the compiler reports the first requirement that it does not meet.
template <class R>
constexpr bool require_rule() {
  constexpr int unmet = unmet_rule_requirement<R>();
  static_assert(unmet != 7, "schatten: add_group takes a rule with its numbers: add_group(Muon{.lr = 0.02})");
  static_assert(unmet != 1, "schatten: a rule needs `static constexpr std::string_view name`");
  static_assert(unmet != 2, "schatten: a rule needs the members `double lr` and `double weight_decay`");
  static_assert(unmet != 3, "schatten: every number of a rule needs a default");
  static_assert(
      unmet != 4,
      "schatten: a rule needs `template <class Fields> static void fields(Fields& f)` that names its numbers: "
      "f(\"beta2\", &Rule::beta2, optim::below_one)");
  static_assert(unmet != 5, "schatten: a rule needs `std::vector<StateSlot> state() const`, {} for none");
  static_assert(unmet != 6, "schatten: a rule with element() is copied into kernels and must be trivially copyable");
  return unmet == 0;
}

}  // namespace optim

/// A struct that add_group takes: it has numbers, state and a direction. optim::require_rule has messages for what is
/// missing.
template <class R>
concept Rule = optim::HasName<R> && optim::HasNumbers<R> && optim::HasFields<R> && optim::HasState<R>;

}  // namespace schatten
