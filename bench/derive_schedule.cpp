// SPDX-License-Identifier: BSD-3-Clause
// Derives a table of spectral/schedules.hpp anew: prints the quintics as the header has them, and their errors.
//
//   derive_schedule --resolution 1e-3 --steps 6 [--seed 1] [--starts 150] [--hops 250] [--seconds N] [--refine 1]
//
// The schedule is tuned for [resolution/scale_margin, 1]. Without --seconds the result depends on the seed alone.
// With --refine the search starts from the shipped schedule of that number of steps instead of at random.

#include "schedule_search.hpp"
#include <schatten/spectral/iterate_fit.hpp>
#include <schatten/spectral/schedules.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

namespace {

/// "--name value" pairs; ends the program with the usage for anything else.
struct Arguments {
  double resolution = 1e-3;
  bool refine = false;
  schedule_search::Settings settings{.lowest = 0, .steps = 6, .seed = 1, .starts = 150, .hops = 250};

  Arguments(int argc, char** argv) {
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      const double value = i + 1 < argc ? std::atof(argv[i + 1]) : 0.0;
      if (!(value > 0) || !set(name, value)) {
        std::cerr << "usage: " << argv[0]
                  << " --resolution 1e-3 --steps 6 [--seed 1] [--starts 150] [--hops 250] [--seconds N] [--refine 1]\n";
        std::exit(2);
      }
    }
    settings.lowest = resolution / schatten::spectral::scale_margin;
    for (const auto& shipped : schatten::spectral::iterate_schedules) {
      if (refine && shipped.steps.size() == settings.steps) {
        settings.start.assign(shipped.steps.begin(), shipped.steps.end());
      }
    }
  }

 private:
  bool set(const std::string& name, double value) {
    if (name == "--resolution") {
      resolution = value;
    } else if (name == "--steps") {
      settings.steps = std::size_t(value);
    } else if (name == "--seed") {
      settings.seed = unsigned(value);
    } else if (name == "--starts") {
      settings.starts = int(value);
    } else if (name == "--hops") {
      settings.hops = int(value);
    } else if (name == "--seconds") {
      settings.seconds = value;
    } else if (name == "--refine") {
      refine = true;
    } else {
      return false;
    }
    return true;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const schedule_search::Candidate found = schedule_search::find_schedule(arguments.settings);
  for (const auto& q : found.steps) std::printf("    {%.8f, %.8f, %.8f},\n", q.a, q.b, q.c);
  std::printf("// power: bound of the relative error for resolution %g (cancellation)\n", arguments.resolution);
  for (const auto& target : schedule_search::shipped_targets) {
    const auto fit = schatten::spectral::fit_iterates(found.steps, target.power, arguments.resolution);
    double beyond = 0;
    for (int k = 1; k <= 1000; ++k) {
      const double sigma = 1 + (schedule_search::upper_end - 1) * k / 1000;
      beyond = std::max(beyond, std::abs(fit(sigma).value / std::pow(sigma, target.power) - 1));
    }
    std::printf("// %6.3f: %.3e (%.1f), %.1e up to %g\n", target.power, fit.error, fit.cancellation, beyond,
                schedule_search::upper_end);
  }
}
