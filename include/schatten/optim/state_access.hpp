// SPDX-License-Identifier: BSD-3-Clause
// State and counts as programs read and write them: by the parameter's name, in the user's rows and columns,
// contiguous.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/optim/bucket_storage.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten {

/// Numbers of steps of a parameter and its group.
struct ParameterCounts {
  std::string name;
  long long group_steps = 0;       ///< steps of its group; HTMuon::interval uses it
  long long attempted = 0;         ///< steps of the parameter, skipped steps included
  std::vector<long long> applied;  ///< per matrix: steps without skipped steps, which bias corrections use
};

/// A state array on the host: (matrices, rows, cols), row-major, in the user's rows and columns.
template <Scalar T>
using HostState = Kokkos::View<T***, Kokkos::LayoutRight, Kokkos::HostSpace>;

namespace optim {

/// Returns the array of that name. Throws InvalidArgument, with the names that exist.
template <ExecutionSpace Exec>
const StateArray<Exec>& find_state(const std::vector<StateArray<Exec>>& states, std::string_view slot,
                                   std::string_view function) {
  std::string known;
  for (const StateArray<Exec>& array : states) {
    if (array.memory.size() == 0) continue;
    if (array.slot.name == slot) return array;
    known += (known.empty() ? "" : ", ") + std::string(array.slot.name);
  }
  throw InvalidArgument(function, "slot", std::string(slot), "must be one of the parameter's: " + known);
}

/// Returns the bytes of a parameter's matrices in an array.
template <ExecutionSpace Exec>
auto parameter_bytes(const StateArray<Exec>& array, const Parameter& p) {
  const std::size_t bytes = array.matrix_bytes();
  return Kokkos::subview(array.memory, std::pair(p.place * bytes, (p.place + p.matrices()) * bytes));
}

/// Calls f(user's view (b, i, j), element of the array on the host) for a parameter's elements.
template <Scalar T, ExecutionSpace Exec, class F>
void for_each_state_element(const StateArray<Exec>& array, const Parameter& p, char* data, const F& f) {
  const bool turned = p.transposed && array.slot.extent == Extent::matrix;
  for (std::size_t b = 0; b < p.matrices(); ++b) {
    const TypedMatrix matrix{data + b * array.matrix_bytes(), array.cols, 1, array.type};
    for (std::size_t i = 0; i < array.rows; ++i) {
      for (std::size_t j = 0; j < array.cols; ++j) f(b, turned ? j : i, turned ? i : j, matrix, i, j);
    }
  }
}

/// Returns a copy of a parameter's matrices of an array. Fences `exec`.
template <Scalar T, ExecutionSpace Exec>
HostState<T> read_state(const Exec& exec, const StateArray<Exec>& array, const Parameter& p) {
  const auto host = copy_to_host(exec, parameter_bytes(array, p));  // fences: documented
  const bool turned = p.transposed && array.slot.extent == Extent::matrix;
  HostState<T> copy(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::state"), p.matrices(),
                    turned ? array.cols : array.rows, turned ? array.rows : array.cols);
  for_each_state_element<T>(array, p, host.data(),
                            [&](auto b, auto i, auto j, const TypedMatrix& matrix, auto k, auto l) {
                              copy(b, i, j) = load_element<T>(matrix, k, l);
                            });
  return copy;
}

/// Throws InvalidArgument, in the name of `function`, for values whose extents are not those of read_state.
template <ExecutionSpace Exec, class V>
void check_state_extents(const StateArray<Exec>& array, const Parameter& p, const V& values,
                         std::string_view function) {
  const bool turned = p.transposed && array.slot.extent == Extent::matrix;
  const std::size_t rows = turned ? array.cols : array.rows, cols = turned ? array.rows : array.cols;
  require(values.extent(0) == p.matrices() && values.extent(1) == rows && values.extent(2) == cols, function,
          argument_of(array.slot.name, p.name), extents_of(values),
          {"must have the extents ", p.matrices(), "x", rows, "x", cols, " (matrices x rows x cols)"});
}

/// Writes a parameter's matrices of an array. @pre check_state_extents has passed. Fences `exec`.
template <Scalar T, ExecutionSpace Exec, class V>
void write_state(const Exec& exec, const StateArray<Exec>& array, const Parameter& p, const V& values) {
  const auto bytes = parameter_bytes(array, p);
  const Kokkos::View<char*, Kokkos::LayoutRight, Kokkos::HostSpace> host(
      Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::state"), bytes.extent(0));
  for_each_state_element<T>(array, p, host.data(),
                            [&](auto b, auto i, auto j, const TypedMatrix& matrix, auto k, auto l) {
                              store_element<T>(matrix, k, l, T(values(b, i, j)));
                            });
  Kokkos::deep_copy(exec, bytes, host);
  exec.fence();  // fences: documented
}

/// Throws InvalidArgument for counts that the parameter cannot have.
inline void check_counts(const ParameterCounts& counts, const Parameter& p, std::string_view function) {
  constexpr long long most = 1LL << 50;
  const auto check_one = [&](long long value, std::string_view what) {
    require(value >= 0 && value <= most, function, argument_of(what, p.name), value, "is no count");
  };
  check_one(counts.group_steps, "group_steps");
  check_one(counts.attempted, "attempted");
  require(counts.applied.size() == p.matrices(), function, argument_of("number of applied", p.name),
          counts.applied.size(), {"must be that of the parameter's matrices, ", p.matrices()});
  for (const long long applied : counts.applied) {
    check_one(applied, "applied");
    require(applied <= counts.attempted, function, argument_of("applied", p.name), applied,
            {"must not exceed attempted = ", counts.attempted});
  }
}

}  // namespace optim

}  // namespace schatten
