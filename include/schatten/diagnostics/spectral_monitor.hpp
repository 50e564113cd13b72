// SPDX-License-Identifier: BSD-3-Clause
// Tables and pictures of the spectra of weights over the steps of a training.
#pragma once

#include <schatten/diagnostics/spectral_density.hpp>
#include <schatten/diagnostics/spectral_summary.hpp>
#include <schatten/diagnostics/svg_chart.hpp>
#include <schatten/diagnostics/text_file.hpp>

#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace schatten {

/// Options of a SpectralMonitor.
struct SpectralMonitorOptions {
  std::size_t every = 100;      ///< it measures at the steps 0, every, 2·every, …; at least 1
  std::size_t bins = 30;        ///< of the density in the picture; at least 1
  PowerLawOptions power_law{};  ///< of the fits
};

/// Measures named weights every k steps of a training, and keeps a table PATH.csv and a picture PATH.svg up to date.
///
/// The table has a line for each measurement of a weight: step, name, and the numbers of its SpectralSummary. The
/// picture has Hill's α and the effective rank over the steps, and the spectral density of the last measurement. A new
/// monitor overwrites the files. Nothing is printed. A measurement fences, and costs one svd without vectors and one
/// fit per weight.
class SpectralMonitor {
 public:
  /// One measurement of one weight.
  struct Record {
    std::size_t step = 0;     ///< of the training
    std::string weight;       ///< its name
    SpectralSummary summary;  ///< the numbers
  };

  /// A monitor of the files PATH.csv and PATH.svg. The first measurement writes them. Throws InvalidArgument for an
  /// empty path and options out of range.
  explicit SpectralMonitor(std::string path, const SpectralMonitorOptions& options = {})
      : path_(std::move(path)), options_(options) {
    require(!path_.empty(), "SpectralMonitor", "path", path_, "must not be empty");
    require(options.every >= 1, "SpectralMonitor", "every", options.every, "must be at least 1");
    require(options.bins >= 1, "SpectralMonitor", "bins", options.bins, "must be at least 1");
    detail::check_power_law(options.power_law, "SpectralMonitor");
  }

  /// Returns whether weights are measured at this step.
  [[nodiscard]] bool due(std::size_t step) const { return step % options_.every == 0; }

  /// To be called in every step of a training. If the step is a multiple of `every`, measures all weights and writes
  /// the files. Returns whether it has measured.
  ///
  /// weights: a range of pairs (name, View of rank 2). Throws InvalidArgument for an empty name. Throws
  /// std::system_error with the file's name if a file cannot be written; the records are then kept.
  template <class Backend = void, ExecutionSpace Exec, class Weights>
  bool operator()(const Exec& exec, std::size_t step, const Weights& weights) {
    if constexpr (require_keyed_views<Weights>()) {
      if (!due(step)) return false;
      for (const auto& [name, w] : weights) measure<Backend>(exec, step, name, w);
      write();
    }
    return true;
  }

  /// Measures one weight in any step and keeps the record. For weights of different types; `write` then writes the
  /// files. Fences `exec`. Throws InvalidArgument for an empty name.
  template <class Backend = void, ExecutionSpace Exec, KokkosView V>
  void measure(const Exec& exec, std::size_t step, const std::string& name, const V& w) {
    require(!name.empty(), "SpectralMonitor::measure", "name", name, "must not be empty");
    std::vector<double> sigma = weight_singular_values<Backend>(exec, w);
    records_.push_back({step, name, spectral_summary(sigma, options_.power_law)});
    const auto [known, is_new] = places_.emplace(name, last_.size());
    if (is_new) last_.emplace_back();
    last_[known->second] = {name, std::move(sigma)};
  }

  /// All measurements so far.
  [[nodiscard]] const std::vector<Record>& records() const { return records_; }

  /// Writes the records that the files do not have yet. Throws std::system_error with the file's name; the next call
  /// then writes both files completely.
  void write() {
    const std::size_t first = std::exchange(written_, 0);
    if (first == 0) {
      detail::write_text_file(path_ + ".csv", table(), "SpectralMonitor");
    } else {
      detail::append_text_file(path_ + ".csv", lines(first), "SpectralMonitor");
    }
    detail::write_text_file(path_ + ".svg", picture(), "SpectralMonitor");
    written_ = records_.size();
  }

  /// Returns the table as CSV (RFC 4180): a line of names, then a line per record. "nan" stands for a missing value.
  [[nodiscard]] std::string table() const {
    return "step,weight,frobenius_norm,spectral_norm,nuclear_norm,stable_rank,effective_rank,hill_alpha,"
           "power_law_alpha,standard_error,x_min,tail,distance\n" +
           lines(0);
  }

  /// Returns the picture as SVG.
  [[nodiscard]] std::string picture() const {
    detail::SvgChart alpha{"Hill's α", {"step"}, {""}, {}}, rank{"effective rank", {"step"}, {""}, {}};
    detail::SvgChart density{"density of the last eigenvalues", {"eigenvalue", true}, {"", true}, {}};
    for (const auto& [name, sigma] : last_) {
      alpha.curves.push_back({name, {}});
      rank.curves.push_back({name, {}});
      density.curves.push_back({name, density_points(sigma)});
    }
    for (const Record& record : records_) {
      const std::size_t place = places_.find(record.weight)->second;
      alpha.curves[place].points.emplace_back(double(record.step), record.summary.hill_alpha);
      rank.curves[place].points.emplace_back(double(record.step), record.summary.effective_rank);
    }
    return detail::svg_picture({alpha, rank, density});
  }

 private:
  /// The table's lines from record `first` on.
  [[nodiscard]] std::string lines(std::size_t first) const {
    std::string text;
    for (std::size_t k = first; k < records_.size(); ++k) {
      const auto& [step, weight, s] = records_[k];
      const PowerLaw& fit = s.power_law;
      text += std::to_string(step) + "," + csv_field(weight);
      for (const double number : {s.frobenius_norm, s.spectral_norm, s.nuclear_norm, s.stable_rank, s.effective_rank,
                                  s.hill_alpha, fit.alpha, fit.standard_error, fit.x_min}) {
        text += "," + detail::number_text(number, 9);
      }
      text += "," + std::to_string(fit.tail) + "," + detail::number_text(fit.distance, 9) + "\n";
    }
    return text;
  }
  /// The text in quotes if it has a comma, a quote or the end of a line in it.
  static std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
    return quoted + "\"";
  }
  /// The middles of the bins and their densities, empty bins left out.
  [[nodiscard]] std::vector<std::pair<double, double>> density_points(std::vector<double> sigma) const {
    for (double& value : sigma) {
      value *= value;
      if (!linalg::is_finite(value)) return {};
    }
    const SpectralDensity esd = spectral_density(sigma, {.bins = options_.bins});
    std::vector<std::pair<double, double>> points;
    for (std::size_t k = 0; k < esd.counts.size(); ++k) {
      if (esd.counts[k] > 0) points.emplace_back(std::sqrt(esd.edges[k]) * std::sqrt(esd.edges[k + 1]), esd.density[k]);
    }
    return points;
  }

  std::string path_;
  SpectralMonitorOptions options_;
  std::vector<Record> records_;
  std::size_t written_ = 0;  ///< records that the table on disk has
  /// Names and singular values of the last measurement of each weight, in the order of the first ones.
  std::vector<std::pair<std::string, std::vector<double>>> last_;
  std::map<std::string, std::size_t> places_;  ///< of the names in last_
};

}  // namespace schatten
