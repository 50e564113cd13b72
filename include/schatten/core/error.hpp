// SPDX-License-Identifier: BSD-3-Clause
// Errors: one sentence with the argument, its value and the requirement. Checks are always on.
#pragma once

#include <schatten/core/compiler.hpp>

#include <concepts>
#include <cstddef>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace schatten {

/// Words of a message: a text, or up to eight pieces that text() joins: {"must be at most ", most}. A piece is a text,
/// an integer, or other Words. Words refer to their texts and copy nothing before text(), so that a check that holds
/// allocates nothing. The texts must exist as long as the Words.
class Words {
 public:
  /// A text, an integer, or other Words.
  class Piece {
   public:
    Piece() {}
    Piece(const char* text) : text_(text) {}
    Piece(std::string_view text) : text_(text) {}
    Piece(const std::string& text) : text_(text) {}
    Piece(const Words& words) : words_(&words) {}
    template <std::integral Number>
    Piece(Number number)
        : text_(number < Number(0) ? "-" : ""),
          number_(number < Number(0) ? 0 - static_cast<unsigned long long>(number)
                                     : static_cast<unsigned long long>(number)),
          is_number_(true) {}

    void append_to(std::string& all) const {
      all += text_;
      if (is_number_) all += std::to_string(number_);
      if (words_ != nullptr) all += words_->text();
    }

   private:
    std::string_view text_;
    const Words* words_ = nullptr;
    unsigned long long number_ = 0;  ///< without its sign
    bool is_number_ = false;
  };

  Words(const char* text) : pieces_{text}, count_(1) {}
  Words(std::string_view text) : pieces_{text}, count_(1) {}
  Words(const std::string& text) : pieces_{text}, count_(1) {}
  template <std::integral Number>
  Words(Number number) : pieces_{number}, count_(1) {}
  Words(Piece a, Piece b, Piece c = {}, Piece d = {}, Piece e = {}, Piece f = {}, Piece g = {}, Piece h = {})
      : pieces_{a, b, c, d, e, f, g, h} {}

  /// Returns the text.
  [[nodiscard]] std::string text() const {
    std::string all;
    for (std::size_t k = 0; k < count_; ++k) pieces_[k].append_to(all);
    return all;
  }

 private:
  Piece pieces_[8];
  std::size_t count_ = 8;
};

/// An argument that breaks a precondition. Thrown before anything is modified.
class InvalidArgument : public std::invalid_argument {
 public:
  /// The message is "schatten::<function>: <argument> = <value>, but it <requirement>".
  InvalidArgument(std::string_view function, const Words& argument, std::string value, const Words& requirement)
      : std::invalid_argument("schatten::" + std::string(function) + ": " + argument.text() + " = " + value +
                              ", but it " + requirement.text()),
        argument_(argument.text()),
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

inline std::string printed(const Words& words) { return words.text(); }

/// Returns "4x3"; "()" for a number.
inline std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t extent : shape) text.append(text.empty() ? "" : "x").append(std::to_string(extent));
  return shape.empty() ? "()" : text;
}

}  // namespace detail

/// Throws InvalidArgument unless `holds`. `requirement` continues the sentence "<argument> = <value>, but it ...". The
/// message is made only then.
template <class T>
void require(bool holds, std::string_view function, const Words& argument, const T& value, const Words& requirement) {
  if (!holds) throw InvalidArgument(function, argument, detail::printed(value), requirement);
}
/// The same for a value of several pieces: {rows, "x", cols}.
inline void require(bool holds, std::string_view function, const Words& argument, const Words& value,
                    const Words& requirement) {
  if (!holds) throw InvalidArgument(function, argument, value.text(), requirement);
}

}  // namespace schatten
