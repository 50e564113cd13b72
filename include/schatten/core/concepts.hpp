// SPDX-License-Identifier: BSD-3-Clause
// Requirements on template parameters. Concepts constrain overloads; static_asserts in core/views.hpp have messages.
#pragma once

#include <schatten/core/kokkos.hpp>

#include <concepts>
#include <type_traits>

namespace schatten {

/// A Kokkos execution space: Kokkos::Serial, Kokkos::OpenMP, Kokkos::Cuda, ...
template <class E>
concept ExecutionSpace = bool(Kokkos::is_execution_space<std::remove_cvref_t<E>>::value);

/// The scalar types of the library: float, double.
template <class T>
concept Scalar = std::same_as<T, float> || std::same_as<T, double>;

/// Any Kokkos::View.
template <class V>
concept KokkosView = bool(Kokkos::is_view<std::remove_cvref_t<V>>::value);

/// Rank of a View type on every Kokkos version (an enumerator in 3.x, a constant later).
template <KokkosView V>
inline constexpr int view_rank = static_cast<int>(std::remove_cvref_t<V>::rank);

/// Whether the elements of a View have one stride per index, which is not the case in Kokkos' tiled layouts.
template <KokkosView V>
inline constexpr bool has_strides = [] {
  using Layout = typename std::remove_cvref_t<V>::array_layout;
  return std::same_as<Layout, Kokkos::LayoutLeft> || std::same_as<Layout, Kokkos::LayoutRight> ||
         std::same_as<Layout, Kokkos::LayoutStride>;
}();

/// Whether code running on `E` may read memory of `Space`.
template <class E, class Space>
inline constexpr bool accessible_from = bool(Kokkos::SpaceAccessibility<E, Space>::accessible);

/// Whether `E` runs on the host: Eigen and LAPACK can be called there.
template <class E>
inline constexpr bool is_host_execution_space = accessible_from<E, Kokkos::HostSpace>;

/// Scalar type of a View without const.
template <KokkosView V>
using scalar_of = typename std::remove_cvref_t<V>::non_const_value_type;

}  // namespace schatten
