// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Walks along a command line.

#include "../character_model/arguments.hpp"

#include <string>

namespace torch_support {

using character_model::BadOption;

// The arguments one after the other; a value is what follows an option.
class Arguments {
 public:
  Arguments(int count, const char* const* arguments) : count_(count), arguments_(arguments) {}

  // Goes to the next option; returns false where there is none.
  bool next() {
    if (place_ + 1 >= count_) return false;
    option_ = arguments_[++place_];
    return true;
  }
  const std::string& option() const { return option_; }

  std::string value() {
    if (place_ + 1 >= count_) throw BadOption(option_ + ": a value is missing");
    return arguments_[++place_];
  }
  // A value that is not empty.
  std::string text(const char* expected) {
    std::string given = value();
    if (given.empty()) throw BadOption(option_ + ": expected " + expected + ", got ''");
    return given;
  }
  template <class Number>
  Number number(Number low, Number high, const char* expected) {
    return character_model::parse_number(option_, value(), low, high, expected);
  }
  [[noreturn]] void unknown() const { throw BadOption(option_ + ": no such option (--help lists them)"); }

 private:
  int count_;
  const char* const* arguments_;
  int place_ = 0;
  std::string option_;
};

}  // namespace torch_support
