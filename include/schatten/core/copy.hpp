// SPDX-License-Identifier: BSD-3-Clause
// Loops and copies along the contiguous index of batches of any strides and element types.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/views.hpp>

#include <string_view>

namespace schatten {

namespace detail {

template <class T, class U, class Space>
struct CopyElement {
  BatchView<const T, Space> from;
  BatchView<U, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const { to(b, i, j) = U(from(b, i, j)); }
};

/// to ← factor_b·from. `to` may be `from`.
template <class T, class U, class Space>
struct ScaleElement {
  NumberBatchView<double, Space> factor;
  BatchView<const T, Space> from;
  BatchView<U, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    to(b, i, j) = U(factor(b) * double(from(b, i, j)));
  }
};

}  // namespace detail

/// Calls for_each_element along the contiguous index of `leader`, with the body that make(oriented) returns.
/// oriented(view) is the transpose of the view if the leader's columns are contiguous, otherwise the view itself.
template <ExecutionSpace Exec, class T, class Space, class Make>
void for_each_element_along(const Exec& exec, std::string_view label, const BatchView<T, Space>& leader,
                            const Make& make) {
  const bool turned = leader.stride(1) < leader.stride(2);
  const auto turn = [turned](const auto& view) { return turned ? transpose(view) : view; };
  const auto turned_leader = turn(leader);
  for_each_element(exec, label, turned_leader.extent(0), turned_leader.extent(1), turned_leader.extent(2), make(turn));
}

/// to ← from, rounded to the nearest U. @pre equal extents; no element is shared. Asynchronous on `exec`. One pass,
/// along the contiguous index of `to`.
template <ExecutionSpace Exec, class T, class U, class Space>
void copy_elements(const Exec& exec, std::string_view label, const BatchView<const T, Space>& from,
                   const BatchView<U, Space>& to) {
  for_each_element_along(exec, label, to, [&](const auto& turn) {
    return detail::CopyElement<T, U, Space>{turn(from), turn(to)};
  });
}

/// to_b ← factor(b)·from_b, computed in double and rounded once to U. `from` and `to` may be the same matrices.
/// @pre equal extents; one factor a matrix. Asynchronous on `exec`. One pass, along the contiguous index of `to`.
template <ExecutionSpace Exec, class T, class U, class Space>
void scale_elements(const Exec& exec, std::string_view label, const NumberBatchView<double, Space>& factor,
                    const BatchView<const T, Space>& from, const BatchView<U, Space>& to) {
  for_each_element_along(exec, label, to, [&](const auto& turn) {
    return detail::ScaleElement<T, U, Space>{factor, turn(from), turn(to)};
  });
}

}  // namespace schatten
