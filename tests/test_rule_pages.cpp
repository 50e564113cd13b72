// SPDX-License-Identifier: BSD-3-Clause
// docs/rules/<name>.md of each rule: its table of options says what the rule's fields() say. The first three columns
// are made here. With SCHATTEN_WRITE_RULE_PAGES=1 in the environment the test writes them instead, beside the meanings
// that a page has, and the table of defaults in docs/rules/README.md. It reads docs/ and include/ of the working
// directory.
// labels: portable
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace schatten;

const std::filesystem::path pages = "docs/rules", headers = "include/schatten/optim/rules";

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// ---- what the columns hold ------------------------------------------------------------------------------------------

/// "original" of ScaleMode::original, as compilers write a template's argument. Of no enumerator: with a parenthesis.
template <auto value>
std::string enumerator() {
  const std::string text = __PRETTY_FUNCTION__;
  const std::size_t end = text.find_first_of(";]", text.find("value = "));
  return text.substr(text.rfind(':', end) + 1, end - text.rfind(':', end) - 1);
}

template <class E, std::size_t... k>
std::vector<std::string> enumerators(std::index_sequence<k...>) {
  return {enumerator<static_cast<E>(k)>()...};
}
/// The names of E's enumerators, which count from 0.
template <class E>
std::vector<std::string> enumerators() {
  std::vector<std::string> names = enumerators<E>(std::make_index_sequence<24>());
  const auto is_none = [](const std::string& name) { return name.find(')') != std::string::npos; };
  names.erase(std::find_if(names.begin(), names.end(), is_none), names.end());
  return names;
}

/// The shortest that reads back as the same double: 0.95, 1e-8.
std::string shortest(double value) {
  if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  std::string text(digits.data(), end);
  if (const std::size_t sign = text.find('e'); sign != std::string::npos) {
    text.erase(sign + 2, text.find_first_not_of('0', sign + 2) - (sign + 2));
  }
  return text;
}

template <class M>
std::string words_of(const M& value) {
  if constexpr (std::is_same_v<M, bool>) {
    return value ? "`true`" : "`false`";
  } else if constexpr (std::is_enum_v<M>) {
    return "`" + enumerators<M>().at(static_cast<std::size_t>(value)) + "`";
  } else {
    return shortest(double(value));
  }
}

template <class M>
std::string words_of_range(const optim::Range& range) {
  std::string words;
  if constexpr (std::is_same_v<M, bool>) {
    words = "0 `false`, 1 `true`";
  } else if constexpr (std::is_enum_v<M>) {
    const double answers = std::is_same_v<M, Format> ? 1 : 0;  // Format::mixed is chosen, it cannot be asked for
    CHECK(range.most + 1 + answers == double(enumerators<M>().size()));  // all others can be set
    for (int k = 0; k <= int(range.most); ++k) {
      words += (k == 0 ? "" : ", ") + std::to_string(k) + " " + words_of(static_cast<M>(k));
    }
  } else if (std::isinf(range.least) && std::isinf(range.most)) {
    words = std::is_integral_v<M> ? "an integer" : "a number";
  } else {
    const bool open = range.without_most || std::isinf(range.most);
    words = std::string(range.whole ? "an integer in " : "") + (range.without_least ? "(" : "[") +
            shortest(range.least) + ", " + shortest(range.most) + (open ? ")" : "]");
  }
  return range.fixed ? words + "; fixed" : words;
}

// ---- tables ---------------------------------------------------------------------------------------------------------

/// A row's first three columns.
struct Row {
  std::string option, value, range;
  bool operator==(const Row&) const = default;
  [[nodiscard]] std::string text() const { return "| " + option + " | " + value + " | " + range + " |"; }
};

template <class R>
std::vector<Row> rows_of_rule() {
  std::vector<Row> rows;
  const R rule{};
  optim::for_each_field(rule, [&](std::string_view name, const auto& member, const optim::Range& range) {
    using M = std::remove_cvref_t<decltype(member)>;
    rows.push_back({"`" + std::string(name) + "`", words_of(member), words_of_range<M>(range)});
  });
  return rows;
}

/// A page cut at its table of options.
struct Page {
  std::string before, after;
  std::vector<Row> rows;
  std::map<std::string, std::string> meanings;  ///< by option
};

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

Page page_of(const std::string& text) {
  Page page;
  std::istringstream lines(text);
  int line_of_table = 0;
  bool done = false;
  for (std::string line; std::getline(lines, line);) {
    const bool starts = !done && line_of_table == 0 && line.rfind("| option |", 0) == 0;
    if (starts || (!done && line_of_table > 0 && line.rfind('|', 0) == 0)) {
      if (++line_of_table <= 2) continue;  // the heads and the line below them
      std::vector<std::string> cells;
      std::istringstream row(line.substr(1));
      for (std::string cell; std::getline(row, cell, '|');) cells.push_back(trimmed(cell));
      cells.resize(std::max<std::size_t>(cells.size(), 4));
      page.rows.push_back({cells[0], cells[1], cells[2]});
      page.meanings[cells[0].find('`') == 0 ? cells[0] : "`" + cells[0] + "`"] = cells[3];
      continue;
    }
    done = done || line_of_table > 0;
    (done ? page.after : page.before) += line + "\n";
  }
  return page;
}

std::string table_of(const std::vector<Row>& rows, std::map<std::string, std::string> meanings) {
  std::string table = "| option | default | range | meaning (the paper's name) |\n|---|---|---|---|\n";
  for (const Row& row : rows) table += row.text() + " " + meanings[row.option] + " |\n";
  return table;
}

// ---- the table of defaults ------------------------------------------------------------------------------------------

const std::vector<std::string> default_columns = {"lr",    "weight_decay", "decay",   "momentum", "nesterov",
                                                  "beta1", "beta2",        "epsilon", "scale",    "method"};

std::string head_of_defaults() {
  std::string head = "| rule |", line = "|---|";
  for (const std::string& column : default_columns) {
    head += " `" + column + "` |";
    line += "---|";
  }
  return head + "\n" + line + "\n";
}

template <class R>
std::string line_of_defaults() {
  std::map<std::string, std::string> values;
  for (const Row& row : rows_of_rule<R>()) values[row.option] = row.value == "`decoupled`" ? "" : row.value;
  const std::string name(R::name);
  std::string line = "| [`" + name + "`](" + name + ".md) |";
  for (const std::string& column : default_columns) {
    const std::string value = values["`" + column + "`"];
    line += value.empty() ? " |" : " " + value + " |";
  }
  return line + "\n";
}

template <class R>
void check_page() {
  const std::filesystem::path path = pages / (std::string(R::name) + ".md");
  CAPTURE(path.string());
  CHECK(std::filesystem::exists(path));
  if (!std::filesystem::exists(path)) return;
  const Page page = page_of(text_of(path));
  const std::vector<Row> rows = rows_of_rule<R>();
  const std::string table = table_of(rows, page.meanings);
  if (const char* write = std::getenv("SCHATTEN_WRITE_RULE_PAGES"); write != nullptr && std::string(write) == "1") {
    std::ofstream(path) << page.before << table << page.after;
    return;
  }
  CAPTURE(table);  // what the page should hold
  CHECK(page.rows == rows);
  for (const Row& row : page.rows) {
    CAPTURE(row.option);
    CHECK_FALSE(page.meanings.at(row.option).empty());
  }
}

template <class F, class... R>
void for_each_of(RuleList<R...>, const F& f) {
  (f(R()), ...);
}
template <class F>
void for_each_rule(const F& f) {
  for_each_of(AllRules(), f);
}

}  // namespace

#if !defined(__CUDACC__)  // what nvcc hands on knows enumerators by their numbers
TEST_CASE("the pages of the rules list the options, defaults and ranges that the rules have") {
  for_each_rule([](const auto& rule) { check_page<std::remove_cvref_t<decltype(rule)>>(); });
}
#endif

#if !defined(__CUDACC__)
TEST_CASE("the table of defaults holds what the rules have") {
  std::string table = head_of_defaults();
  for_each_rule([&](const auto& rule) { table += line_of_defaults<std::remove_cvref_t<decltype(rule)>>(); });
  const std::string overview = text_of(pages / "README.md");
  if (const char* write = std::getenv("SCHATTEN_WRITE_RULE_PAGES"); write != nullptr && std::string(write) == "1") {
    const std::size_t begin = overview.find("| rule | `lr` |"), end = overview.find("\n\n", begin);
    std::ofstream(pages / "README.md") << overview.substr(0, begin) << table << overview.substr(end + 1);
    return;
  }
  CAPTURE(table);  // what the page should hold
  CHECK(overview.find("\n" + table + "\n") != std::string::npos);
}
#endif

// AllRules is the list of the C interface and of the programs over LibTorch too.
TEST_CASE(
    "every rule that has a header or a page is in AllRules, in rules.hpp, in the overview and in the demo's recipes") {
  std::set<std::string> listed;
  const std::string recipes = text_of("examples/character_model/recipes.cpp");
  for_each_rule([&](const auto& rule) {
    const std::string name(std::remove_cvref_t<decltype(rule)>::name);
    CAPTURE(name);
    CHECK(listed.insert(name).second);
    CHECK(recipes.find(".name = \"" + name + "\"") != std::string::npos);
  });
  CHECK(listed.size() == AllRules::size);
  for (const auto& entry : std::filesystem::directory_iterator(pages)) {
    const std::string page = entry.path().stem().string();
    CAPTURE(page);
    CHECK(((listed.count(page) == 1 && entry.path().extension() == ".md") || page == "README"));
  }
  const std::string all = text_of("include/schatten/optim/rules.hpp"), overview = text_of(pages / "README.md");
  const std::string declaration = "string_view name = \"";
  for (const auto& entry : std::filesystem::directory_iterator(headers)) {
    const std::string header = entry.path().filename().string(), text = text_of(entry.path());
    CAPTURE(header);
    CHECK(all.find("/rules/" + header + ">") != std::string::npos);
    for (std::size_t at = 0; (at = text.find(declaration, at)) != std::string::npos;) {
      at += declaration.size();
      const std::string rule = text.substr(at, text.find('"', at) - at);
      CAPTURE(rule);
      CHECK(listed.count(rule) == 1);
      CHECK(overview.find("(" + rule + ".md)") != std::string::npos);
    }
  }
}
