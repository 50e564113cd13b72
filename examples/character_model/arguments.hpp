// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Values of a command line, and what to say of wrong ones.

#include <charconv>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace character_model {

// A line that names the option and the value at fault.
class BadOption : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The whole text as a number from low to high, with `expected` in words.
template <class Number>
Number parse_number(const std::string& option, const std::string& value, Number low, Number high,
                    const char* expected) {
  Number number{};
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  const bool in_range = number >= low && number <= high;  // false for NaN
  if (error != std::errc{} || stop != end || !in_range)
    throw BadOption(option + ": expected " + expected + ", got '" + value + "'");
  return number;
}

// The name in lower case without '-' and '_': CautiousMuon, cautious-muon and cautious_muon are the same.
inline std::string letters_of(const std::string& name) {
  std::string letters;
  for (char c : name)
    if (c != '-' && c != '_') letters += char(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return letters;
}

// A name and a number, of NAME=X.
inline std::pair<std::string, double> parse_setting(const std::string& option, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) throw BadOption(option + ": expected NAME=X, got '" + text + "'");
  const double number = parse_number(option, text.substr(equals + 1), -1e300, 1e300, "NAME=X with a number X");
  return {text.substr(0, equals), number};
}

}  // namespace character_model
