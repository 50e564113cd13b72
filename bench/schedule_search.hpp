// SPDX-License-Identifier: BSD-3-Clause
// Search for quintic schedules: the coefficients whose iterates approximate σ^p best, for several p at once.
#pragma once

#include <schatten/spectral/quintic.hpp>

#include <Eigen/Dense>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <random>
#include <vector>

namespace schedule_search {

using Array = Eigen::ArrayXd;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using schatten::spectral::Quintic;

/// A power that the schedule must serve, and how much larger its error may be.
struct Target {
  double power, allowance;
};

struct Problem {
  Array sigma;  ///< points of [lowest, 1]
  std::vector<Target> targets;
  double ridge;  ///< weight of |w|² against squared relative errors: holds cancellation down
};

/// The estimate of σ₁ may be too small: the iterates must not run away up to here, though the error may be larger.
inline constexpr double upper_end = 1.02, beyond_allowance = 20;

/// Half of the points log-spaced in [lowest, 1], half spaced as cosines in [max(lowest, 0.02), 1], a few in (1, upper].
inline Array search_points(double lowest, Eigen::Index count, double upper = upper_end) {
  const Eigen::Index half = count / 2, beyond = upper > 1 ? count / 20 : 0;
  Array points(2 * half + beyond);
  const double low = std::max(lowest, 0.02);
  for (Eigen::Index i = 0; i < half; ++i) {
    const double place = double(i) / double(half - 1);
    points(i) = std::exp(std::log(lowest) * (1 - place));
    points(half + i) = low + (1 - low) * std::sin(0.5 * std::numbers::pi * place);
  }
  for (Eigen::Index i = 0; i < beyond; ++i) points(2 * half + i) = 1 + (upper - 1) * double(i + 1) / double(beyond);
  std::sort(points.begin(), points.end());
  return points;
}

/// Quintics and, for each power, the weights of x_0..x_K, of x_K A_k, of x_K A_k².
struct Candidate {
  std::vector<Quintic> steps;
  Matrix weights;  ///< (3K + 1) × powers
  double objective = HUGE_VAL;
};

class Search {
 public:
  explicit Search(Problem problem) : problem_(std::move(problem)) {
    const Array weight = (problem_.sigma > 1).select(Array::Constant(problem_.sigma.size(), 1 / beyond_allowance), 1);
    for (const Target& target : problem_.targets) {
      relative_.push_back(weight * problem_.sigma.pow(-target.power) / target.allowance);
      wanted_.emplace_back(weight / target.allowance);
    }
  }

  /// Weights by least squares for the given quintics.
  void fit_weights(Candidate& c) const {
    regauge(c);
    const Matrix basis = basis_of(iterates(c.steps), c.steps.size());
    c.weights.resize(basis.cols(), Eigen::Index(problem_.targets.size()));
    for (std::size_t t = 0; t < problem_.targets.size(); ++t) {
      Matrix rows(basis.rows() + basis.cols(), basis.cols());
      rows << Matrix(relative_[t].matrix().asDiagonal() * basis),
          Matrix::Identity(basis.cols(), basis.cols()) * ridge_root(double(basis.rows()), t);
      Vector rhs = Vector::Zero(rows.rows());
      rhs.head(basis.rows()) = wanted_[t].matrix();
      c.weights.col(Eigen::Index(t)) = Eigen::HouseholderQR<Matrix>(rows).solve(rhs);
    }
  }

  /// Newton's method on the sum of |relative error|^q over points and powers, weights eliminated, damped.
  void minimize(Candidate& c, double q, int iterations) const {
    double damping = 1e-3;
    c.objective = objective(c, q);
    if (!std::isfinite(c.objective)) return;
    for (int iteration = 0; iteration < iterations; ++iteration) {
      const Linearization model = linearize(c, q);
      bool improved = false;
      const double before = c.objective;
      for (int attempt = 0; attempt < 8 && !improved; ++attempt) {
        Candidate trial = step(c, model, damping, std::pow(0.6, attempt));
        trial.objective = objective(trial, q);
        improved = trial.objective < c.objective;
        if (improved) {
          c = std::move(trial);
          damping = std::max(damping / 5, 1e-12);
        } else {
          damping *= 6;
        }
      }
      regauge(c);
      if (!improved || before - c.objective < 1e-7 * before) return;
    }
  }

  /// Largest relative error over points and powers, each divided by its allowance.
  [[nodiscard]] double largest_error(const Candidate& c) const {
    double worst = 0;
    for (std::size_t t = 0; t < problem_.targets.size(); ++t) worst = std::max(worst, residual(c, t).abs().maxCoeff());
    return worst;
  }

 private:
  using Iterates = std::vector<Array>;
  /// What the weights' elimination leaves of the Newton equations: RᵀR of the quintics, and how the weights follow.
  struct Linearization {
    Matrix normal;
    Vector gradient;
    std::vector<Matrix> follow;  ///< per power: δw = constant − matrix·δθ, last column the constant
  };

  /// Where a larger error is allowed, larger weights are as well.
  [[nodiscard]] double ridge_of(std::size_t t) const {
    return problem_.ridge / std::pow(problem_.targets[t].allowance, 4);
  }
  [[nodiscard]] double ridge_root(double points, std::size_t t) const { return std::sqrt(ridge_of(t) * points); }

  [[nodiscard]] Iterates iterates(const std::vector<Quintic>& steps) const {
    Iterates x{problem_.sigma};
    for (const Quintic& q : steps) {
      const Array square = x.back().square();
      x.emplace_back(x.back() * (q.a + square * (q.b + square * q.c)));
    }
    return x;
  }

  static Matrix basis_of(const Iterates& x, std::size_t k) {
    Matrix basis(x[0].size(), Eigen::Index(3 * k + 1));
    for (std::size_t i = 0; i <= k; ++i) basis.col(Eigen::Index(i)) = x[i];
    for (std::size_t i = 0; i < k; ++i) {
      const Array square = x[i].square();
      basis.col(Eigen::Index(k + 1 + i)) = x[k] * square;
      basis.col(Eigen::Index(2 * k + 1 + i)) = x[k] * square.square();
    }
    return basis;
  }

  [[nodiscard]] Array residual(const Candidate& c, std::size_t t) const {
    const Matrix basis = basis_of(iterates(c.steps), c.steps.size());
    return relative_[t] * (basis * c.weights.col(Eigen::Index(t))).array() - wanted_[t];
  }

  /// (Σ|r|^q/N)^{1/q}, with the ridge.
  [[nodiscard]] double objective(const Candidate& c, double q) const {
    const Matrix basis = basis_of(iterates(c.steps), c.steps.size());
    double sum = 0, largest = 0;
    std::vector<Array> errors;
    for (std::size_t t = 0; t < problem_.targets.size(); ++t) {
      errors.emplace_back((relative_[t] * (basis * c.weights.col(Eigen::Index(t))).array() - wanted_[t]).abs());
      if (!errors.back().allFinite()) return HUGE_VAL;
      largest = std::max(largest, errors.back().maxCoeff());
    }
    for (const Array& error : errors) sum += (error / largest).pow(q).sum();
    const double mean = largest * std::pow(sum / double(basis.rows() * Eigen::Index(errors.size())), 1 / q);
    double penalty = 0;
    for (std::size_t t = 0; t < errors.size(); ++t)
      penalty += ridge_of(t) * c.weights.col(Eigen::Index(t)).squaredNorm();
    return std::sqrt(mean * mean + penalty / double(errors.size()));
  }

  [[nodiscard]] Linearization linearize(const Candidate& c, double q) const {
    const std::size_t k = c.steps.size();
    const Iterates x = iterates(c.steps);
    const Matrix basis = basis_of(x, k);
    const Eigen::Index points = basis.rows(), terms = basis.cols(), unknowns = Eigen::Index(3 * k);
    Linearization model{Matrix::Zero(unknowns, unknowns), Vector::Zero(unknowns), {}};
    std::vector<Array> residuals;
    double largest = 0;
    for (std::size_t t = 0; t < problem_.targets.size(); ++t) {
      residuals.emplace_back(relative_[t] * (basis * c.weights.col(Eigen::Index(t))).array() - wanted_[t]);
      largest = std::max(largest, residuals.back().abs().maxCoeff());
    }
    double total = 0;  // importance with mean 1 keeps the ridge in proportion
    std::vector<Array> importance;
    for (const Array& r : residuals) {
      importance.emplace_back((r.abs() / largest).max(1e-3).pow(q - 2));
      total += importance.back().sum();
    }
    for (std::size_t t = 0; t < residuals.size(); ++t) {
      const Array root = (importance[t] * (double(points * Eigen::Index(residuals.size())) / total)).sqrt();
      Matrix all(points + terms, terms + unknowns + 1);
      all.setZero();
      all.topLeftCorner(points, terms) = (root * relative_[t]).matrix().asDiagonal() * basis;
      all.block(0, terms, points, unknowns) =
          (root * relative_[t]).matrix().asDiagonal() * derivative(c, x, c.weights.col(Eigen::Index(t)));
      all.topRightCorner(points, 1) = (root * residuals[t]).matrix() / (q - 1);
      const double ridge = ridge_root(double(points), t);
      for (Eigen::Index j = 0; j < terms; ++j) {
        all(points + j, j) = ridge;
        all(points + j, terms + unknowns) = ridge * c.weights(j, Eigen::Index(t));
      }
      const Eigen::HouseholderQR<Matrix> qr(all.leftCols(terms));
      Matrix rest = all.rightCols(unknowns + 1);
      rest.applyOnTheLeft(qr.householderQ().transpose());
      model.follow.emplace_back(qr.matrixQR().topRows(terms).triangularView<Eigen::Upper>().solve(rest.topRows(terms)));
      const auto below = rest.bottomRows(points);
      const Matrix jacobian = below.leftCols(unknowns);
      model.normal.noalias() += jacobian.transpose() * jacobian;
      model.gradient.noalias() += jacobian.transpose() * below.col(unknowns);
    }
    return model;
  }

  /// d(output)/d(a_k, b_k, c_k) at every point, backwards through the recurrence.
  static Matrix derivative(const Candidate& c, const Iterates& x, const Vector& w) {
    const std::size_t k = c.steps.size();
    Matrix result(x[0].size(), Eigen::Index(3 * k));
    Array bracket = Array::Zero(x[0].size());
    const auto v = [&](std::size_t i) { return w(Eigen::Index(k + 1 + i)); };
    const auto u = [&](std::size_t i) { return w(Eigen::Index(2 * k + 1 + i)); };
    for (std::size_t i = 0; i < k; ++i) bracket += x[i].square() * (v(i) + u(i) * x[i].square());
    Array adjoint = w(Eigen::Index(k)) + bracket;  // of x_{i+1}
    for (std::size_t i = k; i-- > 0;) {
      const Array square = x[i].square();
      result.col(Eigen::Index(3 * i)) = adjoint * x[i];
      result.col(Eigen::Index(3 * i + 1)) = adjoint * x[i] * square;
      result.col(Eigen::Index(3 * i + 2)) = adjoint * x[i] * square.square();
      const Quintic& q = c.steps[i];
      adjoint = adjoint * (q.a + square * (3 * q.b + square * (5 * q.c))) + w(Eigen::Index(i)) +
                x[k] * x[i] * (2 * v(i) + 4 * u(i) * square);
    }
    return result;
  }

  [[nodiscard]] static Candidate step(const Candidate& c, const Linearization& model, double damping, double fraction) {
    Matrix normal = model.normal;
    normal.diagonal() +=
        (damping * model.normal.diagonal().array() + 1e-14 * model.normal.diagonal().maxCoeff()).matrix();
    const Vector delta = -fraction * normal.ldlt().solve(model.gradient);
    Candidate trial = c;
    for (std::size_t i = 0; i < c.steps.size(); ++i) {
      trial.steps[i].a += delta(Eigen::Index(3 * i));
      trial.steps[i].b += delta(Eigen::Index(3 * i + 1));
      trial.steps[i].c += delta(Eigen::Index(3 * i + 2));
    }
    for (std::size_t t = 0; t < model.follow.size(); ++t) {
      trial.weights.col(Eigen::Index(t)) -=
          model.follow[t].leftCols(delta.size()) * delta + fraction * model.follow[t].rightCols(1);
    }
    return trial;
  }

  /// Scales every iterate to max |x_k| = 1 with a_k > 0; the span, and so the approximant, stays.
  void regauge(Candidate& c) const {
    const std::size_t k = c.steps.size();
    Array x = problem_.sigma;
    std::vector<double> scale{1.0};
    for (Quintic& q : c.steps) {
      const double s = scale.back();  // x_new = x_old / s
      const Array square = x.square();
      Quintic g{q.a * s, q.b * s * s * s, q.c * s * s * s * s * s};
      const Array next = x * (g.a + square * (g.b + square * g.c));
      double largest = next.abs().maxCoeff();
      if (!(largest > 0) || !std::isfinite(largest)) largest = 1;
      if (g.a < 0) largest = -largest;
      q = {g.a / largest, g.b / largest, g.c / largest};
      x = next / largest;
      scale.push_back(largest);
    }
    if (c.weights.size() == 0) return;
    for (std::size_t i = 0; i <= k; ++i) c.weights.row(Eigen::Index(i)) *= scale[i];
    for (std::size_t i = 0; i < k; ++i) {
      const double square = scale[i] * scale[i];
      c.weights.row(Eigen::Index(k + 1 + i)) *= scale[k] * square;
      c.weights.row(Eigen::Index(2 * k + 1 + i)) *= scale[k] * square * square;
    }
  }

  Problem problem_;
  std::vector<Array> relative_, wanted_;
};

/// What a search does. Equal settings give equal schedules on one machine. The rounding of other compilers may lead to
/// other schedules.
struct Settings {
  double lowest = 1e-2;             ///< the fit's interval is [lowest, 1]
  std::size_t steps = 4;            ///< K
  unsigned seed = 1;                ///< of starts and perturbations
  int starts = 60;                  ///< random starts
  int hops = 40;                    ///< perturbations of the best schedule so far
  double seconds = HUGE_VAL;        ///< no new start or hop after this time
  std::vector<Quintic> start = {};  ///< in place of random starts
};

/// The powers that shipped schedules are tuned for. Powers between come out as well; negative ones are rarely used.
inline const std::vector<Target> shipped_targets{{-0.25, 3}, {0, 1}, {0.125, 1}, {0.25, 1}, {0.5, 1}};

namespace detail {

/// In [low, high); by hand: std::uniform_real_distribution differs between standard libraries.
inline double uniform(std::mt19937_64& generator, double low, double high) {
  return low + (high - low) * double(generator() >> 11) * 0x1p-53;
}

/// Quintics that fold [0, 1] once, about onto itself.
inline Candidate random_start(std::size_t steps, std::mt19937_64& generator) {
  Candidate c;
  for (std::size_t k = 0; k < steps; ++k) {
    const double a = uniform(generator, 2.8, 4.0), b = -a * uniform(generator, 1.45, 2.2);
    c.steps.push_back({a, b, uniform(generator, 0.3, 1.0) - a - b});
  }
  return c;
}

/// A neighbour: every coefficient a little different, or one quintic replaced or two exchanged.
inline Candidate neighbour(Candidate c, int hop, std::mt19937_64& generator) {
  const auto any = [&] { return std::size_t(uniform(generator, 0, double(c.steps.size()))); };
  if (hop % 4 == 1) {
    c.steps[any()] = random_start(1, generator).steps[0];
  } else if (hop % 4 == 3) {
    const std::size_t i = any(), j = any();
    std::swap(c.steps[i], c.steps[j]);
  } else {
    const double size = 0.02 * std::pow(2.0, hop / 2 % 5);
    for (Quintic& q : c.steps) {
      for (double* const x : {&q.a, &q.b, &q.c}) *x *= 1 + uniform(generator, -size, size);
    }
  }
  return c;
}

}  // namespace detail

/// The best schedule of a search. Random starts in least squares come first, with the interval growing down to
/// `lowest`. The best few continue in the mean of 8th powers, then neighbours of the best, then powers 16 to 128, close
/// to the maximum norm. A ridge that shrinks from stage to stage leads to schedules with small weights.
inline Candidate find_schedule(const Settings& settings, const std::vector<Target>& targets = shipped_targets) {
  const auto begin = std::chrono::steady_clock::now();
  const auto in_time = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < settings.seconds;
  };
  std::mt19937_64 generator(settings.seed);
  const auto points = Eigen::Index(50 * settings.steps * settings.steps);
  std::vector<Target> some;  // every second power and half of the points serve to screen
  for (std::size_t t = 0; t < targets.size(); t += 2) some.push_back(targets[t]);
  const auto search_on = [&](double lowest, bool all, double ridge) {
    return Search({search_points(lowest, all ? points : points / 2), all ? targets : some, ridge});
  };
  const auto keep = [](std::vector<Candidate>& best, Candidate c, std::size_t count) {
    best.push_back(std::move(c));
    std::sort(best.begin(), best.end(), [](const auto& a, const auto& b) { return a.objective < b.objective; });
    if (best.size() > count) best.pop_back();
  };
  std::vector<Candidate> screened, polished;
  if (!settings.start.empty()) {
    Candidate c{settings.start, {}, HUGE_VAL};
    for (const double beyond :
         {0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0}) {  // a given start may run away above 1
      const double upper = 1 + beyond * (upper_end - 1);
      const Search search({search_points(settings.lowest, points, upper), targets, 5e-7});
      search.fit_weights(c);
      search.minimize(c, 2, 25);
    }
    screened.push_back(std::move(c));
  }
  for (int start = 0; screened.empty() || (settings.start.empty() && start < settings.starts && in_time()); ++start) {
    Candidate c = detail::random_start(settings.steps, generator);
    double lowest = std::max(settings.lowest, 0.02);
    for (bool last = false; !last; lowest = std::max(settings.lowest, 0.5 * lowest)) {
      last = lowest <= settings.lowest;
      const Search search = search_on(lowest, false, 3e-5);
      search.fit_weights(c);
      search.minimize(c, 2, 25);
    }
    keep(screened, std::move(c), 8);
  }
  const Search search = search_on(settings.lowest, true, 5e-7), last = search_on(settings.lowest, true, 3e-8),
               screen = search_on(settings.lowest, false, 5e-7);
  for (Candidate& c : screened) {
    search.fit_weights(c);
    for (const double q : {2.0, 4.0, 8.0}) search.minimize(c, q, 40);
    keep(polished, std::move(c), 2);
  }
  for (int hop = 0; hop < settings.hops && in_time(); ++hop) {
    Candidate c = detail::neighbour(polished[0], hop, generator);
    screen.fit_weights(c);
    screen.minimize(c, 2, 30);
    if (c.objective > 0.8 * polished[0].objective) continue;  // the mean square lies below the mean of 8th powers
    search.fit_weights(c);
    for (const double q : {4.0, 8.0}) search.minimize(c, q, 30);
    keep(polished, std::move(c), 2);
  }
  for (const double q : {8.0, 16.0, 32.0, 64.0, 128.0}) last.minimize(polished[0], q, 80);
  return polished[0];
}

}  // namespace schedule_search
