// SPDX-License-Identifier: BSD-3-Clause
// p = 0: the exact methods give orthonormal columns, Muon's quintics what their scalar model says.
// labels: accuracy

#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/spectral_power.hpp>

#include <array>
#include <limits>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

const std::vector<spectral::Quintic> muon(spectral::muon_steps, spectral::muon_quintic);

/// Muon on one singular value, σ / ‖M‖_F.
double model(double x) {
  for (int step = 0; step < 5; ++step) x = 3.4445 * x - 4.7750 * std::pow(x, 3) + 2.0315 * std::pow(x, 5);
  return x;
}

/// UΣ^0Vᵀ of `known`, the second matrix of a batch.
template <class C>
Matrix applied(const KnownMatrix& known, const SpectralPowerOptions& options) {
  using T = typename C::Scalar;
  const typename C::Exec exec;
  const Batch<T, Storage::right> m(2, options.rows, options.cols), out(2, options.rows, options.cols);
  for (std::size_t b = 0; b < 2; ++b) assign(m.matrix(b), known.matrix());
  SpectralPower<T, typename C::Exec, typename C::Backend> power(options);
  power.apply(exec, m.view(), out.view());
  exec.fence();
  return to_matrix(out.matrix(1));
}

}  // namespace

TEST_CASE_TEMPLATE("the exact methods orthogonalise: UᵀU = I", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{40, 24}, {24, 40}, {32, 32}, {1, 7}, {7, 1}}) {
    const std::size_t n = std::min(rows, cols);
    for (const double lowest : {1.0, 1e-1, 1e-2}) {
      const KnownMatrix known = known_matrix(rows, cols, singular_values_of(Spectrum::geometric, n, lowest), 4);
      for (const SpectralMethod method : {SpectralMethod::svd, SpectralMethod::eigh}) {
        CAPTURE(to_string(method));
        CAPTURE(lowest);
        const SpectralPowerOptions options{
            .rows = rows, .cols = cols, .power = 0, .resolution = lowest, .method = method};
        const Matrix out = applied<C>(known, options);
        const Matrix q = rows >= cols ? out : Matrix(out.transpose());
        // The columns inherit each singular value's error, twice, and the rounding of the product.
        const double promise = SpectralPower<T, typename C::Exec, typename C::Backend>(options).error_bound();
        CHECK(orthogonality_error(q) <= 2 * promise + 8 * epsilon<T> * std::sqrt(double(rows + cols)));
        if (method == SpectralMethod::svd) {
          CHECK(orthogonality_error(q) <= 8 * epsilon<T> * std::sqrt(double(rows + cols)));
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("Muon's quintics agree with their scalar model in every direction", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  double worst = 0;
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{20, 20}, {50, 33}, {33, 50}}) {
    const std::size_t n = std::min(rows, cols);
    for (const Spectrum spectrum : all_spectra) {
      for (const double lowest : {1e-1, 1e-3}) {
        const KnownMatrix known = known_matrix(rows, cols, singular_values_of(spectrum, n, lowest), 5);
        const Matrix out = applied<C>(known, {.rows = rows,
                                              .cols = cols,
                                              .power = 0,
                                              .resolution = lowest,
                                              .tolerance = 2,
                                              .method = SpectralMethod::quintic,
                                              .format = Format::scalar});
        const Matrix image = out * known.v;
        const double norm = known.sigma.norm();
        for (Eigen::Index k = 0; k < known.sigma.size(); ++k) {
          const double wanted = model(known.sigma(k) / norm);
          CAPTURE(to_string(spectrum));
          CAPTURE(known.sigma(k));
          CHECK(std::abs(known.u.col(k).dot(image.col(k)) - wanted) <= spectral::quintic_rounding_error<T>());
          CHECK(std::abs(image.col(k).norm() - std::abs(wanted)) <= spectral::quintic_rounding_error<T>());
          worst = std::max(worst, std::abs(image.col(k).norm() - std::abs(wanted)) / epsilon<T>);
        }
      }
    }
  }
  MESSAGE("worst rounding " << worst << " ε, promised " << spectral::quintic_rounding_error<T>() / epsilon<T> << " ε");
}

TEST_CASE("quintic_error bounds the model's error, closely") {
  for (const double resolution : {1.0, 0.3, 1e-1, 1e-2, 1e-3, 1e-4}) {
    for (const std::size_t rank : {1U, 16U, 1024U}) {
      CAPTURE(resolution);
      CAPTURE(rank);
      const double lowest = std::log(resolution / std::sqrt(double(rank)));
      double measured = 0;
      for (int k = 0; k <= 1000003; ++k) {
        measured = std::max(measured, std::abs(model(std::exp(lowest * k / 1000003.0)) - 1));
      }
      const double promised = spectral::quintic_error(muon, resolution, rank);
      CHECK(promised >= measured * (1 - 1e-14));  // both round
      CHECK(promised <= measured * 1.01);
    }
  }
}

TEST_CASE("quintic_error holds for the matrices that a plan is applied to") {
  using C = Case<float, SerialExec, EigenBackend>;
  for (const double lowest : {0.1, 0.01}) {
    for (const Spectrum spectrum : all_spectra) {
      const SpectralPowerOptions options{
          .rows = 48, .cols = 40, .power = 0, .resolution = lowest, .tolerance = 1, .method = SpectralMethod::quintic};
      const KnownMatrix known = known_matrix(48, 40, singular_values_of(spectrum, 40, lowest * 1.0001), 6);
      const double bound = SpectralPower<float, SerialExec>(options).error_bound();
      for (const DirectionError& error : direction_errors(known, 0, applied<C>(known, options))) {
        CHECK(error.worst() <= bound);
      }
    }
  }
}

namespace {

/// The published iterations on a matrix in double, M/(factor‖M‖_F) at first; the papers' numbers, typed once more.
struct Published {
  QuinticSchedule schedule;
  double factor;
  std::vector<std::array<double, 3>> steps;
  std::size_t quintic_steps = 0;  // the option
  double norm_epsilon = 0;
  [[nodiscard]] Matrix operator()(const Matrix& m) const {
    if (m.rows() < m.cols()) return (*this)(m.transpose()).transpose();
    Matrix x = m / (factor * (m.norm() + norm_epsilon));
    for (const auto& [a, b, c] : steps) {
      const Matrix gram = x.transpose() * x;
      x = (a * x + x * (b * gram + c * gram * gram)).eval();
    }
    return x;
  }
  [[nodiscard]] double operator()(double x) const {
    x /= factor;
    for (const auto& [a, b, c] : steps) x = a * x + b * std::pow(x, 3) + c * std::pow(x, 5);
    return x;
  }
};

std::vector<Published> published() {
  // Polar Express, five steps: "a / 1.01, b / 1.01**3, c / 1.01**5" for all but the eighth.
  std::vector<std::array<double, 3>> polar{{8.28721201814563, -23.595886519098837, 17.300387312530933},
                                           {4.107059111542203, -2.9478499167379106, 0.5448431082926601},
                                           {3.9486908534822946, -2.908902115962949, 0.5518191394370137},
                                           {3.3184196573706015, -2.488488024314874, 0.51004894012372},
                                           {2.300652019954817, -1.6689039845747493, 0.4188073119525673}};
  for (auto& [a, b, c] : polar) {
    a /= 1.01;
    b /= std::pow(1.01, 3);
    c /= std::pow(1.01, 5);
  }
  return {{QuinticSchedule::muon, 1, {5, {3.4445, -4.7750, 2.0315}}},
          {QuinticSchedule::polar_express, 1.01, polar},
          {QuinticSchedule::cans,
           1,
           {{8.4209013712, -24.9128909888, 18.4740032140},
            {4.1022015550, -3.0525350045, 0.5742015780},
            {3.6840917498, -2.7562047324, 0.5404450724},
            {2.7329545725, -2.0354830712, 0.4591024438}}},
          {QuinticSchedule::simple, 1, {12, {2, -1.5, 0.5}}},
          {QuinticSchedule::muon, 1, {6, {3.4445, -4.7750, 2.0315}}, 6},
          {QuinticSchedule::muon, 1, {10, {3.4445, -4.7750, 2.0315}}, 10},
          {QuinticSchedule::simple, 1, {16, {2, -1.5, 0.5}}, 16},
          {QuinticSchedule::polar_express, 1.01, {polar.begin(), polar.begin() + 3}, 3}};
}

}  // namespace

TEST_CASE_TEMPLATE("every schedule is the published iteration", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const Published& reference : published()) {
    const double rounding = spectral::quintic_rounding_error<T>(reference.schedule, reference.steps.size());
    double worst = 0;
    for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{20, 20}, {50, 33}, {33, 50}, {9, 2}}) {
      const std::size_t n = std::min(rows, cols);
      for (const Spectrum spectrum : all_spectra) {
        for (const double scale : {1.0, 1e-20}) {
          const KnownMatrix known = known_matrix(rows, cols, scale * singular_values_of(spectrum, n, 1e-3), 8);
          const Matrix out = applied<C>(known, {.rows = rows,
                                                .cols = cols,
                                                .power = 0,
                                                .tolerance = 2,
                                                .method = SpectralMethod::quintic,
                                                .format = Format::scalar,
                                                .schedule = reference.schedule,
                                                .quintic_steps = reference.quintic_steps});
          CAPTURE(to_string(reference.schedule));
          CAPTURE(to_string(spectrum));
          const Matrix image = (out - reference(known.matrix())) * known.v;
          for (Eigen::Index k = 0; k < known.sigma.size(); ++k) {
            worst = std::max(worst, image.col(k).norm());
            CHECK(image.col(k).norm() <= rounding);
          }
        }
      }
    }
    MESSAGE(to_string(reference.schedule) << ", " << reference.steps.size() << ": worst rounding "
                                          << worst / epsilon<T> << " ε, promised " << rounding / epsilon<T> << " ε");
  }
}

TEST_CASE("the bound of every schedule is its model's largest error, closely") {
  for (const Published& reference : published()) {
    for (const double resolution : {1.0, 1e-1, 1e-2, 1e-3}) {
      for (const std::size_t n : {1U, 32U, 512U}) {
        const SpectralPower<double, SerialExec> plan({.rows = 2 * n,
                                                      .cols = n,
                                                      .power = 0,
                                                      .resolution = resolution,
                                                      .tolerance = 2,
                                                      .method = SpectralMethod::quintic,
                                                      .schedule = reference.schedule,
                                                      .quintic_steps = reference.quintic_steps});
        const double lowest = std::log(resolution / std::sqrt(double(n)));
        double measured = 0;
        for (int k = 0; k <= 300007; ++k) {
          measured = std::max(measured, std::abs(reference(std::exp(lowest * k / 300007.0)) - 1));
        }
        CAPTURE(to_string(reference.schedule));
        CAPTURE(resolution);
        CAPTURE(n);
        CHECK(plan.error_bound() >= measured);
        CHECK(plan.error_bound() <= 1.01 * measured + 1e-3);
        CHECK(plan.options().schedule == reference.schedule);
      }
    }
  }
}

TEST_CASE("a schedule's products are counted, and one that does not exist is refused") {
  const auto flops = [](QuinticSchedule schedule) {
    return SpectralPower<float, SerialExec>({.rows = 64,
                                             .cols = 32,
                                             .power = 0,
                                             .tolerance = 2,
                                             .method = SpectralMethod::quintic,
                                             .schedule = schedule})
        .product_flops();
  };
  CHECK(flops(QuinticSchedule::polar_express) == flops(QuinticSchedule::muon));
  CHECK(flops(QuinticSchedule::cans) == 0.8 * flops(QuinticSchedule::muon));
  CHECK_THROWS_WITH_AS(flops(QuinticSchedule(7)),
                       "schatten::SpectralPower: schedule = QuinticSchedule(7), but it must be one of muon, "
                       "polar_express, cans, simple",
                       InvalidArgument);
}

TEST_CASE("a number of steps or an addition to the norm that a schedule cannot have is refused") {
  const auto plan = [](SpectralPowerOptions options) {
    options.rows = options.cols = 4;
    options.power = 0;
    options.tolerance = 2;
    options.method = SpectralMethod::quintic;
    return SpectralPower<double, SerialExec>(options);
  };
  CHECK_THROWS_WITH_AS(plan({.schedule = QuinticSchedule::cans, .quintic_steps = 5}),
                       "schatten::SpectralPower: quintic_steps = 5, but it must be at most 4 for the schedule cans",
                       InvalidArgument);
  CHECK_THROWS_AS(plan({.quintic_steps = 33}), InvalidArgument);
  CHECK_THROWS_AS(plan({.norm_epsilon = -1e-7}), InvalidArgument);
  CHECK_THROWS_AS(plan({.norm_epsilon = std::numeric_limits<double>::quiet_NaN()}), InvalidArgument);
  CHECK(plan({.quintic_steps = 10}).product_flops() == 2 * plan({}).product_flops());
}

TEST_CASE("what is added to the norm makes small matrices smaller, and the promise holds down to that norm") {
  const double added = 1e-7;
  const Published reference{QuinticSchedule::muon, 1, {5, {3.4445, -4.7750, 2.0315}}, 0, added};
  const KnownMatrix unit = known_matrix(12, 7, singular_values_of(Spectrum::harmonic, 7, 1e-1), 3);
  for (const double norm : {1e3, 1.0, 1e-7, 1e-9}) {
    const Matrix m = norm / unit.matrix().norm() * unit.matrix();
    const SpectralPowerOptions options{.rows = 12,
                                       .cols = 7,
                                       .power = 0,
                                       .resolution = 1e-1,
                                       .tolerance = 2,
                                       .method = SpectralMethod::quintic,
                                       .norm_epsilon = added};
    SpectralPower<double, SerialExec> plan(options);
    const auto in = to_view<double>(m), out = output_view<double>(12, 7);
    plan.apply(SerialExec(), in, out);
    CHECK((to_matrix(out) - reference(m)).norm() <= 1e-13);
    const Matrix image = to_matrix(out) * unit.v;
    for (Eigen::Index k = 0; k < 7 && norm >= added; ++k) {
      CHECK(std::abs(image.col(k).norm() - 1) <= plan.error_bound());
    }
  }
}

TEST_CASE("any sequence of odd quintics: X(15 − 10X² + 3X⁴)/8 converges to the polar factor") {
  const SerialExec exec;
  const std::vector<spectral::Quintic> newton(40, spectral::Quintic{15.0 / 8, -10.0 / 8, 3.0 / 8});
  const KnownMatrix known = known_matrix(30, 20, singular_values_of(Spectrum::harmonic, 20, 1e-3), 7);
  const auto m = to_view<double>(known.matrix()), out = output_view<double>(30, 20);
  Workspace<SerialExec::memory_space> workspace;
  spectral::quintic_iteration<double, EigenBackend>(exec, std::span<const spectral::Quintic>(newton),
                                                    as_const(as_batch<SerialExec>(m)), as_batch<SerialExec>(out),
                                                    workspace);
  CHECK(max_abs(to_matrix(out) - known.power(0)) <= 1e-11);
}

TEST_CASE("the promise at the smallest resolution that there is: nothing of such a direction arrives") {
  for (const std::size_t rank : {1U, 40U}) {
    const double error = spectral::quintic_error(muon, std::numeric_limits<double>::denorm_min(), rank);
    CHECK(error >= 0.99);
    CHECK(error <= 1.01);
  }
}
