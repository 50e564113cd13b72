// SPDX-License-Identifier: BSD-3-Clause
// What the compiler says, in one sentence, of types that an Optimizer does not take.
#pragma once

#include <schatten/core/element_type.hpp>
#include <schatten/core/views.hpp>

#include <type_traits>

namespace schatten::optim {

/// T, which must be float or double.
template <class T>
struct OptimizerScalar {
  static constexpr bool known = Scalar<T>;
  static_assert(known, "schatten: an Optimizer computes in float or double: Optimizer<float>, Optimizer<double>");
  using type = std::conditional_t<known, T, float>;
};

/// What the compiler says of an add without a name.
template <class V>
constexpr void require_name() {
  static_assert(sizeof(V) == 0,
                "schatten: the name, a std::string, comes before the View: add(group, \"layers.0.weight\", w, g)");
}

/// Returns the number of the first requirement that the type of a gradient or observed array does not meet, else 0.
template <ExecutionSpace Exec, class V>
constexpr int unmet_by_array() {
  if constexpr (!KokkosView<V>) {
    return 1;
  } else if constexpr (!ParameterElement<scalar_of<V>>) {
    return 2;
  } else if constexpr (view_rank<V> < 1 || view_rank<V> > 4) {
    return 3;
  } else if constexpr (!accessible_from<Exec, typename V::memory_space>) {
    return 4;
  } else if constexpr (!has_strides<V>) {
    return 5;
  }
  return 0;
}
/// What the compiler says of a View's memory space and layout.
template <bool elsewhere, bool without_strides>
constexpr void check_place() {
  static_assert(!elsewhere, "schatten: the View's memory space is not accessible from the execution space");
  static_assert(!without_strides, "schatten: the View's layout must be LayoutLeft, LayoutRight or LayoutStride");
}
/// Whether the array may be a gradient or what a rule observes. The compiler reports the first requirement that is
/// not met, and nothing else.
template <ExecutionSpace Exec, class V>
constexpr bool check_array() {
  constexpr int unmet = unmet_by_array<Exec, V>();
  static_assert(unmet != 1,
                "schatten: the array must be a Kokkos View; schatten::view(matrix) makes one of an Eigen matrix "
                "(interop/eigen.hpp), schatten::matrix_view of a pointer (interop/pointers.hpp)");
  static_assert(unmet != 2, "schatten: the array must be of float, double, Half, BFloat16 or Kokkos' 16-bit types");
  static_assert(unmet != 3, "schatten: the array must have rank 1 to 4");
  check_place<unmet == 4, unmet == 5>();
  return unmet == 0;
}

/// Returns the number of the first requirement that the types of W and G do not meet; 0 if they meet all.
template <Scalar T, ExecutionSpace Exec, class VW, class VG>
constexpr int unmet_requirement() {
  constexpr int w = unmet_by_array<Exec, VW>(), g = unmet_by_array<Exec, VG>();
  if constexpr (w == 1 || g == 1) {
    return 1;
  } else if constexpr (std::is_const_v<typename VW::value_type>) {
    return 2;
  } else if constexpr (int(view_rank<VW>) != int(view_rank<VG>)) {
    return 3;
  } else if constexpr (w == 2 || g == 2) {
    return 4;
  } else if constexpr (sizeof(scalar_of<VW>) > sizeof(T)) {
    return 5;
  } else if constexpr (w == 3) {
    return 6;
  } else if constexpr (w == 4 || g == 4) {
    return 7;
  }
  return w == 5 || g == 5 ? 8 : 0;
}
/// Returns whether W and G may be registered. The compiler reports only the first requirement that is not met.
template <Scalar T, ExecutionSpace Exec, class VW, class VG = VW>
constexpr bool check_types() {
  constexpr int unmet = unmet_requirement<T, Exec, VW, VG>();
  static_assert(unmet != 1,
                "schatten: W and G must be Kokkos Views; schatten::view(matrix) makes one of an Eigen matrix "
                "(interop/eigen.hpp), schatten::matrix_view of a pointer (interop/pointers.hpp)");
  static_assert(unmet != 2,
                "schatten: W is written and must not be const; schatten::view of a const Eigen object or of "
                "transpose() is const");
  static_assert(unmet != 3, "schatten: W and G must have the same rank");
  static_assert(unmet != 4, "schatten: W and G must be of float, double, Half, BFloat16 or Kokkos' 16-bit types");
  static_assert(unmet != 5,
                "schatten: W has more digits than the Optimizer's scalar; Optimizer<double> takes double weights");
  static_assert(unmet != 6, "schatten: a parameter must have rank 1 to 4");
  check_place<unmet == 7, unmet == 8>();
  return unmet == 0;
}

}  // namespace schatten::optim
