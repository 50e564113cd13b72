// SPDX-License-Identifier: BSD-3-Clause
// Rules with Kronecker factors, beside plain loops and Eigen's decompositions.
// labels: portable

#include "support/rule_checks.hpp"
#include <schatten/core/stable_sort.hpp>
#include <schatten/optim/rules/cosmos.hpp>
#include <schatten/optim/rules/galore.hpp>
#include <schatten/optim/rules/soap.hpp>
#include <schatten/optim/rules/splus.hpp>

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

#include <algorithm>
#include <numeric>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

bool is_vector(const Matrix& w) { return w.rows() == 1 || w.cols() == 1; }

Matrix eigenvectors_of(const Matrix& a) { return Eigen::SelfAdjointEigenSolver<Matrix>(a).eigenvectors(); }

Matrix basis_of_columns(const Matrix& a) {
  return Eigen::HouseholderQR<Matrix>(a).householderQ() * Matrix::Identity(a.rows(), a.cols());
}

/// A side's average of outer products and its basis; without rotation where it is too long.
struct Side {
  Matrix factor, q;
  bool turns = true;
  void start(Eigen::Index n, bool its_turns) {
    turns = its_turns;
    factor = Matrix::Zero(turns ? n : 0, turns ? n : 0);
    q = Matrix::Identity(n, n);
  }
  void average(double beta, const Matrix& outer) {
    if (turns) factor = beta * factor + (1 - beta) * outer;
  }
  void decompose() {
    if (turns) q = eigenvectors_of(factor);
  }
  /// The order of the columns by qᵀ·factor·q, largest first, then a power iteration on them in that order.
  std::vector<Eigen::Index> iterate() {
    std::vector<Eigen::Index> order(std::size_t(q.cols()));
    std::iota(order.begin(), order.end(), 0);
    if (!turns) return order;
    const Eigen::VectorXd value = (q.transpose() * factor * q).diagonal();
    schatten::stable_sort(order, [&](Eigen::Index a, Eigen::Index b) { return value(a) > value(b); });
    q = basis_of_columns(factor * Matrix(q(Eigen::indexing::all, order)));
    return order;
  }
};

/// The momentum is kept in the weight's own basis, unlike the library's.
class SOAPReference {
 public:
  SOAPReference(const SOAP& rule, const Matrix& start) : o_(rule), m_(0 * start), v_(0 * start) {
    const bool vector = is_vector(start);
    left_.start(start.rows(), !vector && std::size_t(start.rows()) <= o_.max_side);
    right_.start(start.cols(), !vector && std::size_t(start.cols()) <= o_.max_side);
  }
  Matrix step(const Matrix& w, const Matrix& g) {
    if (++t_ == 1) {
      average(g);
      left_.decompose();
      right_.decompose();
      return w;
    }
    const int k = t_ - 1;
    const Matrix turned = left_.q.transpose() * g * right_.q;
    m_ = o_.beta1 * m_ + (1 - o_.beta1) * g;
    v_ = o_.beta2 * v_ + (1 - o_.beta2) * turned.cwiseProduct(turned);
    Matrix d = left_.q.transpose() * m_ * right_.q;
    for (Eigen::Index e = 0; e < d.size(); ++e) d(e) /= std::sqrt(v_(e)) + o_.epsilon;
    const double correction = std::sqrt(1 - std::pow(o_.beta2, k)) / (1 - std::pow(o_.beta1, k));
    const Matrix next = (1 - o_.lr * o_.weight_decay) * (w - o_.lr * correction * left_.q * d * right_.q.transpose());
    average(g);
    if (k % int(o_.interval) == 0) {
      const std::vector<Eigen::Index> rows = left_.iterate(), cols = right_.iterate();
      v_ = Matrix(v_(rows, cols));
    }
    return next;
  }

 private:
  void average(const Matrix& g) {
    left_.average(o_.shampoo_beta, g * g.transpose());
    right_.average(o_.shampoo_beta, g.transpose() * g);
  }
  SOAP o_;
  Matrix m_, v_;
  Side left_{}, right_{};
  int t_ = 0;
};

Matrix signs_of(const Matrix& a) {
  return a.unaryExpr([](double x) { return double(x > 0) - double(x < 0); });
}

class SPlusReference {
 public:
  SPlusReference(const SPlus& rule, const Matrix& start) : o_(rule), m_(0 * start) {
    vector_ = is_vector(start);
    left_.start(start.rows(), !vector_ && std::size_t(start.rows()) <= o_.max_side);
    right_.start(start.cols(), !vector_ && std::size_t(start.cols()) <= o_.max_side);
  }
  Matrix step(const Matrix& w, const Matrix& g) {
    ++t_;
    m_ = o_.beta1 * m_ + (1 - o_.beta1) * g;
    const bool standard = !vector_ && std::size_t(std::max(w.rows(), w.cols())) <= o_.max_side;
    const double a = o_.lr * (standard ? 2.0 / double(w.rows() + w.cols()) : o_.vector_rate);
    const Matrix next = w - a * left_.q * signs_of(left_.q.transpose() * m_ * right_.q) * right_.q.transpose();
    left_.average(o_.beta2, g * g.transpose());
    right_.average(o_.beta2, g.transpose() * g);
    if (t_ == 1 || t_ % int(o_.interval) == 0) {
      left_.decompose();
      right_.decompose();
    }
    return (1 - a * o_.weight_decay) * next;
  }

 private:
  SPlus o_;
  Matrix m_;
  Side left_{}, right_{};
  bool vector_ = false;
  int t_ = 0;
};

/// Adam with ε beside √v before its correction, or after it.
struct AdamMoments {
  Matrix m, v;
  int t = 0;
  Matrix direction(const Matrix& g, double beta1, double beta2, double epsilon, bool before) {
    if (++t == 1) m = v = 0 * g;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g.cwiseProduct(g);
    const double c1 = 1 - std::pow(beta1, t), c2 = 1 - std::pow(beta2, t);
    Matrix d = m;
    for (Eigen::Index e = 0; e < d.size(); ++e) {
      d(e) /= c1 * (before ? (std::sqrt(v(e)) + epsilon) / std::sqrt(c2) : std::sqrt(v(e) / c2) + epsilon);
    }
    return d;
  }
};

class GaLoreReference {
 public:
  GaLoreReference(const GaLore& rule, const Matrix&) : o_(rule) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    if (is_vector(w)) return decayed(w - o_.lr * adam(g));
    if (w.rows() < w.cols()) return decayed(w - o_.lr * o_.alpha * turned(g.transpose()).transpose());
    return decayed(w - o_.lr * o_.alpha * turned(g));
  }

 private:
  Matrix decayed(const Matrix& w) { return (1 - o_.lr * o_.weight_decay) * w; }
  Matrix adam(const Matrix& g) { return moments_.direction(g, o_.beta1, o_.beta2, o_.epsilon, true); }
  Matrix turned(const Matrix& g) {
    if (moments_.t % int(o_.interval) == 0) {
      const Matrix v = Eigen::JacobiSVD<Matrix>(g, Eigen::ComputeThinU | Eigen::ComputeThinV).matrixV();
      Matrix next = v.leftCols(std::min(Eigen::Index(o_.rank), g.cols()));
      if (moments_.t > 0) change(next);
      p_ = next;
    }
    return adam(g * p_) * p_.transpose();
  }
  void change(Matrix& next) {
    if (o_.basis_change == BasisChange::rotate) {
      const Matrix t = p_.transpose() * next;
      moments_.m = moments_.m * t;
      moments_.v = moments_.v * t.cwiseProduct(t);
      return;
    }
    for (Eigen::Index k = 0; k < next.cols(); ++k) {
      if (p_.col(k).dot(next.col(k)) < 0) next.col(k) *= -1;
    }
  }
  GaLore o_;
  AdamMoments moments_{};
  Matrix p_{};
};

/// Muon's five quintics on the wide side, without an epsilon.
Matrix quintics(const Matrix& m) {
  if (m.rows() > m.cols()) return quintics(m.transpose()).transpose();
  Matrix x = m / m.norm();
  for (int k = 0; k < 5; ++k) {
    const Matrix a = x * x.transpose();
    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a * a) * x;
  }
  return x;
}

class COSMOSReference {
 public:
  COSMOSReference(const COSMOS& rule, const Matrix& start) : o_(rule), m_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    const Matrix kept = (1 - o_.lr * o_.weight_decay) * w;
    if (is_vector(w) || std::size_t(w.rows()) > o_.max_rows) {
      return kept - o_.lr * moments_.direction(g, o_.beta1, o_.beta2, o_.epsilon, false);
    }
    const Eigen::Index r = std::min({Eigen::Index(o_.basis_rank), g.rows(), g.cols()});
    if (++t_ == 1) {
      const Matrix v = Eigen::JacobiSVD<Matrix>(g, Eigen::ComputeThinU | Eigen::ComputeThinV).matrixV();
      p_ = v.leftCols(r);
      s_ = (1 - o_.basis_beta) * (g * p_).transpose() * (g * p_);
      v_ = Matrix::Zero(g.rows(), r);
    } else {
      const Matrix q = basis_of_columns(o_.basis_beta * p_ * s_ + (1 - o_.basis_beta) * g.transpose() * (g * p_));
      const Matrix t = p_.transpose() * q;
      s_ = o_.basis_beta * t.transpose() * s_ * t + (1 - o_.basis_beta) * (g * q).transpose() * (g * q);
      p_ = q;
    }
    m_ = o_.beta1 * m_ + (1 - o_.beta1) * g;
    const Matrix low = g * p_;
    v_ = o_.beta2 * v_ + (1 - o_.beta2) * low.cwiseProduct(low);
    // The bias of Nesterov's average is that of the authors' sum, 1 + β₁(1 − β₁^t)/(1 − β₁), times 1 − β₁.
    const double decayed = 1 - std::pow(o_.beta1, t_);
    const Matrix u = o_.nesterov
                         ? Matrix((g + o_.beta1 * m_ / (1 - o_.beta1)) / (1 + o_.beta1 * decayed / (1 - o_.beta1)))
                         : Matrix(m_ / decayed);
    Matrix a = u * p_;
    for (Eigen::Index e = 0; e < a.size(); ++e) {
      a(e) /= std::sqrt(v_(e) / (1 - std::pow(o_.beta2, t_))) + o_.epsilon;
    }
    const double n = std::sqrt(double(g.size()));
    Matrix x = a * p_.transpose();
    const Matrix rest = u - u * p_ * p_.transpose();
    if (rest.norm() > 1e-12 * u.norm()) {
      const Matrix b = quintics(rest);
      x += o_.gamma * n * b / (b.norm() + o_.epsilon);
    }
    return kept - o_.lr * o_.ratio * n * x / (x.norm() + o_.update_epsilon);
  }

 private:
  COSMOS o_;
  Matrix m_, v_{}, p_{}, s_{};
  AdamMoments moments_{};
  int t_ = 0;
};

const auto galore_reference = [](const GaLore& rule, const Matrix& w) { return GaLoreReference(rule, w); };
const auto cosmos_reference = [](const COSMOS& rule, const Matrix& w) { return COSMOSReference(rule, w); };
const auto soap_reference = [](const SOAP& rule, const Matrix& w) { return SOAPReference(rule, w); };
const auto splus_reference = [](const SPlus& rule, const Matrix& w) { return SPlusReference(rule, w); };

// The longer side's factor has a null space, whose basis is the eigensolver's: it stays unrotated in these shapes.
const std::vector<Shape> determined{{1, 6, 6}, {1, 9, 5}, {1, 5, 9}, {2, 4, 7}, {1, 1, 11, true}, {1, 7, 1}};

}  // namespace

TEST_CASE("SOAP") {
  const SOAP rule{.weight_decay = 0.1, .interval = 3, .max_side = 6};
  check_rule(rule, soap_reference, {.shapes = determined, .bound = 1e-10, .period = 3, .layout_bound = 1e-10});
  check_agreement(SOAP{.beta1 = 0.9, .beta2 = 0.99, .shampoo_beta = 0.8, .epsilon = 0.1, .interval = 1, .max_side = 1},
                  soap_reference, {.shapes = determined});
}

TEST_CASE("SPlus") {
  const SPlus rule{.interval = 4, .max_side = 6};
  check_rule(rule, splus_reference, {.shapes = determined, .bound = 1e-10, .period = 4, .layout_bound = 1e-10});
}

TEST_CASE("GaLore") {
  const GaLore rule{.weight_decay = 0.1, .rank = 2, .interval = 7};
  check_rule(rule, galore_reference, {.shapes = determined, .bound = 1e-10, .period = 7, .layout_bound = 1e-10});
  for (const std::size_t rank : {std::size_t(1), std::size_t(3), std::size_t(100)}) {
    const GaLore rotating{.epsilon = 0.1, .rank = rank, .interval = 3, .basis_change = BasisChange::rotate};
    check_agreement(rotating, galore_reference, {.shapes = determined, .bound = 1e-10});
  }
}

TEST_CASE("COSMOS") {
  const COSMOS rule{.weight_decay = 0.1,
                    .basis_rank = 2,
                    .map = {.method = SpectralMethod::quintic, .tolerance = 2, .format = Format::float64}};
  check_rule(rule, cosmos_reference, {.shapes = determined, .bound = 1e-10, .layout_bound = 1e-10});
  COSMOS other = rule;
  other.nesterov = true;
  other.gamma = 0.7;
  other.update_epsilon = 0.1;
  other.epsilon = 0.01;
  other.basis_beta = 0.5;
  other.max_rows = 6;
  check_agreement(other, cosmos_reference, {.shapes = determined, .bound = 1e-10});
  other = rule;
  other.basis_rank = 100;  // at least in the first step nothing but rounding is left outside of the basis
  check_agreement(other, cosmos_reference, {.shapes = determined, .bound = 1e-10});
}

namespace {

using Tested = Training<double>::Tested;

/// One parameter of an Optimizer of its own, or of one that is given.
struct Stepped {
  Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace> w, g;
  explicit Stepped(const Matrix& start)
      : w("w", std::size_t(start.rows()), std::size_t(start.cols())),
        g("g", std::size_t(start.rows()), std::size_t(start.cols())) {
    assign(w, start);
  }
  static void assign(const Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>& to, const Matrix& from) {
    for (std::size_t i = 0; i < to.extent(0); ++i) {
      for (std::size_t j = 0; j < to.extent(1); ++j) to(i, j) = from(Eigen::Index(i), Eigen::Index(j));
    }
  }
  [[nodiscard]] Matrix weight() const {
    Matrix values(Eigen::Index(w.extent(0)), Eigen::Index(w.extent(1)));
    for (std::size_t i = 0; i < w.extent(0); ++i) {
      for (std::size_t j = 0; j < w.extent(1); ++j) values(Eigen::Index(i), Eigen::Index(j)) = w(i, j);
    }
    return values;
  }
};

Matrix gradient_of(Eigen::Index rows, Eigen::Index cols, unsigned number) {
  return conditioned_gaussian(std::size_t(rows), std::size_t(cols), 300 + number);
}

/// The weights after each of `steps` steps, the gradients multiplied by `factor`.
template <class R>
std::vector<Matrix> path(const R& rule, const Matrix& start, int steps, double factor = 1, bool transposed = false) {
  const SerialExec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(rule);
  Stepped p(transposed ? Matrix(start.transpose()) : start);
  optimizer.add(group, "w", p.w, p.g);
  std::vector<Matrix> all;
  for (int k = 1; k <= steps; ++k) {
    const Matrix g = factor * gradient_of(start.rows(), start.cols(), unsigned(k));
    Stepped::assign(p.g, transposed ? Matrix(g.transpose()) : g);
    optimizer.step(exec);
    exec.fence();
    all.push_back(transposed ? Matrix(p.weight().transpose()) : p.weight());
  }
  return all;
}

/// A parameter that joins after three steps of its group, and one that is paused in them, go the way of one that was
/// there from the first step on.
template <class R>
void check_late(const R& rule) {
  CAPTURE(std::string(R::name));
  const SerialExec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(rule);
  const Matrix start = gaussian(6, 6, 5);
  Stepped first(start), late(start), paused(start);
  optimizer.add(group, "first", first.w, first.g);
  optimizer.add(group, "paused", paused.w, paused.g);
  optimizer.pause("paused");
  const std::vector<Matrix> expected = path(rule, start, 8);
  for (int k = 1; k <= 3; ++k) {
    Stepped::assign(first.g, gradient_of(6, 6, 40));
    optimizer.step(exec);
  }
  optimizer.resume("paused");
  optimizer.add(group, "late", late.w, late.g);
  for (unsigned k = 1; k <= 8; ++k) {
    for (const Stepped* p : {&late, &paused}) Stepped::assign(p->g, gradient_of(6, 6, k));
    optimizer.step(exec);
    exec.fence();
    CHECK(same_bits(late.weight(), expected[k - 1]));
    CHECK(same_bits(paused.weight(), expected[k - 1]));
  }
}

/// Largest difference of two paths.
double difference(const std::vector<Matrix>& a, const std::vector<Matrix>& b) {
  double worst = 0;
  for (std::size_t k = 0; k < a.size(); ++k) worst = std::max(worst, max_abs(a[k] - b[k]));
  return worst;
}

}  // namespace

TEST_CASE("parameters that come late have their own first step") {
  check_late(SOAP{.interval = 100});
  check_late(SPlus{.interval = 100});
  check_late(GaLore{.rank = 2, .interval = 100});
  check_late(COSMOS{.basis_rank = 2});
}

TEST_CASE("SOAP's first step moves nothing, decay included, and SPlus' is a sign") {
  const Matrix start = gaussian(6, 4, 5);
  CHECK(same_bits(path(SOAP{.weight_decay = 0.5}, start, 1)[0], start));
  const SPlus rule{.weight_decay = 0};
  const Matrix d = (start - path(rule, start, 1)[0]) / (rule.lr * 2 / 10);
  CHECK(max_abs(d - signs_of(gradient_of(6, 4, 1))) < 1e-12);
}

TEST_CASE("transposes: SOAP, SPlus and GaLore commute with them, COSMOS does not") {
  const auto commutes = [](const auto& rule, Eigen::Index rows, Eigen::Index cols) {
    const Matrix start = gaussian(std::size_t(rows), std::size_t(cols), 5);
    const std::vector<Matrix> w = path(rule, start, 6);
    return difference(w, path(rule, start, 6, 1, true)) / max_abs(w.back() - start);
  };
  CHECK(commutes(SOAP{.interval = 2}, 6, 6) < 1e-10);
  CHECK(commutes(SPlus{.interval = 2}, 6, 6) < 1e-10);
  CHECK(commutes(GaLore{.rank = 2}, 7, 4) < 1e-10);
  CHECK(commutes(COSMOS{.basis_rank = 2}, 6, 6) > 1e-3);
}

TEST_CASE("the scale of the gradients") {
  const Matrix start = gaussian(6, 6, 5);
  for (const double factor : {0x1p-600, 0x1p600}) {  // their squares are no numbers
    const SPlus splus{.interval = 3};
    CHECK(difference(path(splus, start, 8), path(splus, start, 8, factor)) == 0);
    const SOAP soap{.epsilon = 1e-300, .interval = 3};
    CHECK(difference(path(soap, start, 8), path(soap, start, 8, factor)) < 1e-12);
    const COSMOS cosmos{.epsilon = 1e-300, .update_epsilon = 1e-300, .basis_rank = 2};
    CHECK(difference(path(cosmos, start, 8), path(cosmos, start, 8, factor)) < 1e-12);
    const GaLore galore{.epsilon = 1e-300, .rank = 2, .interval = 3};
    CHECK(difference(path(galore, start, 8), path(galore, start, 8, factor)) < 1e-12);
  }
}

TEST_CASE("COSMOS says which option of the map it cannot have") {
  Tested optimizer;
  const auto says = [&](const COSMOS& rule) { return message_of<InvalidArgument>([&] { optimizer.add_group(rule); }); };
  CHECK(contains(says(COSMOS{.map = {.method = SpectralMethod::streaming}}), "streaming"));
  CHECK(contains(says(COSMOS{.map = {.rank = 3}}), "basis_rank"));
}

TEST_CASE("COSMOS: every change has the root mean square lr·ratio") {
  const COSMOS rule{.update_epsilon = 1e-300, .ratio = 0.3, .basis_rank = 2};
  Matrix before = gaussian(9, 5, 5);
  for (const Matrix& w : path(rule, before, 5)) {
    CHECK((w - before).norm() / std::sqrt(45.0) == doctest::Approx(rule.lr * rule.ratio).epsilon(1e-10));
    before = w;
  }
}

TEST_CASE("SPlus averages the weights before their decay") {
  const SPlus rule{.weight_decay = 3, .average_beta = 0.8, .interval = 3};
  const SerialExec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(rule);
  const Matrix start = gaussian(6, 6, 5);
  Stepped p(start);
  optimizer.add(group, "w", p.w, p.g);
  optimizer.set_decay_factor("w", 0.5);
  Matrix average = 0 * start;
  for (unsigned k = 1; k <= 6; ++k) {
    Stepped::assign(p.g, gradient_of(6, 6, k));
    optimizer.step(exec);
    exec.fence();
    average = 0.8 * average + 0.2 * p.weight() / (1 - rule.lr * 2 / 12 * 3 * 0.5);
  }
  const auto kept = optimizer.read_state(exec, "w", "average");
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = 0; j < 6; ++j)
      CHECK(std::abs(kept(0, i, j) - average(Eigen::Index(i), Eigen::Index(j))) < 1e-13);
  }
}

TEST_CASE("a matrix whose first gradient is not finite begins in its own basis") {
  const SerialExec exec;
  Tested optimizer;
  const GroupId group = optimizer.add_group(SOAP{.interval = 100});
  const Matrix start = gaussian(6, 6, 5);
  Stepped p(start);
  optimizer.add(group, "w", p.w, p.g);
  Stepped::assign(p.g, Matrix::Constant(6, 6, std::numeric_limits<double>::infinity()));
  optimizer.step(exec);
  for (unsigned k = 1; k <= 3; ++k) {
    Stepped::assign(p.g, gradient_of(6, 6, k));
    optimizer.step(exec);
    exec.fence();
    CHECK(same_bits(p.weight(), start) == (k == 1));
  }
  const auto q = optimizer.read_state(exec, "w", "left_vectors");
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = 0; j < 6; ++j) CHECK(q(0, i, j) == (i == j ? 1 : 0));
  }
}
