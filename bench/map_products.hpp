// How far off a spectral map is, for float matrices on Kokkos' default execution space.
#pragma once

#include "default_space.hpp"

#include <cstddef>

namespace bench {

using DefaultPower = schatten::SpectralPower<float, DefaultExec>;

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
