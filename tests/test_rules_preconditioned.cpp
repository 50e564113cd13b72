// SPDX-License-Identifier: BSD-3-Clause
// Rules with Kronecker factors, beside plain loops and Eigen's decompositions.

#include "support/rule_checks.hpp"
#include <schatten/optim/rules/soap.hpp>
#include <schatten/optim/rules/splus.hpp>

#include <Eigen/Eigenvalues>
#include <Eigen/QR>

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
    std::stable_sort(order.begin(), order.end(), [&](Eigen::Index a, Eigen::Index b) { return value(a) > value(b); });
    q = basis_of_columns(factor * Matrix(q(Eigen::all, order)));
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
