// SPDX-License-Identifier: BSD-3-Clause
// A rule with a function of the singular values instead of its power: with_function(Muon{.lr = 0.02}, SoftSign{.tau =
// 0.1}).
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/spectral/spectral_map.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace schatten {

namespace optim {

/// A function f for maps, and the fits that these maps share.
template <SpectralFunction F>
struct FunctionWithFits {
  F function{};  ///< f
  /// Shared by all maps of f.
  std::shared_ptr<spectral::FunctionFits<F>> fits = std::make_shared<spectral::FunctionFits<F>>();

  /// f's numbers.
  template <class Fields>
  static void fields(Fields& f) {
    f(&FunctionWithFits::function);
  }
};

/// The plan for a function is a SpectralMap.
template <SpectralFunction F>
struct PlanOf<FunctionWithFits<F>> {
  /// The type of the plan.
  template <Scalar T, ExecutionSpace Exec, class Backend>
  using Plan = SpectralMap<F, T, Exec, Backend>;
  /// The plan for matrices of rows×cols.
  template <class P>
  static P make(const FunctionWithFits<F>& of, const MapOptions& map, std::size_t rows, std::size_t cols,
                const std::shared_ptr<spectral::FitCaches>&) {
    return P(
        of.function,
        {.rows = rows, .cols = cols, .resolution = map.resolution, .tolerance = map.tolerance, .method = map.method},
        of.fits);
  }
  /// Sets the plan's function to that of `of`.
  template <class P>
  static void set(P& plan, const FunctionWithFits<F>& of) {
    plan.set_function(of.function);
  }
};

/// A Bucket whose map with the options of set_function() uses a function instead of the power.
template <class Base, SpectralFunction F>
class FunctionBucket : public Base {
 public:
  using Base::Base;
  using Base::map;

  /// out ← the map of u: by the function for the options of set_function(), by the power for others.
  void map(double power, const MapOptions& options, const typename Base::Batch& u, const typename Base::Batch& out) {
    if (options != *options_) return Base::map(power, options, u, out);
    this->plan(*of_, options).apply(this->exec(), u, out, this->workspace());
  }
  /// Sets the function and the options whose maps use it. @pre both exist as long as maps are computed.
  void set_function(const FunctionWithFits<F>& of, const MapOptions& options) {
    of_ = &of;
    options_ = &options;
  }

 private:
  const FunctionWithFits<F>* of_ = nullptr;
  const MapOptions* options_ = nullptr;
};

namespace detail {

/// Passes a rule's numbers on to `Fields`, without the number named "power".
template <class Fields>
struct FieldsWithoutPower {
  Fields& f;
  template <class M, class B>
  void operator()(std::string_view name, M B::*member, const Range& range = any_number) {
    if (name != "power") f(name, member, range);
  }
  template <class M, class B>
  void operator()(M B::*block) {
    f(block);
  }
};

/// "rule/function".
template <class R, class F>
inline constexpr auto function_rule_name = [] {
  std::array<char, R::name.size() + 1 + F::name.size()> text{};
  const auto slash = std::copy(R::name.begin(), R::name.end(), text.begin());
  *slash = '/';
  std::copy(F::name.begin(), F::name.end(), slash + 1);
  return text;
}();

}  // namespace detail

/// A rule with a spectral map whose options are its member `map`.
template <class R>
concept HasMap = std::same_as<std::remove_cvref_t<decltype(R::map)>, MapOptions>;

/// A function whose numbers are listed by `fields`.
template <class F>
concept HasOwnFields = requires(detail::AnyFields& fields) {
  F::fields(fields);
};

}  // namespace optim

/// A rule with a member `map` (Muon, HTMuon, NorMuon, …) whose map is σ₁^h U f(Σ/σ₁) Vᵀ instead of UΣ^pVᵀ.
///
/// Its numbers are the rule's without "power", and those of f: set(group, "tau", 0.2). Its name, also in checkpoints,
/// is "muon/soft_sign". The method may be automatic, svd, eigh or rational, as in SpectralMap. Quintics, Muon's
/// default, are replaced by MapOptions{}, because they compute one function only. Other maps of the rule do not change,
/// such as HTMuon's quintics between two steps with its power. A new number of f needs one fit for all shapes.
/// add_group and set throw InvalidArgument for options that SpectralMap refuses, and for ScaleMode::unit_norm and
/// dual_norm, which divide by norms of UΣ^pVᵀ.
template <class R, SpectralFunction F>
struct FunctionRule : R {
  FunctionRule() : FunctionRule(R{}, F{}) {}
  /// The rule with f instead of its power. Quintics are replaced by MapOptions{}.
  FunctionRule(const R& rule, const F& f) : R(rule), of{f} {
    if (this->map.method == SpectralMethod::quintic) this->map = MapOptions{};
  }

  optim::FunctionWithFits<F> of;  ///< f and its fits

  /// The rule's name, a slash, f's name.
  static constexpr std::string_view name{optim::detail::function_rule_name<R, F>.data(),
                                         optim::detail::function_rule_name<R, F>.size()};

  static constexpr bool over_ranks = false;  ///< over ranks only powers can be computed

  /// The bucket that R::direction gets.
  template <class Base>
  using BucketOf = optim::FunctionBucket<Base, F>;

  /// The numbers of R without "power", and those of f.
  template <class Fields>
  static void fields(Fields& f) {
    optim::detail::FieldsWithoutPower<Fields> without_power{f};
    R::fields(without_power);
    if constexpr (optim::HasOwnFields<F>) f(&FunctionRule::of);
  }
  /// The maps of R; those with the options `map` are maps by f.
  template <class G>
  void maps(const G& g) const {
    R::maps([&](double its_power, const MapOptions& options) {
      if (options != this->map) return g(its_power, options);
      g(of, options);
    });
  }
  /// Throws InvalidArgument for what R or f refuses, for scale modes with Schatten norms and for formats.
  void check(std::string_view function) const {
    const R& rule = *this;
    if constexpr (requires { rule.check(function); }) rule.check(function);
    if constexpr (requires { of.function.check(function); }) of.function.check(function);
    if constexpr (requires { ScaleMode(rule.scale); }) {
      require(!optim::needs_norm(rule.scale), function, "scale", int(rule.scale),
              "must not divide by a Schatten norm: it is that of a power");
    }
    require(rule.map.format == Format::automatic, function, "format", to_string(rule.map.format),
            "must be automatic with a function");
  }
  /// out ← R's direction, with the map by f.
  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    bucket.set_function(of, this->map);
    R::direction(bucket, out);
  }
};

/// Returns the rule with f instead of its power.
template <class R, SpectralFunction F>
  requires optim::HasMap<R>
[[nodiscard]] FunctionRule<R, F> with_function(const R& rule, const F& f) { return {rule, f}; }
/// Does not compile for a rule without a map, such as AdamW.
template <class R, SpectralFunction F>
  requires(!optim::HasMap<R>)
auto with_function(const R& rule, const F&) {
  static_assert(optim::HasMap<R>, "schatten: with_function takes rules with a member `MapOptions map`, such as Muon");
  return rule;
}

}  // namespace schatten
