// SPDX-License-Identifier: BSD-3-Clause
// Singular values on the host, for functions that return a number.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/linalg/svd.hpp>
#include <schatten/spectral/normalization.hpp>

#include <algorithm>
#include <vector>

namespace schatten::spectral {

/// Singular values scale · relative[k], descending. The factors are kept apart, so that no product over- or underflows.
struct SingularValues {
  double scale = 0;
  std::vector<double> relative;
};

/// Returns the singular values of one matrix (rank 2) of any layout and scale; all NaN if it has a NaN or an infinity.
/// Fences `exec` and allocates scratch memory. Cost: one svd without vectors.
template <class Backend = void, ExecutionSpace Exec, KokkosView V>
SingularValues singular_values(const Exec& exec, const V& m) {
  using T = scalar_of<V>;
  using Space = typename Exec::memory_space;
  static_assert(view_rank<V> == 2, "schatten: one matrix is taken, a View of rank 2");
  const BatchView<const T, Space> batch = as_batch<Exec>(m);
  const std::size_t rank = (std::min)(batch.extent(1), batch.extent(2));
  if (rank == 0) return {};
  Workspace<Space> workspace;
  const typename Workspace<Space>::Frame frame(workspace);
  const auto scale = workspace.template numbers<double>(1);
  const auto normalized = workspace.template batch<T>(1, batch.extent(1), batch.extent(2));
  const auto sigma = workspace.template vectors<T>(1, rank);
  normalize(exec, batch, normalized, scale, workspace);
  linalg::singular_values<Backend>(exec, normalized, sigma, workspace);
  const NumberBatchView<T, Space> numbers(sigma.data(), rank);
  const std::vector<T> values = values_on_host(exec, numbers);  // fences: documented
  const double unit = values_on_host(exec, scale)[0];           // fences: documented
  return SingularValues{unit, std::vector<double>(values.begin(), values.end())};
}

}  // namespace schatten::spectral
