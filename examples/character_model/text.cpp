// SPDX-License-Identifier: BSD-3-Clause
#include "text.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace character_model {

std::uint8_t symbol_of(char character) {
  if (character >= ' ' && character <= '~') return std::uint8_t(character - ' ');
  if (character == '\n') return 95;
  if (character == '\t') return 96;
  return 97;
}

Symbols symbols_of(const std::string& text) {
  Symbols symbols;
  symbols.reserve(text.size());
  for (char character : text)
    if (character != '\r') symbols.push_back(symbol_of(character));
  return symbols;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (text.empty()) throw std::runtime_error("cannot read any text from '" + path + "'");
  return text;
}

std::string read_source_tree(const std::string& directory, std::size_t limit) {
  namespace fs = std::filesystem;
  // Eigen's sources end in .h or, in the directories of module headers, in nothing.
  const auto is_source = [](const fs::path& path) {
    const std::string end = path.extension().string();
    return end == ".h" || end == ".hpp" || end == ".cpp" || end.empty();
  };
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), last; !error && entry != last; entry.increment(error))
    if (entry->is_regular_file() && is_source(entry->path())) paths.push_back(entry->path().generic_string());
  if (paths.empty()) throw std::runtime_error("no C++ source under '" + directory + "'");
  std::sort(paths.begin(), paths.end());
  std::string text;
  for (const std::string& path : paths) {
    if (text.size() >= limit) break;
    if (fs::file_size(path) > 0) text += read_file(path);
  }
  text.resize(std::min(text.size(), limit));
  return text;
}

std::string default_text_directory() {
#ifdef EIGEN_TEXT_DIRECTORY
  return EIGEN_TEXT_DIRECTORY;
#else
  return "/usr/include/eigen3";
#endif
}

}  // namespace character_model
