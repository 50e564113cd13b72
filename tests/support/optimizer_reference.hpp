// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One optimizer step of one matrix in double, written from the definitions with plain Eigen: it includes no header of
// the library and shares no formula with it (norms come from singular values, not from inner products).

#include <Eigen/Core>

namespace schatten::test::reference {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

enum class Algorithm { spectral_power, quintic, rank_power, newton_schulz, streaming, adamw, sgd, lion };
enum class Scale { none, original, match_rms_adamw, unit_rms, unit_norm, dual_norm, spectral_unclamped, adamw_rms };

struct Options {
  Algorithm algorithm = Algorithm::sgd;
  double lr = 0;
  double weight_decay = 0;
  double power = 0;
  double beta1 = 0;  // the momentum of all but AdamW and Lion
  double beta2 = 0;
  double epsilon = 0;
  bool nesterov = false;
  bool heavy_ball = false;
  bool normalize_rows = false;  // NorMuon: the rows of the direction by their second moments, with beta2 and epsilon
  Scale scale = Scale::none;
};

/// A direction and the factor that the scale mode puts on it.
struct Direction {
  Matrix d;
  double factor = 1;
};

/// M = U Σ Vᵀ by Jacobi's method, which the library's backends over Eigen do not use.
struct Svd {
  Matrix u;
  Vector sigma;
  Matrix v;
};
Svd jacobi_svd(const Matrix& m);

/// U Σ^p Vᵀ by jacobi_svd, for a matrix of full rank.
Direction spectral_power(const Matrix& m, double power, Scale scale);

/// Muon's five quintics as published, on the wide side of the matrix. Its norm counts as 1 in unit_norm; dual_norm is
/// the inner product with the momentum that stands for the nuclear norm.
Direction quintic(const Matrix& m, Scale scale);

/// U diag(1, 2^-p, 3^-p, ...) Vᵀ.
Matrix rank_power(const Matrix& m, double power);

/// The quintics of M/(‖M‖ + 1e-7) times the root of order 2/power of MᵀM + 1e-6 I as published: log₂(2/power) square
/// roots, each by five Newton–Schulz steps, each with 1e-6 I added. @pre power is 1, 1/2, 1/4, ...
Matrix newton_schulz(const Matrix& m, double power);

/// V ← Q of MᵀMV = QR; the sum of X_k σ_k^(p−1) V_kᵀ with X = MV, σ_k = ‖X_k‖.
Matrix streaming(const Matrix& m, double power, Matrix& v);

/// A parameter matrix with the state of its optimizer.
class Parameter {
 public:
  explicit Parameter(Matrix w);
  void step(const Matrix& g, const Options& o);

  [[nodiscard]] const Matrix& w() const { return w_; }
  [[nodiscard]] const Matrix& momentum() const { return momentum_; }
  /// Largest entry at the start plus the largest change of an entry in each step: what rounding errors are relative to.
  [[nodiscard]] double travel() const { return travel_; }

 private:
  Direction map(const Matrix& g, const Options& o);
  Direction elementwise(const Matrix& g, const Options& o);
  void normalize_rows(Matrix& d, const Options& o);

  Matrix w_, momentum_, second_moment_, right_vectors_;
  Vector row_moment_;
  double travel_;
  int steps_ = 0;
};

}  // namespace schatten::test::reference
