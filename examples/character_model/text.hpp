// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Text as symbol numbers: printable ASCII, newline and tab, and one symbol for everything else.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace character_model {

inline constexpr int symbol_count = 98;  // 95 printable, newline, tab, other

using Symbols = std::vector<std::uint8_t>;

std::uint8_t symbol_of(char character);
Symbols symbols_of(const std::string& text);

// Both throw std::runtime_error naming the path when nothing can be read.
std::string read_file(const std::string& path);

// The C++ files under a directory, joined in the order of their paths, cut at `limit` characters.
std::string read_source_tree(const std::string& directory, std::size_t limit);

// Where the default text lies: the include directory of Eigen that this program was built with.
std::string default_text_directory();

}  // namespace character_model
