// SPDX-License-Identifier: BSD-3-Clause
// The streaming method: against its recipe step by step, its convergence to UΣ^pVᵀ, its state, inputs at the edges.
// labels: accuracy

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/reference.hpp"
#include "support/tool_events.hpp"
#include "support/typed.hpp"
#include <schatten/spectral/streaming.hpp>

#include <limits>
#include <string>

namespace {

using namespace schatten;
using namespace schatten::test;

/// The recipe in double, with Gram and Schmidt in the place of QR.
class Recipe {
 public:
  Recipe(Eigen::Index cols, Eigen::Index rank) : v_(Matrix::Identity(cols, rank)) {}
  Matrix step(const Matrix& m, double power) {
    Matrix y = m.transpose() * (m * v_);
    for (Eigen::Index k = 0; k < y.cols(); ++k) {
      for (int pass = 0; pass < 3; ++pass) {
        for (Eigen::Index j = 0; j < k; ++j) y.col(k) -= y.col(j).dot(y.col(k)) * y.col(j);
      }
      y.col(k) /= y.col(k).norm();
    }
    v_ = y;
    Matrix image = m * v_;
    for (Eigen::Index k = 0; k < image.cols(); ++k) {
      const Vector u = image.col(k) / image.col(k).norm();
      image.col(k) = u * std::pow(std::max(u.dot(image.col(k)), 0.0), power);
    }
    return image * v_.transpose();
  }
  [[nodiscard]] const Matrix& v() const { return v_; }

 private:
  Matrix v_;
};

/// The library's state and output for matrix 1 of a batch of 3, Views of the layout `storage`.
template <class C, Storage storage>
class Streaming {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;

 public:
  Streaming(Eigen::Index rows, Eigen::Index cols, Eigen::Index rank)
      : in_(3, std::size_t(rows), std::size_t(cols)),
        out_(3, std::size_t(rows), std::size_t(cols)),
        v_(3, std::size_t(cols), std::size_t(rank)) {
    for (std::size_t b = 0; b < 3; ++b) assign(in_.matrix(b), gaussian(std::size_t(rows), std::size_t(cols), 90));
    spectral::streaming_start(exec_, as_batch<Exec>(v_.view()));
    exec_.fence();
  }
  Matrix step(const Matrix& m, double power) {
    assign(in_.matrix(1), m);
    spectral::streaming_power<typename C::Backend>(exec_, power, as_const(as_batch<Exec>(in_.view())),
                                                   as_batch<Exec>(v_.view()), as_batch<Exec>(out_.view()), workspace_);
    exec_.fence();
    return to_matrix(out_.matrix(1));
  }
  [[nodiscard]] Matrix v(std::size_t b = 1) const { return to_matrix(v_.matrix(b)); }
  [[nodiscard]] Matrix out(std::size_t b) const { return to_matrix(out_.matrix(b)); }
  /// Overwrites both.
  [[nodiscard]] bool surroundings_intact() const { return v_.surroundings_intact() && out_.surroundings_intact(); }

 private:
  Exec exec_;
  Batch<T, storage> in_, out_, v_;
  Workspace<typename Exec::memory_space> workspace_;
};

/// A matrix whose Gram matrix has leading blocks that are not close to singular: QR loses no digits on it.
Matrix conditioned(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
  Matrix m = gaussian(std::size_t(rows), std::size_t(cols), seed);
  for (Eigen::Index k = 0; k < std::min(rows, cols); ++k) m(k, k) += 3 * std::sqrt(double(rows));
  return m;
}

struct Shape {
  Eigen::Index rows, cols, rank;
};
constexpr Shape shapes[] = {{12, 8, 8}, {8, 12, 8}, {9, 9, 9}, {12, 8, 3}, {8, 12, 5}, {1, 6, 1}, {6, 1, 1}};

}  // namespace

TEST_CASE_TEMPLATE("agrees with the recipe, step by step, for every shape, rank and layout", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  double worst = 0;
  for (const auto& [rows, cols, rank] : shapes) {
    CAPTURE(rows);
    CAPTURE(cols);
    CAPTURE(rank);
    for_each_storage([&](auto storage) {
      for (const double power : {0.125, 0.5, 0.0, -0.25}) {
        if (storage.value != Storage::right && power != 0.125) continue;
        Recipe recipe(cols, rank);
        Streaming<C, storage.value> streaming(rows, cols, rank);
        for (unsigned step = 0; step < 5; ++step) {
          const Matrix m = rounded<T>(conditioned(rows, cols, step));
          const Matrix wanted = recipe.step(m, power), got = streaming.step(m, power);
          const double error = (got - wanted).norm() / wanted.norm(), drift = max_abs(streaming.v() - recipe.v());
          CHECK(error <= 40 * epsilon<T>);
          CHECK(drift <= 40 * epsilon<T>);
          worst = std::max({worst, error / epsilon<T>, drift / epsilon<T>});
        }
        CHECK(streaming.surroundings_intact());
      }
    });
  }
  MESSAGE("largest difference from the recipe: " << worst << " ε");
}

TEST_CASE_TEMPLATE("converges to UΣ^pVᵀ while the matrix stays as it is", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  for (const auto& [rows, cols] : {std::pair<Eigen::Index, Eigen::Index>{14, 9}, {9, 14}, {9, 9}}) {
    Vector sigma(9);
    for (Eigen::Index k = 0; k < 9; ++k) sigma(k) = std::pow(0.6, double(k));  // a step gains a factor of 0.36
    const KnownMatrix known = known_matrix(std::size_t(rows), std::size_t(cols), sigma, 6);
    Streaming<C, Storage::right> streaming(rows, cols, 9);
    Matrix out;
    for (int step = 0; step < 70; ++step) out = streaming.step(known.matrix(), 0.125);
    for (const DirectionError& error : direction_errors(known, 0.125, out)) CHECK(error.worst() <= 400 * epsilon<T>);
    CHECK(orthogonality_error(streaming.v()) <= 20 * epsilon<T>);
    for (Eigen::Index k = 0; k < 9; ++k) {
      CHECK(std::abs(std::abs(streaming.v().col(k).dot(known.v.col(k))) - 1) <= 400 * epsilon<T>);
    }
  }
}

TEST_CASE_TEMPLATE("a rank keeps the leading directions", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  KnownMatrix known = known_matrix(16, 12, singular_values_of(Spectrum::geometric, 12, 1e-3), 7);
  const Matrix m = known.matrix();
  Streaming<C, Storage::left> streaming(16, 12, 4);
  Matrix out;
  for (int step = 0; step < 70; ++step) out = streaming.step(m, 0.25);
  known.sigma.tail(8).setZero();
  CHECK(max_abs(out - known.power(0.25)) <= 100 * epsilon<T>);
}

TEST_CASE("the method's own errors at p = 1/8, 128x128, in float") {
  const auto error_of = [](const Matrix& got, const Matrix& m) {
    const ReferenceSvd svd = reference_svd(m);
    const Matrix wanted = KnownMatrix{svd.u, svd.sigma, svd.v}.power(0.125);
    return (got - wanted).norm() / wanted.norm();
  };
  const auto known = [](Spectrum spectrum, double lowest) {
    return known_matrix(128, 128, singular_values_of(spectrum, 128, lowest), 4).matrix();
  };
  constexpr int marks[] = {1, 10, 100, 0};
  struct {
    std::string spectrum;
    Matrix m;
    double expected[3];
  } const cases[] = {{"Gaussian", gaussian(128, 128, 1), {0.312, 0.0345, 0.00248}},
                     {"1/k", known(Spectrum::harmonic, 0.0), {0.345, 0.0363, 0.00217}},
                     {"geometric to 1e-4", known(Spectrum::geometric, 1e-4), {0.390, 0.0333, 1.11e-4}}};
  using C = Case<float, ThreadedExec, EigenBackend>;
  for (const auto& [spectrum, m, expected] : cases) {
    Streaming<C, Storage::right> streaming(128, 128, 128);
    CAPTURE(spectrum);
    for (int step = 1, mark = 0; step <= 100; ++step) {
      const Matrix out = streaming.step(m, 0.125);
      if (step != marks[mark]) continue;
      const double error = error_of(out, m);
      CHECK(std::abs(std::log(error / expected[mark++])) <= 0.2);
      MESSAGE(spectrum << ", the same matrix for " << step << " steps: relative Frobenius error " << error);
    }
  }
  Streaming<C, Storage::right> streaming(128, 128, 128);
  Matrix momentum = Matrix::Zero(128, 128), out;
  for (unsigned step = 1; step <= 60; ++step) {
    momentum = 0.95 * momentum + 0.05 * gaussian(128, 128, step);
    out = streaming.step(momentum, 0.125);
  }
  const double error = error_of(out, momentum);
  CHECK(std::abs(std::log(error / 0.16)) <= 0.2);
  MESSAGE("momentum 0.95 of Gaussian gradients, 60 steps: relative Frobenius error " << error);
}

TEST_CASE_TEMPLATE("any scale is legal", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  const Matrix m = rounded<T>(conditioned(10, 7, 1) / 16);
  const Matrix wanted = Streaming<C, Storage::right>(10, 7, 7).step(m, 0.125);
  for (const double scale : {1e-30, 1e30, double(std::numeric_limits<T>::max()) / 8}) {
    CAPTURE(scale);
    Streaming<C, Storage::right> streaming(10, 7, 7);
    const Matrix out = streaming.step(scale * m, 0.125);
    CHECK(max_abs(out / std::pow(scale, 0.125) - wanted) <= 100 * epsilon<T>);
    CHECK(orthogonality_error(streaming.v()) <= 20 * epsilon<T>);
  }
}

TEST_CASE_TEMPLATE("rank-deficient matrices: V stays orthonormal, zero singular values give zero", C,
                   SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  Matrix m = gaussian(10, 8, 1);
  m.rightCols(3).setZero();  // exactly representable
  Streaming<C, Storage::right> streaming(10, 8, 8);
  Matrix out;
  for (int step = 0; step < 5; ++step) out = streaming.step(m, 0.125);
  CHECK(std::isfinite(max_abs(out)));
  CHECK(max_abs(out.rightCols(3)) == 0);
  CHECK(orthogonality_error(streaming.v()) <= 20 * epsilon<T>);
}

TEST_CASE_TEMPLATE("a zero matrix gives zero, one that is not finite NaN, and both keep their state", C,
                   SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  Streaming<C, Storage::window> streaming(9, 6, 6);
  CHECK(max_abs(streaming.step(Matrix::Zero(9, 6), 0.125)) == 0);
  CHECK(streaming.v() == Matrix(Matrix::Identity(6, 6)));
  (void)streaming.step(gaussian(9, 6, 1), 0.125);
  const Matrix before = streaming.v();
  CHECK(max_abs(streaming.step(Matrix::Zero(9, 6), -0.25)) == 0);
  CHECK(streaming.v() == before);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Matrix m = gaussian(9, 6, 2);
    m(4, 3) = bad;
    CHECK(all_nan(streaming.step(m, 0.125)));
    CHECK(streaming.v() == before);
    for (const std::size_t b : {0U, 2U}) {
      CHECK(std::isfinite(max_abs(streaming.out(b))));
      CHECK(orthogonality_error(streaming.v(b)) <= 20 * epsilon<T>);
    }
  }
  CHECK(max_abs(streaming.out(0) - streaming.out(2)) <= 100 * epsilon<T>);
}

TEST_CASE_TEMPLATE("empty matrices, labels, and no allocation in a second call", C, SCHATTEN_TEST_CASES) {
  using T = typename C::Scalar;
  using Exec = typename C::Exec;
  const Exec exec;
  Workspace<typename Exec::memory_space> workspace;
  for (const auto& [rows, cols, rank] : {Shape{0, 5, 0}, {5, 0, 0}, {12, 9, 0}, {12, 9, 9}}) {
    const Batch<T, Storage::right> m(2, std::size_t(rows), std::size_t(cols)),
        out(2, std::size_t(rows), std::size_t(cols)), v(2, std::size_t(cols), std::size_t(rank));
    for (std::size_t b = 0; b < 2; ++b) assign(m.matrix(b), gaussian(std::size_t(rows), std::size_t(cols), 1));
    const auto step = [&] {
      spectral::streaming_start(exec, as_batch<Exec>(v.view()));
      spectral::streaming_power<typename C::Backend>(exec, 0.125, as_const(as_batch<Exec>(m.view())),
                                                     as_batch<Exec>(v.view()), as_batch<Exec>(out.view()), workspace);
      exec.fence();
    };
    step();
    const ToolEvents events;
    step();
    CHECK(events.allocations().empty());
    CHECK(foreign_labels(ToolEvents::kernels()).empty());
    if (rank == 0 && rows * cols > 0) CHECK(max_abs(to_matrix(out.matrix(1))) == 0);
  }
}

TEST_CASE("streaming_power refuses a state of another size and a power that is not finite") {
  using Exec = SerialExec;
  const Exec exec;
  Workspace<Exec::memory_space> workspace;
  const auto m = to_view<float>(gaussian(3, 5, 1)), out = to_view<float>(gaussian(3, 5, 2));
  const auto message = [&](std::size_t rows, std::size_t rank, double power) {
    const auto v = to_view<float>(gaussian(rows, rank, 3));
    return message_of([&] {
      spectral::streaming_power<EigenBackend>(exec, power, as_const(as_batch<Exec>(m)), as_batch<Exec>(v),
                                              as_batch<Exec>(out), workspace);
    });
  };
  CHECK(message(5, 4, 0.1) ==
        "schatten::spectral::streaming_power: rank of v = 4, but it must not exceed the rows or the columns of m");
  CHECK(message(3, 3, 0.1) ==
        "schatten::spectral::streaming_power: v = 1x3x3, but it must have the extents 1x5x3 (batch x rows x cols)");
  CHECK(contains(message(5, 3, std::numeric_limits<double>::quiet_NaN()), "power = "));
}
