// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What an Optimizer holds, and comparisons to the last bit.

#include "views.hpp"
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/optim/state_access.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace schatten::test {

inline bool same_bits(const Matrix& a, const Matrix& b) {
  const auto size = std::size_t(a.size()) * sizeof(double);
  return a.rows() == b.rows() && a.cols() == b.cols() && (size == 0 || std::memcmp(a.data(), b.data(), size) == 0);
}

inline bool same_bits(const std::vector<Matrix>& a, const std::vector<Matrix>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (!same_bits(a[k], b[k])) return false;
  }
  return true;
}

/// Whether matrices computed by `Backend` on different ways agree: to the last bit where that is promised (the portable
/// backend), else within rounding, as a host library's summation order may depend on alignment and threads.
template <class Backend, class T>
bool same_result(const std::vector<Matrix>& a, const std::vector<Matrix>& b) {
  if (std::is_same_v<Backend, linalg::PortableBackend>) return same_bits(a, b);
  if (a.size() != b.size()) return false;
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (a[k].rows() != b[k].rows() || a[k].cols() != b[k].cols()) return false;
    if (!(max_abs(a[k] - b[k]) <= 64 * epsilon<T> * std::max(1.0, max_abs(b[k])))) return false;
  }
  return true;
}

/// The matrices of a View of rank 3.
template <class V>
std::vector<Matrix> matrices_of(const V& view) {
  std::vector<Matrix> matrices;
  for (std::size_t b = 0; b < view.extent(0); ++b) {
    matrices.push_back(to_matrix(Kokkos::subview(view, b, Kokkos::ALL, Kokkos::ALL)));
  }
  return matrices;
}

/// One array of an optimizer's state: "w/momentum".
struct StateArray {
  std::string name;
  std::vector<Matrix> matrices;
};

/// All arrays of all parameters.
template <class Exec, class Optimizer>
std::vector<StateArray> state_of(const Exec& exec, Optimizer& optimizer) {
  std::vector<StateArray> arrays;
  for (const ParameterCounts& parameter : optimizer.read_counts(exec)) {
    for (const std::string& slot : optimizer.state_names(exec, parameter.name)) {
      arrays.push_back({parameter.name + "/" + slot, matrices_of(optimizer.read_state(exec, parameter.name, slot))});
    }
  }
  return arrays;
}

/// The arrays of `states` into the optimizer's arrays of the same names.
template <class T, class Exec, class Optimizer>
void write_state(const Exec& exec, Optimizer& optimizer, const std::vector<StateArray>& states) {
  for (const StateArray& array : states) {
    const std::size_t slash = array.name.rfind('/');
    const Matrix& first = array.matrices.at(0);
    const HostState<T> values("schatten::test::state", array.matrices.size(), std::size_t(first.rows()),
                              std::size_t(first.cols()));
    for (std::size_t b = 0; b < array.matrices.size(); ++b) {
      assign(Kokkos::subview(values, b, Kokkos::ALL, Kokkos::ALL), array.matrices[b]);
    }
    optimizer.write_state(exec, array.name.substr(0, slash), array.name.substr(slash + 1), values);
  }
}

/// The matrices of the array of that name; none if there is no such array.
template <class Exec, class Optimizer>
std::vector<Matrix> state_of(const Exec& exec, Optimizer& optimizer, const std::string& name) {
  for (const StateArray& array : state_of(exec, optimizer)) {
    if (array.name == name) return array.matrices;
  }
  return {};
}

inline bool same_bits(const std::vector<StateArray>& a, const std::vector<StateArray>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (a[k].name != b[k].name || !same_bits(a[k].matrices, b[k].matrices)) return false;
  }
  return true;
}

}  // namespace schatten::test
