// SPDX-License-Identifier: BSD-3-Clause
// std::mdspan, and other types with its interface (Kokkos' for C++20), as Views. No copy. Needs no mdspan header.
#pragma once

#include <schatten/core/error.hpp>
#include <schatten/core/kokkos.hpp>
#include <schatten/core/views.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace schatten {

/// The members of std::mdspan that a View needs.
template <class M>
concept Mdspan = requires(const M& m) {
  typename M::element_type;
  typename M::extents_type;
  typename M::accessor_type;
  { M::rank() } -> std::convertible_to<std::size_t>;
  { m.data_handle() } -> std::convertible_to<typename M::element_type*>;
  { m.extent(0) } -> std::convertible_to<std::size_t>;
  { m.is_strided() } -> std::convertible_to<bool>;
};

namespace detail {

/// The type T with Rank asterisks.
template <class T, std::size_t Rank>
struct PointerOfRank {
  using type = typename PointerOfRank<T, Rank - 1>::type*;
};
template <class T>
struct PointerOfRank<T, 0> {
  using type = T;
};

}  // namespace detail

/// Returns a View of the elements of an mdspan of rank 1 to 4, with any strided mapping. `MemorySpace` is the space of
/// the memory.
///
/// The memory must exist as long as the View. The View of const elements is read-only. Element k of the accessor must
/// be data_handle()[k], as with the default accessor; an accessor whose reference is not element_type& does not
/// compile. Throws InvalidArgument for a mapping without strides, for a null pointer, for a pointer without the
/// alignment of the type, and for strides that exceed the address space, such as negative ones.
template <class MemorySpace = Kokkos::HostSpace, Mdspan M>
auto view(const M& m) {
  constexpr std::size_t rank = M::rank();
  static_assert(rank >= 1 && rank <= 4, "schatten: the mdspan must have rank 1 to 4");
  static_assert(std::same_as<typename M::accessor_type::reference, typename M::element_type&>,
                "schatten: the mdspan's accessor computes its elements; a View needs those in memory");
  require(m.is_strided(), "view", "mapping", "no strides", "must have strides");
  using T = typename M::element_type;
  Kokkos::LayoutStride layout;
  for (std::size_t d = 0; d < rank; ++d) {
    using Index = typename M::extents_type::rank_type;
    layout.dimension[d] = static_cast<std::size_t>(m.extent(static_cast<Index>(d)));
    layout.stride[d] = static_cast<std::size_t>(m.stride(static_cast<Index>(d)));
  }
  using View = Kokkos::View<typename detail::PointerOfRank<T, rank>::type, Kokkos::LayoutStride, MemorySpace,
                            Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  const View elements(m.data_handle(), layout);
  require_memory(strided_array(elements), "view", "data_handle");
  return elements;
}

}  // namespace schatten
