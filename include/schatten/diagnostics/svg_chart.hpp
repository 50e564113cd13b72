// SPDX-License-Identifier: BSD-3-Clause
// Charts of curves as SVG text.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace schatten::detail {

/// A curve of a chart. Points that are not finite, or not positive on a logarithmic axis, are left out.
struct SvgCurve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

/// An axis of a chart.
struct SvgAxis {
  std::string label;
  bool logarithmic = false;
};

/// Curves over one pair of axes. Curves of equal place have equal colours in all charts of a picture.
struct SvgChart {
  std::string title;
  SvgAxis x, y;
  std::vector<SvgCurve> curves;
};

/// The text with XML's special characters as entities and control characters as spaces.
inline std::string xml_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (static_cast<unsigned char>(c) < 0x20)
      result += ' ';
    else
      result += c;
  }
  return result;
}

/// A number with this many significant digits, in any locale of the program; "nan" without a sign.
inline std::string number_text(double value, int digits) {
  if (std::isnan(value)) return "nan";
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, value, std::chars_format::general, digits).ptr};
}

/// A place in the picture, in tenths of pixels. @pre |value| < 1e6
inline std::string pixel(double value) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 1).ptr};
}

/// The part of an axis that a chart shows.
class SvgRange {
 public:
  explicit SvgRange(bool logarithmic) : logarithmic_(logarithmic) {}

  /// Whether the axis can show the number.
  [[nodiscard]] bool shows(double value) const { return std::isfinite(value) && (!logarithmic_ || value > 0); }
  /// Makes the range include the number.
  void include(double value) {
    low_ = (std::min)(low_, value_of(value));
    high_ = (std::max)(high_, value_of(value));
  }
  /// Widens the range by a twentieth. An empty range gets a positive length.
  void finish() {
    if (!(low_ <= high_)) {
      low_ = 0;
      high_ = 1;
    }
    const double size = (std::max)(std::abs(low_), std::abs(high_));
    const bool apart = high_ - low_ > 1e-6 * size;
    const double margin = apart ? 0.05 * (high_ - low_) : logarithmic_ || size == 0 ? 0.5 : 0.05 * size;
    low_ -= margin;
    high_ += margin;
  }
  /// The position of the number on the axis: 0 at the low end, 1 at the high end.
  [[nodiscard]] double place(double value) const { return (value_of(value) - low_) / (high_ - low_); }
  /// Numbers to mark: multiples of 1, 2 or 5 times a power of ten; on a logarithmic axis powers of ten, or if these are
  /// few, powers of ten times 1, 2 and 5.
  [[nodiscard]] std::vector<double> marks() const {
    std::vector<double> result;
    if (logarithmic_ && high_ - low_ < 2) {
      for (double k = std::floor(low_); k <= high_; ++k) {
        for (const double digit : {1.0, 2.0, 5.0}) {
          const double at = k + std::log10(digit);
          if (at >= low_ && at <= high_) result.push_back(std::pow(10.0, at));
        }
      }
      return result;
    }
    const double raw = (high_ - low_) / 6, power = std::pow(10.0, std::floor(std::log10(raw)));
    double step = power * (raw <= power ? 1 : raw <= 2 * power ? 2 : raw <= 5 * power ? 5 : 10);
    if (logarithmic_) step = (std::max)(1.0, step);
    for (double k = std::ceil(low_ / step); k * step <= high_; ++k) {
      result.push_back(logarithmic_ ? std::pow(10.0, k * step) : k == 0 ? 0.0 : k * step);  // not -0
    }
    return result;
  }

 private:
  [[nodiscard]] double value_of(double value) const { return logarithmic_ ? std::log10(value) : value; }

  bool logarithmic_;
  double low_ = std::numeric_limits<double>::infinity(), high_ = -std::numeric_limits<double>::infinity();
};

/// The attributes of a curve's line: one of seven colours that differ with the common colour blindnesses (Okabe and
/// Ito, 2008), and dashes that change after seven curves.
inline std::string line_style(std::size_t curve) {
  constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"};
  constexpr const char* dashes[] = {"", " stroke-dasharray='7 3'", " stroke-dasharray='2 3'",
                                    " stroke-dasharray='9 3 2 3'"};
  return std::string("stroke='") + colours[curve % 7] + "' stroke-width='1.5' stroke-linecap='round'" +
         dashes[curve / 7 % 4];
}

inline std::string svg_line(double x1, double y1, double x2, double y2, const std::string& style) {
  return "<line x1='" + pixel(x1) + "' y1='" + pixel(y1) + "' x2='" + pixel(x2) + "' y2='" + pixel(y2) + "' " + style +
         "/>\n";
}

inline std::string svg_text(double x, double y, const char* anchor, const std::string& text) {
  return "<text x='" + pixel(x) + "' y='" + pixel(y) + "' text-anchor='" + anchor + "'>" + xml_text(text) + "</text>\n";
}

/// The chart in a rectangle of the picture.
inline std::string drawn(const SvgChart& chart, double left, double top, double width, double height) {
  SvgRange x(chart.x.logarithmic), y(chart.y.logarithmic);
  for (const SvgCurve& curve : chart.curves) {
    for (const auto& [at, value] : curve.points) {
      if (!x.shows(at) || !y.shows(value)) continue;
      x.include(at);
      y.include(value);
    }
  }
  x.finish();
  y.finish();
  const double bottom = top + height, right = left + width;
  std::string out = svg_text(left + width / 2, top - 12, "middle", chart.title);
  for (const double mark : x.marks()) {
    const double at = left + width * x.place(mark);
    out += svg_line(at, top, at, bottom, "stroke='#e4e4e4'");
    out += svg_text(at, bottom + 16, "middle", number_text(mark, 5));
  }
  for (const double mark : y.marks()) {
    const double at = bottom - height * y.place(mark);
    out += svg_line(left, at, right, at, "stroke='#e4e4e4'");
    out += svg_text(left - 6, at + 4, "end", number_text(mark, 5));
  }
  out += svg_line(left, bottom, right, bottom, "stroke='#444'") + svg_line(left, top, left, bottom, "stroke='#444'");
  out += svg_text(left + width / 2, bottom + 34, "middle", chart.x.label);
  for (std::size_t c = 0; c < chart.curves.size(); ++c) {
    std::vector<std::string> points;
    for (const auto& [at, value] : chart.curves[c].points) {
      if (!x.shows(at) || !y.shows(value)) continue;
      points.push_back(pixel(left + width * x.place(at)) + "," + pixel(bottom - height * y.place(value)));
    }
    if (points.size() == 1) points.push_back(points[0]);  // drawn as a dot
    std::string line;
    for (const std::string& point : points) line += point + " ";
    out += "<polyline fill='none' " + line_style(c) + " points='" + line + "'/>\n";
  }
  return out;
}

/// A picture of charts side by side, with a legend of the first chart's curves below.
inline std::string svg_picture(const std::vector<SvgChart>& charts) {
  constexpr double width = 360, height = 260, left = 80, top = 40, row = 18;
  const std::size_t columns = (std::max)(charts.size(), std::size_t{1});
  const std::size_t names = charts.empty() ? 0 : charts[0].curves.size();
  const double rows = std::ceil(double(names) / double(columns));
  const double whole = double(columns) * (width + left) + 20, tall = top + height + 60 + row * rows;
  const std::string size = pixel(whole) + " " + pixel(tall);
  std::string out =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " + size + "' width='" + pixel(whole) + "' height='" +
      pixel(tall) +
      "' font-family='sans-serif' font-size='12' fill='#222'>\n<rect width='100%' height='100%' fill='white'/>\n";
  for (std::size_t c = 0; c < charts.size(); ++c) {
    out += drawn(charts[c], left + double(c) * (width + left), top, width, height);
  }
  for (std::size_t k = 0; k < names; ++k) {
    const double x = left + double(k % columns) * (width + left);
    const double y = top + height + 58 + row * double(k / columns);
    out += svg_line(x, y - 4, x + 30, y - 4, line_style(k)) + svg_text(x + 38, y, "start", charts[0].curves[k].name);
  }
  return out + "</svg>\n";
}

}  // namespace schatten::detail
