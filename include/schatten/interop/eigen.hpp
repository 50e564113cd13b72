// SPDX-License-Identifier: BSD-3-Clause
// Eigen matrices, maps, references and blocks as Views. No copy.
#pragma once

#include <schatten/interop/pointers.hpp>

#include <Eigen/Core>

namespace schatten {

namespace detail {

/// Whether the elements of an Eigen expression are in memory, with a stride per index. (Eigen's flag is also set for
/// some indexed views, which have no address.)
template <class Derived>
constexpr bool has_memory() {
  return bool(Eigen::internal::traits<Derived>::Flags & Eigen::DirectAccessBit) && requires(const Derived& m) {
    m.data();
  };
}

/// Returns the View of an Eigen object's memory at `data`: rank 1 for a vector, rank 2 for a matrix.
template <class T, class Derived>
auto view_of(T* data, const Derived& m) {
  if constexpr (bool(Derived::IsVectorAtCompileTime)) {
    return vector_view(data, std::size_t(m.size()), std::size_t(m.innerStride()));
  } else {
    return matrix_view(data, std::size_t(m.rows()), std::size_t(m.cols()), std::size_t(m.rowStride()),
                       std::size_t(m.colStride()));
  }
}

}  // namespace detail

/// Returns a View of the memory of an Eigen object with direct access: Matrix, Map, Ref, Block, in either storage
/// order.
///
/// The View of a matrix has rank 2 (rows, cols). That of a type that is a vector at compile time (VectorXf, a column of
/// a matrix) has rank 1, which Optimizer::add refuses in a group of a rule for matrices. The Eigen object owns the
/// memory: it must exist as long as the View, and must not be resized. The View of a const object is read-only.
template <class Derived>
auto view(Eigen::DenseBase<Derived>& matrix) {
  static_assert(detail::has_memory<Derived>(),
                "schatten: the Eigen expression has no memory of its own; evaluate it first");
  if constexpr (detail::has_memory<Derived>()) {
    auto& m = matrix.derived();
    return detail::view_of(m.data(), m);
  }
}

/// The same for a const object: the View is read-only.
template <class Derived>
auto view(const Eigen::DenseBase<Derived>& matrix) {
  static_assert(detail::has_memory<Derived>(),
                "schatten: the Eigen expression has no memory of its own; evaluate it first");
  if constexpr (detail::has_memory<Derived>()) {
    const auto& m = matrix.derived();
    return detail::view_of(static_cast<const typename Derived::Scalar*>(m.data()), m);
  }
}

/// The same for a temporary Map, Ref or Block, which does not own the memory, so the View may outlive it.
template <class Derived>
auto view(Eigen::MapBase<Derived>&& matrix) {
  auto& m = matrix.derived();
  return detail::view_of(m.data(), m);
}

/// Does not compile, because a temporary matrix frees its memory. A temporary Ref of a const object frees its memory
/// too if it has a copy, which is the case for another storage order, other strides or an expression. Give the object a
/// name instead.
template <class Plain, int options, class Stride>
void view(Eigen::Ref<const Plain, options, Stride>&& matrix) = delete;
template <class Plain, int options, class Stride>
void view(const Eigen::Ref<const Plain, options, Stride>&& matrix) = delete;
template <class Derived>
void view(Eigen::PlainObjectBase<Derived>&& matrix) = delete;
template <class Derived>
void view(const Eigen::PlainObjectBase<Derived>&& matrix) = delete;

}  // namespace schatten
