// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One matrix, one plan, and whether the plan keeps its promise; the matrix made simpler while it does not.

#include "support/exact_map.hpp"
#include "support/spaces.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::adversary {

using Exec = test::SerialExec;
using test::ExactSvd;
using test::Plain;
using test::Readings;

/// What is asked of a plan, and by which backend.
struct Question {
  SpectralPowerOptions options;
  bool portable = false;       ///< PortableBackend; the default one otherwise
  bool columns_first = false;  ///< how M and out are stored
};

/// What came of it.
struct Answer {
  SpectralMethod method = SpectralMethod::automatic;
  Format format = Format::automatic;
  double bound = 0;
  Readings readings;
  bool finite = true;
  /// The worst reading over what was promised.
  [[nodiscard]] double ratio() const {
    return finite ? readings.worst() / bound : std::numeric_limits<double>::infinity();
  }
};

template <class T>
Plain<test::Digits<T>> as_digits(const Plain<T>& m) {
  return {m.rows, m.cols, {m.entries.begin(), m.entries.end()}};
}

/// Answers questions about matrices of T.
template <class T>
class Oracle {
 public:
  using R = test::Digits<T>;

  /// Nothing where the plan is refused. `svd` is exact_svd of m.
  std::optional<Answer> ask(const Question& question, const Plain<T>& m, const ExactSvd<R>& svd) {
    return question.portable ? ask_of<linalg::PortableBackend>(question, m, svd)
                             : ask_of<linalg::DefaultBackend<Exec>>(question, m, svd);
  }

  std::optional<Answer> ask(const Question& question, const Plain<T>& m) {
    return ask(question, m, test::exact_svd(as_digits(m)));
  }

 private:
  template <class Backend>
  std::optional<Answer> ask_of(const Question& question, const Plain<T>& m, const ExactSvd<R>& svd) {
    SpectralPowerOptions options = question.options;
    options.rows = m.rows;
    options.cols = m.cols;
    std::optional<SpectralPower<T, Exec, Backend>> power;
    try {
      power.emplace(options, fits_);
    } catch (const InvalidArgument&) {
      return std::nullopt;
    }
    Plain<T> in = question.columns_first ? m : test::transposed(m), out{in.rows, in.cols};
    const auto view = [&](Plain<T>& x) {  // columns of x contiguous
      return transpose(batch_view<Kokkos::HostSpace>(x.entries.data(), 1, x.cols, x.rows));
    };
    const auto in_view = question.columns_first ? view(in) : transpose(view(in));
    const auto out_view = question.columns_first ? view(out) : transpose(view(out));
    if (power->method() == SpectralMethod::streaming) {
      const std::size_t rank = std::min(m.rows, m.cols);
      const auto v = workspace_view(m.cols, rank);
      spectral::streaming_start(Exec(), v);
      power->apply(Exec(), in_view, v, out_view, workspace_);
    } else {
      power->apply(Exec(), in_view, out_view, workspace_);
    }
    Answer answer{power->method(), power->format(), power->error_bound(), {}, true};
    answer.finite = std::all_of(out.entries.begin(), out.entries.end(), [](T x) { return std::isfinite(x); });
    if (svd.largest() == 0) {  // zero gives zero
      answer.finite = std::all_of(out.entries.begin(), out.entries.end(), [](T x) { return x == 0; });
    } else if (answer.finite && std::isfinite(answer.bound)) {
      answer.readings = worst_readings(svd, options.power, options.resolution,
                                       as_digits(question.columns_first ? out : test::transposed(out)));
    }
    return answer;
  }

  BatchView<T, Kokkos::HostSpace> workspace_view(std::size_t rows, std::size_t cols) {
    kept_.assign(rows * cols, T(0));
    return batch_view<Kokkos::HostSpace>(kept_.data(), 1, rows, cols);
  }

  std::shared_ptr<spectral::FitCaches> fits_ = std::make_shared<spectral::FitCaches>();
  Workspace<Kokkos::HostSpace> workspace_;
  std::vector<T> kept_;
};

namespace detail {

/// m without rows or columns [first, first + count).
template <class T>
Plain<T> without_columns(const Plain<T>& m, std::size_t first, std::size_t count) {
  Plain<T> result{m.rows, m.cols - count, {}};
  result.entries = m.entries;
  const auto begin = result.entries.begin() + std::ptrdiff_t(first * m.rows);
  result.entries.erase(begin, begin + std::ptrdiff_t(count * m.rows));
  return result;
}

template <class T>
Plain<T> without_rows(const Plain<T>& m, std::size_t first, std::size_t count) {
  return test::transposed(without_columns(test::transposed(m), first, count));
}

/// x to so many binary digits.
template <class T>
T to_bits(T x, int bits) {
  int exponent = 0;
  const T mantissa = std::frexp(x, &exponent);
  return std::ldexp(std::round(std::ldexp(mantissa, bits)), exponent - bits);
}

}  // namespace detail

/// A simpler matrix for which `fails` still holds: fewer rows and columns, more zeros, fewer digits, smaller exponents.
/// At most `budget` calls of fails.
template <class T, class Fails>
Plain<T> shrunk(Plain<T> m, const Fails& fails, int budget = 4000) {
  const auto take = [&](Plain<T>&& simpler) {
    if (budget-- <= 0 || simpler.rows == 0 || simpler.cols == 0 || simpler.entries == m.entries || !fails(simpler))
      return false;
    m = std::move(simpler);
    return true;
  };
  const auto map = [&](const auto& f) {
    Plain<T> simpler = m;
    for (T& x : simpler.entries) x = f(x);
    return take(std::move(simpler));
  };
  T largest = 0;
  for (const T x : m.entries) largest = std::max(largest, std::abs(x));
  int exponent = 0;
  std::frexp(largest, &exponent);
  map([&](T x) { return std::ldexp(x, 1 - exponent); });
  for (bool simpler = true; simpler && budget > 0;) {
    simpler = false;
    for (std::size_t count = std::max(m.rows, m.cols) / 2; count > 0; count /= 2) {
      for (std::size_t first = 0; first + count <= m.cols && count < m.cols;) {
        if (take(detail::without_columns(m, first, count)))
          simpler = true;
        else
          first += count;
      }
      for (std::size_t first = 0; first + count <= m.rows && count < m.rows;) {
        if (take(detail::without_rows(m, first, count)))
          simpler = true;
        else
          first += count;
      }
    }
    for (const int bits : {1, 2, 4, 8, 16, 32}) {
      if (map([&](T x) { return detail::to_bits(x, bits); })) {
        simpler = true;
        break;
      }
    }
    for (std::size_t k = 0; k < m.entries.size(); ++k) {
      const T x = m.entries[k];
      for (const T other : {T(0), T(1), std::abs(x), detail::to_bits(x, 1), detail::to_bits(x, 3),
                            detail::to_bits(x, 6), detail::to_bits(x, 12)}) {
        Plain<T> candidate = m;
        candidate.entries[k] = other;
        if (x != other && (std::abs(other) <= std::abs(x) * T(1.5) || other == 1) && x != T(1) &&
            take(std::move(candidate))) {
          simpler = simpler || other == T(0) || other == T(1);
          break;
        }
      }
    }
  }
  return m;
}

/// The case as tests/test_spectral_promise_cases.cpp has them.
template <class T>
std::string as_test(const Question& question, const Plain<T>& m) {
  const auto number = [](double x) {
    char text[40];
    std::snprintf(text, sizeof text, x == std::round(x) && std::abs(x) < 1e6 ? "%.0f" : "%a", x);
    return std::string(text);
  };
  const SpectralPowerOptions& o = question.options;
  char text[300];
  std::snprintf(text, sizeof text,
                "check<%s>({.rows = %zu, .cols = %zu, .power = %g, .resolution = %g, .tolerance = %g, .method = "
                "SpectralMethod::%s}, Backend::%s,\n      {",
                std::is_same_v<T, float> ? "float" : "double", m.rows, m.cols, o.power, o.resolution, o.tolerance,
                to_string(o.method).c_str(), question.portable ? "portable" : "standard");
  std::string result = text;
  for (std::size_t i = 0; i < m.rows; ++i) {
    for (std::size_t j = 0; j < m.cols; ++j) result += (i + j == 0 ? "" : ", ") + number(double(m(i, j)));
  }
  return result + "});";
}

}  // namespace schatten::adversary
