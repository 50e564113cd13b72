// SPDX-License-Identifier: BSD-3-Clause
// The numbers of a rule by name: ranges, values, defaults. set("beta2", x), checkpoints and tables of options read
// them.
//
// A rule lists its members once, in `template <class Fields> static void fields(Fields& f)`:
//   f("beta2", &Rule::beta2, below_one);   a number
//   f("tau", &Rule::tau);                  the same, any number but NaN
//   f(&Rule::momentum);                    a block with fields() of its own
// lr and weight_decay, which every rule has, and decay, its DecayMode, are listed here.
#pragma once

#include <schatten/core/error.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace schatten {

/// One number of a group, as Optimizer::fields lists them.
struct FieldInfo {
  std::string name;   ///< as in `set`
  double value;       ///< enumerators and flags as integers
  double initial;     ///< the rule's default
  std::string range;  ///< in words: "must lie in [0, 1)"
  bool fixed;         ///< cannot change after the group was added: `set` refuses it
};

namespace optim {

/// The values that a number may have.
struct Range {
  double least = -std::numeric_limits<double>::infinity();  ///< smallest value
  double most = std::numeric_limits<double>::infinity();    ///< largest value
  bool without_least = false;                               ///< whether `least` is excluded
  bool without_most = false;                                ///< whether `most` is excluded
  bool whole = false;                                       ///< integers only
  bool fixed = false;                                       ///< whether `set` refuses the number
  bool in_scalar = false;  ///< converted to T it must also be finite, and positive if without_least
  std::string_view words = "must be a number";  ///< end of the message: "must lie in [0, 1)"

  /// Whether `value` is in the range, for an Optimizer whose scalar type has these limits.
  [[nodiscard]] bool contains(double value, double smallest, double largest) const {
    if (std::isnan(value)) return false;  // first: a comparison with it may trap
    if (value < least || value > most) return false;
    if ((without_least && value == least) || (without_most && value == most)) return false;
    if (in_scalar && (value > largest || (without_least && value < smallest))) return false;
    return !whole || value == std::floor(value);
  }
};

inline constexpr double infinity = std::numeric_limits<double>::infinity();
/// Any number but NaN.
inline constexpr Range any_number{};
/// Any number but NaN; `set` refuses it.
inline constexpr Range fixed_number{.fixed = true};
/// [0, ∞).
inline constexpr Range not_negative{
    .least = 0, .in_scalar = true, .words = "must be finite and not negative, also as the Optimizer's scalar"};
/// (0, ∞).
inline constexpr Range positive{.least = 0,
                                .without_least = true,
                                .in_scalar = true,
                                .words = "must be finite and positive, also as the Optimizer's scalar"};
/// [0, 1).
inline constexpr Range below_one{.least = 0, .most = 1, .without_most = true, .words = "must lie in [0, 1)"};
/// 0 or 1.
inline constexpr Range flag{.least = 0, .most = 1, .whole = true, .words = "must be 0 or 1"};
/// 1, 2, 3, …
inline constexpr Range at_least_one{.least = 1, .whole = true, .words = "must be at least 1"};
/// The same; `set` refuses it.
inline constexpr Range fixed_at_least_one{.least = 1, .whole = true, .fixed = true, .words = "must be at least 1"};
/// 0, 1, 2, …
inline constexpr Range natural{.least = 0, .whole = true, .words = "must be 0 or a positive integer"};
/// One of `count` enumerators, as an integer from 0.
constexpr Range choice(int count) {
  return {.least = 0, .most = double(count - 1), .whole = true, .words = "must be the integer of an enumerator"};
}
/// The same; `set` refuses it.
constexpr Range fixed_choice(int count) {
  Range range = choice(count);
  range.fixed = true;
  return range;
}

namespace detail {

/// Calls f(name, member, range) for the fields of a block and of the blocks in it. B: the block's type, maybe const.
template <class B, class F>
struct FieldWalk {
  B& block;
  const F& f;
  template <class M, class Owner>
  void operator()(std::string_view name, M Owner::*member, const Range& range) {
    f(name, block.*member, range);
  }
  template <class M, class Owner>
  void operator()(std::string_view name, M Owner::*member) {
    f(name, block.*member, any_number);
  }
  template <class M, class Owner>
  void operator()(M Owner::*member) {
    auto& nested = block.*member;
    FieldWalk<std::remove_reference_t<decltype(nested)>, F> walk{nested, f};
    M::fields(walk);
  }
};

}  // namespace detail

/// Calls f(name, member, range) for every number of the rule; lr, weight_decay and decay are the first.
template <class Rule, class F>
void for_each_field(Rule& rule, const F& f) {
  f(std::string_view("lr"), rule.lr, not_negative);
  f(std::string_view("weight_decay"), rule.weight_decay, not_negative);
  if constexpr (requires { rule.decay; }) f(std::string_view("decay"), rule.decay, choice(5));
  detail::FieldWalk<Rule, F> walk{rule, f};
  std::remove_const_t<Rule>::fields(walk);
}

/// A field's value as a number.
template <class M>
double field_value(const M& member) {
  if constexpr (std::is_enum_v<M>) {
    return double(static_cast<int>(member));
  } else {
    return double(member);
  }
}

/// The fields of a rule with their values, defaults and ranges.
template <class Rule>
std::vector<FieldInfo> list_fields(const Rule& rule) {
  std::vector<FieldInfo> list;
  for_each_field(rule, [&](std::string_view name, const auto& member, const Range& range) {
    list.push_back({std::string(name), field_value(member), 0, std::string(range.words), range.fixed});
  });
  const Rule initial{};
  std::size_t k = 0;
  for_each_field(initial,
                 [&](std::string_view, const auto& member, const Range&) { list[k++].initial = field_value(member); });
  return list;
}

/// Throws InvalidArgument, in the name of `function`, for a number outside its range. T: the Optimizer's scalar.
template <class T, class Rule>
void check_fields(const Rule& rule, std::string_view function) {
  for_each_field(rule, [&](std::string_view name, const auto& member, const Range& range) {
    const double value = field_value(member);
    require(range.contains(value, double((std::numeric_limits<T>::min)()), double((std::numeric_limits<T>::max)())),
            function, name, value, range.words);
  });
  const double decay = rule.lr * rule.weight_decay;
  require(std::isfinite(decay) && decay <= double((std::numeric_limits<T>::max)()), function, "lr * weight_decay",
          decay, "must be finite, also as the Optimizer's scalar");
}

/// Whether numbers that are fixed when a group is added can be set.
enum class Fixed { refused, settable };

/// Sets the field of that name. Throws InvalidArgument for an unknown name, for a fixed field unless `Fixed::settable`,
/// and for a value that its type cannot have. It does not check ranges; check_fields does.
template <class Rule>
void set_field(Rule& rule, std::string_view wanted, double value, std::string_view function,
               Fixed fixed = Fixed::refused) {
  bool found = false;
  for_each_field(rule, [&](std::string_view name, auto& member, const Range& range) {
    if (name != wanted) return;
    using Member = std::remove_reference_t<decltype(member)>;
    require(!range.fixed || fixed == Fixed::settable, function, "name", name, "is fixed when the group is made");
    if constexpr (!std::is_same_v<Member, double>) {
      require(range.contains(value, 0, infinity) && value >= 0 && value < 0x1p64, function, name, value, range.words);
    }
    member = static_cast<Member>(static_cast<std::conditional_t<std::is_enum_v<Member>, int, Member>>(value));
    found = true;
  });
  if (found) return;
  std::string words = "is no number of this group's rule, whose numbers are";
  for_each_field(rule, [&](std::string_view name, auto&, const Range&) { words.append(" ").append(name); });
  throw InvalidArgument(function, "name", std::string(wanted), words);
}

}  // namespace optim

}  // namespace schatten
