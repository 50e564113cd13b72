// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the second of each pair must be a Kokkos View; schatten::view.matrix. makes one of an Eigen matrix
// LINES: 25
#include <schatten/diagnostics/spectral_monitor.hpp>
#include <schatten/interop/eigen.hpp>

#include <map>
#include <string>

void measure(schatten::SpectralMonitor& monitor, Eigen::MatrixXf& w) {
  const Kokkos::DefaultHostExecutionSpace exec;
#if defined(POSITIVE_CONTROL)
  monitor(exec, 0, std::map<std::string, decltype(schatten::view(w))>{{"w", schatten::view(w)}});
#else
  monitor(exec, 0, std::map<std::string, Eigen::MatrixXf>{{"w", w}});
#endif
}
