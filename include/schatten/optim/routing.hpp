// SPDX-License-Identifier: BSD-3-Clause
// Routing: the kind of group for each parameter of a model, by name and shape.
//
//   const auto table = schatten::route({{"wte.weight", {50257, 768}}, {"h.0.attn.c_attn.weight", {2304, 768}}, …});
//   std::cout << schatten::to_string(table);
//   for (const auto& line : table) opt.add(line.route == schatten::Route::matrix ? hidden : other, line.name, …);
#pragma once

#include <schatten/core/error.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten {

/// The kind of group that a parameter belongs to.
enum class Route {
  matrix,     ///< a rule with a spectral map: HTMuon, Muon, …
  embedding,  ///< an element rule: tables whose rows are selected by index
  head,       ///< an element rule: the last matrix, whose rows are classes
  vector      ///< an element rule: biases, gains, vectors, arrays that are no matrices
};

/// The enumerator's name.
inline std::string to_string(Route route) {
  constexpr const char* names[] = {"matrix", "embedding", "head", "vector"};
  return names[static_cast<std::size_t>(route)];
}

/// The name of a parameter, such as "layers.0.mlp.up.weight", and its extents.
struct NamedShape {
  /// Name of the parameter.
  std::string name;
  /// Its extents.
  std::vector<std::size_t> shape;
};

/// A line of a table: a parameter, its route, and the reason.
struct RoutedParameter {
  /// Name of the parameter.
  std::string name;
  /// Its extents.
  std::vector<std::size_t> shape;
  /// The kind of group.
  Route route = Route::vector;
  std::string reason;  ///< in words
};
using RoutingTable = std::vector<RoutedParameter>;

/// The route that a name implies, and the reason.
struct Routing {
  /// The kind of group that a parameter belongs to.
  Route route;
  std::string reason;  ///< in words
};

/// A function (name, shape) → Routing, or nothing if the name implies no route.
using NameConvention = std::function<std::optional<Routing>(std::string_view, const std::vector<std::size_t>&)>;

/// How a pattern is compared with a name. '.', '/' and ':' separate the components of a name. '_', '-', digits and
/// changes from lower to upper case separate the words of a component. Case is ignored.
enum class NameMatch {
  holds,         ///< a component contains the text
  component,     ///< a component equals the text
  first,         ///< the first component equals the text
  last,          ///< the last component equals the text
  word,          ///< a word of a component equals the text
  ends_in_word,  ///< the last word of a component equals the text
  glob           ///< the whole name, with * for any characters and ? for one
};

/// A pattern of names and the route of names that match.
struct NamePattern {
  /// How the text is compared with a name.
  NameMatch match = NameMatch::glob;
  /// The text.
  std::string text;
  /// The route of parameters whose names match.
  Route route = Route::vector;
};

namespace optim {

// Of ASCII alone: those of <cctype> depend on the program's locale.
constexpr bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower_case(char c) { return is_capital(c) ? char(c + ('a' - 'A')) : c; }
constexpr bool is_small_letter(char c) { return c >= 'a' && c <= 'z'; }

inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = lower_case(c);
  return lower;
}

/// "a.b/c" as a, b, c.
inline std::vector<std::string_view> name_components(std::string_view name) {
  std::vector<std::string_view> components;
  while (!name.empty()) {
    const std::size_t end = (std::min)(name.find_first_of("./:"), name.size());
    if (end > 0) components.push_back(name.substr(0, end));
    name.remove_prefix((std::min)(end + 1, name.size()));
  }
  return components;
}

/// "LayerNorm_0", "LMHead", "ln1" as layer, norm, 0, as lm, head, and as ln, 1.
inline std::vector<std::string> name_words(std::string_view component) {
  std::vector<std::string> words(1);
  const auto kind = [](char c) { return is_digit(c) ? 1 : is_capital(c) ? 2 : is_small_letter(c) ? 3 : 0; };
  int before = 0;
  for (const char c : component) {
    const int now = kind(c);
    const bool capital_before = before == 2 && now == 3;  // it begins this word, after others: "LMHead"
    if (capital_before && words.back().size() > 1) {
      const char first = words.back().back();
      words.back().pop_back();
      words.emplace_back(1, first);
    }
    if (now != before && !capital_before && !words.back().empty()) words.emplace_back();
    if (now != 0) words.back() += lower_case(c);
    before = now;
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// Whether the text matches the pattern, in which * stands for any characters and ? for one character.
inline bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

/// Whether the name matches the pattern.
inline bool matches(const NamePattern& pattern, std::string_view name) {
  const std::string text = lower_case(pattern.text);
  if (pattern.match == NameMatch::glob) return glob_matches(text, lower_case(name));
  const std::vector<std::string_view> components = name_components(name);
  for (std::size_t k = 0; k < components.size(); ++k) {
    const std::string component = lower_case(components[k]);
    const std::vector<std::string> words = name_words(components[k]);
    switch (pattern.match) {
      case NameMatch::holds:
        if (component.find(text) != std::string::npos) return true;
        break;
      case NameMatch::component:
        if (component == text) return true;
        break;
      case NameMatch::first:
        if (k == 0 && component == text) return true;
        break;
      case NameMatch::last:
        if (k + 1 == components.size() && component == text) return true;
        break;
      case NameMatch::word:
        if (std::find(words.begin(), words.end(), text) != words.end()) return true;
        break;
      case NameMatch::ends_in_word:
        if (!words.empty() && words.back() == text) return true;
        break;
      case NameMatch::glob: break;
    }
  }
  return false;
}

/// Returns the pattern in words: "a component holds 'norm'".
inline std::string describe(const NamePattern& pattern) {
  constexpr const char* words[] = {"the name holds",        "a component is",        "the first component is",
                                   "the last component is", "a word of the name is", "a component ends in",
                                   "the name matches"};
  return std::string(words[static_cast<std::size_t>(pattern.match)]) + " '" + pattern.text + "'";
}

}  // namespace optim

/// Returns patterns for the names that PyTorch, JAX and llm.c codes use for parameters that are no hidden matrices. The
/// first pattern that matches decides.
inline const std::vector<NamePattern>& common_names() {
  using enum NameMatch;
  static const std::vector<NamePattern> names = {
      // Biases, and tables of them.
      {word, "bias", Route::vector},
      {last, "b", Route::vector},
      // Norms: their gains are vectors, but frameworks that stack layers or keep dimensions make them look like
      // matrices.
      {holds, "norm", Route::vector},
      {word, "ln", Route::vector},
      {word, "bn", Route::vector},
      {word, "gn", Route::vector},
      {last, "gain", Route::vector},
      {last, "scale", Route::vector},
      {last, "gamma", Route::vector},
      {last, "beta", Route::vector},
      {word, "layerscale", Route::vector},
      // Heads.
      {ends_in_word, "head", Route::head},
      {first, "heads", Route::head},
      {holds, "unembed", Route::head},
      {component, "classifier", Route::head},
      {first, "output", Route::head},
      {first, "fc", Route::head},
      {last, "score", Route::head},
      // Embeddings and tokens.
      {holds, "embed", Route::embedding},
      {word, "emb", Route::embedding},
      {component, "wte", Route::embedding},
      {component, "wpe", Route::embedding},
      {ends_in_word, "token", Route::embedding},
      {holds, "codebook", Route::embedding},
  };
  return names;
}

/// Returns a convention of patterns, of which the first that matches decides.
inline NameConvention convention_of(std::vector<NamePattern> patterns) {
  return [patterns = std::move(patterns)](std::string_view name,
                                          const std::vector<std::size_t>&) -> std::optional<Routing> {
    for (const NamePattern& pattern : patterns) {
      if (optim::matches(pattern, name)) return Routing{pattern.route, optim::describe(pattern)};
    }
    return std::nullopt;
  };
}

/// How parameters are routed.
struct RoutingOptions {
  std::vector<NamePattern> overrides{};                       ///< patterns that are tried before everything else
  NameConvention convention = convention_of(common_names());  ///< routes by names
  bool conv_matrices = true;                                  ///< whether (out, a, b, c) may be a matrix
  bool require_matrix = true;                                 ///< whether a table without a matrix is an error
};

namespace optim {

/// Returns the reason why a shape is no matrix, or nothing. Rank 2: (rows, cols), 3: (batch, rows, cols), 4: (out, a,
/// b, c).
inline std::optional<std::string> why_no_matrix(const std::vector<std::size_t>& shape, bool conv_matrices) {
  const std::size_t rank = shape.size();
  if (rank == 0) return "a number";
  if (rank == 1) return "a vector";
  if (rank > 4) return "rank " + std::to_string(rank) + ": give it as a matrix";
  std::size_t longer = 0, elements = 1;
  for (const std::size_t extent : shape) {
    longer += extent > 1 ? 1 : 0;
    elements *= extent;
  }
  if (elements == 0) return "empty";
  if (longer == 0) return "a number";
  if (longer == 1) return "a vector: one extent is above 1";
  const std::size_t rows = rank == 3 ? shape[1] : shape[0];
  const std::size_t cols = rank == 2 ? shape[1] : rank == 3 ? shape[2] : shape[1] * shape[2] * shape[3];
  if (rows == 1) return "matrices of one row";
  if (cols == 1) return "matrices of one column";
  if (rank == 4 && !conv_matrices) return "a convolution";
  if (rank == 4 && shape[1] == 1) return "a filter for each channel";
  return std::nullopt;
}

}  // namespace optim

/// Returns the route of each parameter and the reason, in the order of `parameters`. The first of these that applies
/// decides: the overrides, a shape that is no matrix, the name. All other parameters are matrices.
///
/// Throws InvalidArgument for an empty name and for a name that occurs twice. With options.require_matrix it also
/// throws if no parameter with two extents above 1 has Route::matrix. Cost: a comparison for each pattern and
/// parameter.
inline RoutingTable route(const std::vector<NamedShape>& parameters, const RoutingOptions& options = {}) {
  constexpr std::string_view function = "route";
  RoutingTable table;
  std::vector<std::string_view> names;
  bool some_matrix = false;
  const NameConvention overrides = convention_of(options.overrides);
  for (const NamedShape& parameter : parameters) {
    require(!parameter.name.empty(), function, "name", parameter.name, "must not be empty");
    names.emplace_back(parameter.name);
    RoutedParameter line{parameter.name, parameter.shape, Route::matrix, "a matrix"};
    const std::optional<std::string> no_matrix = optim::why_no_matrix(parameter.shape, options.conv_matrices);
    if (const auto chosen = overrides(parameter.name, parameter.shape)) {
      line.route = chosen->route;
      line.reason = "override: " + chosen->reason;
    } else if (no_matrix) {
      line.route = Route::vector;
      line.reason = *no_matrix;
    } else if (const auto named = options.convention(parameter.name, parameter.shape)) {
      line.route = named->route;
      line.reason = named->reason;
    } else if (parameter.shape.size() == 3) {
      line.reason = std::to_string(parameter.shape[0]) + " matrices";
    } else if (parameter.shape.size() == 4) {
      line.reason = "a convolution, as a matrix";
    }
    some_matrix = some_matrix || (line.route == Route::matrix && !no_matrix);
    table.push_back(std::move(line));
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  require(twice == names.end(), function, "name", twice == names.end() ? std::string_view() : *twice,
          "must not be that of two parameters");
  require(some_matrix || !options.require_matrix, function, "parameters", parameters.size(),
          "must hold a matrix that goes to Route::matrix: the spectral map of its group would never run");
  return table;
}

/// Returns the table as text: name, shape, route and reason in columns, a line for each parameter.
inline std::string to_string(const RoutingTable& table) {
  std::size_t name_width = 0, shape_width = 0;
  for (const RoutedParameter& line : table) {
    name_width = (std::max)(name_width, line.name.size());
    shape_width = (std::max)(shape_width, detail::shape_text(line.shape).size());
  }
  const auto pad = [](std::string text, std::size_t width) {
    text.resize((std::max)(width, text.size()), ' ');
    return text + "  ";
  };
  std::string text;
  for (const RoutedParameter& line : table) {
    text += pad(line.name, name_width) + pad(detail::shape_text(line.shape), shape_width) +
            pad(to_string(line.route), 9) + line.reason + "\n";
  }
  return text;
}

}  // namespace schatten
