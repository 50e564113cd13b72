// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/core/error.hpp>

#include <doctest/doctest.h>

#include <string>

namespace schatten::test {

/// The error that f() throws.
template <class Error = InvalidArgument, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  FAIL("the expected error was not thrown");
  return {};
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace schatten::test
