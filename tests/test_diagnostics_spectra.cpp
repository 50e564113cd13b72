// SPDX-License-Identifier: BSD-3-Clause
// labels: portable
// Spectral densities, power laws, ranks, and the monitor that writes them.

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/temporary_folder.hpp"
#include <schatten/diagnostics/spectral_monitor.hpp>
#include <schatten/diagnostics/weight_decay.hpp>
#include <schatten/spectral/schatten_norm.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

using Portable = linalg::PortableBackend;
using Numbers = std::vector<double>;
using HostMatrix = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Independent samples of a density ~ x^−α from x_min on.
Numbers pareto(std::size_t count, double alpha, double x_min, unsigned seed) {
  std::mt19937_64 generator(seed);
  Numbers samples;
  for (std::size_t i = 0; i < count; ++i) {
    const double uniform = (double(generator() >> 11) + 0.5) / 0x1p53;
    samples.push_back(x_min * std::pow(uniform, -1 / (alpha - 1)));
  }
  return samples;
}

/// σ_k = k^−s.
Numbers power_spectrum(std::size_t count, double s) {
  Numbers sigma;
  for (std::size_t k = 1; k <= count; ++k) sigma.push_back(std::pow(double(k), -s));
  return sigma;
}

Numbers squares(Numbers values) {
  for (double& value : values) value *= value;
  return values;
}

HostMatrix matrix_of(const Numbers& sigma, std::size_t more_rows = 5) {
  Vector vector(Eigen::Index(sigma.size()));
  std::copy(sigma.begin(), sigma.end(), vector.data());
  const HostMatrix w("w", sigma.size() + more_rows, sigma.size());
  assign(w, known_matrix(sigma.size() + more_rows, sigma.size(), vector, 3).matrix());
  return w;
}

/// The Kolmogorov–Smirnov distance from its definition, for values that differ.
double distance_of(Numbers values, double alpha, double x_min) {
  std::sort(values.begin(), values.end());
  values.erase(values.begin(), std::lower_bound(values.begin(), values.end(), x_min));
  double largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double fitted = 1 - std::pow(values[i] / x_min, 1 - alpha), n = double(values.size());
    largest = std::max({largest, std::abs(fitted - double(i) / n), std::abs(double(i + 1) / n - fitted)});
  }
  return largest;
}

}  // namespace

TEST_CASE("power laws of Pareto samples lie within their standard errors") {
  int within_one = 0;
  for (const double alpha : {1.5, 2.5, 4.0}) {
    for (unsigned seed = 0; seed < 40; ++seed) {
      const Numbers samples = pareto(300, alpha, 0.5, seed);
      const PowerLaw given = fit_power_law(samples, {.x_min = 0.5});
      CHECK(given.tail == 300);
      CHECK(given.standard_error == doctest::Approx((given.alpha - 1) / std::sqrt(300.0)));
      CHECK(std::abs(given.alpha - alpha) < 4 * given.standard_error);
      CHECK(given.distance < 0.12);  // above 1.36/√n = 0.079 once in twenty times, above 0.12 once in two thousand
      within_one += std::abs(given.alpha - alpha) < given.standard_error ? 1 : 0;
      if (seed >= 10) continue;
      const PowerLaw chosen = fit_power_law(samples);
      CHECK(chosen.distance <= given.distance + 1e-2);
      CHECK(chosen.distance == doctest::Approx(distance_of(samples, chosen.alpha, chosen.x_min)));
      CHECK(std::abs(chosen.alpha - alpha) < 4 * chosen.standard_error);
    }
  }
  // 68 % of 120: 82 ± 5.
  CHECK(within_one > 65);
  CHECK(within_one < 99);
}

TEST_CASE("the tail's begin is found below which values follow another law") {
  for (unsigned seed = 0; seed < 5; ++seed) {
    Numbers values = pareto(600, 2.5, 1, seed);
    for (int i = 0; i < 600; ++i) values.push_back((i + 0.5) / 600);  // uniform
    const PowerLaw fit = fit_power_law(values);
    CAPTURE(seed);
    CHECK(fit.x_min > 0.9);
    CHECK(fit.x_min < 2.5);
    CHECK(std::abs(fit.alpha - 2.5) < 4 * fit.standard_error);
    CHECK(std::abs(fit_power_law(values, {.x_min = 0.2}).alpha - 2.5) > 4 * fit.standard_error);
    CHECK(fit_power_law(values, {.least_tail = 1100}).tail >= 1100);
  }
}

TEST_CASE("singular values that fall as k^-s have the exponent 1 + 1/(2s)") {
  const Kokkos::DefaultHostExecutionSpace exec;
  for (const double s : {0.25, 0.5, 1.0, 2.0}) {
    CAPTURE(s);
    const double alpha = 1 + 1 / (2 * s);
    double before = infinity;
    for (const std::size_t n :
         {std::size_t{50}, std::size_t{400}, std::size_t{3200}}) {  // the quantiles of the law in the limit
      const Numbers lambda = squares(power_spectrum(n, s));
      const PowerLaw fit = fit_power_law(lambda, {.x_min = lambda.back()});
      CHECK(fit.tail == n);
      const double error = std::abs(fit.alpha - alpha) / (alpha - 1);
      CHECK(error < std::log(8 * double(n)) / (2 * double(n)) * 1.1);
      CHECK(error < before);
      CHECK(std::abs(hill_alpha(power_spectrum(n, s)) - alpha) / (alpha - 1) < 4 * std::log(double(n)) / double(n));
      before = error;
    }
    const HostMatrix w = matrix_of(power_spectrum(60, s));
    const PowerLaw fit = fit_power_law<Portable>(exec, w);
    CHECK(std::abs(fit.alpha - alpha) < fit.standard_error);
    CHECK(std::abs(hill_alpha<Portable>(exec, w) - alpha) < 0.1 * (alpha - 1));
  }
}

TEST_CASE("the power law of the larger half is AlphaDecay's exponent, at any scale of the matrix") {
  const Kokkos::DefaultHostExecutionSpace exec;
  const Numbers sigma = power_spectrum(21, 0.7);
  const PowerLawOptions half{.x_min = std::pow(11.0, -1.4) * (1 - 1e-9)};
  const double alpha = alpha_decay_exponent<Portable>(exec, matrix_of(sigma));
  CHECK(fit_power_law(squares(sigma), half).alpha == doctest::Approx(alpha).epsilon(1e-7));
  for (const double scale : {1.0, 1e-200, 1e200}) {
    HostMatrix w = matrix_of(sigma);
    for (std::size_t i = 0; i < w.size(); ++i) w.data()[i] *= scale;
    const PowerLaw fit = fit_power_law<Portable>(exec, w, {.least_tail = 5});
    CHECK(fit.alpha == doctest::Approx(fit_power_law(squares(sigma), {.least_tail = 5}).alpha).epsilon(1e-8));
    CHECK(stable_rank<Portable>(exec, w) == doctest::Approx(stable_rank(sigma)));
  }
}

TEST_CASE("power laws of values without a tail, and refusals") {
  for (const Numbers& values : {Numbers{}, Numbers{0, 0, 0}, Numbers{1}, Numbers{1, 2, 3, 4, 5, 6, 7, 8, 9},
                                Numbers(20, not_a_number), Numbers(20, infinity)}) {
    const PowerLaw fit = fit_power_law(values);
    CHECK(std::isnan(fit.alpha));
    CHECK(std::isnan(fit.standard_error));
    CHECK(std::isnan(fit.x_min));
    CHECK(fit.tail == 0);
  }
  const PowerLaw flat = fit_power_law(Numbers(12, 3.0));
  CHECK(flat.alpha == infinity);
  CHECK(flat.tail == 12);
  CHECK(flat.x_min == 3);
  Numbers zeros = pareto(50, 2, 1, 1);
  const double alpha = fit_power_law(zeros).alpha;
  zeros.resize(80, 0.0);
  CHECK(fit_power_law(zeros).alpha == alpha);
  const auto refused = [](const Numbers& values, const PowerLawOptions& options, const std::string& text) {
    CHECK(contains(message_of([&] { (void)fit_power_law(values, options); }), "schatten::fit_power_law: " + text));
  };
  refused({1, -2, 3}, {}, "values = -2, but it must hold no negative value");
  refused({1, 2}, {.x_min = -1}, "x_min = -1");
  refused({1, 2}, {.x_min = not_a_number}, "x_min = nan");
  refused({1, 2}, {.least_tail = 1}, "least_tail = 1");
}

TEST_CASE("stable and effective rank") {
  CHECK(stable_rank(Numbers(7, 3.0)) == doctest::Approx(7));
  CHECK(effective_rank(Numbers(7, 3.0)) == doctest::Approx(7));
  CHECK(stable_rank({2, 0, 0}) == 1);
  CHECK(effective_rank({2, 0, 0}) == 1);
  CHECK(stable_rank({1, 2, 2}) == doctest::Approx(2.25));
  CHECK(effective_rank({3, 1}) == doctest::Approx(std::exp(-0.75 * std::log(0.75) - 0.25 * std::log(0.25))));
  for (const double scale : {1e-320, 1e300}) CHECK(stable_rank({scale, scale}) == doctest::Approx(2));
  for (const Numbers& none : {Numbers{}, Numbers{0, 0}}) {
    CHECK(stable_rank(none) == 0);
    CHECK(effective_rank(none) == 0);
  }
  for (const double bad : {not_a_number, infinity}) {
    CHECK(std::isnan(stable_rank({1, bad})));
    CHECK(std::isnan(effective_rank({1, bad})));
    CHECK(std::isnan(hill_alpha(Numbers{1, bad})));
  }
  CHECK(contains(message_of([] { (void)stable_rank({1, -1}); }), "schatten::stable_rank: singular_values = -1"));
  CHECK(contains(message_of([] { (void)effective_rank({-1}); }), "schatten::effective_rank: singular_values = -1"));
  CHECK(contains(message_of([] { (void)hill_alpha(Numbers{1, -1}); }), "schatten::hill_alpha: singular_values = -1"));
  CHECK(contains(message_of([] { (void)hill_alpha(Numbers{1}); }), "schatten::hill_alpha: singular_values.size() = 1"));
}

TEST_CASE("a spectral density counts every value once and integrates to one") {
  const Numbers values = pareto(1000, 2.2, 0.01, 7);
  const SpectralDensity esd = spectral_density(values, {.bins = 20});
  REQUIRE(esd.edges.size() == 21);
  CHECK(esd.edges.front() == *std::min_element(values.begin(), values.end()));
  CHECK(esd.edges.back() == *std::max_element(values.begin(), values.end()));
  double integral = 0;
  std::size_t count = esd.below + esd.above;
  for (std::size_t k = 0; k < 20; ++k) {
    integral += esd.density[k] * (esd.edges[k + 1] - esd.edges[k]);
    count += esd.counts[k];
    CHECK(esd.edges[k + 1] / esd.edges[k] == doctest::Approx(esd.edges[1] / esd.edges[0]));
    const auto inside = std::count_if(values.begin(), values.end(),
                                      [&](double x) { return x >= esd.edges[k] && (x < esd.edges[k + 1] || k == 19); });
    CHECK(esd.counts[k] == std::size_t(inside));
  }
  CHECK(count == 1000);
  CHECK(integral == doctest::Approx(1));

  const SpectralDensity window = spectral_density({0, 1, 2, 3, 50}, {.bins = 2, .lowest = 1, .highest = 4});
  CHECK(window.edges[1] == doctest::Approx(2));
  CHECK(window.counts == std::vector<std::size_t>{1, 2});
  CHECK(window.below == 1);
  CHECK(window.above == 1);
  CHECK(window.density[1] == doctest::Approx(0.2));

  const SpectralDensity flat = spectral_density({3, 3, 3 * (1 + 1e-15)}, {.bins = 4});
  CHECK(flat.edges.front() < 3);
  CHECK(flat.edges.back() > 3);
  CHECK(flat.counts[1] + flat.counts[2] == 3);
  CHECK(spectral_density({5, 6}, {.bins = 3, .lowest = 10}).below == 2);
  CHECK(spectral_density({5, 6}, {.bins = 3, .highest = 2}).above == 2);
  for (const Numbers& none : {Numbers{}, Numbers{0, 0}}) {
    const SpectralDensity empty = spectral_density(none);
    CHECK(empty.edges.empty());
    CHECK(empty.below == none.size());
  }
  const auto refused = [](const Numbers& x, const SpectralDensityOptions& options, const std::string& text) {
    CHECK(contains(message_of([&] { (void)spectral_density(x, options); }), "schatten::spectral_density: " + text));
  };
  refused({1, not_a_number}, {}, "values = not finite");
  refused({1, infinity}, {}, "values = not finite");
  refused({1, -1}, {}, "values = -1");
  refused({1, 2}, {.bins = 0}, "bins = 0");
  refused({1, 2}, {.lowest = -1}, "lowest = -1");
  refused({1, 2}, {.lowest = 3, .highest = 2}, "highest = 2");
}

TEST_CASE("a summary has the norms, ranks and exponents of the single functions") {
  const Kokkos::DefaultHostExecutionSpace exec;
  const Numbers sigma = power_spectrum(24, 0.8);
  const HostMatrix w = matrix_of(sigma);
  const SpectralSummary s = spectral_summary<Portable>(exec, w);
  const Numbers computed = weight_singular_values<Portable>(exec, w);
  const Numbers lambda = weight_eigenvalues<Portable>(exec, w);
  for (std::size_t k = 0; k < sigma.size(); ++k) {
    CHECK(computed[k] == doctest::Approx(sigma[k]).epsilon(1e-12));
    CHECK(lambda[k] == computed[k] * computed[k]);
  }
  CHECK(s.frobenius_norm == doctest::Approx(schatten_norm<Portable>(exec, w, 2)));
  CHECK(s.spectral_norm == doctest::Approx(1));
  CHECK(s.nuclear_norm == doctest::Approx(schatten_norm<Portable>(exec, w, 1)));
  CHECK(s.stable_rank == doctest::Approx(stable_rank<Portable>(exec, w)));
  CHECK(s.effective_rank == doctest::Approx(effective_rank<Portable>(exec, w)));
  CHECK(s.hill_alpha == doctest::Approx(hill_alpha<Portable>(exec, w)));
  CHECK(s.power_law.alpha == doctest::Approx(fit_power_law<Portable>(exec, w).alpha));
  CHECK(s.power_law.x_min == doctest::Approx(fit_power_law(lambda).x_min));

  const SpectralSummary zero = spectral_summary<Portable>(exec, HostMatrix("w", 4, 3));
  CHECK(zero.frobenius_norm == 0);
  CHECK(zero.effective_rank == 0);
  CHECK(std::isnan(zero.hill_alpha));
  CHECK(std::isnan(zero.power_law.alpha));
  CHECK(spectral_summary<Portable>(exec, HostMatrix("w", 0, 3)).spectral_norm == 0);
  CHECK(spectral_summary({2}).nuclear_norm == 2);
  CHECK(std::isnan(spectral_summary({2}).hill_alpha));
  const HostMatrix bad("w", 4, 3);
  bad(2, 1) = not_a_number;
  const SpectralSummary none = spectral_summary<Portable>(exec, bad);
  CHECK(std::isnan(none.frobenius_norm));
  CHECK(std::isnan(none.stable_rank));
  CHECK(std::isnan(none.hill_alpha));
  CHECK(std::isnan(none.power_law.alpha));
  CHECK(contains(message_of([] {
                   (void)spectral_summary({1, -2});
                 }),
                 "schatten::spectral_summary: singular_values = -2"));
}

TEST_CASE("a monitor writes a table and a picture every k steps") {
  const Kokkos::DefaultHostExecutionSpace exec;
  const TemporaryFolder folder;
  const std::string path = folder.file("run");
  const HostMatrix w = matrix_of(power_spectrum(16, 0.5)), v("v", 3, 2);
  const std::map<std::string, HostMatrix> weights{{"mlp, \"up\" <0>", w}, {"zero", v}};
  SpectralMonitor monitor(path, {.every = 5, .bins = 8});
  std::size_t measured = 0;
  for (std::size_t step = 0; step <= 12; ++step) {
    if (step == 10) v(0, 0) = not_a_number;
    measured += monitor.operator()<Portable>(exec, step, weights) ? 1 : 0;
  }
  CHECK(measured == 3);
  REQUIRE(monitor.records().size() == 6);
  CHECK(monitor.records()[4].step == 10);
  CHECK(monitor.records()[0].summary.spectral_norm == doctest::Approx(1));
  CHECK(folder.files() == 2);
  const std::string table = contents_of(path + ".csv"), picture = contents_of(path + ".svg");
  CHECK(table == monitor.table());
  CHECK(std::count(table.begin(), table.end(), '\n') == 7);
  CHECK(contains(table, "step,weight,frobenius_norm"));
  CHECK(contains(table, "\n5,\"mlp, \"\"up\"\" <0>\","));
  CHECK(contains(table, "\n5,zero,0,0,0,0,0,nan,nan,nan,nan,0,nan\n"));
  CHECK(contains(table, "\n10,zero,nan,nan,nan,nan,nan,nan,nan,nan,nan,0,nan\n"));
  CHECK(picture == monitor.picture());
  CHECK(contains(picture, "mlp, \"up\" &lt;0&gt;"));
  CHECK(!contains(picture, "nan"));
  CHECK(picture.rfind("</svg>\n") == picture.size() - 7);

  SpectralMonitor again(path);  // files begin anew
  again.measure<Portable>(exec, 3, "w", w);
  again.write();
  CHECK(std::count_if(table.begin(), table.end(), [](char c) { return c == '\n'; }) == 7);
  CHECK(contents_of(path + ".csv") == again.table());
}

TEST_CASE("a monitor's errors name the file or the argument") {
  const Kokkos::DefaultHostExecutionSpace exec;
  const TemporaryFolder folder;
  const std::string path = folder.file("no/such/folder/run");
  const std::vector<std::pair<std::string, HostMatrix>> weights{{"w", matrix_of({1, 0.5, 0.25})}};
  SpectralMonitor monitor(path);
  const auto measure = [&] { monitor.operator()<Portable>(exec, 0, weights); };
  const std::string message = message_of<std::system_error>(measure);
  CHECK(contains(message, "schatten::SpectralMonitor: " + path + ".csv: cannot be written: No such file"));
  CHECK(monitor.records().size() == 1);
  std::filesystem::create_directories(folder.file("no/such/folder"));
  monitor.write();
  CHECK(contents_of(path + ".csv") == monitor.table());
  CHECK(contains(message_of([&] { monitor.measure<Portable>(exec, 0, "", weights[0].second); }),
                 "schatten::SpectralMonitor::measure: name = "));
  CHECK(contains(message_of([] { SpectralMonitor(""); }), "schatten::SpectralMonitor: path = "));
  CHECK(contains(message_of([] { SpectralMonitor("x", {.every = 0}); }), "schatten::SpectralMonitor: every = 0"));
  CHECK(contains(message_of([] { SpectralMonitor("x", {.bins = 0}); }), "schatten::SpectralMonitor: bins = 0"));
  CHECK(contains(message_of([] { SpectralMonitor("x", {.power_law = {.x_min = -1}}); }),
                 "schatten::SpectralMonitor: x_min = -1"));
}
