// SPDX-License-Identifier: BSD-3-Clause
// Random matrices against the promise: every singular direction above the resolution, read in three ways, beside a
// reference with more digits. What breaks is made simpler and printed as a test.
//
//     adversary [--count N] [--seed S] [--seconds X] [--few] [--table]
//
// Ends with 0 where no promise is broken and nothing is non-finite. --few: fewer powers, so that few fits are made;
// --table: the worst reading over promise for each method.

#include "matrices.hpp"
#include "trial.hpp"

#include <Kokkos_Core.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>

namespace {

using namespace schatten;
using namespace schatten::adversary;

struct Arguments {
  std::size_t count = 2000, first = 0;
  std::uint64_t seed = 1;
  double seconds = std::numeric_limits<double>::infinity(), threshold = 1;
  bool few = false, table = false;
  std::size_t most_shown = 5;
};

Arguments arguments_of(int argc, char** argv) {
  Arguments a;
  for (int k = 1; k < argc; ++k) {
    const std::string name = argv[k];
    const auto value = [&] {
      if (k + 1 == argc) throw std::invalid_argument(name + " needs a value");
      return std::string(argv[++k]);
    };
    if (name == "--count")
      a.count = std::stoull(value());
    else if (name == "--first")
      a.first = std::stoull(value());
    else if (name == "--seed")
      a.seed = std::stoull(value());
    else if (name == "--seconds")
      a.seconds = std::stod(value());
    else if (name == "--threshold")
      a.threshold = std::stod(value());
    else if (name == "--show")
      a.most_shown = std::stoull(value());
    else if (name == "--few")
      a.few = true;
    else if (name == "--table")
      a.table = true;
    else
      throw std::invalid_argument("usage: adversary [--count N] [--seed S] [--seconds X] [--few] [--table]");
  }
  return a;
}

struct Worst {
  std::size_t answers = 0, refused = 0;
  Readings ratio;
  std::string where;
};

struct Tally {
  std::size_t matrices = 0, answers = 0, refused = 0, broken = 0, non_finite = 0;
  std::map<std::string, Worst> worst;
};

struct Sides {
  std::size_t rows, cols;
};

/// Mostly small ones, so that there are many.
Sides random_sides(Random& random, bool single) {
  std::size_t n = 1 + random.below(random.one_in(3) ? 12 : 5), m = n;
  if (random.one_in(2)) m = n + random.below(8);
  if (random.one_in(20)) m = n + random.below(60);
  if (random.one_in(300)) m = n = 13 + random.below(30);
  if (random.one_in(2000)) m = n + random.below(1000);
  if (random.one_in(20000)) {
    constexpr std::array<Sides, 6> large{{{4096, 32}, {2000, 2}, {1000, 8}, {64, 64}, {150, 70}, {96, 96}}};
    const Sides& sides = random.of(large);
    m = sides.rows;
    n = sides.cols;
    if (single && random.one_in(4)) m = n = 260;
  }
  return random.one_in(2) ? Sides{m, n} : Sides{n, m};
}

template <class T>
class Run {
 public:
  Run(const Arguments& arguments, Tally& tally) : arguments_(arguments), tally_(tally) {}

  void operator()(std::uint64_t seed) {
    constexpr double epsilon = double(std::numeric_limits<T>::epsilon());
    constexpr bool single = std::is_same_v<T, float>;
    Random random(seed);
    const Sides sides = random_sides(random, single);
    const double resolution = random_resolution(random);
    const Plain<double> drawn = random_matrix(sides.rows, sides.cols, {resolution, epsilon}, random);
    constexpr std::array<double, 8> scales{1, 1, 1, 1, 1, 1, single ? 1e-30 : 1e-280, single ? 1e30 : 1e280};
    double largest = 0;
    for (const double x : drawn.entries) largest = std::max(largest, std::abs(x));
    const double scale = random.of(scales) / (largest > 1e6 ? largest : 1);
    Plain<T> m{sides.rows, sides.cols};
    for (std::size_t k = 0; k < m.entries.size(); ++k) m.entries[k] = T(scale * drawn.entries[k]);
    const auto svd = test::exact_svd(as_digits(m));
    ++tally_.matrices;
    Question question{{.power = random_power(random), .resolution = resolution}, random.one_in(4), random.one_in(2)};
    constexpr std::array<SpectralMethod, 5> methods{SpectralMethod::svd, SpectralMethod::eigh, SpectralMethod::rational,
                                                    SpectralMethod::iterates, SpectralMethod::automatic};
    for (const SpectralMethod method : methods) {
      question.options.method = method;
      question.options.tolerance = random_tolerance(random, question, sides);
      put(question, m, svd, seed);
    }
    if (question.options.power == 0) {
      question.options.method = SpectralMethod::quintic;
      question.options.tolerance = 1;
      constexpr std::array<QuinticSchedule, 3> schedules{QuinticSchedule::muon, QuinticSchedule::polar_express,
                                                         QuinticSchedule::cans};
      question.options.schedule = random.of(schedules);
      put(question, m, svd, seed);
    }
    if (random.one_in(8)) {  // no promise, finite numbers nevertheless
      constexpr std::array<SpectralMethod, 3> others{SpectralMethod::newton_schulz, SpectralMethod::streaming,
                                                     SpectralMethod::rank_power};
      question.options.method = random.of(others);
      if (question.options.method == SpectralMethod::newton_schulz) question.options.power = 0.125;
      put(question, m, svd, seed);
    }
  }

 private:
  double random_power(Random& random) const {
    constexpr std::array<double, 5> few{-0.25, 0, 0.125, 0.25, 0.5};
    constexpr std::array<double, 10> many{-0.49, -0.25, -0.1, 0, 0.03125, 0.125, 0.25, 0.5, 0.8, 1};
    return arguments_.few ? random.of(few) : random.of(many);
  }
  double random_resolution(Random& random) const {
    constexpr std::array<double, 4> few{1e-1, 1e-2, 1e-3, 1e-4};
    constexpr std::array<double, 9> many{1, 1e-1, 1e-2, 1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 3e-9};
    return arguments_.few ? random.of(few) : random.of(many);
  }
  /// Mostly what users ask for, often whatever, and for the rational method often little more than rounding takes.
  double random_tolerance(Random& random, const Question& question, const Sides& sides) const {
    constexpr std::array<double, 4> usual{0.5, 3e-2, 1e-2, 1e-3};
    const SpectralPowerOptions& o = question.options;
    if (random.one_in(2)) return random.of(usual);
    if (random.one_in(2) || o.method != SpectralMethod::rational) return random.log_uniform(1e-10, 1);
    const spectral::Shape shape = spectral::Shape::of(sides.rows, sides.cols);
    const std::array<spectral::RoundingError, 3> roundings{
        spectral::rational_rounding_error<T, T>(o.power, o.resolution, shape),
        spectral::rational_rounding_error<T, T, double>(o.power, o.resolution, shape),
        spectral::rational_rounding_error<T, double>(o.power, o.resolution, shape)};
    const spectral::RoundingError& rounding = random.of(roundings);
    return std::min(rounding.largest() * random.log_uniform(1.12, 30), 1.0);
  }

  void put(const Question& question, const Plain<T>& m, const ExactSvd<test::Digits<T>>& svd, std::uint64_t seed) {
    const std::optional<Answer> answer = oracle_.ask(question, m, svd);
    const std::string type = std::is_same_v<T, float> ? "float" : "double";
    if (!answer) {
      ++tally_.refused;
      if (arguments_.table) ++tally_.worst[type + " " + to_string(question.options.method)].refused;
      return;
    }
    ++tally_.answers;
    if (arguments_.table) {
      const SpectralPowerOptions& o = question.options;
      char key[120], where[160];
      std::snprintf(key, sizeof key, "%s %s in %s%s p=%g", type.c_str(), to_string(answer->method).c_str(),
                    to_string(answer->format).c_str(), question.portable ? " portable" : "", o.power);
      Worst& worst = tally_.worst[key];
      ++worst.answers;
      if (answer->ratio() > worst.ratio.worst()) {
        std::snprintf(where, sizeof where, "seed %llu %zux%zu resolution %g bound %.2e",
                      static_cast<unsigned long long>(seed), m.rows, m.cols, o.resolution, answer->bound);
        worst.where = where;
      }
      const auto keep = [&](double& old, double reading) { old = std::max(old, reading / answer->bound); };
      keep(worst.ratio.diagonal, answer->readings.diagonal);
      keep(worst.ratio.right, answer->readings.right);
      keep(worst.ratio.left, answer->readings.left);
    }
    if (answer->ratio() <= arguments_.threshold) return;
    const std::size_t shown = answer->finite ? tally_.broken++ : tally_.non_finite++;
    if (shown >= arguments_.most_shown) return;
    report(question, m, *answer, seed);
  }

  void report(const Question& question, const Plain<T>& m, const Answer& answer, std::uint64_t seed) {
    const auto fails = [&](const Plain<T>& simpler) {
      const std::optional<Answer> other = oracle_.ask(question, simpler);
      return other && (answer.finite ? other->finite && other->ratio() > arguments_.threshold : !other->finite);
    };
    std::printf("seed %llu, %zux%zu, %s in %s: %s, diagonal %.2e, right %.2e, left %.2e, promised %.2e\n",
                static_cast<unsigned long long>(seed), m.rows, m.cols, to_string(answer.method).c_str(),
                to_string(answer.format).c_str(), answer.finite ? "broken" : "non-finite", answer.readings.diagonal,
                answer.readings.right, answer.readings.left, answer.bound);
    std::printf("  %s\n", as_test(question, shrunk(m, fails)).c_str());
    std::fflush(stdout);
  }

  const Arguments& arguments_;
  Tally& tally_;
  Oracle<T> oracle_;
};

int search(const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  Tally tally;
  Run<float> in_float(arguments, tally);
  Run<double> in_double(arguments, tally);
  for (std::size_t k = 0; k < arguments.count && seconds() < arguments.seconds; ++k) {
    const std::uint64_t seed = arguments.seed * 1000003ULL + arguments.first + k;
    if ((arguments.first + k) % 2 == 0)
      in_float(seed);
    else
      in_double(seed);
    if ((k + 1) % 100000 == 0) {
      std::printf("%zu matrices, %.0f s, %zu broken, %zu non-finite\n", tally.matrices, seconds(), tally.broken,
                  tally.non_finite);
      std::fflush(stdout);
    }
  }
  for (const auto& [name, worst] : tally.worst) {
    std::printf("%-50s %7zu answers, %7zu refused, over promise: diagonal %.3f, right %.3f, left %.3f; %s\n",
                name.c_str(), worst.answers, worst.refused, worst.ratio.diagonal, worst.ratio.right, worst.ratio.left,
                worst.where.c_str());
  }
  std::printf("seed %llu: %zu matrices in %.1f s, %zu outputs, %zu plans refused; %zu broken, %zu non-finite\n",
              static_cast<unsigned long long>(arguments.seed), tally.matrices, seconds(), tally.answers, tally.refused,
              tally.broken, tally.non_finite);
  return tally.broken + tally.non_finite == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  try {
    return search(arguments_of(argc, argv));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
}
