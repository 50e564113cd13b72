// SPDX-License-Identifier: BSD-3-Clause
// Errors: one sentence with the argument, its value and the requirement. Checks are always on.
#pragma once

#include <schatten/core/compiler.hpp>

#include <cstddef>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace schatten {

/// An argument that breaks a precondition. Thrown before anything is modified.
class InvalidArgument : public std::invalid_argument {
 public:
  /// The message is "schatten::<function>: <argument> = <value>, but it <requirement>".
  InvalidArgument(std::string_view function, std::string_view argument, std::string value, std::string_view requirement)
      : std::invalid_argument("schatten::" + std::string(function) + ": " + std::string(argument) + " = " + value +
                              ", but it " + std::string(requirement)),
        argument_(argument),
        value_(std::move(value)) {}

  /// Name of the offending argument, as the signature or the option spells it.
  [[nodiscard]] const std::string& argument() const noexcept { return argument_; }
  /// Its value, printed.
  [[nodiscard]] const std::string& value() const noexcept { return value_; }

 private:
  std::string argument_;
  std::string value_;
};

/// A computation that could not be completed: a decomposition that did not converge, an error of a vendor library.
class NumericalError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

template <class T>
std::string printed(const T& value) {
  std::ostringstream text;
  text.imbue(std::locale::classic());  // a program's own may print 1.234,5
  text.precision(9);
  text << value;
  return text.str();
}

/// Returns "4x3"; "()" for a number.
inline std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t extent : shape) text.append(text.empty() ? "" : "x").append(std::to_string(extent));
  return shape.empty() ? "()" : text;
}

}  // namespace detail

/// Throws InvalidArgument unless `holds`. `requirement` continues the sentence "<argument> = <value>, but it ...".
template <class T>
void require(bool holds, std::string_view function, std::string_view argument, const T& value,
             std::string_view requirement) {
  if (!holds) throw InvalidArgument(function, argument, detail::printed(value), requirement);
}

}  // namespace schatten
