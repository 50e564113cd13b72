// Copies between batches of any strides and element types.
#pragma once

#include <schatten/core/parallel.hpp>
#include <schatten/core/views.hpp>

#include <string>

namespace schatten {

namespace detail {

template <class T, class U, class Space>
struct CopyElement {
  BatchView<const T, Space> from;
  BatchView<U, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const { to(b, i, j) = U(from(b, i, j)); }
};

}  // namespace detail

/// to ← from, rounded to the nearest U. @pre equal extents; no element is shared. Asynchronous on `exec`. One pass, along
/// the contiguous index of `to`.
template <ExecutionSpace Exec, class T, class U, class Space>
void copy_elements(const Exec& exec, const std::string& label, const BatchView<const T, Space>& from,
                   const BatchView<U, Space>& to) {
  if (to.stride(1) < to.stride(2)) return copy_elements(exec, label, transpose(from), transpose(to));
  for_each_element(exec, label, to.extent(0), to.extent(1), to.extent(2), detail::CopyElement<T, U, Space>{from, to});
}

}  // namespace schatten
