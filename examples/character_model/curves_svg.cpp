// SPDX-License-Identifier: BSD-3-Clause
// The picture of the loss curves, written as SVG text.

#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace character_model {
namespace {

struct Point {
  double x = 0;
  double y = 0;
};

struct Curve {
  std::string name;
  std::vector<Point> train;  // smoothed
  std::vector<Point> validation;
  double final_loss = 0;
};

struct Axis {
  std::string label;
  double low = 0;
  double high = 1;
};

// A rectangle of the picture, in its pixels, with the data ranges it shows.
struct Panel {
  double left, top, width, height;
  Axis x, y;

  double bottom() const { return top + height; }
  double right() const { return left + width; }
  double at_x(double value) const { return left + width * (value - x.low) / (x.high - x.low); }
  double at_y(double value) const { return top + height * (y.high - value) / (y.high - y.low); }
};

// Distinguishable with the common colour blindnesses; Okabe and Ito, 2008.
const char* colour_of(std::size_t curve) {
  constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"};
  return colours[curve % 7];
}

// Each seven curves have dashes of their own.
std::string dashes_of(std::size_t curve) {
  constexpr const char* dashes[] = {"", " stroke-dasharray='7 3'", " stroke-dasharray='2 3'",
                                    " stroke-dasharray='9 3 2 3'"};
  return dashes[curve / 7 % 4];
}

std::string formatted(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string px(double value) { return formatted("%.1f", value); }

// Multiples of 1, 2 or 5 times a power of ten that cut the axis into at most nine pieces.
std::vector<double> ticks_of(const Axis& axis) {
  const double raw = (axis.high - axis.low) / 9.0;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double step = power * (raw <= power ? 1 : raw <= 2 * power ? 2 : raw <= 5 * power ? 5 : 10);
  std::vector<double> ticks;
  for (double k = std::ceil(axis.low / step - 1e-9); k * step <= axis.high + 1e-9 * step; ++k)
    ticks.push_back(k == 0 ? 0.0 : k * step);  // not -0
  return ticks;
}

void draw_text(std::ostream& out, double x, double y, const char* anchor, const std::string& content,
               const std::string& style = "") {
  out << "<text x='" << px(x) << "' y='" << px(y) << "' text-anchor='" << anchor << "' " << style << ">" << content
      << "</text>\n";
}

void draw_line(std::ostream& out, Point from, Point to, const std::string& style) {
  out << "<line x1='" << px(from.x) << "' y1='" << px(from.y) << "' x2='" << px(to.x) << "' y2='" << px(to.y) << "' "
      << style << "/>\n";
}

void draw_rectangle(std::ostream& out, Point corner, double width, double height, const std::string& style) {
  out << "<rect x='" << px(corner.x) << "' y='" << px(corner.y) << "' width='" << px(width) << "' height='"
      << px(height) << "' " << style << "/>\n";
}

void draw_dot(std::ostream& out, Point centre, const char* colour) {
  out << "<circle cx='" << px(centre.x) << "' cy='" << px(centre.y) << "' r='3' fill='" << colour << "'/>\n";
}

void draw_axes(std::ostream& out, const Panel& panel) {
  for (double tick : ticks_of(panel.x)) {
    const double x = panel.at_x(tick);
    draw_line(out, {x, panel.top}, {x, panel.bottom()}, "stroke='#e4e4e4'");
    draw_line(out, {x, panel.bottom()}, {x, panel.bottom() + 5}, "stroke='#444'");
    draw_text(out, x, panel.bottom() + 20, "middle", formatted("%.6g", tick));
  }
  for (double tick : ticks_of(panel.y)) {
    const double y = panel.at_y(tick);
    draw_line(out, {panel.left, y}, {panel.right(), y}, "stroke='#e4e4e4'");
    draw_line(out, {panel.left - 5, y}, {panel.left, y}, "stroke='#444'");
    draw_text(out, panel.left - 9, y + 4.5, "end", formatted("%.6g", tick));
  }
  draw_rectangle(out, {panel.left, panel.top}, panel.width, panel.height, "fill='none' stroke='#444'");
  draw_text(out, panel.left + panel.width / 2, panel.bottom() + 42, "middle", panel.x.label);
  const double x = panel.left - 44;
  const double y = panel.top + panel.height / 2;
  draw_text(out, x, y, "middle", panel.y.label, "transform='rotate(-90 " + px(x) + " " + px(y) + ")'");
}

void draw_polyline(std::ostream& out, const Panel& panel, const std::vector<Point>& points, const std::string& style) {
  out << "<polyline fill='none' stroke-linejoin='round' " << style << " points='";
  for (const Point& point : points) out << px(panel.at_x(point.x)) << ',' << px(panel.at_y(point.y)) << ' ';
  out << "'/>\n";
}

void draw_curves(std::ostream& out, const Panel& panel, const std::vector<Curve>& curves, const std::string& name) {
  out << "<clipPath id='" << name << "'>";
  draw_rectangle(out, {panel.left, panel.top}, panel.width, panel.height, "");
  out << "</clipPath>\n<g clip-path='url(#" << name << ")'>\n";
  for (std::size_t c = 0; c < curves.size(); ++c) {
    const std::string stroke = std::string("stroke='") + colour_of(c) + "' ";
    draw_polyline(out, panel, curves[c].train, stroke + "stroke-width='1.2' stroke-opacity='0.5'");
    draw_polyline(out, panel, curves[c].validation, stroke + "stroke-width='2.4'" + dashes_of(c));
    for (const Point& point : curves[c].validation)
      draw_dot(out, {panel.at_x(point.x), panel.at_y(point.y)}, colour_of(c));
  }
  out << "</g>\n";
}

void draw_legend(std::ostream& out, const Panel& panel, const std::vector<Curve>& curves) {
  constexpr double width = 236;
  // Smaller where there are many.
  const double row = std::min(22.0, 320.0 / double(curves.size() + 1));
  const double size = std::min(14.0, 0.85 * row);
  const double left = panel.right() - width - 10;
  const double height = row * double(curves.size() + 1) + 8;
  draw_rectangle(out, {left, panel.top + 10}, width, height, "fill='white' fill-opacity='0.9' stroke='#ccc'");
  const std::string font = "font-size='" + formatted("%.4g", size) + "'";
  double y = panel.top + 14 + row / 2;
  for (std::size_t c = 0; c < curves.size(); ++c, y += row) {
    draw_line(out, {left + 10, y}, {left + 38, y},
              std::string("stroke='") + colour_of(c) + "' stroke-width='2.4'" + dashes_of(c));
    draw_dot(out, {left + 24, y}, colour_of(c));
    draw_text(out, left + 48, y + size / 3, "start",
              curves[c].name + ": " + formatted("%.3f", curves[c].final_loss) + " at the end", font);
  }
  draw_line(out, {left + 10, y}, {left + 38, y}, "stroke='#666' stroke-width='1.2'");
  draw_text(out, left + 48, y + size / 3, "start", "training loss, smoothed", font);
}

// Mean over about a fifteenth of the run around each step.
std::vector<double> smoothed_losses(const std::vector<StepRecord>& steps) {
  const std::size_t reach = std::max<std::size_t>(2, steps.size() / 30);
  std::vector<double> smoothed;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::size_t begin = i - std::min(i, reach);
    const std::size_t end = std::min(i + reach + 1, steps.size());
    double sum = 0;
    for (std::size_t j = begin; j < end; ++j) sum += steps[j].train_loss;
    smoothed.push_back(sum / double(end - begin));
  }
  return smoothed;
}

template <class Abscissa>
std::vector<Curve> curves_over(const std::vector<Record>& records, const Abscissa& abscissa) {
  std::vector<Curve> curves;
  for (const Record& record : records) {
    if (!curves.empty() && curves.back().name == record.optimizer) continue;  // another seed's
    Curve& curve = curves.emplace_back();
    curve.name = record.optimizer;
    curve.final_loss = record.validation_loss;
    const std::vector<double> smoothed = smoothed_losses(record.steps);
    for (std::size_t i = 0; i < record.steps.size(); ++i) {
      const StepRecord& step = record.steps[i];
      curve.train.push_back({abscissa(step), smoothed[i]});
      if (step.validation_loss) curve.validation.push_back({abscissa(step), *step.validation_loss});
    }
  }
  return curves;
}

Axis abscissa_axis(const std::string& label, const std::vector<Curve>& curves) {
  Axis axis{label, 0.0, 0.0};
  for (const Curve& curve : curves)
    for (const Point& point : curve.train) axis.high = std::max(axis.high, point.x);
  axis.high = axis.high > 0 ? 1.02 * axis.high : 1.0;
  return axis;
}

// From a little below the lowest curve to a little above the first evaluation: what lies above,
// the first steps of training, would press everything else flat.
Axis loss_axis(const std::string& label, const std::vector<Curve>& curves) {
  double low = 1e30;
  double high = -1e30;
  for (const Curve& curve : curves) {
    for (const Point& point : curve.train) low = std::min(low, point.y);
    for (const Point& point : curve.validation) {
      low = std::min(low, point.y);
      high = std::max(high, point.y);
    }
  }
  if (!(low < high)) return {label, 0.0, 6.0};
  const double margin = 0.06 * (high - low);
  return {label, low - margin, high + margin};
}

}  // namespace

void write_svg(const std::filesystem::path& path, const std::vector<Record>& records, const PictureWords& words) {
  const auto over_steps = curves_over(records, [](const StepRecord& s) { return double(s.step); });
  const auto over_time = curves_over(records, [](const StepRecord& s) { return s.seconds; });
  const Axis loss = loss_axis(words.loss, over_steps);
  const Panel steps{80, 48, 420, 340, abscissa_axis("step", over_steps), loss};
  const Panel time{590, 48, 420, 340, abscissa_axis("training time (s)", over_time), loss};

  std::ostringstream out;
  out << "<svg xmlns='http://www.w3.org/2000/svg' width='1040' height='450' "
         "viewBox='0 0 1040 450' font-family='sans-serif' font-size='14' fill='#222'>\n";
  draw_rectangle(out, {0, 0}, 1040, 450, "fill='white'");
  draw_text(out, 520, 28, "middle", words.title, "font-size='17' font-weight='bold'");
  draw_axes(out, steps);
  draw_curves(out, steps, over_steps, "over-steps");
  draw_legend(out, steps, over_steps);
  draw_axes(out, time);
  draw_curves(out, time, over_time, "over-time");
  out << "</svg>\n";

  std::ofstream file(path);
  file << out.str();
  file.flush();
  if (!file) throw std::runtime_error("cannot write '" + path.string() + "'");
}

}  // namespace character_model
