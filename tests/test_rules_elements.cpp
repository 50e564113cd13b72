// SPDX-License-Identifier: BSD-3-Clause
// Rules that work element by element, beside plain loops.

#include "support/rule_checks.hpp"
#include <schatten/optim/rules/adamw.hpp>

namespace {

using namespace schatten;
using namespace schatten::test;

class AdamWReference {
 public:
  AdamWReference(const AdamW& rule, const Matrix& start) : o_(rule), m_(0 * start), v_(0 * start) {}
  Matrix step(const Matrix& w, const Matrix& g) {
    ++t_;
    Matrix next = w;
    for (Eigen::Index k = 0; k < g.size(); ++k) {
      m_(k) = o_.beta1 * m_(k) + (1 - o_.beta1) * g(k);
      v_(k) = o_.beta2 * v_(k) + (1 - o_.beta2) * g(k) * g(k);
      const double c1 = 1 - std::pow(o_.beta1, t_), c2 = 1 - std::pow(o_.beta2, t_);
      const double d = (m_(k) / c1) / (std::sqrt(v_(k) / c2) + o_.epsilon);
      next(k) = w(k) - o_.lr * (o_.weight_decay * w(k) + d);
    }
    return next;
  }

 private:
  AdamW o_;
  Matrix m_, v_;
  int t_ = 0;
};

}  // namespace

TEST_CASE("AdamW") {
  check_rule(AdamW{.weight_decay = 0.1}, [](const AdamW& rule, const Matrix& w) { return AdamWReference(rule, w); },
             {.shapes = shapes_and_vector()});
}
