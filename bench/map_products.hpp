// What a spectral map consists of and how far off it is, for float matrices on Kokkos' default execution space.
#pragma once

#include "default_space.hpp"

#include <cstddef>

namespace bench {

using DefaultPower = schatten::SpectralPower<float, DefaultExec>;

/// The form that `iterates` runs in: chosen with the schedule, so that it is asked for again here.
inline schatten::spectral::IterateForm iterate_form(const DefaultPower& plan) {
  namespace spectral = schatten::spectral;
  const auto& o = plan.options();
  spectral::IterateFits fits;
  switch (plan.format()) {
    case schatten::Format::scalar:
      return spectral::plan_iterates<float, float>(o.power, o.resolution, o.tolerance, o.rows, o.cols, fits).form;
    case schatten::Format::float64:
      return spectral::plan_iterates<float, double>(o.power, o.resolution, o.tolerance, o.rows, o.cols, fits).form;
    default: return spectral::IterateForm::direct;  // the only one in 16 bits
  }
}

/// Flops of the matrix products that the plan performs on one matrix; 0 for methods that are more than products.
///
/// n <= m are the sides and s what a symmetric product n×k by k×n counts: s n²k, s = 2 on a device, which forms it whole,
/// s = 1 on the host, which forms half. With K steps:
///   quintic           K (s n²m + s n³ + 2n²m)           Gram matrix, its square, X times the polynomial
///   iterates, direct  K (s n²m + s n³ + 2n²m) + s n³    and the last polynomial times the bracket
///   iterates, gram    S s n²m + (2S − 1) 2n²m + (4K − 3S + 1) s n³, S segments of at most three steps
inline double product_flops(const DefaultPower& plan) {
  const Shape shape{plan.options().rows, plan.options().cols};
  const double n = double(shape.short_side()), m = double(shape.long_side()), nnm = n * n * m, nnn = n * n * n;
  const double s = schatten::loops_as_on_device<DefaultExec> ? 2 : 1, step = s * nnm + s * nnn + 2 * nnm;
  if (plan.method() == schatten::SpectralMethod::quintic) return schatten::spectral::muon_steps * step;
  if (plan.method() != schatten::SpectralMethod::iterates) return 0;
  const auto steps = double(plan.steps());
  if (iterate_form(plan) == schatten::spectral::IterateForm::direct) return steps * step + s * nnn;
  const auto segments = double(schatten::spectral::iterate_segments(plan.steps()));
  return segments * s * nnm + (2 * segments - 1) * 2 * nnm + (4 * steps - 3 * segments + 1) * s * nnn;
}

/// Relative Frobenius error on one Gaussian 256×256 matrix against the SVD in double on the host. Throws InvalidArgument
/// where the options do not serve this size.
inline double error_at_256(const DefaultExec& exec, schatten::SpectralPowerOptions options) {
  const Shape shape{256, 256};
  options.rows = shape.rows;
  options.cols = shape.cols;
  const Matrix<float> m = gaussian<float>(shape);
  const DefaultMatrix<float> device_m("bench::m", shape.rows, shape.cols), out("bench::out", shape.rows, shape.cols);
  Kokkos::deep_copy(device_m, m);
  DefaultPower plan(options);
  plan.apply(exec, device_m, out);
  return relative_error<float>(schatten::copy_to_host(exec, out), reference(Exec(), shape, options.power));
}

}  // namespace bench
