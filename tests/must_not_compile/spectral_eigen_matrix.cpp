// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: M and out must be Kokkos Views; schatten::view.matrix. makes one of an Eigen matrix
// LINES: 20
#include <schatten/interop/eigen.hpp>
#include <schatten/spectral/spectral_power.hpp>

void apply(schatten::SpectralPower<float, Kokkos::DefaultHostExecutionSpace>& power,
           const Kokkos::DefaultHostExecutionSpace& exec, Eigen::MatrixXf& m, Eigen::MatrixXf& out) {
#if defined(POSITIVE_CONTROL)
  power.apply(exec, schatten::view(m), schatten::view(out));
#else
  power.apply(exec, m, out);
#endif
}
